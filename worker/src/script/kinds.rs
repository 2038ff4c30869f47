//! The kinds of errors and of directory entries, as constants.

use super::Surface;
use crate::error::{CommonUtils, Diskinfo, Io, Kind, Network, Process, Systeminfo};
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
    constants(surface, Io::SOURCE, Io::CONSTANTS);
    constants(surface, CommonUtils::SOURCE, CommonUtils::CONSTANTS);
    constants(surface, Process::SOURCE, Process::CONSTANTS);
    constants(surface, Systeminfo::SOURCE, Systeminfo::CONSTANTS);
    constants(surface, Diskinfo::SOURCE, Diskinfo::CONSTANTS);
    constants(surface, Network::SOURCE, Network::CONSTANTS);
    surface.shown::<EntryType>("EntryType");
    surface.comparable::<EntryType>();
    surface.constants("EntryType", EntryType::ALL.iter().map(|(name, kind)| ((*name).to_owned(), EntryType(*kind))));
}

fn constants<K: Into<Kind> + Copy>(surface: &mut Surface, source: &str, kinds: &[K]) {
    let kinds = kinds.iter().map(|kind| (*kind).into());
    surface.constants(source, kinds.map(|kind: Kind| (kind.name.to_owned(), kind)));
}
