//! How an operation ends when it does not succeed, and what ends a whole run.

use crate::limits::LimitName;
use crate::text::Text;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A request that was understood and not carried out. Crosses the line; the script may catch it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What happened, for programs.
    pub kind: FailureKind,
    /// What happened, for people: the step and the thing. For a denial the whole sentence.
    pub message: Text<8192>,
}

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// Policy says no.
    Denied(Denial),
    /// The kernel says no; `errno(3)`.
    Refused {
        /// The error number.
        errno: i32,
    },
    /// The directory that should hold the object cannot be opened; `errno(3)`.
    ParentRefused {
        /// The error number.
        errno: i32,
    },
    /// A symbolic link stands where none is followed.
    LinkNotFollowed,
    /// The object is neither a regular file nor what else the operation is for.
    NotRegularFile,
    /// A directory that should be empty is not.
    DirectoryNotEmpty,
    /// The handle was not opened for reading.
    NotOpenForReading,
    /// The handle was not opened for writing.
    NotOpenForWriting,
    /// The name that the handle was opened by holds another object now, or none.
    Gone,
    /// Owner or group has no name.
    UnknownIdentity {
        /// The number without a name.
        id: u32,
        /// Whether it is a group's.
        group: bool,
    },
    /// The redaction dictionary cannot be opened or read.
    Dictionary {
        /// Whether already its directory failed.
        directory: bool,
    },
    /// The redaction dictionary itself is asked for in redacted form.
    DictionaryItself,
    /// No user or group has that name; the message is the name.
    UnknownName {
        /// Whether it is a group's.
        group: bool,
    },
    /// The destination has content that was not to be replaced.
    DestinationNotEmpty {
        /// How much, in bytes.
        size: u64,
    },
    /// The object is no symbolic link.
    NotALink,
    /// Permission bits outside 0777.
    InvalidMode {
        /// What was asked for.
        mode: u32,
    },
    /// An extended attribute that is not supported.
    UnsupportedAttribute,
    /// A kind of entry that cannot be moved to another file system.
    UnsupportedEntry {
        /// Its kind.
        kind: crate::fs::EntryKind,
    },
    /// A program's file is open for writing.
    NotReadOnly,
    /// There is no process of this number.
    NoProcess {
        /// The number.
        pid: u32,
    },
    /// The namespace of a process cannot be joined; `errno(3)`.
    Namespace {
        /// The error number.
        errno: i32,
    },
    /// The system's bus cannot be reached; the message is why.
    NoBus,
    /// The bus, or whoever was asked over it, says no or nothing; the message is its own.
    Bus {
        /// The error's name: `org.freedesktop.DBus.Error.NoReply`.
        error: Text<256>,
    },
    /// What is given is no URL, or none of a kind that can be requested; the message is why.
    NoUrl,
    /// A request over the network has no response; the message is why.
    Request,
    /// A host has no address that can be found; the message is why.
    NoHost,
    /// The service manager knows no unit of this name.
    NoUnit,
    /// What the service manager was asked to do did not succeed.
    Job,
    /// The request contradicts itself.
    InvalidArguments,
    /// A path that cannot be used for this.
    InvalidPath,
    /// The operation exists only in the conversation of a worker.
    OnlyForWorkers,
    /// A dry run cannot know what would come of it; the message is why.
    NotKnown,
    /// A limit of the run that leaves it alive: open handles.
    Limit(LimitName),
}

/// What policy said no to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// `file_system::Action::"read"`
    pub action: Text<256>,
    /// Type and id: `file_system::File::"/etc/shadow"`, as Cedar writes it.
    pub resource: Text<8192>,
    /// Ids of the `forbid` policies that decided; empty where nothing permitted.
    pub policies: Vec<Text<256>>,
}

impl Failure {
    /// A failure of `kind` with a message for people.
    pub fn new(kind: FailureKind, message: impl fmt::Display) -> Self {
        Self { kind, message: Text::cut(message.to_string()) }
    }

    /// Whether policy denied the request.
    pub fn is_denial(&self) -> bool {
        matches!(self.kind, FailureKind::Denied(_))
    }

    /// The error number, where the kernel said no.
    pub fn errno(&self) -> Option<i32> {
        match self.kind {
            FailureKind::Refused { errno } | FailureKind::ParentRefused { errno } => Some(errno),
            _ => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// What a correct peer cannot send. It ends the conversation: the peer is not the program it claims to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(String);

impl Violation {
    /// A violation, told in a few words that hold nothing of what the peer sent.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}
