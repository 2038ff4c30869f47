//! A run's records, in the order in which things happen to it.
//!
//! A decision is with the kernel before anything is done upon it. What is decided about the entries of a listing, and looks
//! at most, waits until the operation goes on to something else, and no longer than until its reply goes out. Only the outcome
//! of an operation that changed nothing waits for the next record or the next tick of the clock. Once a record cannot be
//! written nothing more is done: the run ends, and no script can catch that. So it does where its records fill what is granted
//! to it; then its end is still written.

use super::error::AuditError;
use super::journal::Herald;
use super::log::Log;
use super::record::{Decision, Entry, Event, RunEnd, RunStart};
use crate::authz::{Decided, PolicyStore, cut};
use rex_protocol::Failure;
use rex_protocol::failure::FailureKind;
use serde_json::Value;
use std::time::{Duration, Instant};

/// From this many bytes on, what waits is written.
const PATIENCE: usize = 64 * 1024;
/// How long an outcome may wait.
const TICK: Duration = Duration::from_millis(100);
/// How many policies are named in a record, and how much of each name is told, in bytes.
const NAMED: usize = 32;
const NAME: usize = 256;

/// What a run's records have in common, and those that wait.
pub(crate) struct Trail {
    /// Nothing where runs are not recorded: without a daemon, unless it is asked for.
    log: Option<Log>,
    herald: Option<Herald>,
    run: String,
    revision: String,
    user: String,
    waiting: Vec<Entry>,
    bytes: usize,
    /// Since when something waits.
    since: Option<Instant>,
    /// Whether a decision does.
    undecided: bool,
    op: u64,
    operation: &'static str,
    /// Whether the operation may have changed something.
    changes: bool,
    decisions: Decisions,
    fault: Option<AuditError>,
}

/// How a run's decisions came out, as its records tell them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Decisions {
    pub(crate) allowed: u64,
    pub(crate) denied: u64,
}

impl Trail {
    /// Of a run that is not recorded.
    pub(crate) fn none() -> Self {
        Self::new(None, String::new(), String::new(), String::new())
    }

    /// Of a run that begins. An error where that cannot be written: then there is no run.
    pub(crate) fn begin(log: Log, run: String, revision: String, start: &RunStart<'_>) -> Result<Self, AuditError> {
        log.confirm_room()?;
        let mut trail = Self::new(Some(log), run, revision, start.user.to_owned());
        trail.add(&Event::RunStart(start.clone()));
        trail.write();
        match trail.fault.take() {
            // It ends at the first thing that it asks for.
            full @ Some(AuditError::Full { .. }) => Ok(Self { fault: full, ..trail }),
            Some(fault) => Err(fault),
            None => Ok(trail),
        }
    }

    fn new(log: Option<Log>, run: String, revision: String, user: String) -> Self {
        Self {
            herald: log.as_ref().and_then(|log| Herald::new(log.settings().journal)),
            log,
            run,
            revision,
            user,
            waiting: Vec::new(),
            bytes: 0,
            since: None,
            undecided: false,
            op: 0,
            operation: "",
            changes: false,
            decisions: Decisions::default(),
            fault: None,
        }
    }

    /// Whether the run is recorded.
    pub(crate) fn is_kept(&self) -> bool {
        self.log.is_some()
    }

    /// Why nothing more may be done.
    pub(crate) fn fault(&self) -> Option<&AuditError> {
        self.fault.as_ref()
    }

    /// How decisions have come out so far, where the run is recorded.
    pub(crate) fn decisions(&self) -> Decisions {
        self.decisions
    }

    /// An operation begins.
    pub(crate) fn begin_operation(&mut self, name: &'static str) {
        self.op += 1;
        self.operation = name;
        self.changes = false;
    }

    /// Adds what was decided. Unless it may wait, it is with the kernel when this returns; an error says that it is not, and that
    /// nothing may be done upon it.
    pub(crate) fn decided(&mut self, decided: &[Decided], may_wait: bool) -> Result<(), Failure> {
        if self.log.is_none() || decided.is_empty() {
            return Ok(());
        }
        self.confirm()?;
        self.undecided = true;
        for decided in decided {
            self.changes |= decided.is_allowed() && !decided.only_looks();
            match decided.is_allowed() {
                true => self.decisions.allowed += 1,
                false => self.decisions.denied += 1,
            }
            let told = decided.told();
            let policies = decided.policies();
            let more_policies = policies.len().saturating_sub(NAMED);
            let (user, policies) = (std::mem::take(&mut self.user), named(policies));
            self.add(&Event::Decision(Decision {
                op: self.op,
                operation: self.operation,
                user: &user,
                action: told.action,
                resource: told.resource,
                decision: if decided.is_allowed() { "allow" } else { "deny" },
                policies: &policies,
                more_policies,
                attributes: told.attributes,
                context: told.context,
                spent: told.spent,
                masked: told.masked,
                unless_forbidden: decided.is_unless_forbidden(),
            }));
            self.user = user;
        }
        let waits = may_wait && decided.iter().all(|decided| decided.only_looks() || !decided.is_allowed());
        if !waits || self.bytes > PATIENCE {
            self.write();
        }
        self.confirm()
    }

