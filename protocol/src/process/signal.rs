//! Signals.

use super::{COMMAND, Identity, NAME};
use crate::text::Text;
use crate::{Action, Effect, Operation};
use serde::{Deserialize, Serialize};

/// Signal a process.
///
/// Asks `kill` on it, for [`SignalKind::Hangup`] `interrupt`, with its name, user and command line as they are then; and
/// signals exactly the process that was judged, whatever has its number by then. Where there is no such process the question
/// is asked with empty attributes first. Never the session's own processes: that is refused (`EACCES`) whatever policy says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Signal {
    /// Its number.
    pub pid: u32,
    /// The signal.
    pub signal: SignalKind,
    /// Only if it is still the one that was seen.
    pub seen: Option<Seen>,
}

/// The signals that can be sent; `signal(7)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignalKind {
    /// `SIGHUP`
    Hangup,
    /// `SIGQUIT`
    Quit,
    /// `SIGKILL`
    Kill,
    /// `SIGTERM`
    Terminate,
}

/// What a process was chosen by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// When it started.
    pub started: u64,
    /// Its name, where that counted.
    pub name: Option<Text<NAME>>,
    /// Its command line, where that counted.
    pub command: Option<Text<COMMAND>>,
}

/// The process that was signalled, as it was judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signalled {
    /// Who it is.
    pub identity: Identity,
}

impl Operation for Signal {
    type Reply = Signalled;
    const NAME: &'static str = "process.signal";
    const EFFECT: Effect<Self> = Effect::Changes;
    const ACTIONS: &'static [Action] = &[Action::ProcessKill, Action::ProcessInterrupt];
}
