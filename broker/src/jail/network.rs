//! The network of workers: an empty one.
//!
//! A daemon makes one for all its workers: to make one for each, and to put it away, takes longer than all other walls together. They
//! cannot meet there, since nothing behind these walls can make a socket. Where none can be shared, each worker gets its own.

use crate::sys::procfs;
use nix::sched::{CloneFlags, setns, unshare};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

static SHARED: OnceLock<OwnedFd> = OnceLock::new();

/// Makes an empty network namespace (network_namespaces(7)) for the workers that this process and its children start. Without the
/// right to do so, nothing is changed. An error if this process is left in another network than before.
pub(crate) fn share() -> nix::Result<()> {
    let Ok(own) = procfs::open_own("ns/net") else { return Ok(()) };
    if unshare(CloneFlags::CLONE_NEWNET).is_err() {
        return Ok(());
    }
    let empty = procfs::open_own("ns/net");
    setns(own, CloneFlags::CLONE_NEWNET)?;
    if let Ok(empty) = empty {
        SHARED.get_or_init(|| empty);
    }
    Ok(())
}

/// The one that workers share, if there is one.
pub(super) fn shared() -> Option<BorrowedFd<'static>> {
    SHARED.get().map(AsFd::as_fd)
}

/// Enters it.
pub(super) fn enter(shared: BorrowedFd<'_>) -> nix::Result<()> {
    setns(shared, CloneFlags::CLONE_NEWNET)
}
