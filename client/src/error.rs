//! Why a run or session cannot be had or followed.

use rex_protocol::client::{Ending, Refusal};
use rex_protocol::limits::Limits;
use std::io;
use std::path::PathBuf;

/// Why there is no outcome. A script that fails has one, and so has an operation; this is about broker and connection.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing listens at the socket, or it does not let us in.
    #[error("cannot reach the broker at `{}`: {cause}; start `rex-broker.socket`, or run without it by `--standalone`", path.display())]
    Unreachable {
        /// The socket's path.
        path: PathBuf,
        /// What the kernel said.
        cause: io::Error,
    },
    /// What listens at the socket is neither root's nor ours.
    #[error("cannot trust the broker at `{}`: {what} belongs to uid {uid}, not to root", path.display())]
    Untrusted {
        /// The socket's path.
        path: PathBuf,
        /// The socket or the process behind it.
        what: &'static str,
        /// Whose it is.
        uid: u32,
    },
    /// No session of our own can be started.
    #[error("cannot start a session by `{}`: {cause}", program.display())]
    NoSession {
        /// The program to start.
        program: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// The submission is larger than can be sent.
    #[error("cannot submit the run: {0}")]
    TooLarge(String),
    /// The arguments of the script cannot be written as JSON.
    #[error("cannot submit the arguments: {0}")]
    Arguments(String),
    /// The broker does not start the run.
    #[error("the run was refused: {}", .0.message)]
    Refused(Refusal),
    /// A session for operations did not begin: its policy cannot be used.
    #[error("the session did not begin{}", crate::session::said(.0))]
    NotBegun(Ending),
    /// The broker sent what it cannot send.
    #[error("cannot understand the broker: {0}")]
    Protocol(String),
    /// The connection failed.
    #[error("cannot talk to the broker: {0}")]
    Connection(io::Error),
    /// The connection ended before the outcome; how the session ended where that is known.
    #[error("the broker ended the connection without a result{0}")]
    Ended(String),
    /// The broker does not answer.
    #[error("the broker does not answer")]
    Silent,
    /// No outcome came, and the run's time is over.
    #[error("Script terminated: the time limit of {} s was reached", .0.time_ms as f64 / 1000.0)]
    TimeLimit(Box<Limits>),
}

impl From<nix::Error> for Error {
    fn from(error: nix::Error) -> Self {
        Error::Connection(error.into())
    }
}
