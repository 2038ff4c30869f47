//! What processes have open.

use super::Identity;
use crate::path::AbsPath;
use crate::text::Text;
use crate::{Action, Effect, Operation};
use serde::{Deserialize, Serialize};

/// List what processes use of the file system, a page at a time.
///
/// Asks `open` and `read` of the directory `/proc`, and `list_fds` on each process. A process that was asked for by its
/// number must allow it; of all others those that are denied are left out, as are the session's own. What a process
/// may not be asked about by the kernel is missing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListOpenFiles {
    /// What is asked for.
    pub of: FilesOf,
    /// To go on: where the page before ended.
    pub after: Option<FilePlace>,
}

/// Which files are asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum FilesOf {
    /// All that this process uses.
    Process(u32),
    /// What has a path, its links followed. Where nothing is there, that is told only to whom policy lets open it.
    Path {
        /// The path.
        path: AbsPath,
        /// And what is below it.
        below: bool,
    },
}

/// A place in the order of what processes use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FilePlace {
    /// The process.
    pub pid: u32,
    /// How it uses it.
    pub access: Access,
    /// Which of them: the descriptor's number, or a count.
    pub number: u32,
}

/// How a process uses a file, in the order of listings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Access {
    /// As its working directory.
    WorkingDirectory,
    /// As its root directory.
    Root,
    /// As its program.
    Executable,
    /// Mapped into memory.
    Mapped,
    /// Open.
    Descriptor,
}

/// What an open object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ObjectKind {
    /// A directory.
    Dir,
    /// A regular file.
    File,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A pipe, with or without a name.
    Fifo,
    /// A socket.
    Socket,
    /// A symbolic link itself.
    Link,
    /// Something of the kernel's without a place anywhere.
    Anonymous,
    /// None of these.
    Unknown,
}

/// What is in use, some of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenFiles {
    /// By process. One whose files do not fit into a page comes again in the next.
    pub used: Vec<UsedBy>,
    /// Where to go on. Nothing at the end.
    pub more: Option<FilePlace>,
}

/// What one process uses.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UsedBy {
    /// The process.
    pub identity: Identity,
    /// What it uses; never nothing.
    pub files: Vec<OpenFile>,
}

/// Something that a process uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenFile {
    /// How it is used.
    pub access: Access,
    /// What it is.
    pub kind: ObjectKind,
    /// Its path as the kernel tells it, or what it is called instead.
    pub path: Text<12288>,
}

impl Operation for ListOpenFiles {
    type Reply = OpenFiles;
    const NAME: &'static str = "process.list_files";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[Action::FileOpen, Action::FileRead, Action::ProcessListFds];
}
