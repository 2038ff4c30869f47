//! The kernel's files about one process (proc(5)), pinned: what is read through a directory of /proc is of the process
//! that it was opened for, or an error (`ESRCH`), whatever has its number by then.

use super::socket::retry;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, fstatat};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

/// The directory of a process or of one of its threads.
#[derive(Debug)]
pub(crate) struct ProcessDir {
    /// The number it was opened by.
    pub(crate) id: u32,
    fd: OwnedFd,
}

impl ProcessDir {
    /// That of what has this number now.
    pub(crate) fn open(pid: u32) -> nix::Result<Self> {
        Self::at(AT_FDCWD, &format!("/proc/{pid}"), pid)
    }

    /// That of one of its threads.
    pub(crate) fn thread(&self, thread: u32) -> nix::Result<Self> {
        Self::at(&self.fd, &format!("task/{thread}"), thread)
    }

    fn at(dir: impl AsFd, path: &str, id: u32) -> nix::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Self { id, fd: retry(|| openat(dir.as_fd(), path, flags, Mode::empty()))? })
    }

    /// A descriptor of what is called `name` in it.
    pub(crate) fn open_entry(&self, name: &str, flags: OFlag) -> nix::Result<OwnedFd> {
        retry(|| openat(&self.fd, name, flags | OFlag::O_CLOEXEC, Mode::empty()))
    }

    /// What the file `name` has, at most `most` bytes.
    pub(crate) fn read(&self, name: &str, most: usize) -> nix::Result<Vec<u8>> {
        let file = retry(|| openat(&self.fd, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()))?;
        read(&file, most)
    }

    /// What the link `name` says.
    pub(crate) fn link(&self, name: &str) -> nix::Result<Vec<u8>> {
        readlinkat(&self.fd, name).map(OsStringExt::into_vec)
    }

    /// What the link `name` leads to is like.
    pub(crate) fn stat(&self, name: &str) -> nix::Result<FileStat> {
        fstatat(&self.fd, name, nix::fcntl::AtFlags::empty())
    }

    /// The numbers that the directory `name` has as names, ascending.
    pub(crate) fn numbers(&self, name: &str) -> nix::Result<Vec<u32>> {
        numbers(openat(&self.fd, name, LISTED, Mode::empty())?)
    }
}

/// The value of a line of a process's `status`; `name` with its colon. The kernel escapes newlines in the name that stands before.
pub(crate) fn status_field<'s>(status: &'s [u8], name: &[u8]) -> Option<&'s str> {
    let value = status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name))?;
    std::str::from_utf8(value).ok().map(str::trim)
}

const LISTED: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// The numbers of all processes, ascending.
pub(crate) fn all() -> nix::Result<Vec<u32>> {
    numbers(openat(AT_FDCWD, "/proc", LISTED, Mode::empty())?)
}

fn numbers(dir: OwnedFd) -> nix::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in Dir::from_fd(dir)?.iter() {
        numbers.extend(entry?.file_name().to_str().ok().and_then(|name| name.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn read(file: &OwnedFd, most: usize) -> nix::Result<Vec<u8>> {
    const STEP: usize = 16 * 1024;
    let mut bytes = Vec::new();
    while bytes.len() < most {
        let begin = bytes.len();
        bytes.resize(most.min(begin + STEP), 0);
        let rest = bytes.get_mut(begin..).ok_or(Errno::EINVAL)?;
        let length = retry(|| nix::unistd::read(file, rest))?;
        bytes.truncate(begin + length);
        if length == 0 {
            break;
        }
    }
    Ok(bytes)
}
