//! Standard output for a program that goes on until it is told to end, or nobody reads it.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io::{self, Write};
use std::os::fd::AsFd;

/// The most that a pipe takes at once without waiting where it takes anything, pipe(7).
const PIECE: usize = 4096;

/// Standard output, and the signals that end the program.
pub(crate) struct Output {
    stdout: io::Stdout,
    signals: SignalFd,
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// There may be more.
    On,
    /// A signal has come, or nobody reads any more.
    End,
}

impl Output {
    /// From now on `SIGINT` and `SIGTERM` are held back until this looks.
    pub(crate) fn new() -> nix::Result<Self> {
        let ends: SigSet = [Signal::SIGINT, Signal::SIGTERM].into_iter().collect();
        ends.thread_block()?;
        let signals = SignalFd::with_flags(&ends, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self { stdout: io::stdout(), signals })
    }

    /// Writes a text. It does not wait for a reader where a signal comes meanwhile.
    pub(crate) fn write(&mut self, text: &str) -> io::Result<Next> {
        for piece in text.as_bytes().chunks(PIECE) {
            if self.look(PollFlags::POLLOUT, PollTimeout::NONE)? == Next::End {
                return Ok(Next::End);
            }
            match self.stdout.write_all(piece).and_then(|()| self.stdout.flush()) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Next::End),
                written => written?,
            }
        }
        Ok(Next::On)
    }

    /// Waits for a while.
    pub(crate) fn wait(&self, milliseconds: u16) -> io::Result<Next> {
        self.look(PollFlags::empty(), milliseconds.into())
    }

    fn look(&self, stdout: PollFlags, timeout: PollTimeout) -> io::Result<Next> {
        let gone = PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL;
        let signals = PollFd::new(self.signals.as_fd(), PollFlags::POLLIN);
        let mut watched = [signals, PollFd::new(self.stdout.as_fd(), stdout)];
        match poll(&mut watched, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let [signals, stdout] = watched.map(|descriptor| descriptor.revents().unwrap_or(PollFlags::empty()));
        Ok(if signals.is_empty() && !stdout.intersects(gone) { Next::On } else { Next::End })
    }
}
