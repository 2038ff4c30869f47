//! Mounted file systems.

use crate::path::AbsPath;
use crate::{Action, Effect, Operation};
use serde::{Deserialize, Serialize};

/// Ask how full the file system is that is mounted somewhere.
///
/// Asks `stat` on the mount point as a directory. No link is followed. A file system that does not answer within some
/// seconds, as one of a server that is gone, is refused with `ETIMEDOUT`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatMount {
    /// The mount point.
    pub path: AbsPath,
}

/// How full a file system is; `statvfs(3)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountUsage {
    /// Its size, in bytes.
    pub size: u64,
    /// What everybody may still use of it, in bytes.
    pub available: u64,
    /// How many inodes it has.
    pub inodes: u64,
    /// How many of them are free.
    pub inodes_free: u64,
}

impl Operation for StatMount {
    type Reply = MountUsage;
    const NAME: &'static str = "system.stat_mount";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[Action::FileStat];
}

/// Unmount what is mounted at a path (`umount2(2)`), neither lazily nor by force.
///
/// Asks `unmount` on the path as a directory, and on its real path where links before the last component lead elsewhere. A
/// link in last place is refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Unmount {
    /// The mount point.
    pub path: AbsPath,
}

impl Operation for Unmount {
    type Reply = ();
    const NAME: &'static str = "system.unmount";
    const EFFECT: Effect<Self> = Effect::Changes;
    const ACTIONS: &'static [Action] = &[Action::FileUnmount];
}
