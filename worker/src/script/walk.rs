//! Walks through the tree below a directory: depth first, parents before children, in the order of the file system.
//!
//! Nothing recurses. A walk keeps open the directories above the place where it is, but for those in which nothing is left to
//! come, and of each at most one page of its entries. A directory is opened and listed before it is passed on.

use super::dir::{Directory, How};
use super::seen::Seen;
use crate::channel::Held;
use crate::text::path;
use rex_protocol::Failure;
use rex_protocol::failure::FailureKind;
use rex_protocol::fs::{DirEntry, EntryKind, Metadata, STAT_ENTRIES, StatEntries};
use rex_protocol::handle::Listing;
use rex_protocol::path::{AbsPath, Name};
use std::collections::VecDeque;

/// What the session answers.
type Answer<T> = Result<T, Failure>;

/// How far a walk goes, and what it finds out on the way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    /// The depth of the last entries; those of the start itself have 1. Directories at this depth are opened, not listed.
    pub(super) deepest: usize,
    /// Whether each entry is asked about: `open` and `stat`; `stat` alone where there is nothing to open.
    pub(super) stat: bool,
    /// To stay on this device: a directory on another one is left out.
    pub(super) device: Option<u64>,
    /// Pass what links lead to, each object once. Everything is asked about then.
    pub(super) follow: bool,
}

impl Way {
    /// To everything below, asking about nothing.
    pub(super) const THROUGH: Way = Way { deepest: usize::MAX, stat: false, device: None, follow: false };
}

/// What a walk comes to.
#[derive(Debug)]
pub(super) enum Step {
    /// An entry.
    Entry(Found),
    /// The directory that was passed and not yet left: all of its content has been.
    Left,
    /// An entry with all below it, or what is left of a directory's content, is left out.
    Skipped(AbsPath, Failure),
}

/// An entry that a walk comes to.
#[derive(Debug)]
pub(super) struct Found {
    /// The directory that holds it.
    pub(super) parent: Directory,
    /// The entry; of a followed link its name, with kind and inode of what it leads to.
    pub(super) entry: DirEntry,
    /// How far below the start it is, from 1.
    pub(super) depth: usize,
    /// Whether it is a link that was followed.
    pub(super) followed: bool,
    /// A directory, open.
    pub(super) dir: Option<Directory>,
    /// What it is like, if that was asked; nothing for a name that cannot be used.
    pub(super) stat: Option<Answer<Metadata>>,
}

impl Found {
    /// Its path.
    pub(super) fn path(&self) -> Answer<AbsPath> {
        usable(&self.parent, &self.entry.name)
    }
}

/// A walk under way.
#[derive(Debug)]
pub(super) struct Walk {
    way: Way,
    seen: Seen,
    /// The directories that are not left yet, from the start to where the walk is.
    levels: Vec<Level>,
    /// Steps that come before any other.
    ready: VecDeque<Step>,
}

impl Walk {
    /// Begins below `start`, with its first entries listed.
    pub(super) fn begin(start: &Directory, way: Way) -> Answer<Self> {
        let mut seen = Seen::default();
        if way.follow {
            seen.dir(&start.try_stat()?, 0);
        }
        let level = Level::list(start.clone())?;
        Ok(Self { way, seen, levels: vec![level], ready: VecDeque::new() })
    }

    /// The next step; nothing at the end. Fails only where a limit of the run is reached.
    pub(super) fn next(&mut self) -> Answer<Option<Step>> {
        loop {
            if let Some(step) = self.ready.pop_front() {
                return Ok(Some(step));
            }
            let depth = self.levels.len();
            let Some(level) = self.levels.last_mut() else { return Ok(None) };
            match level.next(self.way) {
                Ok(Some(met)) => self.meet(met, depth)?,
                Ok(None) => {
                    self.levels.pop();
                    if !self.levels.is_empty() {
                        return Ok(Some(Step::Left));
                    }
                }
                Err((path, failure)) => self.skip(path, failure)?,
            }
        }
    }

    fn meet(&mut self, met: Met, depth: usize) -> Answer<()> {
        let Met { parent, entry, stat } = met;
        match entry.kind {
            EntryKind::Dir => match open(&parent, &entry.name, false) {
                Ok(dir) => self.enter(Found { parent, entry, depth, followed: false, dir: Some(dir), stat: None }),
                Err((path, failure)) => self.skip(path, failure),
            },
            EntryKind::Symlink if self.way.follow => self.follow(parent, entry, depth, stat),
            _ => {
                let known = stat.as_ref().and_then(|stat| stat.as_ref().ok());
                if !self.way.follow || known.is_some_and(|stat| self.seen.object(stat)) {
                    let found = Found { parent, entry, depth, followed: false, dir: None, stat };
                    self.ready.push_back(Step::Entry(found));
                }
                Ok(())
            }
        }
    }

    /// Passes what a link leads to: a regular file, else a directory, else nothing.
    fn follow(
        &mut self,
        parent: Directory,
        link: DirEntry,
        depth: usize,
        stat: Option<Answer<Metadata>>,
    ) -> Answer<()> {
        // A link that may not be looked at is not followed either.
        if !matches!(stat, Some(Ok(_))) {
            return Ok(());
        }
        let file = parent.try_file(&link.name, How { follow: true, ..How::READ });
        match file.and_then(|file| file.try_stat()) {
            Ok(stat) if self.seen.object(&stat) => {
                let entry = DirEntry { kind: EntryKind::File, inode: stat.inode, ..link };
                let found = Found { parent, entry, depth, followed: true, dir: None, stat: Some(Ok(stat)) };
                self.ready.push_back(Step::Entry(found));
                return Ok(());
            }
            Ok(_) => return Ok(()),
            Err(failure) => unless_limit(failure)?,
        };
        match open(&parent, &link.name, true) {
            Ok(dir) => {
                let entry = DirEntry { kind: EntryKind::Dir, ..link };
                self.enter(Found { parent, entry, depth, followed: true, dir: Some(dir), stat: None })
            }
            Err((path, failure)) => self.skip(path, failure),
        }
    }

