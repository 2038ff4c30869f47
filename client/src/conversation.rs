//! The conversation with a broker, whatever is asked of it.

use crate::Error;
use crate::standalone::Standalone;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::SendTimeout;
use nix::sys::socket::{MsgFlags, recv, send, setsockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use rex_protocol::client::{FromClient, Outcome, ToClient};
use rex_protocol::limits::Limits;
use rex_protocol::wire::{self, Frames, PREAMBLE};
use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// How long a broker may take to accept or refuse: a busy one starts a worker meanwhile.
const ACCEPTANCE: Duration = Duration::from_secs(40);
/// How long after the time limit the outcome may still come.
const OVERTIME: Duration = Duration::from_secs(40);
/// How long a broker may take to read the next piece of what it is sent, in seconds.
const PATIENCE: i64 = 20;

/// A conversation from its submission to its outcome.
#[derive(Debug)]
pub(crate) struct Conversation {
    socket: UnixStream,
    standalone: Option<Standalone>,
    frames: Frames,
    submitted: Instant,
    accepted: Option<(Instant, Limits)>,
    outcome: Option<Outcome>,
    over: bool,
    buffer: Vec<u8>,
}

impl Conversation {
    /// Begins with a submission, and does not wait for its acceptance.
    pub(crate) fn begin(
        socket: UnixStream,
        standalone: Option<Standalone>,
        submission: &FromClient,
    ) -> Result<Self, Error> {
        let frame = wire::frame(submission).map_err(|violation| Error::TooLarge(violation.to_string()))?;
        setsockopt(&socket, SendTimeout, &TimeVal::seconds(PATIENCE))?;
        let mut conversation = Self {
            socket,
            standalone,
            frames: Frames::new(wire::FRAME),
            submitted: Instant::now(),
            accepted: None,
            outcome: None,
            over: false,
            buffer: vec![0; 64 * 1024],
        };
        conversation.send(&[PREAMBLE.as_slice(), &frame].concat())?;
        Ok(conversation)
    }

    /// Sends bytes, and waits until they are taken; none once it is over.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.over {
            return Ok(());
        }
        match self.socket.write_all(bytes) {
            Ok(()) => Ok(()),
            // It ended before it had read everything: what it said waits to be read.
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => Ok(()),
            Err(error) => {
                self.over = true;
                Err(if error.kind() == ErrorKind::WouldBlock { Error::Silent } else { Error::Connection(error) })
            }
        }
    }

    /// Sends a small message without waiting. A broker that cannot be told anything more is found so by listening to it.
    pub(crate) fn tell(&mut self, message: &FromClient) {
        if self.over {
            return;
        }
        if let Ok(frame) = wire::frame(message) {
            // So small that it is sent whole or not at all.
            let _ = send(self.socket.as_raw_fd(), &frame, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT);
        }
    }

    /// The next message if it has come; does not wait. A refusal is an error, and nothing follows it or an outcome.
    pub(crate) fn poll(&mut self) -> Result<Option<ToClient>, Error> {
        while !self.over {
            if let Some(frame) = self.frames.next_frame().map_err(|violation| self.fault(violation))? {
                let message = wire::decode(&frame).map_err(|violation| self.fault(violation))?;
                return self.note(message).map(Some);
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

    /// Waits for the next message; nothing when there is none any more.
    pub(crate) fn next(&mut self) -> Result<Option<ToClient>, Error> {
        while !self.over {
            if let Some(message) = self.poll()? {
                return Ok(Some(message));
            }
            let left = self.deadline().saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left.as_millis().saturating_add(1)).unwrap_or(PollTimeout::MAX);
            let _ = poll(&mut [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)], timeout);
        }
        Ok(None)
    }

    /// When [`Self::poll`] is to be called even if nothing has come.
    pub(crate) fn deadline(&self) -> Instant {
        match &self.accepted {
            None => self.submitted + ACCEPTANCE,
            Some((begun, limits)) => *begun + Duration::from_millis(limits.time_ms.min(u64::from(u32::MAX))) + OVERTIME,
        }
    }

    /// The limits, once it was accepted.
    pub(crate) fn limits(&self) -> Option<&Limits> {
        self.accepted.as_ref().map(|(_, limits)| limits)
    }

    /// How it ended, once that was told.
    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// The broker sent what it cannot send: nothing more is heard of it.
    pub(crate) fn fault(&mut self, what: impl ToString) -> Error {
        self.over = true;
        Error::Protocol(what.to_string())
    }

    fn note(&mut self, message: ToClient) -> Result<ToClient, Error> {
        match &message {
            ToClient::Refused(refusal) => {
                self.over = true;
                return Err(Error::Refused(refusal.clone()));
            }
            ToClient::Accepted { .. } if self.accepted.is_some() => {
                return Err(self.fault("the run was accepted twice"));
            }
            ToClient::Accepted { limits, .. } => self.accepted = Some((Instant::now(), *limits)),
            ToClient::Outcome(outcome) => {
                self.over = true;
                self.outcome = Some(Outcome::clone(outcome));
            }
            _ => {}
        }
        Ok(message)
    }

    /// The connection ended before the outcome.
    fn lost(&mut self) -> Error {
        self.over = true;
        match &self.accepted {
            // The kernel ends a session that hangs beyond its time: that is the limit, seen from here.
            Some((begun, limits)) if begun.elapsed() >= Duration::from_millis(limits.time_ms) => {
                Error::TimeLimit(Box::new(*limits))
            }
            _ => Error::Ended(self.standalone.as_mut().map(Standalone::end).unwrap_or_default()),
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

/// Readable when a message may have come.
impl AsFd for Conversation {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        // With its outcome told, a session of ours is about to end: it is not hurried, but nothing stays behind.
        if self.over
            && let Some(standalone) = &mut self.standalone
        {
            standalone.farewell(self.socket.as_fd());
        }
    }
}
