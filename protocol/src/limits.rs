//! What a run may use.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The limits of one run. The session enforces all but [`Self::operations`] and the sizes inside the
/// interpreter, which a worker that still runs our code holds itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Wall clock, in milliseconds.
    pub time_ms: u64,
    /// Processor time of the worker, in milliseconds.
    pub cpu_ms: u64,
    /// Address space of the worker, in bytes.
    pub memory: u64,
    /// Steps of the interpreter; in a run without a script requests, which the session counts.
    pub operations: u64,
    /// The script's result, in bytes.
    pub output: u64,
    /// Log messages, metrics and alarms together, in bytes; each counts [`RECORD_OVERHEAD`] besides its text.
    pub log: u64,
    /// Objects held open at one time.
    pub handles: u32,
}

/// What a log message costs besides its text, in bytes.
pub const RECORD_OVERHEAD: u64 = 64;

/// The largest script, in bytes.
pub const SCRIPT: usize = 4 * 1024 * 1024;
/// The largest arguments of a script as JSON, in bytes.
pub const ARGUMENTS: usize = 1024 * 1024;
/// The largest policy that comes with a run, in bytes.
pub const POLICY: usize = 2 * 1024 * 1024;

impl Limits {
    /// What holds where neither configuration nor caller says otherwise.
    pub const DEFAULT: Limits = Limits {
        time_ms: 5 * 60 * 1000,
        cpu_ms: 2 * 60 * 1000,
        memory: 512 * 1024 * 1024,
        operations: 2_000_000_000,
        output: 16 * 1024 * 1024,
        log: 8 * 1024 * 1024,
        handles: 1024,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The name of a limit, as errors tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LimitName {
    /// Wall clock.
    Time,
    /// Processor time.
    Cpu,
    /// Memory of the worker.
    Memory,
    /// Steps of the interpreter, or requests of a run without a script.
    Operations,
    /// Depth of calls.
    CallDepth,
    /// Length of a string, array or map of the script.
    DataSize,
    /// Number of variables, functions or modules.
    Definitions,
    /// The script's result.
    Output,
    /// Log messages, metrics and alarms.
    Log,
    /// Open objects.
    Handles,
    /// What a run, or the runs of its user, may fill of the audit log.
    Records,
}

impl fmt::Display for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LimitName::Time => "time",
            LimitName::Cpu => "cpu time",
            LimitName::Memory => "memory",
            LimitName::Operations => "operations",
            LimitName::CallDepth => "call depth",
            LimitName::DataSize => "data size",
            LimitName::Definitions => "definitions",
            LimitName::Output => "output",
            LimitName::Log => "log",
            LimitName::Handles => "handles",
            LimitName::Records => "audit log",
        })
    }
}
