//! A session of our own, for runs without the daemon.

use crate::Error;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The program, and how it is told that its standard input is the connection.
const PROGRAM: &str = "rex-broker";
const ARGUMENT: &str = "--standalone-session";
/// Where it is installed; beside our own program is looked first, as in a build folder.
const INSTALLED: &str = "/usr/libexec/rex";
/// How long a session may take to end once its run has.
const FAREWELL: Duration = Duration::from_millis(500);

/// How long it may take to die, and how soon that is looked for again.
const DEATH: Duration = Duration::from_millis(80);
const GLANCE: Duration = Duration::from_micros(20);

/// A session that runs as our child. Dropped, it is ended.
#[derive(Debug)]
pub(crate) struct Standalone {
    child: Child,
}

impl Standalone {
    /// Starts a session by the broker's program. Gives our end of its connection.
    pub(crate) fn start(program: &Path) -> Result<(Self, UnixStream), Error> {
        let start = || {
            let (ours, theirs) = UnixStream::pair()?;
            let child = Command::new(program)
                .arg(ARGUMENT)
                .stdin(Stdio::from(OwnedFd::from(theirs)))
                .stdout(Stdio::null())
                .stderr(Stdio::inherit())
                // The terminal's Ctrl-C is for us: we then end the run in order.
                .process_group(0)
                .spawn()?;
            Ok((Self { child }, ours))
        };
        start().map_err(|cause| Error::NoSession { program: program.to_owned(), cause })
    }

    /// Gives a session whose run has ended a moment to end as well: it closes its connection `socket` by that.
    pub(crate) fn farewell(&mut self, socket: BorrowedFd<'_>) {
        let mut polled = [PollFd::new(socket, PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(FAREWELL).unwrap_or(PollTimeout::ZERO);
        if poll(&mut polled, timeout).is_ok_and(|count| count > 0) {
            self.wait();
        }
    }

    /// How a session that closed its connection ended, in words that go on a sentence.
    pub(crate) fn end(&mut self) -> String {
        self.wait().map(describe).unwrap_or_default()
    }

    /// Waits for a death that is a matter of microseconds, and looks again when an eighth more of the time has passed. One that hangs
    /// in the kernel is not waited for.
    fn wait(&mut self) -> Option<ExitStatus> {
        let begun = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(None) if begun.elapsed() < DEATH => std::thread::sleep((begun.elapsed() / 8).max(GLANCE)),
                Ok(status) => return status,
                Err(_) => return None,
            }
        }
    }
}

impl Drop for Standalone {
    fn drop(&mut self) {
        // Both do nothing for a child that was waited for.
        let _ = self.child.kill();
        self.wait();
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!(": its session ended with code {code}"),
        (None, Some(signal)) => format!(": its session was ended by signal {signal}"),
        (None, None) => String::new(),
    }
}

/// The broker's program, where it is looked for.
pub(crate) fn program() -> PathBuf {
    std::env::current_exe()
        .and_then(|own| own.parent().map(|folder| folder.join(PROGRAM)).ok_or(io::ErrorKind::NotFound.into()))
        .ok()
        .filter(|beside| beside.is_file())
        .unwrap_or_else(|| Path::new(INSTALLED).join(PROGRAM))
}
