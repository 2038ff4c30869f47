//! The backtrace of a process that runs.

use crate::handle::{Handle, Program};
use crate::{Action, Effect, Operation};
use serde::{Deserialize, Serialize};

/// Have the system's debugger stop a process, tell where each of its threads is, and let it go on. What it says comes by
/// [`crate::fs::Follow`].
///
/// It runs as the user of that process, without a capability, and can do nothing but to trace and to read what that user can: a
/// process that leads it astray gains nothing. Where the kernel lets only root trace (Yama, `ptrace_scope`), it is refused.
///
/// Asks `trace` on the process, which is pinned before it is judged, `open` on the directory of [`Trace::NAMED`] and on that as a
/// file, and `mount_namespace` on the process that it was named by, where it was.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Trace {
    /// The process.
    pub pid: u32,
    /// The process in whose namespace its number was given.
    pub beside: Option<u32>,
}

impl Trace {
    /// What policy knows the debugger's way to do this by.
    pub const NAMED: &'static str = "/usr/bin/gstack";
    /// The debugger.
    pub const DEBUGGER: &'static str = "/usr/bin/gdb";
}

impl Operation for Trace {
    type Reply = Handle<Program>;
    const NAME: &'static str = "process.trace";
    const EFFECT: Effect<Self> = Effect::Changes;
    const ACTIONS: &'static [Action] = &[Action::ProcessTrace, Action::ProcessMountNamespace, Action::FileOpen];
}
