//! Processes: listing, signals, what they have open.

mod files;
mod info;
mod ipcs;
mod kill;
mod manager;
mod monitor;
mod namespaces;
mod trace;

pub(super) use kill::{KillOptions, SignalNumber};
pub(super) use manager::ProcessManager;

use super::Surface;
use crate::error::{Error, Process, errno_text};
use rex_protocol::Failure;
use rex_protocol::failure::FailureKind;

/// Registers what concerns processes.
pub fn register(surface: &mut Surface) {
    info::register(surface);
    manager::register(surface);
    kill::register(surface);
    files::register(surface);
    ipcs::register(surface);
    monitor::register(surface);
    namespaces::register(surface);
    trace::register(surface);
}

/// What scripts are told when the session does not do what was asked.
fn refused(failure: &Failure) -> Error {
    let (kind, text) = match &failure.kind {
        FailureKind::Denied(_) => (Process::PermissionDenied, failure.message.to_string()),
        FailureKind::NoProcess { pid } => return not_found("Process not found", i64::from(*pid)),
        FailureKind::Refused { errno } => (Process::Other, errno_text(*errno)),
        _ => (Process::Other, failure.message.to_string()),
    };
    Error::because(failure, kind, text)
}

/// That there is no process of this number.
fn not_found(what: &str, pid: i64) -> Error {
    Error::new(Process::ProcessNotFound, format!("Process not found: {what}: PID {pid}"))
}

/// That what the script gave cannot be used.
fn invalid(what: impl std::fmt::Display) -> Error {
    Error::new(Process::ValidationError, format!("Validation error: {what}"))
}
