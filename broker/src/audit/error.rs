//! Why a record cannot be written.

/// The log cannot be written, or is not what it was left as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// The system says no.
    #[error("cannot {step} the audit log `{path}`: {reason}")]
    Refused {
        /// What was tried.
        step: &'static str,
        /// The file.
        path: String,
        /// Why not.
        reason: String,
    },
    /// Something else than this program has changed it.
    #[error("the audit log `{path}` was changed: {reason}")]
    Changed {
        /// The file.
        path: String,
        /// What shows it.
        reason: String,
    },
    /// What a run, or the runs of its user, may fill of it is full.
    #[error("{whose} fill {mib} MiB of the audit log, the most that is granted: {remedy}")]
    Full {
        /// `the records of this run`
        whose: &'static str,
        /// What is granted.
        mib: u64,
        /// What can be done about it.
        remedy: &'static str,
    },
}
