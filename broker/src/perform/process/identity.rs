//! Who a process is: what the kernel tells of it, and what of that it chose itself. Names and command lines hold whatever
//! bytes the process likes, so nothing is taken from a place that they could reach.

use crate::authz::ProcessIdentity;
use crate::program;
use crate::sys::process_dir::{ProcessDir, status_field};
use nix::errno::Errno;
use nix::unistd::{Uid, User};
use rex_protocol::process::{COMMAND, Identity, NAME};
use rex_protocol::text::Text;
use std::collections::HashMap;
use std::rc::Rc;

/// A process as it was when it was looked at.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// What scripts are told.
    pub(super) identity: Identity,
    /// The fields of `stat` behind the name.
    pub(super) stat: Text<1024>,
    /// The parent's number.
    parent: u32,
}

/// Names of users, looked up once a request.
#[derive(Default)]
pub(super) struct Users(HashMap<u32, Option<Text<256>>>);

impl Known {
    /// The process, or the thread of the process `whole`, whose user and command line are its own.
    pub(super) fn read(dir: &ProcessDir, whole: Option<&Known>, users: &mut Users) -> nix::Result<Self> {
        let (stat, parent, started) = stat(&dir.read("stat", 4096)?).ok_or(Errno::EIO)?;
        let (uid, username, command) = match whole.map(|whole| &whole.identity) {
            Some(whole) => (whole.uid, whole.username.clone(), whole.command.clone()),
            None => {
                let uid = uid(&dir.read("status", 4096)?).ok_or(Errno::EIO)?;
                // It has none where it has no memory of its own, or an end already.
                let arguments = dir.read("cmdline", COMMAND).unwrap_or_default();
                (uid, users.name(uid), Text::cut(command(&arguments)))
            }
        };
        let name = Text::cut(name(&dir.read("comm", NAME)?));
        Ok(Self { identity: Identity { pid: dir.id, name, uid, username, command, started }, stat, parent })
    }

    /// What is asked about where there is no process of this number.
    pub(super) fn nobody(pid: u32) -> Self {
        let (name, command, stat) = (Text::default(), Text::default(), Text::default());
        let identity = Identity { pid, name, uid: 0, username: Some(Text::default()), command, started: 0 };
        Self { identity, stat, parent: 0 }
    }

    /// What policy is told.
    pub(super) fn for_policy(&self) -> Rc<ProcessIdentity> {
        let Identity { pid, name, uid, username, command, .. } = &self.identity;
        Rc::new(ProcessIdentity {
            pid: *pid,
            name: name.to_string(),
            username: username.as_ref().map_or_else(|| uid.to_string(), |name| name.to_string()),
            command: command.to_string(),
        })
    }

    /// Whether this is a process of Rex that no script may touch, of whatever run: one of this session, or one that runs a
    /// program of Rex.
    pub(super) fn is_ours(&self, dir: &ProcessDir) -> bool {
        [self.identity.pid, self.parent].contains(&std::process::id()) || program::is_run_by(dir)
    }

    /// About what it takes in a reply, in bytes, and no less.
    pub(super) fn weight(&self) -> usize {
        let Identity { name, username, command, .. } = &self.identity;
        128 + name.len() + username.as_ref().map_or(0, |name| name.len()) + command.len() + self.stat.len()
    }
}

impl Users {
    fn name(&mut self, uid: u32) -> Option<Text<256>> {
        let look_up = || User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| Text::cut(user.name));
        self.0.entry(uid).or_insert_with(look_up).clone()
    }
}

/// The short name: all of it but the newline that the kernel puts behind.
fn name(comm: &[u8]) -> String {
    String::from_utf8_lossy(comm.strip_suffix(b"\n").unwrap_or(comm)).into_owned()
}

/// The fields behind the name, which stands in parentheses and may hold some; of them the parent, and when it started.
fn stat(stat: &[u8]) -> Option<(Text<1024>, u32, u64)> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let fields = std::str::from_utf8(stat.get(end + 1..)?).ok()?.trim();
    // The first of them is the third of proc_pid_stat(5).
    let field = |number: usize| fields.split(' ').nth(number - 3);
    let (parent, started) = (field(4)?.parse().ok()?, field(22)?.parse().ok()?);
    Some((Text::try_from(fields.to_owned()).ok()?, parent, started))
}

/// The real user. The kernel escapes newlines in the name, which stands before.
fn uid(status: &[u8]) -> Option<u32> {
    status_field(status, b"Uid:")?.split_ascii_whitespace().next()?.parse().ok()
}

/// The arguments joined by spaces, the first word of all without its directory.
fn command(arguments: &[u8]) -> String {
    let end = arguments.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let arguments = arguments.get(..end).unwrap_or_default().split(|byte| *byte == 0);
    let joined = arguments.map(String::from_utf8_lossy).collect::<Vec<_>>().join(" ");
    let (first, rest) = joined.split_at(joined.find(' ').unwrap_or(joined.len()));
    let name = first.rsplit('/').next().unwrap_or(first);
    format!("{name}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FIELDS: &str = "S 17 2 2 0 -1 4194560 1 0 0 0 5 6 0 0 20 0 1 0 4321 1000 250 18446744073709551615";

    #[test]
    fn names_hold_anything() {
        assert_eq!(name(b"a\nb \n"), "a\nb ");
        assert_eq!(name(b"\xff)\n"), "\u{fffd})");
        for name in ["sleep", "a) R 99 99 (b", "x\\ny", ") Z 1 ("] {
            let (fields, parent, started) = stat(format!("12 ({name}) {FIELDS}\n").as_bytes()).unwrap();
            assert_eq!((&*fields, parent, started), (FIELDS, 17, 4321), "{name}");
        }
        assert_eq!(stat(b"12 (sleep) S 17"), None);
        assert_eq!(uid(b"Name:\tUid:\t7\\n\nState:\tS\nUid:\t5\t6\t6\t6\n"), Some(5));
        assert_eq!(uid(b"Name:\tx\n"), None);
    }

    #[test]
    fn commands_lose_the_first_directory() {
        for (arguments, told) in [
            (&b"/usr/bin/sleep\0/a/b\0"[..], "sleep /a/b"),
            (b"sleep", "sleep"),
            (b"/opt/my tools/run\0x\0", "my tools/run x"),
            (b"nginx: master process /usr/sbin/nginx\0\0\0", "nginx: master process /usr/sbin/nginx"),
            (b"/x/sh\0\0-c\0", "sh  -c"),
            (b"/x/s\xffh\0", "s\u{fffd}h"),
            (b"", ""),
            (b"\0\0", ""),
        ] {
            assert_eq!(command(arguments), told);
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = (name(&bytes), stat(&bytes), uid(&bytes), command(&bytes));
        }
    }
}
