//! Directory entries: listing, metadata, making and removing.

use crate::handle::{Dir, File, Link, Listing};
use crate::path::{AbsPath, Name};
use crate::text::Text;
use crate::{Action, Effect, Failure, Handle, Operation};
use serde::{Deserialize, Serialize};

/// What stands in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// The file system does not tell.
    Unknown,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirEntry {
    /// Its name.
    pub name: Name,
    /// Its kind.
    pub kind: EntryKind,
    /// Its inode number.
    pub inode: u64,
}

/// List an open directory, without `.` and `..`, in the order of the file system.
///
/// Asks `read` on the directory. Gives some entries and, while there are more, a listing to go on with: one handle from the
/// first reply to the last, open until the worker lets go of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListDir {
    /// The directory.
    pub dir: Handle<Dir>,
    /// To go on: the listing of the reply before. It stays open until it is let go of.
    pub listing: Option<Handle<Listing>>,
}

/// Some entries of a directory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entries {
    /// The entries.
    pub entries: Vec<DirEntry>,
    /// The listing to ask for more: the one that was asked, if one was. Nothing at the end.
    pub more: Option<Handle<Listing>>,
}

impl Operation for ListDir {
    type Reply = Entries;
    const NAME: &'static str = "fs.list_dir";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[Action::FileRead];
}

/// Make a directory (mode 0777 less the umask). One that is there is fine.
///
/// Without `parents`: asks `open` on the directory that shall hold it, as written and as it really
/// is, and `create` on the new one. With `parents`: asks `create` on each missing directory from the top
/// down, and `open` on the deepest one that is there, as written and as it really is; all before any is made.
/// Where the directory is already there, `open` or `create` on it must be allowed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MakeDir {
    /// The directory.
    pub path: AbsPath,
    /// Make missing parents too.
    pub parents: bool,
}

impl Operation for MakeDir {
    type Reply = ();
    const NAME: &'static str = "fs.make_dir";
    const EFFECT: Effect<Self> = Effect::Changes;
    const ACTIONS: &'static [Action] = &[Action::FileOpen, Action::FileCreate];
}

/// An open object of the file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Object {
    /// A directory.
    Dir(Handle<Dir>),
    /// A file.
    File(Handle<File>),
    /// A symbolic link itself.
    Link(Handle<Link>),
}

/// Ask what an open object is like. Asks `stat` on it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stat {
    /// The object.
    pub object: Object,
}

/// What an object is like; `inode(7)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Its kind.
    pub kind: EntryKind,
    /// Type and permission bits, the whole `st_mode`.
    pub mode: u32,
    /// Length in bytes.
    pub size: u64,
    /// Blocks of 512 bytes.
    pub blocks: u64,
    /// Number of hard links.
    pub links: u64,
    /// Inode number, unique on its device.
    pub inode: u64,
    /// The device that holds it; `stat(2)`.
    pub device: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The owner's name, if it has one.
    pub user: Option<Text<256>>,
    /// The group's name, if it has one.
    pub group: Option<Text<256>>,
    /// Last modification, seconds since 1970.
    pub modified_seconds: i64,
    /// And nanoseconds.
    pub modified_nanos: u32,
    /// Last change of its properties, seconds since 1970.
    pub changed_seconds: i64,
}

impl Operation for Stat {
    type Reply = Metadata;
    const NAME: &'static str = "fs.stat";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[Action::FileStat];
}

/// Ask what some entries of an open directory are like, links themselves.
///
/// Asks of each entry, by its kind: `open` and `stat` on a file, directory or link, `stat` on anything else. An entry
/// that is denied, or that cannot be looked at, takes its failure and does not stop the others.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatEntries {
    /// The directory.
    pub dir: Handle<Dir>,
    /// The entries with their kinds as they were listed, at most [`STAT_ENTRIES`]. One that is of another kind by now
    /// fails.
    pub entries: Vec<(Name, EntryKind)>,
}

/// The most entries that one [`StatEntries`] asks about.
pub const STAT_ENTRIES: usize = 256;

impl Operation for StatEntries {
    /// In the order of the request, as many as one reply carries and at least one: ask again for the rest.
    type Reply = Vec<Result<Metadata, Failure>>;
    const NAME: &'static str = "fs.stat_entries";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[Action::FileStat, Action::FileOpen];
}

/// Remove the name that an open file was opened by: for a followed link the link itself.
///
/// Asks `delete` on that path. Refused as gone where the name holds another object by now.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeleteFile {
    /// The file.
    pub file: Handle<File>,
}

impl Operation for DeleteFile {
    type Reply = ();
    const NAME: &'static str = "fs.delete_file";
    const EFFECT: Effect<Self> = Effect::Changes;
    const ACTIONS: &'static [Action] = &[Action::FileDelete];
}

/// Remove an open directory. Asks `delete` on it, and on nothing below it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeleteDir {
    /// The directory.
    pub dir: Handle<Dir>,
    /// Remove what is in it too; links are removed, not followed.
    pub recursive: bool,
}

impl Operation for DeleteDir {
    type Reply = ();
    const NAME: &'static str = "fs.delete_dir";
    const EFFECT: Effect<Self> = Effect::Changes;
    const ACTIONS: &'static [Action] = &[Action::FileDelete];
}