    /// Passes a directory that is open, listed unless it is too deep or on another device.
    fn enter(&mut self, found: Found) -> Answer<()> {
        let Some(dir) = found.dir.clone() else { return Ok(()) };
        let asks = self.way.stat || self.way.follow || self.way.device.is_some();
        let stat = asks.then(|| dir.try_stat());
        let known = stat.as_ref().and_then(|stat| stat.as_ref().ok());
        let elsewhere = self.way.device.is_some_and(|device| known.is_none_or(|stat| stat.device != device));
        let again = self.way.follow && known.is_none_or(|stat| !self.seen.dir(stat, found.depth));
        if elsewhere || again {
            return Ok(());
        }
        let inode = known.filter(|_| found.followed).map_or(found.entry.inode, |stat| stat.inode);
        let depth = found.depth;
        let entry = DirEntry { inode, ..found.entry };
        self.ready.push_back(Step::Entry(Found { entry, stat, ..found }));
        if depth >= self.way.deepest {
            self.ready.push_back(Step::Left);
            return Ok(());
        }
        let path = dir.path().clone();
        match Level::list(dir) {
            Ok(level) => self.levels.push(level),
            Err(failure) => {
                self.skip(path, failure)?;
                self.ready.push_back(Step::Left);
            }
        }
        Ok(())
    }

    fn skip(&mut self, path: AbsPath, failure: Failure) -> Answer<()> {
        let failure = unless_limit(failure)?;
        self.ready.push_back(Step::Skipped(path, failure));
        Ok(())
    }
}

/// A directory that is not left yet.
#[derive(Debug)]
struct Level {
    /// The directory, until the last of its entries was met.
    dir: Option<Directory>,
    listing: Option<Held<Listing>>,
    /// What has been listed and not yet met.
    entries: VecDeque<DirEntry>,
    /// What has been asked about the first of these, those that are asked about.
    stats: VecDeque<Answer<Metadata>>,
}

/// An entry when its turn comes.
struct Met {
    parent: Directory,
    entry: DirEntry,
    stat: Option<Answer<Metadata>>,
}

impl Level {
    fn list(dir: Directory) -> Answer<Self> {
        let mut listing = None;
        let entries = dir.page(&mut listing)?.into();
        Ok(Self { dir: Some(dir), listing, entries, stats: VecDeque::new() })
    }

    /// The next entry; nothing at the end, and after a failure.
    fn next(&mut self, way: Way) -> Result<Option<Met>, (AbsPath, Failure)> {
        let Some(dir) = self.dir.clone() else { return Ok(None) };
        while self.entries.is_empty() && self.listing.is_some() {
            match dir.page(&mut self.listing) {
                Ok(page) => self.entries = page.into(),
                Err(failure) => {
                    (self.dir, self.listing) = (None, None);
                    return Err((dir.path().clone(), failure));
                }
            }
        }
        let asks = |entry: &DirEntry| {
            let by_name = entry.kind != EntryKind::Dir && (way.stat || way.follow);
            by_name && usable(&dir, &entry.name).is_ok()
        };
        let asked = self.entries.front().is_some_and(asks);
        if asked && self.stats.is_empty() {
            let some = self.entries.iter().filter(|entry| asks(entry)).take(STAT_ENTRIES);
            self.stats = stats(&dir, some.map(|entry| (entry.name.clone(), entry.kind)).collect());
        }
        let stat = if asked { self.stats.pop_front() } else { None };
        let entry = self.entries.pop_front();
        if self.entries.is_empty() && self.listing.is_none() {
            self.dir = None;
        }
        Ok(entry.map(|entry| Met { parent: dir, entry, stat }))
    }
}

/// What the first of some entries are like. A failure of the request is one of each of them.
fn stats(dir: &Directory, entries: Vec<(Name, EntryKind)>) -> VecDeque<Answer<Metadata>> {
    let count = entries.len();
    match dir.channel().call(&StatEntries { dir: dir.handle(), entries }) {
        Ok(stats) => stats.into(),
        Err(failure) => vec![Err(failure); count].into(),
    }
}

fn open(parent: &Directory, name: &Name, follow: bool) -> Result<Directory, (AbsPath, Failure)> {
    let path = usable(parent, name).map_err(|failure| (parent.path().clone(), failure))?;
    parent.try_subdir(name, follow).map_err(|failure| (path, failure))
}

/// The path of an entry, if its name is one that scripts can use.
fn usable(dir: &Directory, name: &Name) -> Answer<AbsPath> {
    path::listed(dir.path(), name).map_err(|error| Failure::new(FailureKind::InvalidPath, error.message()))
}

/// A limit of the run is no reason to leave something out: the walk would go on to the wrong result.
pub(super) fn unless_limit(failure: Failure) -> Answer<Failure> {
    if matches!(failure.kind, FailureKind::Limit(_)) { Err(failure) } else { Ok(failure) }
}
