//! What has to be right before anybody is served.

use super::DaemonError;
use crate::audit::{Audit, Log};
use crate::config::Config;
use crate::jail::Program;
use crate::program::Programs;
use crate::store::{Store, StoreError};
use nix::errno::Errno;
use nix::sys::stat::Mode;

/// The policies, and what should be known of them.
pub(super) fn load_store(config: &Config) -> Result<Store, StoreError> {
    let store = Store::load(config)?;
    for warning in &store.warnings {
        tracing::warn!("policy store: {warning}");
    }
    Ok(store)
}

/// The log, in a directory that is made if nothing but that is missing.
#[allow(
    clippy::disallowed_methods,
    reason = "the log's directory is the administrator's, made before anybody is served"
)]
pub(super) fn open_log(audit: &Audit) -> Result<Log, DaemonError> {
    let directory = &audit.directory;
    let fault = |error: &dyn std::fmt::Display| {
        DaemonError(format!("{error}; it needs a directory that root alone can write to (`[audit] directory`)"))
    };
    match nix::unistd::mkdir(directory, Mode::S_IRWXU) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => {
            let path = directory.display();
            return Err(fault(&format_args!("cannot make the directory `{path}` of the audit log: {}", errno.desc())));
        }
    }
    Log::open_or_begin_anew(audit).map_err(|error| fault(&error))
}

/// The programs of workers and of the network.
pub(super) fn open_programs(config: &Config) -> Result<Programs, DaemonError> {
    let programs = Programs::open(config)
        .map_err(|error| DaemonError(format!("{error}; install it there, or name another (`worker`)")))?;
    if let Err(error) = &programs.net {
        tracing::warn!("scripts will have no network: {error}");
    }
    Ok(programs)
}

/// Seals a worker once, for the proof.
pub(super) fn prove_walls(program: &Program, config: &Config) -> Result<(), DaemonError> {
    let worker = crate::session::ReadyWorker::sealed(program, &config.limits)
        .map_err(|error| {
            format!("cannot seal a worker on this host: {error}; `rex-broker doctor` tells what is missing")
        })
        .map_err(DaemonError)?;
    if !worker.walls().namespaces {
        tracing::warn!("workers get no namespaces of their own here: the host refuses them");
    }
    worker.end();
    Ok(())
}
