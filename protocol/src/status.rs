//! How a broker is, as it tells root.

use crate::text::Text;
use serde::{Deserialize, Serialize};

/// The most runs, and the most users, that a status lists: it has to fit one packet.
pub const LISTED: usize = 200;

/// What a broker tells of itself. Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its [`crate::VERSION`].
    pub version: Text<64>,
    /// Its process.
    pub pid: i32,
    /// When it was started.
    pub started: u64,
    /// For how long it has run, in milliseconds of a clock that nobody sets.
    pub uptime_ms: u64,
    /// The runs under way that have begun, the oldest first; at most [`LISTED`].
    pub runs: Vec<RunStatus>,
    /// How many sessions have a client, also before their runs begin.
    pub sessions: u64,
    /// The most of them.
    pub most_sessions: u64,
    /// Sessions that are ready for a client.
    pub ready: u64,
    /// How many there should be.
    pub ready_target: u64,
    /// The policies in force.
    pub policies: PolicyStatus,
    /// What has happened since it was started.
    pub counters: Counters,
    /// Users whose runs are refused, those first that have the longest to wait; at most [`LISTED`].
    pub barred: Vec<Barred>,
    /// The last record of the audit log; nothing where it cannot be read.
    pub audit: Option<AuditHead>,
    /// By what runs are held together: control groups with which controllers, or why there are none.
    pub groups: Text<512>,
}

/// A run under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunStatus {
    /// What records call it.
    pub run: Text<64>,
    /// Whose it is.
    pub uid: u32,
    /// The SHA-256 of its script; empty where it has none.
    pub script: Text<64>,
    /// When it began.
    pub since: u64,
    /// Its session.
    pub session: i32,
    /// The process that submitted it.
    pub client: i32,
}

/// The policies in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyStatus {
    /// Their digest.
    pub revision: Text<64>,
    /// How many there are, without the rails.
    pub count: u64,
    /// When they were loaded.
    pub loaded: u64,
    /// Why later ones did not come in force; nothing where none were refused since.
    pub fault: Option<ReloadFault>,
}

/// Policies that were not put in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadFault {
    /// When.
    pub at: u64,
    /// Why not.
    pub message: Text<4096>,
}

/// What has happened since the broker was started. All words that can occur are there, with 0 too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Runs that have ended, by how: the classes of the audit log, and `succeeded`, `gone` and `lost`.
    pub ended: Vec<(Text<32>, u64)>,
    /// Clients that were refused, by why.
    pub refused: Vec<(Text<32>, u64)>,
    /// Decisions of runs that have ended: what was allowed.
    pub allowed: u64,
    /// The same: what was denied.
    pub denied: u64,
    /// Operations of runs that have ended.
    pub operations: u64,
    /// Policies that were loaded anew.
    pub reloads: u64,
    /// Policies that could not be.
    pub reload_faults: u64,
}

/// A user whose runs are refused for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Barred {
    /// Who.
    pub uid: u32,
    /// For how much longer, in milliseconds.
    pub left_ms: u64,
}

/// The last record of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// Its number.
    pub seq: u64,
    /// The SHA-256 of its line.
    pub hash: Text<64>,
}
