//! How the log is kept: `[audit]` in the configuration.

use serde::Deserialize;
use std::path::PathBuf;

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
    /// How many full files are kept.
    pub keep: usize,
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
        Self { directory: "/var/log/rex".into(), sync: Sync::Run, rotate_mib: 64, keep: 16, journal: Journal::Denials }
    }
}

impl Audit {
    pub(super) fn rotate_bytes(&self) -> u64 {
        self.rotate_mib.saturating_mul(1024 * 1024)
    }
}
