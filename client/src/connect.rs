//! The way to a broker: the daemon's socket, or a session of our own.

use crate::run::Run;
use crate::standalone::Session;
use crate::{Error, Submission};
use interprocess::ConnectWaitMode;
use interprocess::local_socket::{ConnectOptions, GenericFilePath, Stream, ToFsName};
use nix::sys::socket::sockopt::{PeerCredentials, SendTimeout};
use nix::sys::socket::{getsockopt, setsockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::unistd::geteuid;
use rex_protocol::wire::{self, PREAMBLE};
use std::io::{self, ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Where the daemon listens.
pub const SOCKET: &str = "/run/rex/broker.sock";

/// How long a broker may take to accept a connection.
const ACCEPTANCE: Duration = Duration::from_secs(5);
/// How long a broker may take to read the next piece of a submission, in seconds.
const PATIENCE: i64 = 20;

/// A connection that a run can be submitted over.
#[derive(Debug)]
pub struct Broker {
    socket: UnixStream,
    session: Option<Session>,
}

impl Broker {
    /// Connects to the daemon. What listens there must be root's or our own: a policy decides nothing if somebody else's
    /// program carries the script out and makes up its result.
    pub fn listening_at(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let unreachable = |cause| Error::Unreachable { path: path.to_owned(), cause };
        let owner = std::fs::metadata(path).map_err(unreachable)?.uid();
        let ours = |uid: u32| uid == 0 || uid == geteuid().as_raw();
        if !ours(owner) {
            return Err(Error::Untrusted { path: path.to_owned(), what: "the socket", uid: owner });
        }
        let socket = connect(path).map_err(unreachable)?;
        let peer = getsockopt(&socket, PeerCredentials)?.uid();
        if !ours(peer) {
            return Err(Error::Untrusted { path: path.to_owned(), what: "what listens there", uid: peer });
        }
        Ok(Self { socket, session: None })
    }

    /// Starts a session as our own user, without the daemon. It ends with its run.
    pub fn standalone() -> Result<Self, Error> {
        let (session, socket) = Session::start()?;
        Ok(Self { socket, session: Some(session) })
    }

    /// Submits a run, and does not wait for its acceptance.
    pub fn submit(self, submission: Submission) -> Result<Run, Error> {
        let Broker { mut socket, session } = self;
        let frame =
            wire::frame(&submission.into_message()).map_err(|violation| Error::TooLarge(violation.to_string()))?;
        setsockopt(&socket, SendTimeout, &TimeVal::seconds(PATIENCE))?;
        let sent = socket.write_all(&PREAMBLE).and_then(|()| socket.write_all(&frame));
        match sent {
            Ok(()) => {}
            // It refused before it had read everything: what it said waits to be read.
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(Error::Silent),
            Err(error) => return Err(Error::Connection(error)),
        }
        Ok(Run::over(OwnedFd::from(socket), session))
    }
}

impl From<UnixStream> for Broker {
    /// A connection that was made otherwise; who is at its other end is the caller's affair.
    fn from(socket: UnixStream) -> Self {
        Self { socket, session: None }
    }
}

fn connect(path: &Path) -> io::Result<UnixStream> {
    let end = Instant::now() + ACCEPTANCE;
    loop {
        let options = ConnectOptions::new()
            .name(path.to_fs_name::<GenericFilePath>()?)
            .wait_mode(ConnectWaitMode::Timeout(ACCEPTANCE));
        match options.connect_sync() {
            Ok(Stream::UdSocket(stream)) => return Ok(UnixStream::from(OwnedFd::from(stream))),
            // Too many wait to be accepted.
            Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(error),
        }
    }
}
