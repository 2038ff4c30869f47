//! A run's records, in the order in which things happen to it.
//!
//! A decision is with the kernel before anything is done upon it. What is decided about the entries of a listing, and looks
//! at most, waits until the operation goes on to something else or its reply goes out; so does the outcome of an operation
//! that changed nothing, for the next record or the next tick of the clock. Once a record cannot be written nothing more is
//! done: the run ends, and no script can catch that.

use super::log::{AuditError, Log};
use super::record::{Decision, Entry, Event, RunEnd, RunStart};
use super::{Journal, journal};
use crate::authz::{Decided, PolicyStore};
use rex_protocol::Failure;
use rex_protocol::failure::FailureKind;
use serde_json::Value;

/// From this many bytes on, what waits is written.
const PATIENCE: usize = 64 * 1024;

/// What a run's records have in common, and those that wait.
pub(crate) struct Trail {
    /// Nothing where runs are not recorded: without a daemon, unless it is asked for.
    log: Option<Log>,
    run: String,
    revision: String,
    user: String,
    waiting: Vec<Entry>,
    bytes: usize,
    op: u64,
    operation: &'static str,
    /// Whether the operation may have changed something.
    changes: bool,
    fault: Option<AuditError>,
}

impl Trail {
    /// Of a run that is not recorded.
    pub(crate) fn none() -> Self {
        Self::new(None, String::new(), String::new(), String::new())
    }

    /// Of a run that begins. An error where that cannot be written: then there is no run.
    pub(crate) fn begin(log: Log, run: String, revision: String, start: &RunStart<'_>) -> Result<Self, AuditError> {
        let mut trail = Self::new(Some(log), run, revision, start.user.to_owned());
        trail.add(&Event::RunStart(start.clone()));
        trail.write();
        trail.fault.take().map_or(Ok(trail), Err)
    }

    fn new(log: Option<Log>, run: String, revision: String, user: String) -> Self {
        let (waiting, operation) = (Vec::new(), "");
        Self { log, run, revision, user, waiting, bytes: 0, op: 0, operation, changes: false, fault: None }
    }

    /// Whether the run is recorded.
    pub(crate) fn is_kept(&self) -> bool {
        self.log.is_some()
    }

    /// Why nothing more may be done.
    pub(crate) fn fault(&self) -> Option<&AuditError> {
        self.fault.as_ref()
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
        for decided in decided {
            self.changes |= decided.is_allowed() && !decided.only_looks();
            let told = decided.told();
            let (user, policies) = (std::mem::take(&mut self.user), decided.policies());
            self.add(&Event::Decision(Decision {
                op: self.op,
                operation: self.operation,
                user: &user,
                action: told.action,
                resource: told.resource,
                decision: if decided.is_allowed() { "allow" } else { "deny" },
                policies: &policies,
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
        let digest = store.files().first().map(|(_, digest)| digest.as_str()).unwrap_or_default();
        self.add(&Event::Narrowed { op: self.op, digest, ids: store.ids().collect() });
        self.write();
        self.confirm()
    }

    /// The operation has come to its end; `planned` where a dry run has not done what it was asked for. What it tells is not
    /// told before this is written, if it changed something.
    pub(crate) fn end_operation(&mut self, failure: Option<&Failure>, planned: bool) {
        let (result, error) = match failure {
            None if planned => ("planned", None),
            None => ("done", None),
            Some(failure) if failure.is_denial() => ("denied", None),
            Some(failure) => ("failed", Some(error_name(failure))),
        };
        self.add(&Event::Outcome { op: self.op, operation: self.operation, result, error });
        if self.changes || self.bytes > PATIENCE {
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
        let user = std::mem::take(&mut self.user);
        self.add(&Event::RunEnd(RunEnd { user: &user, ..end }));
        self.user = user;
        self.write();
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
        self.bytes = 0;
        if waiting.is_empty() || self.fault.is_some() {
            return;
        }
        let Some(log) = &mut self.log else { return };
        match log.append(&waiting) {
            Ok(()) => journal::tell(log.journal(), &waiting),
            Err(error) => {
                tracing::error!("{error}");
                self.fault = Some(error);
            }
        }
    }

    fn add(&mut self, event: &Event<'_>) {
        if self.log.is_some() {
            let entry = Entry::of_run(&self.run, &self.revision, event);
            self.bytes += entry.size();
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

impl Log {
    /// What goes to the journal besides.
    fn journal(&self) -> Journal {
        self.settings().journal
    }
}
