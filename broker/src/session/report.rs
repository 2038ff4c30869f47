//! What a session tells its daemon: that its run has begun, how it ended, or that somebody wants to know how the daemon is.
//!
//! Each has one end of a socket of packets. Nothing of it is waited for but an answer: a daemon that is gone hears nothing.

use crate::audit::Decisions;
use crate::sys::socket::{self, Packet};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rex_protocol::client::{EndClass, Ending, RefusalReason};
use rex_protocol::status::Status;
use rex_protocol::text::Text;
use rex_protocol::wire;
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, OwnedFd};

/// The largest report, in bytes.
pub(crate) const LARGEST: usize = 512;
/// How long the daemon may take to answer, in milliseconds.
const PATIENCE: u16 = 5_000;

/// What is told.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Report {
    /// The run begins.
    Begun {
        /// What records call it.
        run: Text<64>,
        /// The SHA-256 of its script; empty where it has none.
        script: Text<64>,
        /// The process that submitted it.
        client: i32,
    },
    /// It has ended; its client is not told yet.
    Ended {
        /// How.
        how: How,
        /// How many decisions allowed.
        allowed: u64,
        /// How many denied.
        denied: u64,
        /// How many operations there were.
        operations: u64,
    },
    /// There is no run.
    Refused(RefusalReason),
    /// The status of the daemon is wanted: it answers by one packet, which holds a [`Status`].
    Asks,
}

/// How a run has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum How {
    Succeeded,
    /// Its client went away.
    Gone,
    Failed(EndClass),
}

impl How {
    /// The same, shortly; nothing stands for a client that is gone.
    pub(super) fn of(ending: Option<&Ending>) -> Self {
        match ending {
            None => Self::Gone,
            Some(Ending::Succeeded) => Self::Succeeded,
            Some(Ending::Failed { class, .. }) => Self::Failed(*class),
        }
    }

    /// Whether somebody attacked: the worker, or a client in its place.
    pub(crate) fn is_violation(self) -> bool {
        matches!(self, Self::Failed(EndClass::Violation | EndClass::ClientViolation))
    }
}

impl Report {
    /// The next report of a session: `EAGAIN` if there is none yet. After an end or nonsense nothing more is to be heard.
    pub(crate) fn hear(socket: impl AsFd) -> nix::Result<Option<Self>> {
        let mut packet = [0; LARGEST];
        match socket::receive_packet(socket, &mut packet)? {
            Packet::Bytes(length) => Ok(wire::decode(packet.get(..length).unwrap_or_default()).ok()),
            Packet::End | Packet::Malformed => Ok(None),
        }
    }
}

/// A session's end of the socket.
#[derive(Debug, Default)]
pub(crate) struct Reporter(Option<OwnedFd>);

impl Reporter {
    /// Tells the daemon at the other end of this socket.
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self(Some(socket))
    }

    /// Tells nobody.
    pub(super) const fn nobody() -> Self {
        Self(None)
    }

    /// The run begins.
    pub(super) fn begun(&self, run: &Text<64>, script: &str, client: i32) {
        self.tell(&Report::Begun { run: run.clone(), script: Text::cut(script), client });
    }

    /// The run has ended.
    pub(super) fn ended(&self, how: How, decisions: Decisions, operations: u64) {
        let Decisions { allowed, denied } = decisions;
        self.tell(&Report::Ended { how, allowed, denied, operations });
    }

    /// There is no run.
    pub(super) fn refused(&self, reason: RefusalReason) {
        self.tell(&Report::Refused(reason));
    }

    /// How the daemon is, as it tells itself.
    pub(super) fn status(&self) -> Result<Status, String> {
        let gone = || "the broker has ended".to_owned();
        let socket = self.0.as_ref().ok_or_else(gone)?;
        self.tell(&Report::Asks);
        let mut polled = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        match socket::retry(|| poll(&mut polled, PollTimeout::from(PATIENCE))) {
            Ok(0) => return Err("the broker does not answer".into()),
            Ok(_) => {}
            Err(errno) => return Err(format!("cannot wait for the broker: {}", errno.desc())),
        }
        let mut packet = vec![0; wire::PACKET];
        match socket::receive_packet(socket, &mut packet) {
            Ok(Packet::Bytes(length)) => wire::decode(packet.get(..length).unwrap_or_default())
                .map_err(|violation| format!("cannot understand the broker: {violation}")),
            Ok(Packet::End | Packet::Malformed) | Err(_) => Err(gone()),
        }
    }

    fn tell(&self, report: &Report) {
        let Some(socket) = &self.0 else { return };
        let sent =
            wire::encode(report).map_err(|_| Errno::EINVAL).and_then(|packet| socket::send_packet(socket, &packet));
        match sent {
            Ok(()) | Err(Errno::EPIPE | Errno::ECONNRESET) => {}
            Err(errno) => tracing::warn!("cannot tell the broker of a run: {}", errno.desc()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_report_arrives_and_fits() {
        let (ours, theirs) = socket::packet_pair().unwrap();
        let reporter = Reporter::new(theirs);
        let longest = Text::cut("f".repeat(64));
        reporter.begun(&longest, &longest, i32::MAX);
        reporter.ended(How::Failed(EndClass::Violation), Decisions { allowed: u64::MAX, denied: u64::MAX }, u64::MAX);
        reporter.refused(RefusalReason::Barred { retry_ms: u64::MAX });
        let begun = Report::Begun { run: longest.clone(), script: longest, client: i32::MAX };
        assert_eq!(Report::hear(&ours), Ok(Some(begun)));
        assert!(matches!(Report::hear(&ours), Ok(Some(Report::Ended { how, .. })) if how.is_violation()));
        assert!(matches!(Report::hear(&ours), Ok(Some(Report::Refused(_)))));
        assert_eq!(Report::hear(&ours), Err(Errno::EAGAIN));
        drop(reporter);
        assert_eq!(Report::hear(&ours), Ok(None));
    }

    #[test]
    fn nonsense_is_not_heard() {
        let (ours, theirs) = socket::packet_pair().unwrap();
        socket::send_packet(&theirs, &[0xff; 40]).unwrap();
        assert_eq!(Report::hear(&ours), Ok(None));
    }
}
