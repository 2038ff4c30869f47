//! How runs end: from what a worker says, does or suffers to what the client is told.

use super::connection::Connection;
use super::state::Account;
use crate::audit::AuditError;
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use rex_protocol::Violation;
use rex_protocol::client::{EndClass, Ending, Outcome, RefusalReason, ToClient, Usage};
use rex_protocol::limits::{LimitName, Limits};
use rex_protocol::text::Text;
use rex_protocol::worker::{EXIT_OUT_OF_MEMORY, FaultClass, Finished, ScriptFault};
use std::time::Duration;

/// A failed ending.
pub(crate) fn failed(class: EndClass, message: impl Into<String>) -> Ending {
    Ending::Failed { class, message: Text::cut(message) }
}

/// A limit of a script was reached.
pub(crate) fn limit(name: LimitName, limits: &Limits) -> Ending {
    failed(EndClass::Limit(name), format!("Script terminated: {}", reached(name, limits)))
}

/// That a limit was reached, in words.
pub(crate) fn reached(name: LimitName, limits: &Limits) -> String {
    let most = match name {
        LimitName::Time => format!(" of {} s", seconds(limits.time_ms)),
        LimitName::Cpu => format!(" of {} s", seconds(limits.cpu_ms)),
        LimitName::Memory => format!(" of {} bytes", limits.memory),
        LimitName::Output => format!(" of {} bytes", limits.output),
        LimitName::Log => format!(" of {} bytes", limits.log),
        LimitName::Handles => format!(" of {} open objects", limits.handles),
        LimitName::Operations => format!(" of {}", limits.operations),
        LimitName::CallDepth | LimitName::DataSize | LimitName::Definitions | LimitName::Records => String::new(),
    };
    format!("the {name} limit{most} was reached")
}

fn seconds(milliseconds: u64) -> String {
    match milliseconds % 1000 {
        0 => (milliseconds / 1000).to_string(),
        rest => format!("{}.{rest:03}", milliseconds / 1000),
    }
}

/// The worker broke the protocol.
pub(crate) fn violation(violation: &Violation) -> Ending {
    failed(EndClass::Violation, format!("the worker broke the protocol and was ended: it {violation}"))
}

/// A client that asks for operations itself broke the protocol.
pub(crate) fn client_violation(violation: &Violation) -> Ending {
    failed(EndClass::ClientViolation, format!("the client broke the protocol and its run was ended: it {violation}"))
}

/// A record could not be written, or no more of them may be.
pub(crate) fn unrecorded(error: &AuditError) -> Ending {
    if let AuditError::Full { .. } = error {
        let name = LimitName::Records;
        return failed(EndClass::Limit(name), format!("the {name} limit was reached: {error}"));
    }
    failed(EndClass::Unrecorded, format!("nothing more was done, as it could not be recorded: {error}"))
}

/// The system has no number that a run could be known by.
pub(crate) fn nameless(reason: &str) -> Ending {
    failed(EndClass::Internal, format!("cannot get a random number for the run: {reason}"))
}

/// Tells the client how its run ended, and the broker's own log, which tells nothing of what scripts say.
pub(crate) fn tell(connection: &mut Connection, ending: Ending, usage: Usage) {
    let operations = usage.operations;
    match &ending {
        Ending::Succeeded => tracing::info!(operations, "run succeeded"),
        Ending::Failed { class: EndClass::Violation, message } => tracing::error!(operations, "run ended: {message}"),
        Ending::Failed { class: EndClass::ClientViolation, message } => {
            tracing::warn!(operations, "run ended: {message}");
        }
        Ending::Failed { class: EndClass::Internal, message } => tracing::error!(operations, "run failed: {message}"),
        Ending::Failed { class, .. } => tracing::info!(operations, class = class_name(*class), "run failed"),
    }
    connection.send(&ToClient::Outcome(Box::new(Outcome { ending, usage })));
}

