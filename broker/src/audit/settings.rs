//! How the log is kept: `[audit]` in the configuration.

use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// How the log is kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// Its directory. It is made if only itself is missing.
    pub directory: PathBuf,
    /// When the disk has to confirm what is written.
    pub sync: Sync,
    /// From which size on a file is full, in MiB.
    pub rotate_mib: u64,
    /// How many full files are kept at most: the oldest is removed when another one is full.
    pub keep: usize,
    /// For how many days records are to be kept, at least 1. No user's runs alone can fill the log so fast that younger ones are
    /// removed; where those of many do, that is told.
    pub keep_days: u32,
    /// How much of the log the records of one run may fill, in MiB; 0 is no limit.
    pub run_mib: u64,
    /// How much the records of one user's runs may fill, in MiB, which is regained evenly within [`Self::keep_days`]; 0 is no limit.
    /// Nothing is a quarter of what is kept. It does not hold for root, and for the user that the broker runs as.
    pub user_mib: Option<u64>,
    /// What goes to the journal besides.
    pub journal: Journal,
}

/// When the disk has to confirm what is written. The kernel has each record before what it tells of is done: this is about power cuts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sync {
    /// At the end of each run, after its caller has the answer.
    Run,
    /// Before each thing that is done. It costs what the disk takes each time.
    Record,
}

/// What goes to the journal besides, where systemd has connected it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Journal {
    /// Starts and ends of runs, denials, violations, and what becomes of policies.
    Denials,
    /// Every record.
    All,
    /// Nothing.
    None,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            directory: "/var/log/rex".into(),
            sync: Sync::Run,
            rotate_mib: 64,
            keep: 64,
            keep_days: 30,
            run_mib: 256,
            user_mib: None,
            journal: Journal::Denials,
        }
    }
}

impl Audit {
    /// What cannot be, in words.
    pub(crate) fn fault(&self) -> Option<String> {
        for (key, is_zero) in [("rotate_mib", self.rotate_mib == 0), ("keep_days", self.keep_days == 0)] {
            if is_zero {
                return Some(format!("`audit.{key}` is 0"));
            }
        }
        // What is granted may be filled at once, and once more while it is regained.
        let most = self.kept_bytes() / 2;
        (self.user_bytes() > most).then(|| {
            format!(
                "with `audit.user_mib`, one user's runs could fill the whole log within `audit.keep_days`: at most {} MiB, half \
                 of what `audit.keep` and `audit.rotate_mib` keep, leave something of it",
                most / MIB
            )
        })
    }

    pub(super) fn rotate_bytes(&self) -> u64 {
        self.rotate_mib.saturating_mul(MIB)
    }

    /// What a run's records may fill.
    pub(super) fn run_bytes(&self) -> Option<u64> {
        (self.run_mib > 0).then(|| self.run_mib.saturating_mul(MIB))
    }

    /// What the records of a user's runs may fill; 0 is no limit.
    pub(super) fn user_bytes(&self) -> u64 {
        self.user_mib.map_or(self.kept_bytes() / 4, |mib| mib.saturating_mul(MIB))
    }

    /// How far the log is to reach back.
    pub(super) fn reach(&self) -> Duration {
        Duration::from_secs(u64::from(self.keep_days) * 24 * 60 * 60)
    }

    fn kept_bytes(&self) -> u64 {
        self.rotate_bytes().saturating_mul(u64::try_from(self.keep).unwrap_or(u64::MAX).max(1))
    }
}

const MIB: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_user_alone_may_fill_all_of_it() {
        let usual = Audit::default();
        assert_eq!((usual.fault(), usual.user_bytes()), (None, 1024 * MIB));
        let with = |user_mib| Audit { user_mib: Some(user_mib), ..Audit::default() };
        assert_eq!(with(0).fault(), None);
        assert_eq!(with(2048).fault(), None);
        assert!(with(2049).fault().is_some_and(|fault| fault.contains("at most 2048 MiB")));
        assert!(Audit { keep: 0, ..Audit::default() }.fault().is_none());
        assert!(Audit { keep_days: 0, ..Audit::default() }.fault().is_some());
    }
}
