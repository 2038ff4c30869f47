//! Listing processes.

use super::{COMMAND, NAME};
use crate::text::Text;
use crate::{Action, Effect, Operation};
use serde::{Deserialize, Serialize};

/// List processes by their numbers, a page at a time; each as it is at that moment.
///
/// Asks `list` on each, with its name, user and command line, and leaves out those that are denied. Namespaces are told
/// only where, besides, `open` of the directories `/proc/PID` and `/proc/PID/ns`, `read` of `/proc/PID/ns/pid`, and
/// `open` and `read` of `/proc/PID/status` are allowed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ListProcesses {
    /// These and no others, where they are there.
    pub only: Option<Vec<u32>>,
    /// Their threads too, but for the first of each, which stands for the process.
    pub threads: bool,
    /// Their pid namespaces too.
    pub namespaces: bool,
    /// To go on: where the page before ended.
    pub after: Option<ProcessPlace>,
}

/// A place in the order of processes and their threads: a process comes before its threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcessPlace {
    /// The process.
    pub pid: u32,
    /// A thread of it, or zero.
    pub thread: u32,
}

/// Some processes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Processes {
    /// The processes; perhaps none, although there are more.
    pub processes: Vec<Process>,
    /// What their numbers relate to; with the first of them.
    pub machine: Option<Machine>,
    /// Where to go on. Nothing at the end.
    pub more: Option<ProcessPlace>,
}

/// A process, or a thread of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Who it is.
    pub identity: Identity,
    /// For a thread, the process it is of.
    pub thread_of: Option<u32>,
    /// The fields of `proc_pid_stat(5)` behind the name, beginning with the state.
    pub stat: Text<1024>,
    /// Its pid namespace.
    pub namespace: Option<Namespace>,
}

/// A process as policy knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its number, or the thread's.
    pub pid: u32,
    /// The kernel's short name.
    pub name: Text<NAME>,
    /// The number of its real user.
    pub uid: u32,
    /// That user's name.
    pub username: Option<Text<256>>,
    /// Its arguments joined by spaces, the first word without its directory. Empty for what has none.
    pub command: Text<COMMAND>,
    /// When it started, in ticks since the machine did: with the number it is unique.
    pub started: u64,
}

/// The pid namespace of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// Its inode number.
    pub id: u64,
    /// The number of the process in it.
    pub pid: u32,
}

/// What the numbers of processes relate to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The machine's memory, in bytes.
    pub memory: u64,
    /// How long the machine has run, in milliseconds.
    pub uptime_ms: u64,
}

impl Operation for ListProcesses {
    type Reply = Processes;
    const NAME: &'static str = "process.list";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[Action::ProcessList, Action::FileOpen, Action::FileRead];
}
