//! Operations on files and directories.

mod entry;
mod open;
mod read;
mod write;

pub use entry::{DeleteDir, DeleteFile, DirEntry, Entries, EntryKind, ListDir, MakeDir, Metadata, Object, Stat};
pub use open::{CreateDir, Entry, OpenDir, OpenEntry, OpenFile, OpenedDir, OpenedFile};
pub use read::{Read, ReadRedacted, RedactedLines};
pub use write::{Placement, Touch, Write, Written};

/// The file whose lines tell what a redacted read may show.
pub const REDACTION_DICTIONARY: &str = "/etc/opt/rex/rex_redaction.config";
