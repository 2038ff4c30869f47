//! Moving.

use super::{OpenedDir, OpenedFile};
use crate::handle::{Dir, File};
use crate::path::Name;
use crate::{Action, Effect, Handle, Operation};
use serde::{Deserialize, Serialize};

/// What a move may ask, most of it only to cross file systems.
const MOVING: &[Action] = &[
    Action::FileMove,
    Action::FileCreate,
    Action::FileOpen,
    Action::FileRead,
    Action::FileWrite,
    Action::FileDelete,
    Action::FileSetId,
];

/// Move an open file to another name: what moves is the name it was opened by, for a followed link the link.
///
/// Asks, all before anything happens, `move` on the file with the destination as context, and `create` and `open` on the
/// destination. Across file systems also `read` and `delete` on the file and `write` on the destination. What has the
/// destination's name is replaced at once (`rename(2)`), also across file systems: the copy is made beside it first.
/// Mode, owner and times move along; to another file system set-id bits only where `set_id` is allowed on the destination.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MoveFile {
    /// The file. To cross file systems it must be open for reading.
    pub file: Handle<File>,
    /// The directory to move it to.
    pub to: Handle<Dir>,
    /// Its name there.
    pub name: Name,
}

impl Operation for MoveFile {
    /// The file at its new place, open as it was.
    type Reply = OpenedFile;
    const NAME: &'static str = "fs.move_file";
    const EFFECT: Effect<Self> = Effect::Changes;
    const ACTIONS: &'static [Action] = MOVING;
}

/// Move a directory to another name.
///
/// Asks `move` on it with the destination as context, and `create` and `open` on the destination. Denied where a `forbid` names
/// something below it: that would have another path. A destination that is an
/// empty directory is replaced; where it has content, `dir` is moved into it under its own name, for which `open`
/// is asked. Across file systems everything in it is judged before anything is copied (`read` and `open` on each
/// source, `create`, `open` and `write` on each destination, `delete` on `dir`), and removed only when all of it was copied;
/// sockets, pipes and devices are refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MoveDir {
    /// The directory.
    pub dir: Handle<Dir>,
    /// The directory that holds it.
    pub from: Handle<Dir>,
    /// The directory to move it to.
    pub to: Handle<Dir>,
    /// Its name there.
    pub name: Name,
}

impl Operation for MoveDir {
    /// The directory at its new place.
    type Reply = OpenedDir;
    const NAME: &'static str = "fs.move_dir";
    const EFFECT: Effect<Self> = Effect::Changes;
    const ACTIONS: &'static [Action] = MOVING;
}
