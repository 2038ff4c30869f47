//! The kinds of errors and of directory entries, as constants.

use super::Surface;
use crate::error::{CommonUtils, Io, Kind, Process};
use rex_protocol::fs;
use std::fmt;

/// The kind of a directory entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryType(pub fs::EntryKind);

impl EntryType {
    const ALL: &'static [(&'static str, fs::EntryKind)] = &[
        ("FILE", fs::EntryKind::File),
        ("DIR", fs::EntryKind::Dir),
        ("SYMLINK", fs::EntryKind::Symlink),
        ("UNKNOWN", fs::EntryKind::Unknown),
        ("FIFO", fs::EntryKind::Fifo),
        ("SOCKET", fs::EntryKind::Socket),
        ("CHAR_DEVICE", fs::EntryKind::CharDevice),
        ("BLOCK_DEVICE", fs::EntryKind::BlockDevice),
    ];
}

impl fmt::Display for EntryType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Registers the kinds.
pub fn register(surface: &mut Surface) {
    surface.shown::<Kind>("ErrorKind");
    surface.comparable::<Kind>();
    let io = Io::CONSTANTS.iter().map(|kind| kind.kind());
    surface.constants(Io::SOURCE, io.map(|kind| (kind.name.to_owned(), kind)));
    let utils = CommonUtils::CONSTANTS.iter().map(|kind| kind.kind());
    surface.constants(CommonUtils::SOURCE, utils.map(|kind| (kind.name.to_owned(), kind)));
    let process = Process::CONSTANTS.iter().map(|kind| kind.kind());
    surface.constants(Process::SOURCE, process.map(|kind| (kind.name.to_owned(), kind)));
    surface.shown::<EntryType>("EntryType");
    surface.comparable::<EntryType>();
    surface.constants("EntryType", EntryType::ALL.iter().map(|(name, kind)| ((*name).to_owned(), EntryType(*kind))));
}
