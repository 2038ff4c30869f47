//! The client's connection: frames in, frames out, never waiting for either.

use crate::sys::socket::{has_packet, retry, set_nonblocking};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv, send};
use rex_protocol::Violation;
use rex_protocol::client::ToClient;
use rex_protocol::wire::{self, Frames, PREAMBLE};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// When this much waits for the client, the worker has to wait too, in bytes.
const BACKLOG: usize = 1024 * 1024;

/// A stream to a client.
pub(crate) struct Connection {
    socket: OwnedFd,
    out: Vec<u8>,
    frames: Frames,
    greeted: bool,
    /// The client reads or writes no more.
    gone: bool,
}

impl Connection {
    /// Takes over a connected stream socket.
    pub(crate) fn new(socket: OwnedFd) -> nix::Result<Self> {
        set_nonblocking(&socket)?;
        Ok(Self { socket, out: Vec::new(), frames: Frames::new(wire::FRAME), greeted: false, gone: false })
    }

    /// Lets the client send only frames of at most `most` bytes from now on.
    pub(crate) fn limit_frames(&mut self, most: usize) {
        self.frames.limit(most);
    }

    /// Whether the client is gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone
    }

    /// Whether something waits to be sent.
    pub(crate) fn has_backlog(&self) -> bool {
        !self.out.is_empty()
    }

    /// Whether so much waits to be sent that nothing more should be produced.
    pub(crate) fn is_congested(&self) -> bool {
        self.out.len() > BACKLOG
    }

    /// Queues a message, and sends what the socket takes.
    pub(crate) fn send(&mut self, message: &ToClient) {
        if self.gone {
            return;
        }
        match wire::frame(message) {
            Ok(frame) => self.out.extend_from_slice(&frame),
            Err(violation) => tracing::error!("cannot tell the client something: {violation}"),
        }
        self.flush();
    }

    /// Sends what the socket takes.
    pub(crate) fn flush(&mut self) {
        let mut sent = 0;
        while let Some(rest) = self.out.get(sent..).filter(|rest| !rest.is_empty() && !self.gone) {
            let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
            match retry(|| send(self.socket.as_raw_fd(), rest, flags)) {
                Ok(count) => sent += count,
                Err(Errno::EAGAIN) => break,
                Err(_) => self.gone = true,
            }
        }
        self.out.drain(..sent);
    }

    /// Sends all that waits, until the client goes or `within` is over.
    pub(crate) fn finish(&mut self, within: Duration) {
        let end = Instant::now() + within;
        self.flush();
        while self.has_backlog() && !self.gone && self.wait(PollFlags::POLLOUT, end) {
            self.flush();
        }
    }

    /// Reads some of what has come. Frames are to be taken before more is read: so no more is ever kept than one
    /// unfinished frame and what one read brings.
    pub(crate) fn receive(&mut self) -> Result<(), Violation> {
        // Most submissions are smaller; of a larger one the rest is taken the next time.
        let mut buffer = [0; 16 * 1024];
        match retry(|| recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT)) {
            Ok(0) => self.gone = true,
            Ok(count) => self.take(buffer.get(..count).unwrap_or_default())?,
            Err(Errno::EAGAIN) => {}
            Err(_) => self.gone = true,
        }
        Ok(())
    }

    /// The next whole frame that has come.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Vec<u8>>, Violation> {
        if self.greeted { self.frames.next_frame() } else { Ok(None) }
    }

    /// Whether more has come than the frames that were taken, be it a part of one.
    pub(crate) fn has_unread(&self) -> bool {
        self.frames.is_partial() || has_packet(&self.socket)
    }

    /// Waits for the next whole frame; nothing when the client goes or `deadline` comes first.
    pub(crate) fn await_frame(&mut self, deadline: Instant) -> Result<Option<Vec<u8>>, Violation> {
        loop {
            if let Some(frame) = self.next_frame()? {
                return Ok(Some(frame));
            }
            if self.gone || !self.wait(PollFlags::POLLIN, deadline) {
                return Ok(None);
            }
            self.receive()?;
        }
    }

    /// Takes bytes in, the preamble first.
    fn take(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        self.frames.push(bytes);
        if !self.greeted {
            self.greeted = match self.frames.strip(&PREAMBLE) {
                Some(true) => true,
                Some(false) => return Err(Violation::new("it does not speak this version of the protocol")),
                None => false,
            };
        }
        Ok(())
    }

    fn wait(&self, events: PollFlags, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        let timeout = PollTimeout::try_from(left.as_millis().saturating_add(1)).unwrap_or(PollTimeout::MAX);
        let mut polled = [PollFd::new(self.socket.as_fd(), events)];
        match retry(|| poll(&mut polled, timeout)) {
            Ok(count) => count > 0 || Instant::now() < deadline,
            Err(_) => false,
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
