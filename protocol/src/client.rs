//! The conversation of a client with the broker, over a stream socket: [`crate::wire::PREAMBLE`], then frames.
//!
//! ```text
//! client   Submit            (Terminate | Cancel)?
//! broker   Refused | Warning* Accepted (Log | Metric | Alarm | Output | Progress)* Outcome
//! ```
//!
//! Instead of a script a client may ask for operations itself, one at a time, as a worker does:
//!
//! ```text
//! client   Operate           (Request -> broker Reply)* End
//! broker   Refused | Warning* Accepted                   Outcome
//! ```
//!
//! Or it only asks about policies, or about the broker itself:
//!
//! ```text
//! client   List              Inspect | Reload   Status
//! broker   Refused | Listed  Refused | InForce  Refused | Status
//! ```
//!
//! The outcome may come at any time: a limit was reached, or the client sent what it must not, such as a request before the
//! reply to the one before. A client that goes away ends its run.

use crate::Failure;
use crate::limits::{LimitName, Limits};
use crate::status::Status;
use crate::text::Text;
use crate::worker::{Alarm, Level, Log, Metric};
use serde::{Deserialize, Serialize};

/// The largest frame that a client may send after its submission, in bytes.
pub const LATER_FRAME: usize = 64;
/// The largest frame that a client may send after [`FromClient::Operate`], in bytes: what a worker may send at once.
pub const OPERATION_FRAME: usize = crate::wire::PACKET;

/// What a client sends.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromClient {
    /// Run this. The first frame, and only that.
    Submit(Box<Submit>),
    /// End the script: it has [`TERMINATION_GRACE_MS`] to come to an end by itself.
    Terminate,
    /// End the script now.
    Cancel,
    /// Let the client ask for operations itself. The first frame, and only that.
    Operate(Box<Operate>),
    /// Ask for an operation, after [`Self::Operate`].
    Request {
        /// Handles that the client has no more use for; closed first.
        closed: Vec<u64>,
        /// [`crate::Operation::NAME`]
        name: Text<64>,
        /// The encoded operation.
        #[serde(with = "serde_bytes")]
        body: Vec<u8>,
    },
    /// No operation follows; what came of the run is wanted.
    End,
    /// What may I do? The first frame, and only that.
    List,
    /// Which policies are in force? The first frame, and only that; of root alone.
    Inspect,
    /// Load the policies anew. The first frame, and only that; of root alone.
    Reload,
    /// How is the broker? The first frame, and only that; of root alone.
    Status,
}

/// How long a script may go on after it was told to end, in milliseconds.
pub const TERMINATION_GRACE_MS: u64 = 10_000;

/// A run to submit.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Submit {
    /// [`crate::VERSION`] of the client.
    pub version: Text<64>,
    /// The script, UTF-8.
    #[serde(with = "serde_bytes")]
    pub script: Vec<u8>,
    /// The script's arguments as JSON text ([`crate::argument`]); empty for none.
    #[serde(with = "serde_bytes")]
    pub arguments: Vec<u8>,
    /// A policy that must allow each operation as well; standalone, the only one.
    pub policy: Option<Policy>,
    /// Refuse a policy that does not validate strictly against the schema instead of warning.
    pub strict: bool,
    /// The least level of log messages to send.
    pub log_level: Level,
    /// Limits other than the default ones.
    pub limits: LimitRequest,
    /// Measure processor time and memory of the worker.
    pub measure: bool,
    /// Send [`ToClient::Progress`] now and then.
    pub progress: bool,
    /// Why it is run, for policies and records.
    pub reason: Option<Text<1024>>,
    /// A signature of the script, as `ssh-keygen -Y sign` writes it.
    pub signature: Option<Text<16384>>,
}

/// A run without a script: the client asks for operations itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Operate {
    /// [`crate::VERSION`] of the client.
    pub version: Text<64>,
    /// A policy that must allow each operation as well; standalone, the only one.
    pub policy: Option<Policy>,
    /// Refuse a policy that does not validate strictly against the schema instead of warning.
    pub strict: bool,
    /// [`Limits::time_ms`] other than the default one; more than the configured maximum is refused.
    pub time_ms: Option<u64>,
    /// Why it is run, for policies and records.
    pub reason: Option<Text<1024>>,
}

/// A policy that comes with a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Policy {
    /// The file's name, for messages.
    pub name: Text<4096>,
    /// Its text.
    #[serde(with = "serde_bytes")]
    pub text: Vec<u8>,
}

/// Limits that a client asks for; more than the configured maximum is refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitRequest {
    /// [`Limits::time_ms`]
    pub time_ms: Option<u64>,
    /// [`Limits::memory`]
    pub memory: Option<u64>,
}

