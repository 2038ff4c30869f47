//! Locks on open files (flock(2)).

use nix::errno::Errno;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

/// A lock that no other open file of the same name has, until this is dropped. It needs no descriptor of its own, so that
/// it is to be had also when none are left.
#[derive(Debug)]
pub(crate) struct Lock(Rc<OwnedFd>);

impl Lock {
    /// Takes it without waiting: `EAGAIN` while another has it.
    pub(crate) fn try_take(file: &Rc<OwnedFd>) -> nix::Result<Self> {
        flock(file, libc::LOCK_EX | libc::LOCK_NB)?;
        Ok(Self(Rc::clone(file)))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // It cannot fail on a file that is open; and with that, the lock would go too.
        let _ = flock(&self.0, libc::LOCK_UN);
    }
}

fn flock(file: &OwnedFd, operation: libc::c_int) -> nix::Result<()> {
    // SAFETY: no memory is passed.
    Errno::result(unsafe { libc::flock(file.as_raw_fd(), operation) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_has_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let open = || Rc::new(OwnedFd::from(file.reopen().unwrap()));
        let (one, other) = (open(), open());
        let lock = Lock::try_take(&one).unwrap();
        assert_eq!(Lock::try_take(&other).map(drop), Err(Errno::EAGAIN));
        drop(lock);
        assert!(Lock::try_take(&other).is_ok());
    }
}
