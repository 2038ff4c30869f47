//! The socket at which root reads metrics.
//!
//! The daemon reads nothing of what is sent there either: each reader is answered by a process made for it, which has the
//! answer from the beginning, a few seconds, and only looks for the end of a request.

use super::Daemon;
use super::listener::{self, ListenError, Listener};
use super::metrics;
use crate::sys::process::{self, Forked};
use crate::sys::socket;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv, send};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::geteuid;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// How many may read at a time; others find the connection closed.
const READERS: usize = 4;
/// How long a reader may take for all of it.
const PATIENCE: Duration = Duration::from_secs(3);
/// When the kernel ends what answers, in seconds.
const LAST_RESORT: u32 = 10;
/// The longest request, in bytes.
const REQUEST: usize = 8 * 1024;

/// The socket, and the processes that answer at it.
pub(super) struct Scrapes {
    listener: Listener,
    answering: Vec<OwnedFd>,
}

impl Scrapes {
    /// Takes the socket that systemd passed, or binds one at `path` for root alone; nothing where there is to be none.
    pub(super) fn open(path: Option<&Path>, passed: Option<OwnedFd>) -> Result<Option<Self>, ListenError> {
        let path = match (path, &passed) {
            (None, None) => return Ok(None),
            (path, _) => path.unwrap_or(Path::new("metrics")),
        };
        let listener = Listener::open(path, passed, listener::FOR_ROOT)?;
        Ok(Some(Self { listener, answering: Vec::new() }))
    }

    /// What the loop has to wait for.
    pub(super) fn polled(&self) -> impl Iterator<Item = PollFd<'_>> {
        // While all are busy nobody else is let in.
        let readers = (self.answering.len() < READERS).then_some(&self.listener);
        let readers = readers.into_iter().map(|listener| PollFd::new(listener.as_fd(), PollFlags::POLLIN));
        readers.chain(self.answering.iter().map(|process| PollFd::new(process.as_fd(), PollFlags::POLLIN)))
    }

    /// Takes leave of those that have answered.
    fn reap(&mut self) {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
        self.answering.retain(|process| {
            matches!(socket::retry(|| waitid(Id::PIDFd(process.as_fd()), flags)), Ok(WaitStatus::StillAlive))
        });
    }
}

impl Daemon {
    /// Lets those read who want to, as many as may.
    pub(super) fn serve_scrapes(&mut self) {
        let Some(scrapes) = &mut self.scrapes else { return };
        scrapes.reap();
        let free = READERS.saturating_sub(scrapes.answering.len());
        for _ in 0..free {
            let accepted = self.scrapes.as_ref().map(|scrapes| scrapes.listener.accept());
            let reader = match accepted {
                Some(Ok(reader)) => reader,
                None | Some(Err(Errno::EAGAIN | Errno::ECONNABORTED)) => return,
                Some(Err(errno)) => return tracing::warn!("cannot accept a reader of metrics: {}", errno.desc()),
            };
            // The socket's mode says the same, where nobody has changed it.
            let is_root = socket::peer(&reader).is_ok_and(|peer| peer.uid == 0 || peer.uid == geteuid().as_raw());
            if is_root {
                self.answer(reader);
            }
        }
    }

    fn answer(&mut self, reader: OwnedFd) {
        let text = metrics::text(&self.status());
        match process::fork() {
            Ok(Forked::Parent { process, .. }) => {
                if let Some(scrapes) = &mut self.scrapes {
                    scrapes.answering.push(process);
                }
            }
            Ok(Forked::Child) => {
                process::end_after(LAST_RESORT);
                self.become_session(None);
                answer(&reader, &text);
                process::exit_now(0)
            }
            Err(errno) => tracing::warn!("cannot answer a reader of metrics: {}", errno.desc()),
        }
    }
}

/// Answers one request, whatever it is for, and closes the connection (RFC 9112).
fn answer(reader: &OwnedFd, text: &str) {
    let end = Instant::now() + PATIENCE;
    let reply = match request(reader, end) {
        Some(request) if request.starts_with(b"GET ") => respond("200 OK", metrics::CONTENT_TYPE, text),
        Some(_) => respond("405 Method Not Allowed", "text/plain", "only GET is answered\n"),
        None => return,
    };
    let mut rest = reply.as_bytes();
    while !rest.is_empty() && is_ready(reader, PollFlags::POLLOUT, end) {
        match socket::retry(|| send(reader.as_raw_fd(), rest, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT)) {
            Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
            Err(Errno::EAGAIN) => {}
            Err(_) => return,
        }
    }
}

/// The head of a request; nothing if it does not come whole, in time, and at a bearable length.
fn request(reader: &OwnedFd, end: Instant) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    let mut piece = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if request.len() > REQUEST || !is_ready(reader, PollFlags::POLLIN, end) {
            return None;
        }
        match socket::retry(|| recv(reader.as_raw_fd(), &mut piece, MsgFlags::MSG_DONTWAIT)) {
            Ok(count @ 1..) => request.extend_from_slice(piece.get(..count).unwrap_or_default()),
            Err(Errno::EAGAIN) => {}
            Ok(0) | Err(_) => return None,
        }
    }
    Some(request)
}

fn respond(status: &str, content: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// Waits until something can be read or written; not beyond `end`.
fn is_ready(reader: &OwnedFd, events: PollFlags, end: Instant) -> bool {
    let left = end.saturating_duration_since(Instant::now());
    let timeout = PollTimeout::try_from(left.as_millis()).unwrap_or(PollTimeout::ZERO);
    let mut polled = [PollFd::new(reader.as_fd(), events)];
    !left.is_zero() && socket::retry(|| poll(&mut polled, timeout)).is_ok_and(|ready| ready > 0)
}
