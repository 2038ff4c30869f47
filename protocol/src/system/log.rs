//! The kernel's log.

use crate::handle::Log;
use crate::text::Chunk;
use crate::{Action, Effect, Handle, Operation};
use serde::{Deserialize, Serialize};

/// Read the kernel's log, from the oldest message that it still has.
///
/// Asks `read` on `/dev/kmsg`. Gives some messages and, while there may be more, a handle to go on with: one from the first
/// reply to the last, open until the worker lets go of it. Never waits for messages to come.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReadLog {
    /// To go on: the log of the reply before.
    pub log: Option<Handle<Log>>,
}

/// Some messages of the kernel's log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogPage {
    /// Whole records, one after the other, as `/dev/kmsg` gives them: each ends in a newline, and lines that continue one
    /// begin with a space.
    pub records: Chunk,
    /// When the system was started, in seconds since 1970.
    pub booted: i64,
    /// How far the local time is ahead of UTC now, in seconds.
    pub utc_offset: i32,
    /// The log to ask for more. Nothing at the end.
    pub more: Option<Handle<Log>>,
}

impl Operation for ReadLog {
    type Reply = LogPage;
    const NAME: &'static str = "system.read_log";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[Action::FileRead];
}
