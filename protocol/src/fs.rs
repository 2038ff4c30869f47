//! Operations on files and directories.

mod attributes;
mod content;
mod entry;
mod execute;
mod link;
mod moving;
mod open;
mod put;
mod read;
mod write;

pub use attributes::{ATTRIBUTE, ReadAttribute, SELINUX, SetMode, SetOwner, WriteAttribute};
pub use content::{Allocate, CopyFile, Donate, Donated, Truncate};
pub use entry::{
    DeleteDir, DeleteFile, DirEntry, Entries, EntryKind, ListDir, MakeDir, Metadata, Object, STAT_ENTRIES, Stat,
    StatEntries,
};
pub use execute::{ARGUMENTS, Argument, Execute, Exit, Follow, ProgramOutput, RunDebugger};
pub use link::{LinkText, MakeLink, NoLinkText, OpenLink, OpenedLink, ReadLink, ReadOpenLink};
pub use moving::{MoveDir, MoveFile};
pub use open::{CreateDir, Entry, OpenDir, OpenEntry, OpenFile, OpenSubdir, OpenedDir, OpenedFile};
pub use put::{AddToFile, BeginFile, CommitFile, NoWay, Properties, PutDir, STEPS, Way};
pub use read::{Read, ReadRedacted, RedactedLines};
pub use write::{Placement, Touch, Write, Written};

/// The file whose lines tell what a redacted read may show.
pub const REDACTION_DICTIONARY: &str = "/etc/opt/rex/rex_redaction.config";
