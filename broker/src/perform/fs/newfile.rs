//! Files that are made beside the one they are to replace, and take its name only when they are whole.
#![allow(clippy::disallowed_methods, reason = "in a dry run there is no such file: `NewFile::with_mode`")]

use super::*;
use crate::sys::xattr;
use nix::fcntl::{AtFlags, OFlag, RenameFlags};
use nix::sys::stat::{Mode, fchmod, fstat, futimens};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, linkat, unlinkat};
use std::os::fd::AsRawFd;

/// The mode of what is for nobody else, and that of an ordinary new file less the umask.
const PRIVATE: Mode = Mode::from_bits_truncate(0o600);
const ORDINARY: Mode = Mode::from_bits_truncate(0o666);

/// A file that has no name yet, or one that nobody can foresee. It goes again if it does not come to more.
pub(crate) struct NewFile {
    dir: Rc<OpenDirectory>,
    pub(super) fd: OwnedFd,
    /// Its name for the moment; until it is whole it needs none, where the file system can do without.
    name: Option<Name>,
}

impl NewFile {
    /// An empty one, readable by nobody else.
    pub(super) fn beside(dir: &Rc<OpenDirectory>) -> nix::Result<Self> {
        Self::with_mode(dir, PRIVATE)
    }

    /// An empty one with the mode and access list of any that is made in this directory, once [`Self::open_up`] was called.
    pub(super) fn ordinary_beside(dir: &Rc<OpenDirectory>) -> nix::Result<Self> {
        Self::with_mode(dir, ORDINARY)
    }

    /// Gives one that has a name already, which was for nobody else so far, the mode of an ordinary file.
    pub(super) fn open_up(&self) -> nix::Result<()> {
        if self.name.is_none() {
            return Ok(());
        }
        let umask = nix::sys::stat::umask(Mode::empty());
        nix::sys::stat::umask(umask);
        fchmod(&self.fd, ORDINARY & !umask)
    }

    fn with_mode(dir: &Rc<OpenDirectory>, mode: Mode) -> nix::Result<Self> {
        plan::confirm_real()?;
        let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        match nix::fcntl::openat(&*dir.pin, ".", flags, mode) {
            Ok(fd) => Ok(Self { dir: Rc::clone(dir), fd, name: None }),
            Err(Errno::EOPNOTSUPP | Errno::EISDIR) => {
                let make = |name: &Name| fs::create_file(&*dir.pin, name, OFlag::O_RDWR, PRIVATE);
                let (fd, name) = with_new_name(make)?;
                Ok(Self { dir: Rc::clone(dir), fd, name: Some(name) })
            }
            // What ext4 says of a directory that is gone.
            Err(Errno::EPERM) if fstat(&*dir.pin)?.st_nlink == 0 => Err(Errno::ENOENT),
            Err(errno) => Err(errno),
        }
    }

    /// Takes `name`, from whatever has it, at once.
    pub(super) fn take_the_place_of(&mut self, name: &Name) -> nix::Result<()> {
        let own = match &self.name {
            Some(own) => own.clone(),
            None => {
                let source = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
                let (here, follow) = (nix::fcntl::AT_FDCWD, AtFlags::AT_SYMLINK_FOLLOW);
                let link = |own: &Name| linkat(here, source.as_str(), &*self.dir.pin, own.as_os_str(), follow);
                let ((), own) = with_new_name(link)?;
                self.name.insert(own).clone()
            }
        };
        let dir = &*self.dir.pin;
        nix::fcntl::renameat2(dir, own.as_os_str(), dir, name.as_os_str(), RenameFlags::empty())?;
        self.name = None;
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            let _ = unlinkat(&*self.dir.pin, name.as_os_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}

/// Tries names that nobody can foresee until one is free.
pub(super) fn with_new_name<T>(mut make: impl FnMut(&Name) -> nix::Result<T>) -> nix::Result<(T, Name)> {
    for _ in 0..64 {
        let random = crate::sys::random::number()?;
        let name = Name::parse(format!(".rex-{random:016x}")).map_err(|_| Errno::EINVAL)?;
        match make(&name) {
            Ok(made) => return Ok((made, name)),
            Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::EEXIST)
}

/// What a file takes over from the one it replaces, or is a copy of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keep {
    pub(super) owner: bool,
    /// The set-id bits too.
    pub(super) set_id: bool,
    pub(super) times: bool,
}

impl Keep {
    /// Gives `new` what `old` has: its mode and extended attributes, and what else is to be kept. An owner that the kernel
    /// does not let it have is a failure.
    pub(super) fn apply(self, old: &OwnedFd, new: &OwnedFd) -> nix::Result<()> {
        let (was, is) = (fstat(old)?, fstat(new)?);
        if self.owner && (was.st_uid, was.st_gid) != (is.st_uid, is.st_gid) {
            fchown(new, Some(Uid::from_raw(was.st_uid)), Some(Gid::from_raw(was.st_gid)))?;
        }
        let names = xattr::list(old)?;
        // What a new file has without our doing, a directory's default list gave it (acl(5)): nobody who was not let in before.
        for name in xattr::list(new)?.iter().filter(|name| is_access_list(name.to_bytes()) && !names.contains(name)) {
            xattr::remove(new, name)?;
        }
        for name in names {
            if is_kept(name.to_bytes()) {
                xattr::set(new, &name, &xattr::get(old, &name, usize::MAX)?, false)?;
            }
        }
        // After the owner, whose change clears set-id bits (chown(2)), and the access list, which carries permission bits.
        let bits = if self.set_id { 0o7777 } else { 0o1777 };
        fchmod(new, Mode::from_bits_truncate(was.st_mode & bits))?;
        if self.times {
            set_times(new, &was)?;
        }
        Ok(())
    }
}

/// Extended attributes that go with the content. A file capability or an integrity mark belongs to the content it was made
/// for.
fn is_kept(name: &[u8]) -> bool {
    name.starts_with(b"user.") || is_access_list(name) || name == b"security.selinux"
}

fn is_access_list(name: &[u8]) -> bool {
    matches!(name, b"system.posix_acl_access" | b"system.posix_acl_default")
}

/// The times of last access and modification that `of` tells.
pub(super) fn set_times(fd: &OwnedFd, of: &FileStat) -> nix::Result<()> {
    futimens(fd, &TimeSpec::new(of.st_atime, of.st_atime_nsec), &TimeSpec::new(of.st_mtime, of.st_mtime_nsec))
}

/// Whether a file has set-id bits.
pub(super) fn has_set_id(stat: &FileStat) -> bool {
    stat.st_mode & (libc::S_ISUID | libc::S_ISGID) != 0
}
