//! Session and worker on one processor while they talk.
//!
//! A hop between two processes costs several times as much when it crosses processors. Once a run has made
//! a few calls the pair is moved together; when it has been silent for a while it may spread again, since a
//! script that computes gains from a processor of its own.

use crate::sys::process;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// Calls in one tick that make a pair talkative.
const TALKATIVE: u64 = 8;

/// Where session and worker may run.
pub(crate) struct Affinity {
    worker: Pid,
    /// Where this process was allowed to run; nothing if that is not to be changed.
    allowed: Option<CpuSet>,
    together: bool,
    calls: u64,
}

impl Affinity {
    /// For a run that begins. With `enabled` off nothing is ever moved.
    pub(crate) fn new(worker: Pid, enabled: bool) -> Self {
        let allowed = enabled.then(|| sched_getaffinity(Pid::from_raw(0)).ok()).flatten();
        Self { worker, allowed, together: false, calls: 0 }
    }

    /// A call was answered.
    pub(crate) fn called(&mut self) {
        self.calls += 1;
        if self.calls == TALKATIVE && !self.together {
            self.join();
        }
    }

    /// A tick has passed.
    pub(crate) fn tick(&mut self) {
        if std::mem::take(&mut self.calls) == 0 && self.together {
            self.part();
        }
    }

    // A failure costs speed and nothing else.
    fn join(&mut self) {
        let Some(allowed) = &self.allowed else { return };
        let mut one = CpuSet::new();
        let here = process::current_cpu().ok().filter(|&cpu| allowed.is_set(cpu) == Ok(true));
        if here.is_some_and(|cpu| one.set(cpu).is_ok()) {
            self.together = self.set(&one);
        }
    }

    fn part(&mut self) {
        if let Some(allowed) = self.allowed {
            self.set(&allowed);
            self.together = false;
        }
    }

    fn set(&self, cpus: &CpuSet) -> bool {
        sched_setaffinity(self.worker, cpus).is_ok() && sched_setaffinity(Pid::from_raw(0), cpus).is_ok()
    }
}
