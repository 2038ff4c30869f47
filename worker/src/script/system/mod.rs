//! What the system tells of itself: `SystemInfo`, `SysctlManager`, `Filesystems`, network interfaces, sockets.

pub(super) mod filesystems;
pub(super) mod info;
pub(super) mod interfaces;
pub(super) mod iostat;
pub(super) mod kernel_log;
pub(super) mod lsblk;
pub(super) mod mounts;
mod slabs;
pub(super) mod sockets;
mod statistics;
pub(super) mod sysctl;
mod table;

use super::{Surface, refuse};
use crate::error::{Error, Kind};
use rex_protocol::Failure;
use rex_protocol::path::AbsPath;

/// Registers all of it.
pub fn register(surface: &mut Surface) {
    info::register(surface);
    statistics::register(surface);
    slabs::register(surface);
    kernel_log::register(surface);
    sysctl::register(surface);
    filesystems::register(surface);
    iostat::register(surface);
    mounts::register(surface);
    interfaces::register(surface);
    sockets::register(surface);
}

/// What is told when the session does not do what was asked about `path`: of the kind `denied` where policy says no.
fn refused(failure: &Failure, path: &AbsPath, denied: impl Into<Kind>, other: impl Into<Kind>) -> Error {
    let kind = if failure.is_denial() { denied.into() } else { other.into() };
    Error::because(failure, kind, refuse::general(failure, path).message())
}
