//! Ready pairs: sessions with sealed workers that wait for a client. Each serves one run.

use crate::group::Group;
use crate::sys::process;
use crate::sys::socket::{self, Packet};
use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long the pool rests after a pair died before it was ready, so that a fault is not tried in a tight loop.
const REST: Duration = Duration::from_secs(1);

/// The ready sessions.
pub(super) struct Pool {
    pairs: Vec<Waiting>,
    size: usize,
    rest_until: Option<Instant>,
}

/// A session, and what the daemon has of it.
pub(super) struct Pair {
    pub(super) pid: Pid,
    pub(super) process: OwnedFd,
    /// The daemon's end of the socket to it.
    pub(super) control: OwnedFd,
    /// The group of its worker and what it executes.
    pub(super) group: Option<Group>,
}

struct Waiting {
    pair: Pair,
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

    /// Takes a new session in.
    pub(super) fn add(&mut self, pair: Pair) {
        self.pairs.push(Waiting { pair, ready: false });
    }

    /// How many are ready, and how many there should be.
    pub(super) fn ready(&self) -> (usize, usize) {
        (self.pairs.iter().filter(|waiting| waiting.ready).count(), self.size)
    }

    /// What the loop has to wait for on the pool's behalf.
    pub(super) fn polled(&self) -> impl Iterator<Item = PollFd<'_>> {
        self.pairs.iter().map(|waiting| PollFd::new(waiting.pair.control.as_fd(), PollFlags::POLLIN))
    }

    /// Notes which pairs have become ready, and gives those that have died.
    pub(super) fn look(&mut self) -> Vec<Pair> {
        let mut died_early = false;
        let dead = self.pairs.extract_if(.., |waiting| {
            let mut byte = [0; 8];
            match socket::receive_packet(&waiting.pair.control, &mut byte) {
                Ok(Packet::Bytes(_)) => waiting.ready = true,
                Err(nix::errno::Errno::EAGAIN) => {}
                _ => {
                    died_early |= !waiting.ready;
                    return true;
                }
            }
            false
        });
        let dead: Vec<Pair> = dead.map(|waiting| ended(waiting.pair)).collect();
        if died_early {
            self.rest_until = Some(Instant::now() + REST);
        }
        dead
    }

    /// Gives a client to a ready session, which leaves the pool, and those that had to be ended because they took none.
    pub(super) fn give(&mut self, client: &OwnedFd) -> (Option<Pair>, Vec<Pair>) {
        let mut unfit = Vec::new();
        while let Some(at) = self.pairs.iter().position(|waiting| waiting.ready) {
            let Waiting { pair, .. } = self.pairs.swap_remove(at);
            match socket::send_descriptor(&pair.control, client) {
                Ok(()) => return (Some(pair), unfit),
                Err(error) => {
                    tracing::warn!("a ready session does not take a client: {error}");
                    unfit.push(ended(pair));
                }
            }
        }
        (None, unfit)
    }

    /// Ends all ready sessions, and gives them.
    pub(super) fn discard(&mut self) -> Vec<Pair> {
        self.pairs.drain(..).map(|waiting| ended(waiting.pair)).collect()
    }

    /// In a child: lets go of the pool without touching its processes.
    pub(super) fn forget(&mut self) {
        self.pairs.clear();
    }
}

/// A session that was ended and waited for; its worker goes with it.
fn ended(pair: Pair) -> Pair {
    let _ = process::signal(&pair.process, Signal::SIGKILL);
    let _ = socket::retry(|| waitid(Id::PIDFd(pair.process.as_fd()), WaitPidFlag::WEXITED));
    pair
}
