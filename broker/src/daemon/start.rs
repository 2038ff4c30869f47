//! What has to be right before anybody is served.

use super::DaemonError;
use crate::audit::{Audit, Log};
use crate::config::Config;
use crate::jail::Program;
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
    match nix::unistd::mkdir(directory, Mode::S_IRWXU) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => {
            let message =
                format!("cannot make the directory `{}` of the audit log: {}", directory.display(), errno.desc());
            return Err(DaemonError(message));
        }
    }
    Log::open_or_begin_anew(audit).map_err(|error| DaemonError(error.to_string()))
}

/// Seals a worker once, for the proof.
pub(super) fn prove_walls(program: &Program, config: &Config) -> Result<(), DaemonError> {
    let worker = crate::session::ReadyWorker::sealed(program, &config.limits)
        .map_err(|error| DaemonError(format!("cannot seal a worker on this host: {error}")))?;
    if !worker.walls().namespaces {
        tracing::warn!("workers get no namespaces of their own here: the host refuses them");
    }
    worker.end();
    Ok(())
}
