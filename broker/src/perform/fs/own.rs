//! What the kernel tells of the session itself, and where it can be found.
//!
//! `/proc/self` is the session's, never the script's own: through `mem` there one could write into it. Procfs may be mounted
//! elsewhere too, and in another mount namespace whoever controls it mounts it, or a part of it, anywhere. So an object of procfs
//! that is not found below our own `/proc` is looked at itself, whatever its path: nothing of any process is opened there, now or
//! through a handle that is used later.

use super::refused;
use crate::sys::fs::{self, Links, root};
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

/// Refuses what the kernel tells of this very process, but for the tables that are the same for everybody.
pub(super) fn not_our_own(real: &AbsPath) -> Result<(), Failure> {
    let own = format!("/proc/{}", std::process::id());
    let inside = real.as_bytes().strip_prefix(own.as_bytes()).filter(|rest| matches!(rest.first(), None | Some(b'/')));
    let shared = |rest: &[u8]| rest.starts_with(b"/net/") || matches!(rest, b"/net" | b"/mounts" | b"/mountinfo");
    match inside {
        Some(rest) if !shared(rest) => Err(of_ours(real)),
        _ => Ok(()),
    }
}

/// Refuses an object of procfs that tells of this very process or, where it is not found below our own `/proc`, of any.
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
