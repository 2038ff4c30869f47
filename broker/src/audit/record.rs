//! What stands in the log: one record for each thing that happens, as JSON.
//!
//! What a file holds, what a script says and what a program puts out stand in no record.

use super::chain::{LINK, NUMBER};
use super::head::Position;
use super::json::one_line;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

/// One thing that happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Event<'a> {
    /// The broker serves.
    BrokerStart {
        /// How many policies its store has, without the rails.
        policies: usize,
        /// The policy files, with their digests.
        files: &'a [(String, String)],
    },
    /// It serves no more.
    BrokerStop,
    /// Policies were loaded anew, or refused: then those before stay in force.
    PolicyLoad {
        /// `loaded` or `refused`
        result: &'static str,
        /// How many there are now.
        policies: usize,
        /// The policy files, with their digests.
        files: &'a [(String, String)],
        /// Why they were refused.
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// A run begins.
    RunStart(RunStart<'a>),
    /// A run does not begin.
    RunRefused(RunRefused<'a>),
    /// Policy was asked.
    Decision(Decision<'a>),
    /// The run has given up rights: a policy of its own must allow everything that follows as well.
    Narrowed {
        /// The operation's number in the run.
        op: u64,
        /// The policy's SHA-256.
        digest: &'a str,
        /// How many policies it has.
        policies: usize,
        /// The ids of its policies, as far as there is room for them.
        ids: Vec<String>,
    },
    /// An operation has come to its end.
    Outcome {
        /// Its number in the run.
        op: u64,
        /// Its name.
        operation: &'a str,
        /// `done`, `denied` or `failed`; `planned` where a dry run has not done it
        result: &'static str,
        /// Why it failed: the system's error, or the kind of fault.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// A worker or a client did what a correct one cannot.
    Violation {
        /// What it did.
        message: &'a str,
    },
    /// A run has ended.
    RunEnd(RunEnd<'a>),
    /// Somebody asks about policies or the broker, or to have policies loaded anew, and runs nothing. It is answered after this.
    Asked(Asked<'a>),
}

/// Who asks about policies.
#[derive(Debug, Clone, Serialize)]
pub struct Asked<'a> {
    /// The caller's name.
    pub user: &'a str,
    /// Its number.
    pub uid: u32,
    /// Its process.
    pub pid: i32,
    /// `list`, `inspect`, `reload` or `status`
    pub what: &'static str,
    /// `answered` or `refused`
    pub result: &'static str,
}

/// A run that begins.
#[derive(Debug, Clone, Serialize)]
pub struct RunStart<'a> {
    /// The caller's name.
    pub user: &'a str,
    /// Its number.
    pub uid: u32,
    /// The names of its groups.
    pub groups: &'a [String],
    /// Its process.
    pub pid: i32,
    /// `socket`, `ssh` or `standalone`
    pub via: &'static str,
    /// Its terminal.
    pub tty: &'a str,
    /// The program that started it.
    pub parent: &'a str,
    /// The SHA-256 of the script; empty where there is none.
    pub script: &'a str,
    /// Its length in bytes.
    pub script_bytes: usize,
    /// Why it is run, in the caller's words.
    pub reason: &'a str,
    /// Who signed the script; empty where nobody did.
    pub signed_by: &'a str,
    /// The key that opened its SSH connection; empty where there is none.
    pub ssh_key: &'a str,
    /// It is a dry run, which changes nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// The digest of the policy that came with the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_policy: Option<String>,
}

/// A run that does not begin, although it was understood what is wanted: for its signature, the policy that it brings, a limit
/// that it asks for, or a fault of the broker's own.
#[derive(Debug, Clone, Serialize)]
pub struct RunRefused<'a> {
    /// What it would have been. Nobody is named as its signer.
    #[serde(flatten)]
    pub run: RunStart<'a>,
    /// `refused`
    pub result: &'static str,
    /// The kind of reason: `signature`, `policy`, `limit`, `unavailable` and so on.
    pub class: &'static str,
    /// Why, as the client is told, but for the end of what is long.
    pub message: &'a str,
}

/// A question to policy, and its answer.
#[derive(Debug, Clone, Serialize)]
pub struct Decision<'a> {
    /// The operation's number in the run.
    pub op: u64,
    /// Its name.
    pub operation: &'a str,
    /// Who asks.
    pub user: &'a str,
    /// The action, as policies write it.
    pub action: String,
    /// The resource, as policies write it.
    pub resource: String,
    /// `allow` or `deny`
    pub decision: &'static str,
    /// The policies that decided, those of the broker's store first, as far as there is room for them.
    pub policies: &'a [String],
    /// How many more did.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_policies: usize,
    /// What was known of the resource besides.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub attributes: Map<String, Value>,
    /// In what way it was to be done.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub context: Map<String, Value>,
    /// What the run had done, where some policy reads it.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub spent: Map<String, Value>,
    /// Whether something of the question is not told here, or not in full.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub masked: bool,
    /// It was only asked whether something forbids it: it goes along with what was allowed as a whole.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unless_forbidden: bool,
}

/// A run that has ended.
#[derive(Debug, Clone, Serialize)]
pub struct RunEnd<'a> {
    /// The caller's name.
    pub user: &'a str,
    /// `succeeded`, `failed` or `gone`: its client went away.
    pub result: &'static str,
    /// The kind of fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<&'static str>,
    /// Operations that were asked for.
    pub operations: u64,
    /// Those that policy denied.
    pub denied: u64,
    /// Bytes of files that were given to it.
    pub bytes_read: u64,
    /// Bytes that it wrote to files.
    pub bytes_written: u64,
    /// What it removed.
    pub deleted: u64,
    /// How many hosts it asked to contact.
    pub hosts: u64,
    /// How long it took.
    pub milliseconds: u64,
    /// How many records it has, but for this one.
    pub records: u64,
    /// What they take of the log, in bytes.
    pub record_bytes: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// What the log says of itself.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Own<'a> {
    Recovered {
        message: String,
        before: u64,
        after: u64,
        torn_bytes: u64,
    },
    Rotated {
        message: String,
        file: &'a str,
    },
    Retired {
        message: String,
        last: u64,
        hash: &'a str,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        early: bool,
    },
    Gap {
        message: String,
    },
}

/// A record that waits for its place in the chain.
#[derive(Debug, Clone)]
pub struct Entry {
    /// All fields but the first and the last.
    fields: String,
}

impl Entry {
    /// Of the broker itself, under a store of this revision.
    pub fn of_broker(revision: &str, event: &Event<'_>) -> Self {
        Self::new(&format!(",\"revision\":\"{revision}\""), event)
    }

    /// Of a run.
    pub fn of_run(run: &str, revision: &str, event: &Event<'_>) -> Self {
        Self::new(&format!(",\"run\":\"{run}\",\"revision\":\"{revision}\""), event)
    }

    pub(super) fn recovered(before: u64, after: u64, torn_bytes: u64) -> Self {
        let message = match after.cmp(&before) {
            std::cmp::Ordering::Less => format!("records {} to {before} were lost with the machine", after + 1),
            std::cmp::Ordering::Equal => "a record that was cut off was removed".to_owned(),
            std::cmp::Ordering::Greater => {
                format!("records {} to {after} were written just before a sudden end", before + 1)
            }
        };
        Self::new("", &Own::Recovered { message, before, after, torn_bytes })
    }

    pub(super) fn rotated(file: &str) -> Self {
        Self::new("", &Own::Rotated { message: format!("the log goes on from {file}"), file })
    }

    /// `early` is how many days they should have been kept.
    pub(super) fn retired(before: &Position, early: Option<u32>) -> Self {
        let why = early.map_or_else(
            || "as there are newer ones enough".to_owned(),
            |days| format!("though they are not {days} days old, as the log is full"),
        );
        let message = format!("the records up to {} are removed, {why}", before.seq);
        Self::new("", &Own::Retired { message, last: before.seq, hash: &before.hash, early: early.is_some() })
    }

    pub(super) fn gap(reason: &str, aside: &str) -> Self {
        let message = format!("the log before this was changed: {reason}; what is left of it is {aside}");
        Self::new("", &Own::Gap { message })
    }

    fn new(common: &str, event: &impl Serialize) -> Self {
        let event = one_line(event);
        let event = event.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
        Self { fields: format!(",\"at\":\"{:.6}\"{common},{event}", Timestamp::now()) }
    }

    /// The record at its place, without the line's end.
    pub(super) fn line(&self, seq: u64, before: &str) -> String {
        format!("{NUMBER}{seq}{}{LINK}{before}\"}}", self.fields)
    }

    /// How much it takes, in bytes.
    pub(super) fn size(&self) -> usize {
        self.fields.len()
    }

    /// As fields of JSON, for what reads records elsewhere.
    pub(super) fn to_map(&self) -> Map<String, Value> {
        let text = format!("{{{}}}", self.fields.trim_start_matches(','));
        serde_json::from_str(&text).unwrap_or_default()
    }
}
