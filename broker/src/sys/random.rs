//! Numbers that nobody can foresee.

use nix::errno::Errno;

/// One of the kernel's (getrandom(2)). The standard library's own come from keys that every fork of the broker shares.
pub(crate) fn number() -> nix::Result<u64> {
    let mut bytes = [0_u8; 8];
    // SAFETY: the kernel writes at most the buffer's length.
    let length =
        super::socket::retry(|| Errno::result(unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) }))?;
    if usize::try_from(length) == Ok(bytes.len()) { Ok(u64::from_ne_bytes(bytes)) } else { Err(Errno::EIO) }
}
