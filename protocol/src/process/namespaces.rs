//! Namespaces of other processes.

use crate::handle::{Entry, Handle};
use crate::path::Name;
use crate::{Action, Effect, Operation};
use serde::{Deserialize, Serialize};

/// The directory that holds network namespaces by name (ip-netns(8)).
pub const NETWORKS: &str = "/run/netns";

/// See with the eyes of a process: its file system, its network, or both, until the entry is dropped.
///
/// What absolute paths name is what they name in the process's mount namespace; sockets, interfaces and `/proc/sys/net` are those
/// of its network namespace. Numbers of processes stay what they are, and the session's own business stays outside: no program
/// runs in another mount namespace. Entries are left in the reverse order.
///
/// Asks `mount_namespace`, `network_namespace` or both on the process, which is pinned before it is judged.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnterNamespaces {
    /// The process.
    pub pid: u32,
    /// Its mount namespace.
    pub mount: bool,
    /// Its network namespace.
    pub net: bool,
}

impl Operation for EnterNamespaces {
    type Reply = Handle<Entry>;
    const NAME: &'static str = "process.enter";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[Action::ProcessMountNamespace, Action::ProcessNetworkNamespace];
}

/// Be in the network namespace of this name below [`NETWORKS`], until the entry is dropped.
///
/// Asks `network_namespace` on the file, then `open` on the directory and on the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnterNetwork {
    /// Its name.
    pub name: Name,
}

impl Operation for EnterNetwork {
    type Reply = Handle<Entry>;
    const NAME: &'static str = "process.enter_network";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[Action::FileNetworkNamespace, Action::FileOpen];
}
