//! Where the programs are that run behind walls.

use crate::config::Config;
use crate::jail::{Program, SpawnError};
use std::path::{Path, PathBuf};

/// Where packages put it.
const INSTALLED: &str = "/usr/libexec/rex/rex-worker";

/// Opens the worker's program: the configured one, else the one beside this program, else the installed one.
pub(crate) fn open(config: &Config) -> Result<Program, SpawnError> {
    Program::open(&find(config))
}

fn find(config: &Config) -> PathBuf {
    let beside = || {
        let own = std::env::current_exe().ok()?;
        Some(own.parent()?.join("rex-worker")).filter(|path| path.is_file())
    };
    config.worker.clone().or_else(beside).unwrap_or_else(|| Path::new(INSTALLED).to_path_buf())
}

/// Where the program is that speaks on the network: the configured one, else the one beside the worker's.
pub(crate) fn net(config: &Config) -> PathBuf {
    config.net.clone().unwrap_or_else(|| find(config).with_file_name("rex-net"))
}