/// A time as outcomes tell it.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The script ended by itself. What a worker claims of denials holds only if there were any.
pub(crate) fn finished(finished: Finished, account: &Account) -> Ending {
    let ScriptFault { class, message } = match finished {
        Finished::Succeeded => return Ending::Succeeded,
        Finished::Failed(fault) => fault,
    };
    let class = match class {
        FaultClass::Compile => EndClass::Compile,
        FaultClass::Arguments => EndClass::Arguments,
        FaultClass::Denied if account.denied > 0 => EndClass::Denied,
        FaultClass::AccessRefused if account.access_refused > 0 => EndClass::AccessRefused,
        FaultClass::Script | FaultClass::Denied | FaultClass::AccessRefused => EndClass::Script,
        FaultClass::Limit(name) => EndClass::Limit(name),
    };
    Ending::Failed { class, message }
}

/// The worker is dead without having said how its script ended.
pub(crate) fn died(status: Option<WaitStatus>, limits: &Limits) -> Ending {
    match status {
        Some(WaitStatus::Exited(_, EXIT_OUT_OF_MEMORY)) => limit(LimitName::Memory, limits),
        Some(WaitStatus::Signaled(_, Signal::SIGSYS, _)) => {
            failed(EndClass::Violation, "the worker made a forbidden system call and was ended by the kernel")
        }
        Some(WaitStatus::Exited(_, code)) => {
            failed(EndClass::WorkerDied, format!("the worker ended by itself with code {code}"))
        }
        Some(WaitStatus::Signaled(_, signal, _)) => {
            failed(EndClass::WorkerDied, format!("the worker was ended by {}", signal.as_str()))
        }
        _ => failed(EndClass::WorkerDied, "the worker closed its conversation"),
    }
}

/// Names that scripts may not use for metrics and alarms begin so, in any case.
const RESERVED: &str = "rex";

/// Whether a metric's name or an alarm's type is kept for Rex itself.
pub(crate) fn is_reserved(name: &str) -> bool {
    name.get(..RESERVED.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESERVED))
}

/// Every class, for whoever counts them; of limits, one stands for all.
pub(crate) const CLASSES: &[EndClass] = &[
    EndClass::Policy,
    EndClass::Arguments,
    EndClass::Compile,
    EndClass::Script,
    EndClass::Denied,
    EndClass::AccessRefused,
    EndClass::ReservedMetric,
    EndClass::ReservedAlarm,
    EndClass::Limit(LimitName::Time),
    EndClass::Terminated,
    EndClass::Cancelled,
    EndClass::WorkerDied,
    EndClass::Violation,
    EndClass::ClientViolation,
    EndClass::Unrecorded,
    EndClass::Signature,
    EndClass::Internal,
];

/// The class of an ending in one word, for records, counters and the broker's own log.
pub(crate) fn class_name(class: EndClass) -> &'static str {
    match class {
        EndClass::Policy => "policy",
        EndClass::Arguments => "arguments",
        EndClass::Compile => "compile",
        EndClass::Script => "script",
        EndClass::Denied => "denied",
        EndClass::AccessRefused => "access refused",
        EndClass::ReservedMetric => "reserved metric",
        EndClass::ReservedAlarm => "reserved alarm",
        EndClass::Limit(_) => "limit",
        EndClass::Terminated => "terminated",
        EndClass::Cancelled => "cancelled",
        EndClass::WorkerDied => "worker died",
        EndClass::Violation => "violation",
        EndClass::ClientViolation => "client violation",
        EndClass::Unrecorded => "unrecorded",
        EndClass::Signature => "signature",
        EndClass::Internal => "internal",
    }
}

/// The reason of a refusal in one word, for the same.
pub(crate) fn reason_name(reason: RefusalReason) -> &'static str {
    match reason {
        RefusalReason::Protocol => "protocol",
        RefusalReason::Busy => "busy",
        RefusalReason::Limit(_) => "limit",
        RefusalReason::NoPolicy => "no policy",
        RefusalReason::Unavailable => "unavailable",
        RefusalReason::NotAllowed => "not allowed",
        RefusalReason::TooFast { .. } => "too fast",
        RefusalReason::Barred { .. } => "barred",
    }
}
