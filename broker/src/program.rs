//! The programs that run behind walls.

use crate::config::Config;
use crate::jail::{Program, SpawnError};
use crate::sys::process_dir::ProcessDir;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Where packages put the worker's.
const INSTALLED: &str = "/usr/libexec/rex/rex-worker";

/// What [`is_run_by`] knows besides this process's own program, by device and inode.
static OPENED: OnceLock<Vec<(u64, u64)>> = OnceLock::new();

/// All of them, opened once: an upgrade under way changes nothing for who has begun.
pub(crate) struct Programs {
    /// Runs scripts.
    pub(crate) worker: Program,
    /// Speaks on the network. Without it scripts go without that.
    pub(crate) net: Result<Program, SpawnError>,
}

impl Programs {
    /// Opens the worker's program (the configured one, else the one beside this program, else the installed one), and that of
    /// the network: the configured one, else the one beside the worker's.
    pub(crate) fn open(config: &Config) -> Result<Self, SpawnError> {
        let [worker, net] = paths(config);
        let opened = Self { worker: Program::open(&worker)?, net: Program::open_net(&net) };
        let ids = std::iter::once(&opened.worker).chain(&opened.net).map(Program::id).collect();
        OPENED.get_or_init(|| ids);
        Ok(opened)
    }
}

/// Where the worker's program and that of the network are.
pub(crate) fn paths(config: &Config) -> [PathBuf; 2] {
    let worker = find(config);
    let net = config.net.clone().unwrap_or_else(|| worker.with_file_name("rex-net"));
    [worker, net]
}

/// Whether a process runs a program of Rex: the broker's, as sessions and supervisors do, or one that runs behind walls,
/// whosever session it serves. What cannot be told is no.
pub(crate) fn is_run_by(process: &ProcessDir) -> bool {
    let program = |process: &ProcessDir| process.stat("exe").map(|stat| (stat.st_dev, stat.st_ino)).ok();
    let Some(theirs) = program(process) else { return false };
    let own = || ProcessDir::open(std::process::id()).ok().and_then(|own| program(&own));
    OPENED.get().is_some_and(|opened| opened.contains(&theirs)) || own() == Some(theirs)
}

fn find(config: &Config) -> PathBuf {
    let beside = || {
        let own = std::env::current_exe().ok()?;
        Some(own.parent()?.join("rex-worker")).filter(|path| path.is_file())
    };
    config.worker.clone().or_else(beside).unwrap_or_else(|| Path::new(INSTALLED).to_path_buf())
}
