//! What a dry run would have changed.

use crate::text::Text;
use serde::{Deserialize, Serialize};

/// The most that one side of a [`Content`] tells, in bytes.
pub const SIDE: usize = 256 * 1024;
/// The most that all contents of a run tell together, in bytes; beyond, they are [`Side::LeftOut`].
pub const CONTENTS: usize = 8 * 1024 * 1024;
/// How many changes of a run are told at most; all are counted ([`crate::client::Usage::changes`]).
pub const CHANGES: u64 = 10_000;

/// A change that policy allows and that a dry run has not made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// [`crate::Operation::NAME`] of the operation that would have made it.
    pub operation: Text<64>,
    /// What it would have done.
    pub act: Act,
    /// With what: a path, a unit, a process's number and name, a URL without its secrets.
    pub object: Text<8192>,
    /// In what way, and what else would be another by it.
    pub properties: Vec<Property>,
    /// What a file would hold, where that changes.
    pub content: Option<Content>,
}

/// What is done with something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Act {
    /// A file, a directory or a link is made.
    Create,
    /// A file gets other content.
    Write,
    /// Something is removed, with all that is in it.
    Remove,
    /// Something gets another path.
    Move,
    /// Something gets other properties.
    Set,
    /// A program is run.
    Execute,
    /// A process is signalled.
    Signal,
    /// A process is stopped, looked into, and let go on.
    Trace,
    /// A file system is unmounted.
    Unmount,
    /// Something is requested of a server.
    Request,
    /// A unit is started.
    Start,
    /// A unit is stopped.
    Stop,
    /// A unit is stopped and started again.
    Restart,
    /// Settings or units are read anew.
    Reload,
}

impl Act {
    /// In one word: `create`.
    pub const fn name(self) -> &'static str {
        match self {
            Act::Create => "create",
            Act::Write => "write",
            Act::Remove => "remove",
            Act::Move => "move",
            Act::Set => "set",
            Act::Execute => "execute",
            Act::Signal => "signal",
            Act::Trace => "trace",
            Act::Unmount => "unmount",
            Act::Request => "request",
            Act::Start => "start",
            Act::Stop => "stop",
            Act::Restart => "restart",
            Act::Reload => "reload",
        }
    }
}

/// Something about a change: what it was, where it was something that policy lets the caller know, and what it would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Property {
    /// `mode`, `owner`, `group`, `kind`, `destination`, `target`, `arguments`, ...
    pub name: Text<64>,
    /// What it was.
    pub before: Option<Text<4096>>,
    /// What it would be.
    pub after: Option<Text<4096>>,
}

/// What a file holds, and would hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Before.
    pub before: Side,
    /// After.
    pub after: Side,
}

/// One of the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// There is no file.
    Nothing,
    /// UTF-8 without a NUL, at most [`SIDE`] bytes.
    Text(String),
    /// No text, of so many bytes.
    Binary(u64),
    /// More than is told, of so many bytes.
    LeftOut(u64),
    /// Policy does not let the caller read it, or calls it sensitive.
    Hidden,
    /// A dry run cannot know.
    NotKnown,
}
