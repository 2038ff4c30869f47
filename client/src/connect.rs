//! The way to a broker: the daemon's socket, or a session of our own.

use crate::conversation::Conversation;
use crate::standalone::{self, Standalone};
use crate::{Error, Run, Session, Submission, Terms};
use interprocess::ConnectWaitMode;
use interprocess::local_socket::{ConnectOptions, GenericFilePath, Stream, ToFsName};
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::unistd::geteuid;
use rex_protocol::client::{FromClient, ListedPolicy, ToClient};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Where the daemon listens.
pub const SOCKET: &str = "/run/rex/broker.sock";

/// How long a broker may take to accept a connection.
const ACCEPTANCE: Duration = Duration::from_secs(5);

/// A connection, good for one run: of a script ([`Self::run`], [`Self::submit`]) or of operations that we ask for
/// ourselves ([`Self::session`], [`Self::operate`]).
#[derive(Debug)]
pub struct Broker {
    socket: UnixStream,
    standalone: Option<Standalone>,
}

impl Broker {
    /// Connects to the daemon at [`SOCKET`].
    pub fn connect() -> Result<Self, Error> {
        Self::connect_to(SOCKET)
    }

    /// Connects to a daemon. What listens there must be root's or our own: a policy decides nothing if somebody else's
    /// program carries the script out and makes up its result.
    pub fn connect_to(path: impl AsRef<Path>) -> Result<Self, Error> {
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
        Ok(Self { socket, standalone: None })
    }

    /// Starts a session as our own user, without the daemon. It ends with its run, which must bring a policy.
    ///
    /// The broker's program is looked for beside our own, then where it is installed.
    pub fn standalone() -> Result<Self, Error> {
        Self::standalone_by(standalone::program())
    }

    /// As [`Self::standalone`], by the broker's program at `program`. The worker's program is looked for beside it.
    pub fn standalone_by(program: impl AsRef<Path>) -> Result<Self, Error> {
        let (standalone, socket) = Standalone::start(program.as_ref())?;
        Ok(Self { socket, standalone: Some(standalone) })
    }

    /// Runs a script under the default limits. See [`Submission`] for what else can be said of a run.
    pub fn run(self, script: impl Into<Vec<u8>>) -> Result<Run, Error> {
        self.submit(Submission::new(script))
    }

    /// Submits a run, and does not wait for its acceptance.
    pub fn submit(self, submission: Submission) -> Result<Run, Error> {
        Ok(Run::over(Conversation::begin(self.socket, self.standalone, &submission.into_message()?)?))
    }

    /// What the daemon's policies say of us: those that are about nobody but others are not told, nor is what exists.
    pub fn list(self) -> Result<Vec<ListedPolicy>, Error> {
        let mut conversation = Conversation::begin(self.socket, self.standalone, &FromClient::List)?;
        match conversation.next()? {
            Some(ToClient::Listed(policies)) => Ok(policies),
            _ => Err(conversation.fault("no list came")),
        }
    }

    /// Opens a session for operations under the default limits. See [`Terms`] for others.
    pub fn session(self) -> Result<Session, Error> {
        self.operate(Terms::new())
    }

    /// Opens a session for operations, and waits until it is accepted.
    pub fn operate(self, terms: Terms) -> Result<Session, Error> {
        Session::over(Conversation::begin(self.socket, self.standalone, &terms.into_message())?)
    }
}

impl From<UnixStream> for Broker {
    /// A connection that was made otherwise; who is at its other end is the caller's affair.
    fn from(socket: UnixStream) -> Self {
        Self { socket, standalone: None }
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
