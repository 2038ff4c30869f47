//! Extended attributes of open files (xattr(7)).

use crate::plan;
use nix::errno::Errno;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd};

/// The longest list of names, and the longest value, that the kernel has (`XATTR_LIST_MAX`, `XATTR_SIZE_MAX`,
/// linux/limits.h), in bytes.
const MOST: usize = 65536;

/// The names of a file's attributes; none where its file system has no such thing.
pub(crate) fn list(file: impl AsFd) -> nix::Result<Vec<CString>> {
    let mut names = vec![0_u8; MOST];
    // SAFETY: the kernel writes at most `MOST` bytes into the buffer of that size.
    let length = unsafe { libc::flistxattr(file.as_fd().as_raw_fd(), names.as_mut_ptr().cast(), MOST) };
    match Errno::result(length) {
        Ok(length) => {
            names.truncate(usize::try_from(length).unwrap_or(0));
            let parts = names.split(|&byte| byte == 0).filter(|name| !name.is_empty());
            Ok(parts.filter_map(|name| CString::new(name).ok()).collect())
        }
        Err(Errno::EOPNOTSUPP) => Ok(Vec::new()),
        Err(errno) => Err(errno),
    }
}

/// The value of an attribute, at most `most` bytes: `ERANGE` if it is longer, `ENODATA` if there is none.
pub(crate) fn get(file: impl AsFd, name: &CStr, most: usize) -> nix::Result<Vec<u8>> {
    let mut value = vec![0_u8; most.min(MOST)];
    let (file, size) = (file.as_fd().as_raw_fd(), value.len());
    // SAFETY: the name ends with NUL, and the kernel writes at most `size` bytes into the buffer of that size.
    let length = unsafe { libc::fgetxattr(file, name.as_ptr(), value.as_mut_ptr().cast(), size) };
    value.truncate(usize::try_from(Errno::result(length)?).unwrap_or(0));
    Ok(value)
}

/// Sets an attribute. With `existing` it must be there: `ENODATA` otherwise. A dry run is refused: `EROFS`.
pub(crate) fn set(file: impl AsFd, name: &CStr, value: &[u8], existing: bool) -> nix::Result<()> {
    plan::confirm_real()?;
    let flags = if existing { libc::XATTR_REPLACE } else { 0 };
    let (file, size) = (file.as_fd().as_raw_fd(), value.len());
    // SAFETY: the name ends with NUL, and the kernel reads `size` bytes of a buffer of that size.
    let result = unsafe { libc::fsetxattr(file, name.as_ptr(), value.as_ptr().cast(), size, flags) };
    Errno::result(result).map(drop)
}

/// Takes an attribute away. A dry run is refused: `EROFS`.
pub(crate) fn remove(file: impl AsFd, name: &CStr) -> nix::Result<()> {
    plan::confirm_real()?;
    // SAFETY: the name ends with NUL.
    Errno::result(unsafe { libc::fremovexattr(file.as_fd().as_raw_fd(), name.as_ptr()) }).map(drop)
}
