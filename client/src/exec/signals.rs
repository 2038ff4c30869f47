//! Signals, taken one after the other beside the run's events.

use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::{AsFd, BorrowedFd};

/// `SIGINT`, `SIGHUP` and `SIGTERM`, held back until they are asked for. Dropped, they do again what they did.
#[derive(Debug)]
pub(crate) struct Signals {
    descriptor: SignalFd,
    before: SigSet,
}

impl Signals {
    /// Holds them back from now on.
    pub(crate) fn hold() -> nix::Result<Self> {
        let taken: SigSet = [Signal::SIGINT, Signal::SIGHUP, Signal::SIGTERM].into_iter().collect();
        let descriptor = SignalFd::with_flags(&taken, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        let before = taken.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        Ok(Self { descriptor, before })
    }

    /// The next one that has come. What our parent had us ignore (`nohup`, a job in the background) stays ignored.
    pub(crate) fn next(&mut self) -> Option<Signal> {
        while let Ok(Some(told)) = self.descriptor.read_signal() {
            let signal = i32::try_from(told.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok());
            if let Some(signal) = signal.filter(|signal| !is_ignored(*signal)) {
                return Some(signal);
            }
        }
        None
    }

    /// Does something that may wait for ever, such as writing to a pipe that nobody reads: `SIGINT` and `SIGHUP` end the
    /// process meanwhile, and with it the run.
    pub(crate) fn interruptible<T>(&self, act: impl FnOnce() -> T) -> T {
        let mut mask = self.before;
        mask.add(Signal::SIGTERM);
        let held = mask.thread_swap_mask(SigmaskHow::SIG_SETMASK);
        let done = act();
        if let Ok(held) = held {
            let _ = held.thread_set_mask();
        }
        done
    }
}

/// Readable when a signal may have come.
impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        let _ = self.before.thread_set_mask();
    }
}

/// Ends the process by a signal, as whoever sent it expects; returns only where that is impossible.
pub(crate) fn die_of(signal: Signal) {
    let _ = SigSet::from(signal).thread_unblock();
    let _ = raise(signal);
}

/// Whether our parent had us ignore the signal. Held back, it comes to us all the same.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal as i32 - 1) & 1 == 1
}
