//! A client of the system's message bus: blocking calls with a time limit each, and the signals that come in between.
//!
//! It is used only in processes made for one task, never in a session itself. The bus and the service manager run as root and
//! are trusted to be what they are; what they send is bounded and checked all the same. Descriptors are never taken.
//! The protocol is that of the D-Bus specification, 0.43; values are marshalled by `zvariant`.

mod connection;
mod message;

pub(crate) use connection::{Address, Connection};
pub(crate) use message::Message;
pub(crate) use zvariant::{DynamicType, OwnedObjectPath, OwnedValue};

use std::io;

/// Why a call has no reply.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The bus cannot be reached.
    NoBus(String),
    /// The bus or the one who was called answered with an error, or with nothing that makes sense.
    Error {
        /// `org.freedesktop.DBus.Error.NoReply`
        name: String,
        /// What it says about it.
        text: String,
    },
}

impl Fault {
    /// What is no answer.
    fn nonsense(what: impl std::fmt::Display) -> Self {
        Fault::Error { name: "org.freedesktop.DBus.Error.InconsistentMessage".into(), text: what.to_string() }
    }

    /// An error of the connection after it was made.
    fn lost(error: &io::Error) -> Self {
        let (name, text) = match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                ("org.freedesktop.DBus.Error.NoReply", "there was no reply in time".to_owned())
            }
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                ("org.freedesktop.DBus.Error.Disconnected", "the bus closed the connection".to_owned())
            }
            _ => ("org.freedesktop.DBus.Error.IOError", error.to_string()),
        };
        Fault::Error { name: name.into(), text }
    }
}
