//! Places by every path that leads there, as policies name them.

use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use rex_protocol::path::AbsPath;
use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

/// How many links the kernel follows in one path; path_resolution(7).
const LINKS: usize = 40;

/// What a rail is about.
///
/// A script names a place by its real path, which is not the configured one where a link is on the way; and whoever changes such a
/// link, or puts one where there is nothing yet, changes what the configured path means. So a place is named by both paths, and what
/// is no directory is left alone at each step on the way.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// With all that is below them, whatever they are.
    whole: BTreeSet<PathBuf>,
    /// Only what is no directory there.
    links: BTreeSet<PathBuf>,
}

impl Places {
    /// These, with all that is below them.
    pub(super) fn of<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Self {
        let mut places = Self::default();
        for path in paths {
            // A relative path is the administrator's, from where the broker was started.
            let Ok(path) = std::path::absolute(path.as_ref()) else { continue };
            let (end, way) = follow(&path);
            places.links.extend(way.into_iter().chain(path.ancestors().map(Path::to_owned)));
            places.whole.extend([path, end]);
        }
        places
    }

    /// Besides, these files alone.
    pub(super) fn and_files(mut self, paths: impl IntoIterator<Item = PathBuf>) -> Self {
        self.links.extend(paths);
        self
    }

    /// The condition that a resource is one of them, in the form that decisions are indexed by.
    pub(super) fn condition(&self) -> String {
        let (whole, links) = (self.whole.iter(), self.links.iter());
        let dirs = whole.clone().filter_map(|path| entity("file_system::Dir", path)).collect::<Vec<_>>();
        let files = whole.chain(links).filter_map(|path| entity("file_system::File", path)).collect::<Vec<_>>();
        format!("resource in [{}] || resource in [{}]", dirs.join(", "), files.join(", "))
    }
}

/// An entity as Cedar itself writes it; nothing where the path can be no resource's.
fn entity(kind: &str, path: &Path) -> Option<String> {
    named(kind, &AbsPath::parse(path.as_os_str().as_encoded_bytes()).ok()?.to_id())
}

/// The same of an id.
pub(super) fn named(kind: &str, id: &str) -> Option<String> {
    let kind = EntityTypeName::from_str(kind).ok()?;
    Some(EntityUid::from_type_name_and_id(kind, EntityId::new(id)).to_string())
}

/// Where an absolute path leads, as far as there is anything, and every path that was gone by on the way there.
fn follow(path: &Path) -> (PathBuf, Vec<PathBuf>) {
    let steps = |path: &Path| path.components().map(|step| step.as_os_str().to_owned()).collect::<Vec<_>>();
    let (mut at, mut way, mut links) = (PathBuf::from("/"), Vec::new(), 0);
    let mut rest: VecDeque<OsString> = steps(path).into();
    while let Some(step) = rest.pop_front() {
        match Path::new(&step).components().next() {
            Some(Component::ParentDir) => drop(at.pop()),
            Some(Component::Normal(name)) => {
                let next = at.join(name);
                way.push(next.clone());
                match nix::fcntl::readlink(&next) {
                    Ok(text) if links < LINKS => {
                        links += 1;
                        steps(Path::new(&text)).into_iter().rev().for_each(|step| rest.push_front(step));
                    }
                    _ => at = next,
                }
            }
            Some(Component::RootDir) => at = PathBuf::from("/"),
            _ => {}
        }
    }
    (at, way)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "folders of a test's own")]
    fn a_path_is_followed_by_the_links_on_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("real/below")).unwrap();
        symlink(root.join("real"), root.join("first")).unwrap();
        symlink("./first/..", root.join("second")).unwrap();
        symlink("circle", root.join("circle")).unwrap();
        let (end, way) = follow(&root.join("second/first/below/missing/x"));
        assert_eq!(end, root.join("real/below/missing/x"));
        let steps = ["second", "first", "real", "real/below", "real/below/missing", "real/below/missing/x"];
        for step in steps {
            assert!(way.contains(&root.join(step)), "{step}: {way:?}");
        }
        assert_eq!(follow(&root.join("circle/x")).0, root.join("circle/x"));
        assert_eq!(follow(Path::new("/../..")).0, Path::new("/"));
    }
}
