//! Ready pairs: sessions with sealed workers that wait for a client. Each serves one run.

use crate::sys::process;
use crate::sys::socket::{self, Packet};
use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long the pool rests after a pair died before it was ready, so that a fault is not tried in a tight loop.
const REST: Duration = Duration::from_secs(1);

/// The ready sessions.
pub(super) struct Pool {
    pairs: Vec<Pair>,
    size: usize,
    rest_until: Option<Instant>,
}

struct Pair {
    process: OwnedFd,
    control: OwnedFd,
    ready: bool,
}

impl Pool {
    pub(super) fn new(size: usize) -> Self {
        Self { pairs: Vec::new(), size, rest_until: None }
    }

    /// Whether no further pair is wanted now.
    pub(super) fn is_full(&self) -> bool {
        self.next_due().is_none_or(|due| !due.is_zero())
    }

    /// How long it is until a further pair is wanted; nothing while there are enough.
    pub(super) fn next_due(&self) -> Option<Duration> {
        let rest = self.rest_until.map(|until| until.saturating_duration_since(Instant::now()));
        (self.pairs.len() < self.size).then(|| rest.unwrap_or_default())
    }

    /// Takes a new session in, and the daemon's end of its control socket.
    pub(super) fn add(&mut self, process: OwnedFd, control: OwnedFd) {
        self.pairs.push(Pair { process, control, ready: false });
    }

    /// What the loop has to wait for on the pool's behalf.
    pub(super) fn polled(&self) -> impl Iterator<Item = PollFd<'_>> {
        self.pairs.iter().map(|pair| PollFd::new(pair.control.as_fd(), PollFlags::POLLIN))
    }

    /// Notes which pairs have become ready and which have died.
    pub(super) fn look(&mut self) {
        let mut died_early = false;
        self.pairs.retain_mut(|pair| {
            let mut byte = [0; 8];
            match socket::receive_packet(&pair.control, &mut byte) {
                Ok(Packet::Bytes(_)) => pair.ready = true,
                Err(nix::errno::Errno::EAGAIN) => {}
                _ => {
                    died_early |= !pair.ready;
                    end(pair);
                    return false;
                }
            }
            true
        });
        if died_early {
            self.rest_until = Some(Instant::now() + REST);
        }
    }

    /// Gives a client to a ready session, which leaves the pool.
    pub(super) fn give(&mut self, client: &OwnedFd) -> Option<OwnedFd> {
        self.look();
        while let Some(at) = self.pairs.iter().position(|pair| pair.ready) {
            let pair = self.pairs.swap_remove(at);
            match socket::send_descriptor(&pair.control, client) {
                Ok(()) => return Some(pair.process),
                Err(error) => {
                    tracing::warn!("a ready session does not take a client: {error}");
                    end(&pair);
                }
            }
        }
        None
    }

    /// Ends all ready sessions.
    pub(super) fn discard(&mut self) {
        self.pairs.drain(..).for_each(|pair| end(&pair));
    }

    /// In a child: lets go of the pool without touching its processes.
    pub(super) fn forget(&mut self) {
        self.pairs.clear();
    }
}

/// Ends a session and waits for its end; its worker goes with it.
fn end(pair: &Pair) {
    let _ = process::signal(&pair.process, Signal::SIGKILL);
    let _ = socket::retry(|| waitid(Id::PIDFd(pair.process.as_fd()), WaitPidFlag::WEXITED));
}
