//! What the kernel tells of Rex's own processes, and where it can be found.
//!
//! `/proc/self` is the session's, never the script's own: through `mem` there one could write into it, and through the files of other
//! processes of Rex into these, or have the kernel end them first when memory is short. The memory of any other process is refused
//! too: whoever writes there acts as that process, and no policy is asked about that. Procfs may be mounted elsewhere too, and in
//! another mount namespace whoever controls it mounts it, or a part of it, anywhere. So an object of procfs that is not found
//! below our own `/proc` is looked at itself, whatever its path: nothing of any process is opened there, now or through a handle that
//! is used later.

use super::refused;
use crate::program;
use crate::sys::fs::{self, Links, root};
use crate::sys::process_dir::ProcessDir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{fstat, stat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use rex_protocol::failure::Failure;
use rex_protocol::path::AbsPath;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;

/// The inode of procfs' own root directory (`PROC_ROOT_INO` in the kernel's `include/linux/proc_fs.h`).
const ROOT: u64 = 1;
/// How deep procfs is at most, and more.
const DEPTH: usize = 32;

/// Refuses what the kernel tells of a process of Rex, but for the tables that are the same for everybody, and the memory of any
/// process.
pub(super) fn not_our_own(real: &AbsPath) -> Result<(), Failure> {
    let Some((pid, rest)) = of_process(real) else { return Ok(()) };
    if is_memory(rest) {
        return Err(refused(Errno::EACCES, "open the memory of a process by", real));
    }
    let shared = rest.starts_with(b"/net/") || matches!(rest, b"/net" | b"/mounts" | b"/mountinfo");
    // One that has ended has nothing left to be told.
    let is_ours = || pid == std::process::id() || ProcessDir::open(pid).is_ok_and(|dir| program::is_run_by(&dir));
    if !shared && is_ours() { Err(of_ours(real)) } else { Ok(()) }
}

/// The number of the process that a path below `/proc` is about, and what comes behind that.
fn of_process(path: &AbsPath) -> Option<(u32, &[u8])> {
    let below = path.as_bytes().strip_prefix(b"/proc/")?;
    let end = below.iter().position(|byte| *byte == b'/').unwrap_or(below.len());
    let (number, rest) = below.split_at_checked(end)?;
    Some((std::str::from_utf8(number).ok()?.parse().ok()?, rest))
}

/// Whether that is the memory of the process, or of one of its threads, which is the same.
fn is_memory(rest: &[u8]) -> bool {
    let rest = rest.strip_prefix(b"/task/").map_or(rest, |thread| {
        let end = thread.iter().position(|byte| *byte == b'/').unwrap_or(thread.len());
        thread.get(end..).unwrap_or_default()
    });
    rest == b"/mem"
}

/// Refuses an object of procfs that tells of a process of Rex or, where it is not found below our own `/proc`, of any.
pub(super) fn confirm_not_our_own(pin: &OwnedFd, path: &AbsPath) -> Result<(), Failure> {
    match fstatfs(pin) {
        Ok(system) if system.filesystem_type() != PROC_SUPER_MAGIC => return Ok(()),
        Ok(_) => {}
        Err(errno) => return Err(refused(errno, "look at", path)),
    }
    if root::get().is_none()
        && let Ok(real) = fs::real_path(pin)
        && matches!(real.as_bytes().strip_prefix(b"/proc").map(<[u8]>::first), Some(None | Some(b'/')))
    {
        return not_our_own(&real);
    }
    if is_of_no_process(pin).unwrap_or(false) { Ok(()) } else { Err(of_ours(path)) }
}

/// Whether an object of procfs belongs to none of the directories of processes. What cannot be told for sure does.
fn is_of_no_process(pin: &OwnedFd) -> nix::Result<bool> {
    let real = fs::real_path(pin)?;
    let names: Vec<&[u8]> = real.as_bytes().split(|byte| *byte == b'/').skip(1).collect();
    // A file is in the directory above it, unless it was mounted there by itself.
    let (mut dir, mut level) = match fs::kind(&fstat(pin)?) == nix::sys::stat::SFlag::S_IFDIR {
        true => (beside(pin, OsStr::new("."))?, names.len()),
        false => {
            let (parent, name) = real.split().ok_or(Errno::ESTALE)?;
            let parent = fs::pin(&parent, Links::Refuse)?;
            let entry = beside(&parent, name.as_os_str())?;
            if !fs::same(&fstat(&entry)?, &fstat(pin)?) {
                return Ok(false);
            }
            (parent, names.len().saturating_sub(1))
        }
    };
    for _ in 0..DEPTH {
        let here = fstat(&dir)?;
        if here.st_ino == ROOT {
            // The directories of processes, and links to them, have other names.
            let top = names.get(level).copied().unwrap_or_default();
            let is_process = !top.is_empty() && top.iter().all(u8::is_ascii_digit);
            return Ok(!is_process);
        }
        match beside(&dir, OsStr::new("..")) {
            Ok(above) => dir = above,
            // Containers have the kernel's settings mounted by themselves.
            Err(Errno::EXDEV) => return Ok(here.st_ino == stat("/proc/sys")?.st_ino),
            Err(errno) => return Err(errno),
        }
        level = level.saturating_sub(1);
    }
    Ok(false)
}

/// What has a name in a directory, on the same mount and without a link.
fn beside(dir: &OwnedFd, name: &OsStr) -> nix::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_XDEV | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    openat2(dir, name, how)
}

fn of_ours(path: &AbsPath) -> Failure {
    refused(Errno::EACCES, "open the broker's own", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_known_by_its_path() {
        for (path, found) in [
            ("/proc/12/mem", Some((12, true))),
            ("/proc/12/task/13/mem", Some((12, true))),
            ("/proc/12/task/13/maps", Some((12, false))),
            ("/proc/12/task/mem", Some((12, false))),
            ("/proc/12", Some((12, false))),
            ("/proc/meminfo", None),
            ("/srv/proc/12/mem", None),
        ] {
            let path = AbsPath::parse(path).unwrap();
            assert_eq!(of_process(&path).map(|(pid, rest)| (pid, is_memory(rest))), found, "{path}");
        }
    }
}
