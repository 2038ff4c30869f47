//! The exit codes: one table for `--help`, the program and its tests.

use rex_client::{EndClass, Ending, Error, RefusalReason};

/// How `rex-exec` ends, unless a signal ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Success = 0,
    Failed = 1,
    Usage = 2,
    Unusable = 3,
    Denied = 4,
    ApprovalNeeded = 5,
    Limit = 6,
    Policy = 7,
    NoBroker = 8,
    AuditFailed = 9,
    /// 128 + `SIGTERM`: told to end, the script did not do so in time.
    Terminated = 143,
}

/// What each code means.
pub(crate) const TABLE: &[(Exit, &str)] = &[
    (Exit::Success, "the script succeeded"),
    (Exit::Failed, "the script failed, or its result cannot be written"),
    (Exit::Usage, "the command line is wrong"),
    (Exit::Unusable, "the script, its arguments or its signature are invalid, or cannot be read"),
    (Exit::Denied, "policy denied an operation, or the system refused access"),
    (Exit::ApprovalNeeded, "reserved: an operation needs an approval"),
    (Exit::Limit, "a limit was reached, or one was asked for that is not granted"),
    (Exit::Policy, "the policy is invalid, missing, or cannot be read"),
    (Exit::NoBroker, "the broker cannot be reached, is busy, takes no run of this user now, or failed"),
    (Exit::AuditFailed, "the audit record cannot be written, so nothing more was done"),
];

impl Exit {
    /// Of a run that has ended.
    pub(crate) fn of_ending(ending: &Ending) -> Self {
        let class = match ending {
            Ending::Succeeded => return Exit::Success,
            Ending::Failed { class, .. } => class,
        };
        match class {
            EndClass::Policy => Exit::Policy,
            EndClass::Arguments | EndClass::Compile | EndClass::Signature => Exit::Unusable,
            EndClass::Denied | EndClass::AccessRefused => Exit::Denied,
            EndClass::Limit(_) => Exit::Limit,
            EndClass::Terminated => Exit::Terminated,
            EndClass::Internal => Exit::NoBroker,
            EndClass::Unrecorded => Exit::AuditFailed,
            EndClass::Script
            | EndClass::ReservedMetric
            | EndClass::ReservedAlarm
            | EndClass::Cancelled
            | EndClass::WorkerDied
            | EndClass::Violation
            | EndClass::ClientViolation => Exit::Failed,
        }
    }

    /// Of a run that did not come to an outcome.
    pub(crate) fn of_error(error: &Error) -> Self {
        match error {
            Error::TimeLimit(_) => Exit::Limit,
            Error::Refused(refusal) => match refusal.reason {
                RefusalReason::Limit(_) => Exit::Limit,
                RefusalReason::NoPolicy => Exit::Policy,
                RefusalReason::NotAllowed => Exit::Denied,
                RefusalReason::Protocol
                | RefusalReason::Busy
                | RefusalReason::TooFast { .. }
                | RefusalReason::Barred { .. }
                | RefusalReason::Unavailable => Exit::NoBroker,
            },
            _ => Exit::NoBroker,
        }
    }

    /// The number.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }
}

/// The table, for the long help.
pub(crate) fn help() -> String {
    let mut text = String::from("Exit codes:\n");
    for (exit, meaning) in TABLE {
        text += &format!("  {:<5} {meaning}\n", exit.code());
    }
    text + "  128+n ended by signal n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_counts_up_without_a_gap() {
        let codes: Vec<u8> = TABLE.iter().map(|(exit, _)| exit.code()).collect();
        assert_eq!(codes, (0..10).collect::<Vec<u8>>());
        assert_eq!(Exit::Terminated.code(), 128 + 15);
    }
}
