//! What a worker uses, as the kernel tells it.

use crate::sys::{process, procfs};
use nix::unistd::Pid;
use rex_protocol::client::Usage;
use std::time::{Duration, Instant};

/// Measures one worker. Memory is sampled at the start, once a second and at the end.
pub(crate) struct Meter {
    worker: Pid,
    memory: bool,
    samples: u64,
    resident: u64,
    virtual_memory: u64,
    last_sample: Option<Instant>,
    cpu_before: Duration,
}

impl Meter {
    /// Begins to measure; with `memory` off only processor time, which a limit needs.
    pub(crate) fn new(worker: Pid, memory: bool) -> Self {
        // A warm worker has used some before it belonged to this run.
        let cpu_before = process::cpu_time(worker).unwrap_or_default();
        let mut meter =
            Self { worker, memory, samples: 0, resident: 0, virtual_memory: 0, last_sample: None, cpu_before };
        meter.sample();
        meter
    }

    /// Processor time that the run has used.
    pub(crate) fn cpu(&self) -> Duration {
        process::cpu_time(self.worker).unwrap_or(self.cpu_before).saturating_sub(self.cpu_before)
    }

    /// A tick has passed.
    pub(crate) fn tick(&mut self, now: Instant) {
        if self.last_sample.is_none_or(|last| now.duration_since(last) >= Duration::from_secs(1)) {
            self.sample();
        }
    }

    /// Takes the last sample and fills in what was used.
    pub(crate) fn finish(mut self, usage: &mut Usage) {
        self.sample();
        usage.cpu_ns = u64::try_from(self.cpu().as_nanos()).unwrap_or(u64::MAX);
        usage.resident = self.resident.checked_div(self.samples);
        usage.virtual_memory = self.virtual_memory.checked_div(self.samples);
    }

    fn sample(&mut self) {
        if !self.memory {
            return;
        }
        self.last_sample = Some(Instant::now());
        if let Some((virtual_memory, resident)) = statm(self.worker) {
            self.samples += 1;
            self.virtual_memory = self.virtual_memory.saturating_add(virtual_memory);
            self.resident = self.resident.saturating_add(resident);
        }
    }
}

/// Address space and resident memory in bytes; proc_pid_statm(5).
fn statm(pid: Pid) -> Option<(u64, u64)> {
    let text = procfs::read(pid, "statm").ok()?;
    let mut pages = text.split(' ').map(|number| number.parse::<u64>().ok());
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
    let page = u64::try_from(page).ok()?;
    Some((pages.next()??.checked_mul(page)?, pages.next()??.checked_mul(page)?))
}
