//! Writing.

use super::OpenedFile;
use crate::handle::{Dir, File};
use crate::path::Name;
use crate::text::Chunk;
use crate::{Action, Effect, Handle, Operation};
use serde::{Deserialize, Serialize};

/// Give an open file new content.
///
/// Asks `write` on the file, and where it has set-id bits `set_id`: denied, it loses them, as it would by an ordinary user's
/// hand (`write(2)`). With [`Placement::Atomic`] also `create`, if nothing has its name any more. Where there is no space the file stays as it was. Content of more than one [`Chunk`] comes in several requests with `more`
/// set on all but the last; nothing changes before the last.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Write {
    /// The file, opened for writing.
    pub file: Handle<File>,
    /// Where the content goes.
    pub placement: Placement,
    /// The content, or its next part.
    pub content: Chunk,
    /// Whether more of it follows.
    pub more: bool,
}

/// Where written content goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Placement {
    /// A new file takes the place of the old one at once (`rename(2)`), with its mode.
    Atomic {
        /// Keep the owner and group too.
        preserve_ownership: bool,
    },
    /// The same file, written from its start and cut to the new length.
    InPlace,
    /// After the end of the same file (`O_APPEND`); it is not read.
    Append,
}

/// What a write gives.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Written {
    /// With [`Placement::Atomic`] the new file, opened as the old one was.
    pub file: Option<OpenedFile>,
}

impl Operation for Write {
    type Reply = Written;
    const NAME: &'static str = "fs.write";
    const EFFECT: Effect<Self> = Effect::Changes;
    const ACTIONS: &'static [Action] = &[Action::FileWrite, Action::FileSetId, Action::FileCreate];
}

/// Make an empty file, or set the times of one that is there to now.
///
/// Asks `open` and `create` on the file. Never follows a link.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Touch {
    /// The directory.
    pub dir: Handle<Dir>,
    /// The name in it.
    pub name: Name,
}

impl Operation for Touch {
    type Reply = ();
    const NAME: &'static str = "fs.touch";
    const EFFECT: Effect<Self> = Effect::Changes;
    const ACTIONS: &'static [Action] = &[Action::FileOpen, Action::FileCreate];
}
