//! The kernel's tables.

use crate::fs::OpenedFile;
use crate::{Action, Effect, Operation};
use serde::{Deserialize, Serialize};

/// A table of the kernel that is read by its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Table {
    /// Memory and swap.
    Memory,
    /// Processors, and what they have done since the start.
    Statistics,
    /// What disks have done since the start.
    Disks,
    /// What is mounted where.
    Mounts,
}

impl Table {
    /// Its path.
    pub const fn path(self) -> &'static str {
        match self {
            Table::Memory => "/proc/meminfo",
            Table::Statistics => "/proc/stat",
            Table::Disks => "/proc/diskstats",
            Table::Mounts => "/proc/mounts",
        }
    }
}

/// Open one of the kernel's tables for reading.
///
/// Asks `read` on its path as a file, and nothing else: where these paths lead is the kernel's own doing. What is read from it
/// by [`crate::fs::Read`] asks `read` again. `/proc/mounts` tells of the mounts that the session sees.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenTable {
    /// Which.
    pub table: Table,
}

impl Operation for OpenTable {
    type Reply = OpenedFile;
    const NAME: &'static str = "system.open_table";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[Action::FileRead];
}
