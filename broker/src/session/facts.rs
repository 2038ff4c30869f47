//! What policies and records are told of a run.

use super::start::Caller;
use crate::authz::{Session, Via};
use crate::digest::sha256;
use crate::sys::process;
use crate::sys::process_dir::ProcessDir;
use nix::errno::Errno;

/// What is told of a run that a caller submits; `script` is nothing where there is none.
pub(super) fn of(via: Via, caller: &Caller, script: Option<&[u8]>, reason: Option<&str>, dry_run: bool) -> Session {
    let mut session = Session::new(via);
    if let Ok((tty, parent)) = origin(caller) {
        session.tty = tty;
        session.parent = parent;
    }
    session.script = script.map(|script| sha256([script])).unwrap_or_default();
    session.dry_run = dry_run;
    session.reason = reason.unwrap_or_default().to_owned();
    session
}

/// The caller's terminal, and the program of its parent.
fn origin(caller: &Caller) -> nix::Result<(String, String)> {
    let dir = ProcessDir::open(u32::try_from(caller.pid).map_err(|_| Errno::ESRCH)?)?;
    let stat = dir.read("stat", 4096)?;
    let (parent, terminal) = parent_and_terminal(&stat).ok_or(Errno::EIO)?;
    let program = ProcessDir::open(parent).and_then(|parent| parent.link("exe"));
    // Its number is another's only once it has gone.
    if caller.process.as_ref().is_some_and(|process| !process::is_there(process)) {
        return Err(Errno::ESRCH);
    }
    let program = program.map(|path| String::from_utf8_lossy(&path).into_owned());
    Ok((terminal, program.unwrap_or_default()))
}

/// The fields behind the name, which stands in parentheses and may hold some (proc_pid_stat(5)).
fn parent_and_terminal(stat: &[u8]) -> Option<(u32, String)> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let mut fields = std::str::from_utf8(stat.get(end + 1..)?).ok()?.split_ascii_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let terminal = fields.nth(2)?.parse::<i32>().ok()?;
    Some((parent, terminal_name(terminal)))
}

/// What a terminal's device number is called (Linux' list of devices, `admin-guide/devices.txt`).
fn terminal_name(number: i32) -> String {
    let number = u64::try_from(number).unwrap_or(0);
    let (major, minor) = (nix::sys::stat::major(number), nix::sys::stat::minor(number));
    match (major, minor) {
        (0, 0) => String::new(),
        (136..=143, _) => format!("pts/{}", (major - 136) * 256 + minor),
        (4, 0..64) => format!("tty{minor}"),
        (4, _) => format!("ttyS{}", minor - 64),
        _ => format!("{major}:{minor}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_have_names() {
        let stat = |terminal: i32| format!("17 (a) S 3 (b) R 9 17 17 {terminal} 17 4194560 1 0\n");
        for (number, name) in [(0, ""), (34816, "pts/0"), (34819, "pts/3"), (1025, "tty1")] {
            assert_eq!(parent_and_terminal(stat(number).as_bytes()), Some((9, name.to_owned())), "{number}");
        }
        assert_eq!(terminal_name(0x8901), "pts/257");
        assert_eq!(parent_and_terminal(b"17 (a"), None);
    }
}
