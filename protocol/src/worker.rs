//! The conversation of a worker with its session, over a `SOCK_SEQPACKET` pair.
//!
//! ```text
//! worker   Hello
//! session  Run, then Part* for script and arguments
//! worker   (Request -> session Reply | Log | Metric | Alarm | Output)*  Finished
//! ```
//!
//! One packet is one message. One request is in flight: a packet that comes before its reply was
//! sent is a violation, and so is anything out of this order. Descriptors go from session to worker only.

use crate::Failure;
use crate::limits::{LimitName, Limits};
use crate::text::Text;
use serde::{Deserialize, Serialize};

/// What a worker may send.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromWorker<'a> {
    /// Sealed and ready.
    Hello {
        /// [`crate::VERSION`] of the worker.
        version: &'a str,
    },
    /// Ask for an operation.
    Request {
        /// Handles that the script dropped since the last request; closed first.
        closed: Vec<u64>,
        /// [`crate::Operation::NAME`]
        name: &'a str,
        /// The encoded operation.
        #[serde(borrow, with = "serde_bytes")]
        body: &'a [u8],
    },
    /// A log message.
    Log(Log),
    /// A metric.
    Metric(Metric),
    /// An alarm.
    Alarm(Alarm),
    /// The next part of the script's result, UTF-8 as a whole.
    Output(#[serde(borrow, with = "serde_bytes")] &'a [u8]),
    /// The script has ended; nothing follows.
    Finished(Finished),
}

/// What a session sends.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToWorker {
    /// Run a script, whose parts follow.
    Run(Box<Run>),
    /// The next part of script, then arguments.
    Part(#[serde(with = "serde_bytes")] Vec<u8>),
    /// The answer to the request: its encoded reply, or why there is none.
    Reply(Result<serde_bytes::ByteBuf, Failure>),
}

/// What to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// Length of the script in bytes; not more than [`crate::limits::SCRIPT`].
    pub script: u32,
    /// Length of the arguments' JSON text in bytes; not more than [`crate::limits::ARGUMENTS`].
    pub arguments: u32,
    /// The limits that the interpreter holds.
    pub limits: Limits,
    /// The least level of log messages worth sending.
    pub log_level: Level,
}

/// How important a log message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    /// Least.
    Trace,
    /// For finding faults.
    Debug,
    /// Normal.
    Info,
    /// Something may be wrong.
    Warn,
    /// Something is wrong.
    Error,
}

impl Level {
    /// `INFO`
    pub const fn name(self) -> &'static str {
        match self {
            Level::Trace => "TRACE",
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Warn => "WARN",
            Level::Error => "ERROR",
        }
    }
}

/// The longest log message, in bytes.
pub const LOG_MESSAGE: usize = 2048;

/// A log message of a script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// How important.
    pub level: Level,
    /// What.
    pub message: Text<LOG_MESSAGE>,
    /// Line of the call in its script or module; 0 if unknown.
    pub line: u32,
    /// The script function that logs by itself, where it was not the script.
    pub function: Option<Text<128>>,
}

/// The unit of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// None given.
    Undefined,
    /// A number of things.
    Count,
    /// Nanoseconds.
    Time,
    /// MiB.
    Megabytes,
    /// Of a hundred.
    Percent,
}

/// A metric that a script publishes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Its name.
    pub name: Text<1024>,
    /// Its value.
    pub value: f64,
    /// Its unit.
    pub unit: Unit,
    /// What it is about.
    pub dimensions: Vec<(Text<1024>, Text<1024>)>,
}

/// An alarm that a script raises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Its type.
    pub kind: Text<1024>,
    /// More about it.
    pub details: Option<Text<65536>>,
}

/// How a script ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Finished {
    /// With a value, sent before as output.
    Succeeded,
    /// With an error.
    Failed(ScriptFault),
}

/// Why a script failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptFault {
    /// What kind of fault.
    pub class: FaultClass,
    /// The whole message.
    pub message: Text<32768>,
}

/// The kinds of a script's faults. A denial and the kernel's `EACCES` are told apart here by what the
/// session answered, never by the words of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultClass {
    /// Does not compile.
    Compile,
    /// The arguments nest too deep.
    Arguments,
    /// An error of the script or of an operation.
    Script,
    /// Ended by a denial that it did not catch.
    Denied,
    /// Ended by the kernel's refusal of access (`EACCES`) that it did not catch.
    AccessRefused,
    /// Ended by a limit of the interpreter or of open handles.
    Limit(LimitName),
}

/// Exit code of a worker whose memory limit was reached.
pub const EXIT_OUT_OF_MEMORY: i32 = 77;
/// Exit code of a worker that could not be sealed; it has not seen a script.
pub const EXIT_SEAL_FAILED: i32 = 78;
