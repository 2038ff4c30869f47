//! Control groups (cgroups(7), version 2), by descriptors of their directories.

use super::{procfs, xattr};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, fstatfs};
use nix::unistd::{Pid, UnlinkatFlags, unlinkat};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Where systems have version 2 mounted: alone, or beside version 1.
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/// The longest file of a group that is read, in bytes.
const FILE: usize = 4096;

/// The path of the group that this process is in; an error where there is no version 2.
fn own() -> io::Result<PathBuf> {
    let lines = procfs::read(Pid::this(), "cgroup")?;
    let own = lines.lines().find_map(|line| line.strip_prefix("0::/"));
    let own = own.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "this process is in no group of version 2"))?;
    let mount = MOUNTS.iter().find(|mount| open_dir(AT_FDCWD, Path::new(mount)).is_ok_and(|mount| is_group(&mount)));
    let mount = mount.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no groups of version 2 are mounted"))?;
    Ok(Path::new(mount).join(own))
}

/// Opens the directory of a group; `ENOTDIR` if it is none of version 2.
fn open(path: &Path) -> nix::Result<OwnedFd> {
    let group = open_dir(AT_FDCWD, path)?;
    if is_group(&group) { Ok(group) } else { Err(Errno::ENOTDIR) }
}

/// Makes a group in another; `EEXIST` if there is one of that name.
#[allow(clippy::disallowed_methods, reason = "a group is the broker's own, and no file")]
pub(crate) fn make(parent: impl AsFd, name: &str) -> nix::Result<OwnedFd> {
    nix::sys::stat::mkdirat(parent.as_fd(), name, Mode::from_bits_truncate(0o755))?;
    enter(parent, name)
}

/// Opens a group in another.
pub(crate) fn enter(parent: impl AsFd, name: &str) -> nix::Result<OwnedFd> {
    open_dir(parent.as_fd(), Path::new(name))
}

/// Removes a group in another; `EBUSY` while processes are in it.
#[allow(clippy::disallowed_methods, reason = "a group is the broker's own, and no file")]
pub(crate) fn remove(parent: impl AsFd, name: &str) -> nix::Result<()> {
    unlinkat(parent.as_fd(), name, UnlinkatFlags::RemoveDir)
}

/// A group that systemd gives away to whoever is in it (`Delegate=`, systemd.resource-control(5)).
#[derive(Debug)]
pub(crate) struct Delegated {
    pub(crate) path: PathBuf,
    pub(crate) directory: OwnedFd,
    /// Whether this process is in one below it, and not in it itself.
    pub(crate) is_above: bool,
}

/// The group that this process is given: its own, or the one above.
pub(crate) fn delegated() -> Result<Delegated, String> {
    let path = own().map_err(|error| error.to_string())?;
    let directory = open(&path).map_err(|errno| format!("cannot open the broker's own group: {}", errno.desc()))?;
    if is_delegated(&directory) {
        return Ok(Delegated { path, directory, is_above: false });
    }
    let above = path.parent().and_then(|above| Some((above.to_owned(), open(above).ok()?)));
    match above.filter(|(_, directory)| is_delegated(directory)) {
        Some((path, directory)) => Ok(Delegated { path, directory, is_above: true }),
        None => Err("the service manager has not delegated any (`Delegate=`)".into()),
    }
}

fn is_delegated(group: impl AsFd) -> bool {
    [c"trusted.delegate", c"user.delegate"].iter().any(|name| xattr::get(&group, name, 8).is_ok_and(|is| is == b"1"))
}

/// The names of the groups in one.
pub(crate) fn list(group: impl AsFd) -> nix::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in nix::dir::Dir::from_fd(enter(group, ".")?)? {
        let entry = entry?;
        if entry.file_type() == Some(nix::dir::Type::Directory) {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

/// The text of a group's file; `ENOENT` where the kernel or the group has no such thing.
pub(crate) fn read(group: impl AsFd, file: &str) -> nix::Result<String> {
    let file = openat(group.as_fd(), file, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    let mut text = vec![0; FILE];
    let length = super::socket::retry(|| nix::unistd::read(&file, &mut text))?;
    text.truncate(length);
    String::from_utf8(text).map_err(|_| Errno::EILSEQ)
}

/// Writes to a group's file.
pub(crate) fn write(group: impl AsFd, file: &str, text: &str) -> nix::Result<()> {
    let file = openat(group.as_fd(), file, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    super::socket::retry(|| nix::unistd::write(&file, text.as_bytes())).map(drop)
}

fn open_dir(parent: impl AsFd, path: &Path) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(parent, path, flags, Mode::empty())
}

fn is_group(directory: impl AsFd) -> bool {
    fstatfs(directory).is_ok_and(|system| system.filesystem_type() == CGROUP2_SUPER_MAGIC)
}
