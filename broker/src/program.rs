//! The programs that run behind walls.

use crate::config::Config;
use crate::jail::{Program, SpawnError};
use std::path::{Path, PathBuf};

/// Where packages put the worker's.
const INSTALLED: &str = "/usr/libexec/rex/rex-worker";

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
        let worker = find(config);
        let net = config.net.clone().unwrap_or_else(|| worker.with_file_name("rex-net"));
        Ok(Self { worker: Program::open(&worker)?, net: Program::open_net(&net) })
    }
}

fn find(config: &Config) -> PathBuf {
    let beside = || {
        let own = std::env::current_exe().ok()?;
        Some(own.parent()?.join("rex-worker")).filter(|path| path.is_file())
    };
    config.worker.clone().or_else(beside).unwrap_or_else(|| Path::new(INSTALLED).to_path_buf())
}
