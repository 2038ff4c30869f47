//! Reading.

use crate::handle::File;
use crate::text::Chunk;
use crate::{Action, Effect, Handle, Operation};
use serde::{Deserialize, Serialize};

/// Read from an open file.
///
/// Asks `read` on the file. Gives at most `length` and at most one [`Chunk`]; less only where the file ends.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Read {
    /// The file, opened for reading.
    pub file: Handle<File>,
    /// From where, in bytes from its start.
    pub offset: u64,
    /// How many bytes at most.
    pub length: u32,
}

impl Operation for Read {
    type Reply = Chunk;
    const NAME: &'static str = "fs.read";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[Action::FileRead];
}

/// Read an open file with every line hidden that the redaction dictionary does not allow.
///
/// Asks `redacted_read` on the file and, once in a run, `open` on the dictionary's directory and
/// `open` and `read` on the dictionary ([`super::REDACTION_DICTIONARY`]). The session hides, by whole
/// lines: hidden text never reaches the worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReadRedacted {
    /// The file, opened for reading.
    pub file: Handle<File>,
    /// Where a line begins: 0 or the `next` of an earlier reply.
    pub offset: u64,
}

/// Some lines of a redacted file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RedactedLines {
    /// Whole lines, joined by `\n`, without one at the end.
    pub text: Chunk,
    /// Where the next line begins; nothing at the end of the file.
    pub next: Option<u64>,
    /// Whether `text` holds any line: one empty line and none look the same.
    pub any: bool,
}

impl Operation for ReadRedacted {
    type Reply = RedactedLines;
    const NAME: &'static str = "fs.read_redacted";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[Action::FileRedactedRead, Action::FileOpen, Action::FileRead];
}
