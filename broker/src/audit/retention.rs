//! What of the log is removed, and when: full files, the oldest first, once there are more than are kept.
//!
//! The record that tells of it, which lets the rest be verified, is on the disk before anything is removed. Where all ends in
//! between, too many files are there, and the next time they go.

use super::files::{first_line, open_file, refused};
use super::head::Position;
use super::log::archive;
use super::record::Entry;
use super::{Audit, AuditError, chain};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Files that are to be removed.
#[derive(Debug, Default)]
pub(super) struct Retiring {
    files: Vec<PathBuf>,
    /// What the first record that stays continues.
    before: Option<Position>,
    /// Whether there are records younger than they should become.
    early: bool,
}

impl Retiring {
    /// The full files in excess, where the one that is written to goes on from `last`.
    pub(super) fn of(settings: &Audit, last: &Position) -> Result<Self, AuditError> {
        let directory = &settings.directory;
        let archives = chain::archives(directory).map_err(|errno| refused("list", directory, &errno.desc()))?;
        let excess = archives.len().saturating_sub(settings.keep);
        let files: Vec<_> = archives.iter().take(excess).map(|first| directory.join(archive(*first))).collect();
        let Some(newest) = files.last() else { return Ok(Self::default()) };
        let before = match archives.get(excess) {
            Some(first) => predecessor(directory, *first),
            None => last.clone(),
        };
        let early = is_younger(newest, settings.reach());
        Ok(Self { before: Some(before), early, files })
    }

    /// The record that tells of it.
    pub(super) fn entry(&self, settings: &Audit) -> Option<Entry> {
        self.before.as_ref().map(|before| Entry::retired(before, self.early.then_some(settings.keep_days)))
    }

    /// Whether there is anything to remove.
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Removes them, in their order, so that no hole is left where it ends in between. What is there no more was removed by
    /// another process.
    #[allow(clippy::disallowed_methods, reason = "the record of a dry run is a real one, and so is its room")]
    pub(super) fn remove(&self) -> Result<(), AuditError> {
        for path in &self.files {
            match nix::unistd::unlink(path) {
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(errno) => return Err(refused("remove", path, &errno.desc())),
            }
        }
        if self.early {
            tracing::warn!("the audit log is full: records were removed that are younger than `audit.keep_days`");
        }
        Ok(())
    }
}

/// What the full file with this number continues. Of one that cannot be read, only the number is known: it verifies no more
/// anyhow, and does not keep others from being removed.
fn predecessor(directory: &Path, first: u64) -> Position {
    let path = directory.join(archive(first));
    let line = open_file(&path, OFlag::empty())
        .and_then(|file| first_line(file).map_err(|error| refused("read", &path, &error)));
    match line.map(|line| chain::predecessor(&line)) {
        Ok(Some(before)) => before,
        told => {
            let reason = told.err().map_or_else(|| "its first line is no record".to_owned(), |error| error.to_string());
            tracing::error!("the audit log `{}` is damaged: {reason}", path.display());
            Position { seq: first.saturating_sub(1), length: 0, hash: String::new() }
        }
    }
}

/// Whether the last record of a full file is younger than that.
fn is_younger(path: &Path, than: Duration) -> bool {
    let Ok(stat) = nix::sys::stat::lstat(path) else { return false };
    let written = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or(0));
    SystemTime::now().duration_since(written).unwrap_or_default() < than
}
