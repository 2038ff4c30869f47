//! The content of files as a whole: its length, its copies, and reading it without the session in between.

use crate::handle::File;
use crate::{Action, Effect, Handle, Operation};
use serde::{Deserialize, Serialize};

/// Cut an open file, or let it grow with zero bytes (`ftruncate(2)`). Asks `write` on it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Truncate {
    /// The file.
    pub file: Handle<File>,
    /// Its new length, in bytes.
    pub size: u64,
}

impl Operation for Truncate {
    type Reply = ();
    const NAME: &'static str = "fs.truncate";
    const EFFECT: Effect<Self> = Effect::Changes;
    const ACTIONS: &'static [Action] = &[Action::FileWrite, Action::FileSetId];
}

/// Have the file system set space aside for an open file, from its start (`fallocate(2)`, mode 0). It grows where it is
/// shorter and never shrinks. Asks `write` on it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Allocate {
    /// The file, opened for writing.
    pub file: Handle<File>,
    /// How much, in bytes.
    pub length: u64,
}

impl Operation for Allocate {
    type Reply = ();
    const NAME: &'static str = "fs.allocate";
    const EFFECT: Effect<Self> = Effect::Changes;
    const ACTIONS: &'static [Action] = &[Action::FileWrite, Action::FileSetId];
}

/// Copy the whole content of one open file into another, which stays the same file.
///
/// Asks `read` on the source and `write` on the destination. A destination that has content is refused unless
/// `force` is set. Where there is no space the destination stays as it was.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CopyFile {
    /// The source, opened for reading.
    pub from: Handle<File>,
    /// The destination, opened for writing.
    pub to: Handle<File>,
    /// Take the place of content.
    pub force: bool,
    /// Give the destination the source's permission bits and times too.
    pub preserve: bool,
}

impl Operation for CopyFile {
    type Reply = ();
    const NAME: &'static str = "fs.copy_file";
    const EFFECT: Effect<Self> = Effect::Changes;
    const ACTIONS: &'static [Action] = &[Action::FileRead, Action::FileWrite, Action::FileSetId];
}

/// Obtain a descriptor of an open regular file, to read from and for nothing else.
///
/// Asks `read` on the file, once for all that is read from the descriptor, whatever the file comes to hold meanwhile. The
/// reply comes together with the descriptor (`SCM_RIGHTS`), which is an opening of its own: it shares no position and no mode
/// with the session's. Where the content is made up by the kernel or by a program as it is read (`/proc`, `/sys`, FUSE), and
/// where there is none, it is refused with `EOPNOTSUPP`; such a file is read with [`super::Read`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Donate {
    /// The file, opened for reading.
    pub file: Handle<File>,
}

/// What comes with a donated descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Donated {
    /// The file's length when it was donated, in bytes.
    pub size: u64,
}

impl Operation for Donate {
    type Reply = Donated;
    const NAME: &'static str = "fs.donate";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[Action::FileRead];
}
