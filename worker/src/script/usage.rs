//! `disk_usage`: what directories and files take.

use super::dir::Directory;
use super::file::File;
use super::options::{self, Options};
use super::seen::Seen;
use super::walk::{Found, Step, Walk, Way, unless_limit};
use super::{Surface, item, number, refuse};
use crate::error::Result;
use rex_protocol::fs::{EntryKind, Metadata};
use rex_protocol::path::AbsPath;
use rhai::{Array, Dynamic, Map};
use serde::Deserialize;
use std::fmt;

/// What is counted, and what of it is told.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct DiskUsageOptions {
    pub(super) summarize: bool,
    pub(super) all_files: bool,
    pub(super) one_file_system: bool,
    pub(super) count_hard_links: bool,
    pub(super) apparent_size: bool,
    pub(super) track_largest_subdir: bool,
    pub(super) max_depth: Option<i64>,
}

impl Options for DiskUsageOptions {
    const NAME: &'static str = "DiskUsageOptions";

    fn check(&self) -> std::result::Result<(), String> {
        if self.summarize && self.all_files {
            return Err("Validation error: cannot both summarize and show all entries".into());
        }
        Ok(())
    }
}

impl DiskUsageOptions {
    /// Whether entries of this depth are told; those of the start have 1.
    fn shows(&self, depth: usize) -> bool {
        let most = self.max_depth.unwrap_or(i64::MAX).min(if self.summarize { 0 } else { i64::MAX });
        i64::try_from(depth).is_ok_and(|depth| depth <= most)
    }

    /// What an object takes by itself.
    fn own(&self, stat: &Metadata) -> Sum {
        let size = if self.apparent_size { stat.size } else { stat.blocks.saturating_mul(512) };
        Sum { size, inodes: 1 }
    }
}

/// What something takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum {
    /// In bytes.
    pub(super) size: u64,
    /// Objects.
    pub(super) inodes: u64,
}

impl Sum {
    fn add(&mut self, other: Sum) {
        self.size = self.size.saturating_add(other.size);
        self.inodes = self.inodes.saturating_add(other.inodes);
    }
}

/// What a directory or file takes, with all below it.
#[derive(Debug, Clone)]
pub(super) struct DiskUsageEntry {
    path: String,
    sum: Sum,
}

impl DiskUsageEntry {
    fn new(path: &AbsPath, sum: Sum) -> Self {
        Self { path: path.to_string(), sum }
    }

    /// As a map.
    pub(super) fn to_map(&self) -> Map {
        Map::from_iter([
            item("inode_count", number(self.sum.inodes)),
            item("path", self.path.clone()),
            item("size_bytes", number(self.sum.size)),
        ])
    }
}

/// What the directories of a tree take.
#[derive(Debug)]
pub(super) struct Usage {
    /// Those that are told, below before above.
    pub(super) entries: Vec<DiskUsageEntry>,
    /// All of it.
    pub(super) total: Sum,
    /// Of the directories told the largest one below the start, if it was to be kept.
    largest: Option<(u64, Directory)>,
}

/// Measures a tree. Asks `stat` on its start, which alone can be an error, and on each entry as the walk does: what is denied
/// is left out. Regular files and directories count, each once unless all their names shall; what is neither is at most told.
pub(super) fn measure(start: &Directory, options: &DiskUsageOptions) -> Result<Usage> {
    let fault = |failure| refuse::general(&failure, start.path());
    let stat = start.try_stat().map_err(fault)?;
    let device = options.one_file_system.then_some(stat.device);
    let mut measuring = Measuring::new(start, &stat, options);
    match Walk::begin(start, Way { stat: true, device, ..Way::THROUGH }) {
        Ok(mut walk) => {
            while let Some(step) = walk.next().map_err(fault)? {
                match step {
                    Step::Entry(found) => measuring.meet(found),
                    Step::Left => measuring.leave(),
                    Step::Skipped(..) => {}
                }
            }
        }
        // As if it were empty.
        Err(failure) => drop(unless_limit(failure).map_err(fault)?),
    }
    measuring.leave();
    Ok(measuring.usage)
}

/// A measuring under way.
struct Measuring<'o> {
    options: &'o DiskUsageOptions,
    seen: Seen,
    /// The directories that are not left yet, from the start on.
    levels: Vec<Level>,
    usage: Usage,
}

