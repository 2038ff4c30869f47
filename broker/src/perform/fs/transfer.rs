//! Moving bytes into files so that a full disk leaves them as they were.
#![allow(clippy::disallowed_methods, reason = "on descriptors that are open for writing, of which a dry run has none")]

use super::*;
use crate::sys::socket::retry;
use nix::fcntl::{FallocateFlags, OFlag, fallocate};
use nix::sys::stat::fstat;
use nix::unistd::{fsync, ftruncate};

/// What is moved between two looks at the clock, in bytes.
const PIECE: usize = 8 * 1024 * 1024;
/// What is moved by way of our own memory, in bytes.
const BUFFER: usize = 256 * 1024;

/// All of `bytes`.
pub(super) fn write_all(fd: &OwnedFd, mut bytes: &[u8]) -> nix::Result<()> {
    while !bytes.is_empty() {
        let count = retry(|| nix::unistd::write(fd, bytes))?;
        bytes = bytes.get(count..).filter(|_| count > 0).ok_or(Errno::EIO)?;
    }
    Ok(())
}

/// Obtains the space for `length` bytes from `offset` on before anything is overwritten. Where there is not enough
/// the file is as before. File systems that cannot promise space do not stop the write.
pub(super) fn reserve(fd: &OwnedFd, offset: u64, length: u64) -> nix::Result<()> {
    if length == 0 {
        return Ok(());
    }
    let signed = |number: u64| i64::try_from(number).map_err(|_| Errno::EFBIG);
    let before = fstat(fd)?.st_size;
    match retry(|| fallocate(fd, FallocateFlags::FALLOC_FL_KEEP_SIZE, signed(offset)?, signed(length)?)) {
        Err(errno @ (Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG)) => {
            // What was obtained of it goes back: it lies beyond the end.
            let _ = ftruncate(fd, before);
            Err(errno)
        }
        _ => Ok(()),
    }
}

/// The whole content of `from` into `to`, from where `to` stands. Gives its length.
///
/// Reads to the end rather than to the length: files of kernel file systems have none. `ETIME` where the run's time is up.
pub(super) fn copy_content(from: &OwnedFd, to: &OwnedFd, state: &State) -> nix::Result<u64> {
    // A position of our own: the handle's may be anywhere.
    let from = fs::reopen(from, OFlag::O_RDONLY)?;
    let mut copied: u64 = 0;
    let mut in_kernel = true;
    loop {
        if state.is_out_of_time() {
            return Err(Errno::ETIME);
        }
        let count = if in_kernel {
            match retry(|| nix::fcntl::copy_file_range(&from, None, to, None, PIECE)) {
                // Between some file systems, and from those that make their files up, the kernel does not copy.
                Err(Errno::EXDEV | Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP | Errno::EPERM | Errno::EBADF)
                | Ok(0) => {
                    in_kernel = false;
                    continue;
                }
                count => count?,
            }
        } else {
            let mut buffer = vec![0; BUFFER];
            let count = retry(|| nix::unistd::read(&from, &mut buffer))?;
            write_all(to, buffer.get(..count).unwrap_or_default())?;
            count
        };
        if count == 0 {
            return Ok(copied);
        }
        copied = copied.saturating_add(count as u64);
    }
}

/// Sets the length. Files of kernel file systems have none to set.
pub(super) fn set_length(fd: &OwnedFd, length: u64) -> nix::Result<()> {
    match ftruncate(fd, i64::try_from(length).map_err(|_| Errno::EFBIG)?) {
        Err(Errno::EINVAL) => Ok(()),
        result => result,
    }
}

/// To the disk; files of kernel file systems have none.
pub(super) fn sync(fd: &OwnedFd) -> nix::Result<()> {
    match fsync(fd) {
        Ok(()) | Err(Errno::EINVAL | Errno::EROFS) => Ok(()),
        Err(errno) => Err(errno),
    }
}
