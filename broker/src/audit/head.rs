//! The head of the log: how far it goes, kept beside it, so that a log that was cut short shows.
//!
//! It is one small file of two slots that are written in turns, each with its own checksum: one of them is always whole,
//! wherever a write was cut off.

use crate::digest::sha256;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The size of a slot, in bytes: what disks write as one.
const SLOT: usize = 512;
/// What a slot begins with.
const MAGIC: &str = "rex-audit-head-1";
/// What the first record of a chain has before it.
pub(super) const BEGINNING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A place in the log: behind a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    /// The number of the record; 0 before the first.
    pub(super) seq: u64,
    /// The length of the file up to there, in bytes.
    pub(super) length: u64,
    /// The SHA-256 of the record's line.
    pub(super) hash: String,
}

/// How far the log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// Counts the writes: the newest slot has the highest.
    pub(super) generation: u64,
    /// The number of the first record in the file that is written to.
    pub(super) first: u64,
    /// The inode of that file.
    pub(super) inode: u64,
    /// The boot in which this was written (`/proc/sys/kernel/random/boot_id`).
    pub(super) boot: String,
    /// The last record.
    pub(super) last: Position,
    /// The last record of which the disk has confirmed that it is written.
    pub(super) synced: Position,
}

impl Position {
    pub(super) fn beginning() -> Self {
        Self { seq: 0, length: 0, hash: BEGINNING.into() }
    }
}

impl Head {
    /// Of a log without a record.
    pub(super) fn beginning(inode: u64, boot: &str) -> Self {
        let (last, synced) = (Position::beginning(), Position::beginning());
        Self { generation: 0, first: 1, inode, boot: boot.to_owned(), last, synced }
    }

    /// What a file tells; nothing if it is empty.
    pub(super) fn read(file: &File) -> io::Result<Option<Self>> {
        let mut bytes = [0; 2 * SLOT];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if filled == 0 {
            return Ok(None);
        }
        let slots = bytes.chunks(SLOT).filter_map(Self::parse);
        let newest = slots.max_by_key(|head| head.generation);
        newest.map(Some).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is damaged"))
    }

    /// Writes it as the newest, into the slot that is not the newest so far. It was read from this file, and nobody else writes.
    pub(super) fn write(&mut self, file: &File) -> io::Result<()> {
        self.generation = self.generation.saturating_add(1);
        file.write_all_at(&self.encode(), (self.generation % 2) * SLOT as u64)
    }

    fn encode(&self) -> Vec<u8> {
        let Self { generation, first, inode, boot, last, synced } = self;
        let place = |at: &Position| format!("{} {} {}", at.seq, at.length, at.hash);
        let text = format!("{MAGIC} {generation} {first} {inode} {boot} {} {}", place(last), place(synced));
        let mut slot = format!("{text} {}\n", sha256([text.as_bytes()])).into_bytes();
        slot.resize(SLOT, b' ');
        slot
    }

    fn parse(slot: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(slot).ok()?.trim_ascii_end();
        let (text, sum) = text.rsplit_once(' ')?;
        if sha256([text.as_bytes()]) != sum {
            return None;
        }
        let mut words = text.split(' ');
        (words.next()? == MAGIC).then_some(())?;
        let generation = words.next()?.parse().ok()?;
        let first = words.next()?.parse().ok()?;
        let inode = words.next()?.parse().ok()?;
        let boot = words.next()?.to_owned();
        let mut place = || {
            let (seq, length) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            Some(Position { seq, length, hash: words.next()?.to_owned() })
        };
        Some(Self { generation, first, inode, boot, last: place()?, synced: place()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(seq: u64) -> Position {
        Position { seq, length: 100 * seq, hash: sha256([seq.to_string().as_bytes()]) }
    }

    #[test]
    fn the_newest_whole_slot_counts() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(Head::read(&file).unwrap(), None);
        let mut head = Head::beginning(7, "boot");
        for _ in 0..5 {
            head.last = place(head.last.seq + 1);
            head.write(&file).unwrap();
            assert_eq!(Head::read(&file).unwrap(), Some(head.clone()));
        }
        // The last write is cut off at every byte.
        let mut before = vec![0; 2 * SLOT];
        file.read_exact_at(&mut before, 0).unwrap();
        let older = head.clone();
        // Also when it goes back.
        head.last = place(2);
        head.write(&file).unwrap();
        let mut after = vec![0; 2 * SLOT];
        file.read_exact_at(&mut after, 0).unwrap();
        for cut in 0..before.len() {
            file.write_all_at(&after[..cut], 0).unwrap();
            file.write_all_at(&before[cut..], cut as u64).unwrap();
            let read = Head::read(&file).unwrap().unwrap();
            assert!(read == older || read == head, "{cut}");
        }
    }

    #[test]
    fn a_damaged_file_is_no_head() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[b'x'; 2 * SLOT], 0).unwrap();
        assert!(Head::read(&file).is_err());
    }
}
