//! Opening.

use super::EntryKind;
use crate::handle::{Dir, File};
use crate::path::{AbsPath, Name};
use crate::{Action, Effect, Handle, Operation};
use serde::{Deserialize, Serialize};

/// Open a directory, or make and open it.
///
/// Asks `open` on `Dir::path`, with `create` also `create` on it; with `follow` also `open` on the
/// directory that the path leads to, in any case, before it is used. Without `follow` no component may be a link.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenDir {
    /// The directory.
    pub path: AbsPath,
    /// Follow links on the way and at the end. Nothing is ever created through a link.
    pub follow: bool,
    /// Make it (mode 0777 less the umask); without `follow` it must not be there yet unless `recursive` is set.
    pub create: Option<CreateDir>,
}

/// How a directory is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateDir {
    /// Make missing parents too, unless a `forbid` names one, and accept a directory that is there.
    pub recursive: bool,
}

/// An open directory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenedDir {
    /// The directory.
    pub dir: Handle<Dir>,
    /// Its path as policy judged it: with `follow` the real one.
    pub path: AbsPath,
}

impl Operation for OpenDir {
    type Reply = OpenedDir;
    const NAME: &'static str = "fs.open_dir";
    const EFFECT: Effect<Self> = Effect::Depends(|request| request.create.is_some());
    const ACTIONS: &'static [Action] = &[Action::FileOpen, Action::FileCreate];
}

/// Open a directory in an open directory.
///
/// Asks `open` on it; with `follow` also `open` on the directory that it leads to, in any case, before it is used.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenSubdir {
    /// The directory that holds it.
    pub dir: Handle<Dir>,
    /// Its name there.
    pub name: Name,
    /// Follow a link of that name.
    pub follow: bool,
}

impl Operation for OpenSubdir {
    type Reply = OpenedDir;
    const NAME: &'static str = "fs.open_subdir";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[Action::FileOpen];
}

/// Open a regular file in an open directory, or make and open it.
///
/// Asks `open` on the file, with `create` also `create`, with `write_next` also `write`; with `follow` and a link also
/// the same on the file it leads to, before anything is made. Never blocks: what is no regular file is refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenFile {
    /// The directory.
    pub dir: Handle<Dir>,
    /// The name in it.
    pub name: Name,
    /// For reading.
    pub read: bool,
    /// For writing.
    pub write: bool,
    /// Make it if it is missing, with these permission bits (0777 at most) less the umask; one that is there is not changed.
    pub create: Option<u32>,
    /// Follow a link in last place.
    pub follow: bool,
    /// Ask `write` at once, for callers that write next: where that is denied, and where the write then fails, no empty file
    /// is left behind.
    pub write_next: bool,
}

/// An open file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenedFile {
    /// The file.
    pub file: Handle<File>,
    /// Its path as policy judged it: with a followed link the real one.
    pub path: AbsPath,
    /// Whether it was made just now.
    pub created: bool,
}

impl Operation for OpenFile {
    type Reply = OpenedFile;
    const NAME: &'static str = "fs.open_file";
    const EFFECT: Effect<Self> = Effect::Depends(|request| request.create.is_some());
    const ACTIONS: &'static [Action] = &[Action::FileOpen, Action::FileCreate, Action::FileWrite];
}

/// Open what a path names: a directory as such, anything else by its directory and name.
///
/// A directory asks `open` on `Dir::path` and on the directory it leads to. Anything else asks
/// `open` on the directory that holds it, as written and as it really is, and on `File::path`. Which of
/// the two it is comes to light only where policy allows at least one of them; a denial reads the same either way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenEntry {
    /// What is asked for. Links before the last component are followed.
    pub path: AbsPath,
}

/// What a path names.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Entry {
    /// A directory, open.
    Dir(OpenedDir),
    /// Anything else; the directory that holds it is open.
    Other {
        /// The directory that holds it.
        parent: OpenedDir,
        /// The entry.
        entry: super::DirEntry,
    },
}

impl Entry {
    /// The kind of the entry.
    pub fn kind(&self) -> EntryKind {
        match self {
            Entry::Dir(_) => EntryKind::Dir,
            Entry::Other { entry, .. } => entry.kind,
        }
    }
}

impl Operation for OpenEntry {
    type Reply = Entry;
    const NAME: &'static str = "fs.open_entry";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[Action::FileOpen];
}
