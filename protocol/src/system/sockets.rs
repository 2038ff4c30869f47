//! Sockets, and who has them.

use crate::fs::OpenedFile;
use crate::text::Text;
use crate::{Action, Effect, Operation};
use serde::{Deserialize, Serialize};

/// A kind of sockets, of which the kernel keeps a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SocketTable {
    /// TCP over IPv4.
    Tcp,
    /// TCP over IPv6.
    Tcp6,
    /// UDP over IPv4.
    Udp,
    /// UDP over IPv6.
    Udp6,
    /// Unix sockets.
    Unix,
}

impl SocketTable {
    /// The path of the table.
    pub const fn path(self) -> &'static str {
        match self {
            SocketTable::Tcp => "/proc/net/tcp",
            SocketTable::Tcp6 => "/proc/net/tcp6",
            SocketTable::Udp => "/proc/net/udp",
            SocketTable::Udp6 => "/proc/net/udp6",
            SocketTable::Unix => "/proc/net/unix",
        }
    }
}

/// Open the table of a kind of sockets of the session's network namespace, for reading.
///
/// Asks `open` and `read` on its path as a file, and nothing else: where `/proc/net` leads is the kernel's own doing. What is
/// read from it by [`crate::fs::Read`] asks `read` again. A kernel without IPv6 refuses its tables (`ENOENT`).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenSockets {
    /// Which.
    pub table: SocketTable,
}

impl Operation for OpenSockets {
    type Reply = OpenedFile;
    const NAME: &'static str = "system.open_sockets";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[Action::FileOpen, Action::FileRead];
}

/// List the processes that have sockets, a page at a time. Asks `open` and `read` on `/proc` as a file, and nothing about
/// each process. A process that the kernel does not let the session look into is missing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListSocketOwners {
    /// To go on: where the page before ended.
    pub from: Option<DescriptorPlace>,
}

/// A place in the order of what all processes have open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DescriptorPlace {
    /// The process.
    pub pid: u32,
    /// The descriptor's number.
    pub descriptor: u32,
}

/// Which processes have sockets, some of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SocketOwners {
    /// By process. One whose sockets do not fit into a page comes again in the next.
    pub owners: Vec<SocketOwner>,
    /// Where to go on. Nothing at the end.
    pub more: Option<DescriptorPlace>,
}

/// A process with sockets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketOwner {
    /// Its number.
    pub pid: u32,
    /// The kernel's short name for it.
    pub name: Text<64>,
    /// The inodes of its sockets; never none.
    pub inodes: Vec<u64>,
}

impl Operation for ListSocketOwners {
    type Reply = SocketOwners;
    const NAME: &'static str = "system.list_socket_owners";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[Action::FileOpen, Action::FileRead];
}