/// What a broker or session sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToClient {
    /// The run is not started. The last frame.
    Refused(Refusal),
    /// The run begins, with these limits.
    Accepted {
        /// The limits in force.
        limits: Limits,
        /// What records call the run; empty where it is not recorded.
        run: Text<64>,
    },
    /// Something about the policy that its author should know.
    Warning(Text<8192>),
    /// A log message.
    Log {
        /// When it came, nanoseconds since 1970.
        at: u64,
        /// What the script said.
        log: Log,
    },
    /// A metric.
    Metric {
        /// When it came, nanoseconds since 1970.
        at: u64,
        /// What the script published.
        metric: Metric,
    },
    /// An alarm.
    Alarm(Alarm),
    /// The next part of the script's result.
    Output(#[serde(with = "serde_bytes")] Vec<u8>),
    /// What the run is doing.
    Progress {
        /// Operations so far.
        operations: u64,
        /// The latest one and what it is about.
        current: Text<512>,
    },
    /// The run has ended. The last frame.
    Outcome(Box<Outcome>),
    /// The answer to [`FromClient::List`]: the policies that are about the caller.
    Listed(Vec<ListedPolicy>),
    /// The answer to [`FromClient::Inspect`]; after [`FromClient::Reload`], what was in force before.
    InForce {
        /// The digest of the policies.
        revision: Text<64>,
        /// How many there are, without the rails.
        policies: u64,
        /// How often the broker was told to load them anew.
        reloads: u64,
        /// Why the last time changed nothing, where that is so.
        fault: Option<Text<4096>>,
    },
    /// The answer to a [`FromClient::Request`]: its encoded reply, or why there is none.
    Reply(Result<serde_bytes::ByteBuf, Failure>),
    /// The answer to [`FromClient::Status`].
    Status(Box<Status>),
}

/// A policy, as far as it is about the one who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedPolicy {
    /// Its id.
    pub id: Text<256>,
    /// Whether it permits; else it forbids.
    pub permits: bool,
    /// What it is about, part by part as it stands there, without who asks.
    pub parts: Vec<Text<4096>>,
}

/// Why a run is not started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// For programs.
    pub reason: RefusalReason,
    /// For people.
    pub message: Text<4096>,
}

/// The reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefusalReason {
    /// Client and broker do not understand each other.
    Protocol,
    /// Too many runs at a time, of this user or in all.
    Busy,
    /// A limit above the configured maximum, or a submission that is too large.
    Limit(LimitName),
    /// No policy: nothing could be allowed.
    NoPolicy,
    /// The broker cannot start a sealed worker here.
    Unavailable,
    /// It is for root alone.
    NotAllowed,
    /// This user starts runs too fast.
    TooFast {
        /// When the next one is taken, in milliseconds from now.
        retry_ms: u64,
    },
    /// Runs of this user broke the protocol or their walls too often.
    Barred {
        /// When the next one is taken, in milliseconds from now.
        retry_ms: u64,
    },
}

impl RefusalReason {
    /// When the same run may be taken, where that is known.
    pub fn retry_after(self) -> Option<std::time::Duration> {
        match self {
            Self::TooFast { retry_ms } | Self::Barred { retry_ms } => Some(std::time::Duration::from_millis(retry_ms)),
            Self::Protocol | Self::Busy | Self::Limit(_) | Self::NoPolicy | Self::Unavailable | Self::NotAllowed => {
                None
            }
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// What it used.
    pub usage: Usage,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// The script came to its end; its value was sent as output. Without a script: the client ended its run.
    Succeeded,
    /// It did not.
    Failed {
        /// What kind of fault.
        class: EndClass,
        /// The whole message, not cut.
        message: Text<32768>,
    },
}

/// The kinds of faults that end a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndClass {
    /// The policy that came with the run cannot be used.
    Policy,
    /// The arguments nest too deep.
    Arguments,
    /// The script does not compile.
    Compile,
    /// An error of the script or of an operation.
    Script,
    /// Policy denied an operation.
    Denied,
    /// The kernel refused access.
    AccessRefused,
    /// The script published a metric of a reserved name.
    ReservedMetric,
    /// The script raised an alarm of a reserved type.
    ReservedAlarm,
    /// A limit was reached.
    Limit(LimitName),
    /// Told to end, the script did not in time.
    Terminated,
    /// The client cancelled the run.
    Cancelled,
    /// The worker died of itself.
    WorkerDied,
    /// The worker broke the protocol or its seal.
    Violation,
    /// The client of a run without a script broke the protocol.
    ClientViolation,
    /// The script's signature does not hold.
    Signature,
    /// A record could not be written, and so nothing more was done.
    Unrecorded,
    /// The session could not go on.
    Internal,
}

/// What a run used. Times in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// From the submission to the end.
    pub total_ns: u64,
    /// From the script's start to its end; nothing where it did not start, or there was none.
    pub script_ns: Option<u64>,
    /// Processor time of the worker.
    pub cpu_ns: u64,
    /// Mean resident memory of the worker, in bytes; nothing where it was not measured.
    pub resident: Option<u64>,
    /// Mean address space of the worker, in bytes; nothing where it was not measured.
    pub virtual_memory: Option<u64>,
    /// Operations that were decided.
    pub operations: u64,
}