    /// Adds that this must allow as well from now on. It is with the kernel when this returns; an error says that it is not.
    pub(crate) fn narrowed(&mut self, store: &PolicyStore) -> Result<(), Failure> {
        self.confirm()?;
        let digest = store.files().first().map(|(_, digest)| digest.as_str()).unwrap_or_default();
        let (op, policies, ids) = (self.op, store.ids().count(), named(store.ids()));
        self.add(&Event::Narrowed { op, digest, policies, ids });
        self.write();
        self.confirm()
    }

    /// The operation has come to its end; `planned` where a dry run has not done what it was asked for. What it tells is not
    /// told before all that was decided is written, and this too if it changed something.
    pub(crate) fn end_operation(&mut self, failure: Option<&Failure>, planned: bool) {
        let (result, error) = match failure {
            None if planned => ("planned", None),
            None => ("done", None),
            Some(failure) if failure.is_denial() => ("denied", None),
            Some(failure) => ("failed", Some(error_name(failure))),
        };
        self.add(&Event::Outcome { op: self.op, operation: self.operation, result, error });
        if self.changes || self.undecided || self.bytes > PATIENCE {
            self.write();
        }
    }

    /// How long what waits may do so; nothing where nothing does.
    pub(crate) fn patience(&self) -> Option<Duration> {
        self.since.map(|since| TICK.saturating_sub(since.elapsed()))
    }

    /// Writes what has waited long enough.
    pub(crate) fn tick(&mut self) {
        if self.patience().is_some_and(|left| left.is_zero()) {
            self.write();
        }
    }

    /// Somebody broke the protocol.
    pub(crate) fn violation(&mut self, message: &str) {
        self.add(&Event::Violation { message });
        self.write();
    }

    /// The run has ended. It is written before anybody hears of it.
    pub(crate) fn end(&mut self, end: RunEnd<'_>) {
        let before = self.fault.clone();
        self.write();
        let user = std::mem::take(&mut self.user);
        let written = self.log.as_ref().map(Log::written).unwrap_or_default();
        self.add(&Event::RunEnd(RunEnd { user: &user, records: written.records, record_bytes: written.bytes, ..end }));
        self.user = user;
        self.write();
        // What is filled only now has kept nothing from being done.
        if before.is_none() {
            self.fault.take_if(|fault| matches!(fault, AuditError::Full { .. }));
        }
    }

    /// Waits until the disk has all of it.
    pub(crate) fn sync(&mut self) {
        if let Some(Err(error)) = self.log.as_mut().map(Log::sync) {
            tracing::error!("{error}");
        }
    }

    /// Writes what waits.
    pub(crate) fn write(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        (self.bytes, self.since, self.undecided) = (0, None, false);
        let is_full = matches!(self.fault, Some(AuditError::Full { .. }));
        if waiting.is_empty() || (self.fault.is_some() && !is_full) {
            return;
        }
        let Some(log) = &mut self.log else { return };
        match log.append(&waiting).and_then(|()| log.confirm_room()) {
            Ok(()) => {}
            // They are written, and nothing more should be.
            Err(full @ AuditError::Full { .. }) => {
                if !is_full {
                    tracing::warn!("a run is ended: {full}");
                }
                self.fault = Some(full);
            }
            Err(error) => {
                tracing::error!("{error}");
                self.fault = Some(error);
                return;
            }
        }
        if let Some(herald) = &self.herald {
            herald.tell(&waiting);
        }
    }

    fn add(&mut self, event: &Event<'_>) {
        if self.log.is_some() {
            let entry = Entry::of_run(&self.run, &self.revision, event);
            self.bytes += entry.size();
            self.since.get_or_insert_with(Instant::now);
            self.waiting.push(entry);
        }
    }

    fn confirm(&self) -> Result<(), Failure> {
        match &self.fault {
            None => Ok(()),
            Some(error) => Err(Failure::new(FailureKind::Refused { errno: libc::EIO }, error)),
        }
    }
}

/// The names of policies, as far as there is room for them.
fn named(policies: impl IntoIterator<Item = String>) -> Vec<String> {
    policies.into_iter().take(NAMED).map(|name| cut(name, NAME)).collect()
}

/// What the system said, or the kind of fault: nothing of what anybody chose.
fn error_name(failure: &Failure) -> String {
    if let Some(errno) = failure.errno() {
        return nix::errno::Errno::from_raw(errno).desc().to_owned();
    }
    match serde_json::to_value(&failure.kind) {
        Ok(Value::String(name)) => name,
        Ok(Value::Object(fields)) => fields.into_iter().next().map(|(name, _)| name).unwrap_or_default(),
        _ => String::new(),
    }
}

impl Default for Trail {
    fn default() -> Self {
        Self::none()
    }
}
