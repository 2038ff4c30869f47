//! Where a path leads that cannot be opened: looked up step by step, only to ask policy about its end.
//!
//! A link may name anything, also what its owner may not know of. So that "it is missing" and "it is denied" cannot be
//! told apart, what a link leads to is judged by its path even if nothing is there. The answer is used for that
//! and never to act: what is acted on is pinned.

use super::*;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// How many links the kernel follows in one path; path_resolution(7).
const LINKS: usize = 40;

/// The path that `path` leads to when its links are followed, as far as they can be, with what is missing appended;
/// nothing where no link is on the way, or where they lead in circles.
pub(in crate::perform) fn end_of(path: &AbsPath) -> Option<AbsPath> {
    walk(path, &mut Vec::new())
}

/// The directories on that way that the text of a link names and leaves by a `..` of its own.
pub(in crate::perform) fn detours(path: &AbsPath) -> Vec<AbsPath> {
    let mut left = Vec::new();
    walk(path, &mut left);
    left
}

fn walk(path: &AbsPath, left: &mut Vec<AbsPath>) -> Option<AbsPath> {
    let mut rest: VecDeque<Step> = steps(path.as_bytes());
    let mut at = AbsPath::root();
    let mut pin = Some(fs::pin(&at, Links::Refuse).ok()?);
    let mut links = 0;
    while let Some(Step { component, goes_back }) = rest.pop_front() {
        if component == b".." {
            if goes_back {
                left.push(at.clone());
            }
            at = at.split().map_or(at, |(parent, _)| parent);
            pin = fs::pin(&at, Links::Refuse).ok();
            continue;
        }
        let name = Name::parse(component).ok()?;
        let entry = pin.as_ref().and_then(|dir| fs::pin_entry(dir, &name).ok());
        let is_link = entry.as_ref().is_some_and(|entry| matches!(look(entry, &at), Ok((EntryKind::Symlink, _))));
        match pin.as_ref().filter(|_| is_link) {
            Some(dir) => {
                links += 1;
                let text: OsString = nix::fcntl::readlinkat(dir, name.as_os_str()).ok().filter(|_| links <= LINKS)?;
                let text = text.into_vec();
                if text.first() == Some(&b'/') {
                    at = AbsPath::root();
                    pin = fs::pin(&at, Links::Refuse).ok();
                }
                steps(&text).into_iter().rev().for_each(|step| rest.push_front(step));
            }
            None => {
                at = at.join(&name).ok()?;
                pin = entry;
            }
        }
    }
    (links > 0).then_some(at)
}

struct Step {
    component: Vec<u8>,
    /// Whether it is a `..` after a name in the same text.
    goes_back: bool,
}

fn steps(path: &[u8]) -> VecDeque<Step> {
    let parts = path.split(|&byte| byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    let mut named = false;
    let step = parts.map(|part| {
        named |= part != b"..";
        Step { component: part.to_vec(), goes_back: named && part == b".." }
    });
    step.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn finds_the_end_of_links_that_lead_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        let end = |name: &str| {
            let end = end_of(&AbsPath::parse(format!("{root}/{name}")).unwrap());
            end.map(|path| path.to_id().replace(root, "ROOT"))
        };
        symlink("/nowhere/at/all", folder.path().join("absolute")).unwrap();
        symlink("other/x", folder.path().join("relative")).unwrap();
        symlink("../../..//./relative/../y", folder.path().join("up")).unwrap();
        symlink("relative", folder.path().join("twice")).unwrap();
        symlink("circle", folder.path().join("circle")).unwrap();
        assert_eq!(end("absolute"), Some("/nowhere/at/all".into()));
        assert_eq!(end("absolute/below"), Some("/nowhere/at/all/below".into()));
        assert_eq!(end("relative"), Some("ROOT/other/x".into()));
        assert_eq!(end("twice"), Some("ROOT/other/x".into()));
        assert_eq!(end("up"), Some("/y".into()));
        assert_eq!(end("circle"), None);
        assert_eq!(end("missing"), None);
        let left = |name: &str| {
            let left = detours(&AbsPath::parse(format!("{root}/{name}")).unwrap());
            left.iter().map(|path| path.to_id().replace(root, "ROOT")).collect::<Vec<_>>()
        };
        assert_eq!(left("relative/below"), Vec::<String>::new());
        assert_eq!(left("up"), ["/relative"]);
        symlink("/nowhere/at/../../x", folder.path().join("back")).unwrap();
        assert_eq!(left("back"), ["/nowhere/at", "/nowhere"]);
    }
}
