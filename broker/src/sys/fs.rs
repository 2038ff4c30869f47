//! Opening objects of the file system without being led astray.

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::sys::statfs::{self, FsType, fstatfs};
use rex_protocol::path::{AbsPath, Name};
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

pub(crate) mod root;

/// Whether symbolic links are followed. Magic links (`/proc/PID/exe` and the like) never are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    Follow,
    Refuse,
}

impl Links {
    fn resolve(self) -> ResolveFlag {
        match self {
            Links::Follow => ResolveFlag::RESOLVE_NO_MAGICLINKS,
            Links::Refuse => ResolveFlag::RESOLVE_NO_MAGICLINKS | ResolveFlag::RESOLVE_NO_SYMLINKS,
        }
    }
}

/// Pins what an absolute path names, without opening it for use (`O_PATH`): nothing blocks, nothing acts.
/// With [`Links::Refuse`] a link anywhere on the way is `ELOOP`.
pub(crate) fn pin(path: &AbsPath, links: Links) -> nix::Result<OwnedFd> {
    open_from_root(path, OFlag::empty(), links)
}

/// Pins what has this very path: no link on the way is followed, and one in last place is pinned itself.
pub(crate) fn pin_itself(path: &AbsPath) -> nix::Result<OwnedFd> {
    open_from_root(path, OFlag::O_NOFOLLOW, Links::Refuse)
}

/// Opens an absolute path from the root that is set, which no link leads out of.
fn open_from_root(path: &AbsPath, flags: OFlag, links: Links) -> nix::Result<OwnedFd> {
    let how = OpenHow::new().flags(flags | OFlag::O_PATH | OFlag::O_CLOEXEC);
    match root::get() {
        None => retry_busy(|| openat2(AT_FDCWD, path.as_path(), how.resolve(links.resolve()))),
        Some(root) => {
            let how = how.resolve(links.resolve() | ResolveFlag::RESOLVE_IN_ROOT);
            retry_busy(|| openat2(root.dir(), path.as_path(), how))
        }
    }
}

/// Keeps everybody from opening a file to write to it until `file` is closed; `EAGAIN` if somebody has it open so. Where the file
/// system or the caller's rights allow no such lease it holds off nobody.
pub(crate) fn hold_off_writers(file: &File) -> nix::Result<()> {
    /// `fcntl.h` of Linux; the library does not name it.
    const F_SETSIG: libc::c_int = 10;
    let set = |command, argument: libc::c_int| {
        // SAFETY: the descriptor is open; both commands that are used take a number and touch no memory.
        Errno::result(unsafe { libc::fcntl(file.as_raw_fd(), command, argument) })
    };
    // Who wants to write waits, and the kernel tells so by a signal: by one that is ignored, not the usual, which ends a process.
    match set(F_SETSIG, libc::SIGURG).and_then(|_| set(libc::F_SETLEASE, libc::F_RDLCK)) {
        Err(Errno::EAGAIN) => Err(Errno::EAGAIN),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Pins an entry of a directory; a link is pinned itself.
pub(crate) fn pin_entry(dir: impl AsFd, name: &Name) -> nix::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS | ResolveFlag::RESOLVE_BENEATH);
    retry_busy(|| openat2(dir.as_fd(), name.as_os_str(), how))
}

/// Pins what an entry of a directory leads to, following links.
pub(crate) fn pin_target(dir: impl AsFd, name: &Name) -> nix::Result<OwnedFd> {
    if root::get().is_some() {
        // A link that begins with a slash leads on from that root, not from ours.
        let path = real_path(dir)?.join(name).map_err(|_| Errno::ENAMETOOLONG)?;
        return pin(&path, Links::Follow);
    }
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(Links::Follow.resolve());
    retry_busy(|| openat2(dir.as_fd(), name.as_os_str(), how))
}

/// Makes a regular file that must not be there yet, and opens it.
pub(crate) fn create_file(dir: impl AsFd, name: &Name, flags: OFlag, mode: Mode) -> nix::Result<OwnedFd> {
    let flags = flags | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    super::socket::retry(|| nix::fcntl::openat(dir.as_fd(), name.as_os_str(), flags, mode))
}

/// Opens exactly the pinned object for use. Never blocks: callers have looked at its type, and
/// `O_NONBLOCK` keeps even files of kernel file systems from waiting.
pub(crate) fn reopen(pinned: impl AsFd, flags: OFlag) -> nix::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", pinned.as_fd().as_raw_fd());
    let flags = flags | OFlag::O_CLOEXEC | OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    super::socket::retry(|| nix::fcntl::open(path.as_str(), flags, Mode::empty()))
}

/// The path of a pinned object, by which it can be reached without a link at this moment. `ESTALE`
/// where there is none: it was removed, or lies outside the visible tree.
pub(crate) fn real_path(pinned: impl AsFd) -> nix::Result<AbsPath> {
    let link = format!("/proc/self/fd/{}", pinned.as_fd().as_raw_fd());
    let text: OsString = nix::fcntl::readlink(link.as_str())?;
    let path = AbsPath::parse(text.into_vec()).map_err(|_| Errno::ESTALE)?;
    let again = pin(&path, Links::Refuse).map_err(|_| Errno::ESTALE)?;
    if same(&fstat(&pinned)?, &fstat(&again)?) { Ok(path) } else { Err(Errno::ESTALE) }
}

/// Whether two results of `fstat` are of one object.
pub(crate) fn same(one: &FileStat, other: &FileStat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

/// File systems that store what their files hold, so that all readers of a file read the same (linux/magic.h). What is not
/// named here, such as procfs, sysfs and FUSE, may make content up for whoever reads.
const STORES: [FsType; 16] = [
    statfs::EXT4_SUPER_MAGIC,
    statfs::BTRFS_SUPER_MAGIC,
    statfs::TMPFS_MAGIC,
    statfs::OVERLAYFS_SUPER_MAGIC,
    statfs::NFS_SUPER_MAGIC,
    statfs::ISOFS_SUPER_MAGIC,
    statfs::MSDOS_SUPER_MAGIC,
    statfs::F2FS_SUPER_MAGIC,
    FsType(0x5846_5342), // XFS
    FsType(0x2fc1_2fc1), // ZFS
    FsType(0xca45_1a4e), // bcachefs
    FsType(0x2011_bab0), // exFAT
    FsType(0x3153_464a), // JFS
    FsType(0x7371_7368), // SquashFS
    FsType(0xe0f5_e1e2), // EROFS
    FsType(0x8584_58f6), // ramfs
];

/// Whether the file system of an open object stores content that is the same for every reader.
pub(crate) fn holds_content(fd: impl AsFd) -> nix::Result<bool> {
    Ok(STORES.contains(&fstatfs(fd)?.filesystem_type()))
}

/// The type bits of an object.
pub(crate) fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

/// `openat2` answers `EAGAIN` when the tree changed while it looked (openat2(2)).
fn retry_busy<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    for _ in 0..64 {
        match super::socket::retry(&mut call) {
            Err(Errno::EAGAIN) => {}
            result => return result,
        }
    }
    Err(Errno::EAGAIN)
}
