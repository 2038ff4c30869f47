//! The kernel's own files about processes (proc(5)). Their names hold numbers that we put there, nothing else.
#![expect(
    clippy::disallowed_methods,
    reason = "names in /proc are made of process numbers, and nobody can plant links there"
)]

use nix::unistd::Pid;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// The text of `/proc/PID/NAME`.
pub(crate) fn read(pid: Pid, name: &str) -> io::Result<String> {
    std::fs::read_to_string(path(pid, name))
}

/// Where `/proc/PID/NAME` points.
pub(crate) fn link(pid: Pid, name: &str) -> io::Result<PathBuf> {
    std::fs::read_link(path(pid, name))
}

/// The names in `/proc/PID/NAME`.
pub(crate) fn list(pid: Pid, name: &str) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path(pid, name))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// Opens `/proc/self/NAME`.
pub(crate) fn open_own(name: &str) -> io::Result<OwnedFd> {
    std::fs::File::open(PathBuf::from("/proc/self").join(name)).map(OwnedFd::from)
}

/// Writes to `/proc/self/NAME`.
pub(crate) fn write_own(name: &str, text: &str) -> io::Result<()> {
    std::fs::write(PathBuf::from("/proc/self").join(name), text)
}

/// The parent of a process, as its `status` tells it.
pub(crate) fn parent(pid: Pid) -> Option<Pid> {
    let status = read(pid, "status").ok()?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    parent.trim().parse().ok().map(Pid::from_raw)
}

fn path(pid: Pid, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}")).join(name)
}
