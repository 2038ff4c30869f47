//! How the daemon is, for root to know.

use super::Daemon;
use super::sessions::seconds_now;
use crate::session::Origin;
use rex_protocol::VERSION;
use rex_protocol::status::{AuditHead, PolicyStatus, ReloadFault, Status};
use rex_protocol::text::Text;
use std::time::Instant;

/// A moment by both clocks: the one for people, and the one that nobody sets.
pub(super) struct Moment {
    at: u64,
    instant: Instant,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self { at: seconds_now(), instant: Instant::now() }
    }
}

/// Since when policies are in force, and why no later ones are.
pub(super) struct InForce {
    since: u64,
    fault: Option<ReloadFault>,
}

impl InForce {
    pub(super) fn now() -> Self {
        Self { since: seconds_now(), fault: None }
    }

    /// Others were to be, and were refused.
    pub(super) fn refused(&mut self, message: &str) {
        self.fault = Some(ReloadFault { at: seconds_now(), message: Text::cut(message) });
    }
}

impl Daemon {
    /// How it is now.
    pub(super) fn status(&self) -> Status {
        let (ready, ready_target) = self.pool.ready();
        // Whoever asks by a session takes one: it is as if it had not.
        let ready = (ready + self.sessions.taken_to_ask()).min(ready_target);
        let revision = match &self.origin {
            Origin::Daemon { store, .. } => store.policies.revision(),
            Origin::Standalone(_) => "",
        };
        let head = self.log.as_ref().and_then(|log| log.last().ok());
        let groups = match &self.groups {
            Ok(groups) => format!("control groups ({})", groups.controllers()),
            Err(reason) => format!("no control groups: {reason}"),
        };
        Status {
            version: Text::cut(VERSION),
            pid: nix::unistd::getpid().as_raw(),
            started: self.begun.at,
            uptime_ms: u64::try_from(self.begun.instant.elapsed().as_millis()).unwrap_or(u64::MAX),
            runs: self.sessions.runs(),
            sessions: count(self.sessions.admitted()),
            most_sessions: count(self.config.runs.total),
            ready: count(ready),
            ready_target: count(ready_target),
            policies: PolicyStatus {
                revision: Text::cut(revision),
                count: count(self.policies()),
                loaded: self.in_force.since,
                fault: self.in_force.fault.clone(),
            },
            counters: self.counters.told(),
            barred: self.limits.barred(Instant::now()),
            audit: head.map(|(seq, hash)| AuditHead { seq, hash: Text::cut(hash) }),
            groups: Text::cut(groups),
        }
    }
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
