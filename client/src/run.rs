//! A run, as its client sees it.

use crate::Error;
use crate::standalone::Session;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv, send};
use rex_protocol::client::{FromClient, Outcome, ToClient};
use rex_protocol::limits::Limits;
use rex_protocol::wire::{self, Frames};
use rex_protocol::worker::{Alarm, Log, Metric};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long a broker may take to accept or refuse: a busy one starts a worker meanwhile.
const ACCEPTANCE: Duration = Duration::from_secs(40);
/// How long after the time limit the outcome may still come.
const OVERTIME: Duration = Duration::from_secs(40);

/// What happens in a run. Times are nanoseconds since 1970.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The run begins, with these limits.
    Accepted(Limits),
    /// Something about the policy that its author should know.
    Warning(String),
    /// A log message.
    Log(u64, Log),
    /// A metric.
    Metric(u64, Metric),
    /// An alarm.
    Alarm(Alarm),
    /// The next part of the script's result, UTF-8 as a whole. It counts only if the run succeeds.
    Output(Vec<u8>),
    /// What the run is doing.
    Progress {
        /// Operations so far.
        operations: u64,
        /// The latest one and what it is about.
        current: String,
    },
    /// The run has ended. The last event.
    Outcome(Outcome),
}

/// A submitted run: an iterator of its events, the last of them an [`Event::Outcome`] or an error.
/// Dropped before, the run is ended.
#[derive(Debug)]
pub struct Run {
    socket: OwnedFd,
    session: Option<Session>,
    frames: Frames,
    submitted: Instant,
    accepted: Option<(Instant, Limits)>,
    output: u64,
    over: bool,
    buffer: Vec<u8>,
}

impl Run {
    pub(crate) fn over(socket: OwnedFd, session: Option<Session>) -> Self {
        Self {
            socket,
            session,
            frames: Frames::new(wire::FRAME),
            submitted: Instant::now(),
            accepted: None,
            output: 0,
            over: false,
            buffer: vec![0; 64 * 1024],
        }
    }

    /// The next event if it has come; does not wait. After the last one always nothing.
    /// [`AsFd`] tells when to ask again, and [`Self::deadline`] when at the latest.
    pub fn poll_event(&mut self) -> Result<Option<Event>, Error> {
        while !self.over {
            if let Some(frame) = self.frames.next_frame().map_err(|violation| self.fault(violation))? {
                let message = wire::decode(&frame).map_err(|violation| self.fault(violation))?;
                return self.take(message).map(Some);
            }
            match recv(self.socket.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(0) | Err(Errno::ECONNRESET) => return Err(self.lost()),
                Ok(count) => self.frames.push(self.buffer.get(..count).unwrap_or_default()),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) if Instant::now() >= self.deadline() => return Err(self.late()),
                Err(Errno::EAGAIN) => break,
                Err(error) => {
                    self.over = true;
                    return Err(error.into());
                }
            }
        }
        Ok(None)
    }

    /// When [`Self::poll_event`] is to be called even if nothing has come.
    pub fn deadline(&self) -> Instant {
        match &self.accepted {
            None => self.submitted + ACCEPTANCE,
            Some((begun, limits)) => *begun + Duration::from_millis(limits.time_ms.min(u64::from(u32::MAX))) + OVERTIME,
        }
    }

    /// Tells the script to end: it has [`TERMINATION_GRACE_MS`] to do so by itself. Its outcome still comes.
    ///
    /// [`TERMINATION_GRACE_MS`]: rex_protocol::client::TERMINATION_GRACE_MS
    pub fn terminate(&mut self) {
        self.tell(&FromClient::Terminate);
    }

    /// Ends the script now. Its outcome still comes.
    pub fn cancel(&mut self) {
        self.tell(&FromClient::Cancel);
    }

    /// Sends a small message. A broker that cannot be told anything more is found so by listening to it.
    fn tell(&mut self, message: &FromClient) {
        if self.over {
            return;
        }
        if let Ok(frame) = wire::frame(message) {
            // So small that it is sent whole or not at all.
            let _ = send(self.socket.as_raw_fd(), &frame, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT);
        }
    }

    fn take(&mut self, message: ToClient) -> Result<Event, Error> {
        Ok(match message {
            ToClient::Refused(refusal) => {
                self.over = true;
                return Err(Error::Refused(refusal));
            }
            ToClient::Accepted { .. } if self.accepted.is_some() => {
                return Err(self.fault("the run was accepted twice"));
            }
            ToClient::Accepted { limits } => {
                self.accepted = Some((Instant::now(), limits));
                Event::Accepted(limits)
            }
            ToClient::Output(part) => {
                self.output = self.output.saturating_add(part.len() as u64);
                if self.accepted.is_none_or(|(_, limits)| self.output > limits.output) {
                    return Err(self.fault("more output came than was agreed"));
                }
                Event::Output(part)
            }
            ToClient::Warning(text) => Event::Warning(text.into_string()),
            ToClient::Log { at, log } => Event::Log(at, log),
            ToClient::Metric { at, metric } => Event::Metric(at, metric),
            ToClient::Alarm(alarm) => Event::Alarm(alarm),
            ToClient::Progress { operations, current } => {
                Event::Progress { operations, current: current.into_string() }
            }
            ToClient::Outcome(outcome) => {
                self.over = true;
                Event::Outcome(*outcome)
            }
        })
    }

    fn fault(&mut self, what: impl ToString) -> Error {
        self.over = true;
        Error::Protocol(what.to_string())
    }

    /// The connection ended before the outcome.
    fn lost(&mut self) -> Error {
        self.over = true;
        match &self.accepted {
            // The kernel ends a session that hangs beyond its time: that is the limit, seen from here.
            Some((begun, limits)) if begun.elapsed() >= Duration::from_millis(limits.time_ms) => {
                Error::TimeLimit(Box::new(*limits))
            }
            _ => Error::Ended(self.session.as_mut().map(Session::end).unwrap_or_default()),
        }
    }

    /// Nothing came for too long.
    fn late(&mut self) -> Error {
        self.over = true;
        match &self.accepted {
            Some((_, limits)) => Error::TimeLimit(Box::new(*limits)),
            None => Error::Silent,
        }
    }
}

impl Iterator for Run {
    type Item = Result<Event, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.over {
            match self.poll_event() {
                Ok(None) => {}
                result => return result.transpose(),
            }
            let left = self.deadline().saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left.as_millis().saturating_add(1)).unwrap_or(PollTimeout::MAX);
            let _ = poll(&mut [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)], timeout);
        }
        None
    }
}

/// Readable when an event may have come.
impl AsFd for Run {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // With its outcome told, a session of ours is about to end: it is not hurried, but nothing stays behind.
        if self.over
            && let Some(session) = &mut self.session
        {
            session.farewell(self.socket.as_fd());
        }
    }
}