/// A directory that is not left yet.
struct Level {
    path: AbsPath,
    /// What is known to be in it.
    sum: Sum,
    /// Whether it may be looked at: if not, only what is in it counts.
    known: bool,
    /// Itself, where it could be the largest.
    dir: Option<Directory>,
}

impl<'o> Measuring<'o> {
    fn new(start: &Directory, stat: &Metadata, options: &'o DiskUsageOptions) -> Self {
        let start = Level { path: start.path().clone(), sum: options.own(stat), known: true, dir: None };
        let usage = Usage { entries: Vec::new(), total: Sum::default(), largest: None };
        Self { options, seen: Seen::default(), levels: vec![start], usage }
    }

    fn meet(&mut self, found: Found) {
        let shown = self.options.shows(found.depth);
        let path = found.path();
        let stat = found.stat.and_then(|stat| stat.ok());
        if let Some(dir) = found.dir {
            let path = dir.path().clone();
            let sum = stat.as_ref().map_or(Sum::default(), |stat| self.options.own(stat));
            let dir = Some(dir).filter(|_| self.options.track_largest_subdir && shown);
            self.levels.push(Level { path, sum, known: stat.is_some(), dir });
            return;
        }
        let (Some(stat), Ok(path)) = (stat, path) else { return };
        if !self.options.count_hard_links && !self.seen.name(&stat) {
            return;
        }
        let own = self.options.own(&stat);
        if let Some(level) = self.levels.last_mut().filter(|_| found.entry.kind == EntryKind::File) {
            level.sum.add(own);
        }
        if self.options.all_files && shown {
            self.usage.entries.push(DiskUsageEntry::new(&path, own));
        }
    }

    fn leave(&mut self) {
        let Some(Level { path, sum, known, dir }) = self.levels.pop() else { return };
        match self.levels.last_mut() {
            Some(above) => above.sum.add(sum),
            None => self.usage.total = sum,
        }
        if known && self.options.shows(self.levels.len()) {
            let larger = self.usage.largest.as_ref().is_none_or(|(size, _)| sum.size > *size);
            if let Some(dir) = dir.filter(|_| larger) {
                self.usage.largest = Some((sum.size, dir));
            }
            self.usage.entries.push(DiskUsageEntry::new(&path, sum));
        }
    }
}

#[derive(Debug, Clone)]
struct DiskUsageResult {
    entries: Array,
    largest: Option<Directory>,
}

impl From<Usage> for DiskUsageResult {
    fn from(usage: Usage) -> Self {
        let entries = usage.entries.into_iter().map(Dynamic::from).collect();
        Self { entries, largest: usage.largest.map(|(_, dir)| dir) }
    }
}

impl fmt::Display for DiskUsageEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DiskUsageEntry({}, {} bytes)", self.path, self.sum.size)
    }
}

/// Registers `disk_usage`, its options and what it gives.
pub(super) fn register(surface: &mut Surface) {
    options::register::<DiskUsageOptions>(surface);
    surface.function("disk_usage", |dir: Directory, options: DiskUsageOptions| {
        measure(&dir, &options).map(DiskUsageResult::from)
    });
    surface.function("disk_usage", |file: File, options: DiskUsageOptions| -> Result<DiskUsageEntry> {
        let stat = file.try_stat().map_err(|failure| refuse::general(&failure, file.path()))?;
        Ok(DiskUsageEntry::new(file.path(), options.own(&stat)))
    });
    surface.named::<DiskUsageResult>("DiskUsageResult");
    surface.property("entries", |result: &mut DiskUsageResult| result.entries.clone());
    surface.property("largest_subdir_handle", |result: &mut DiskUsageResult| {
        result.largest.clone().map_or(Dynamic::UNIT, Dynamic::from)
    });
    surface.shown::<DiskUsageEntry>("DiskUsageEntry");
    surface.property("path", |entry: &mut DiskUsageEntry| entry.path.clone());
    surface.property("size_bytes", |entry: &mut DiskUsageEntry| number(entry.sum.size));
    surface.property("inode_count", |entry: &mut DiskUsageEntry| number(entry.sum.inodes));
    surface.function("to_map", |entry: DiskUsageEntry| entry.to_map());
}
