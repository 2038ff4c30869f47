//! A session without a daemon: the caller's own rights, the same sealed worker, one run.

use crate::audit::Audit;
use crate::authz::Principal;
use crate::config::Config;
use crate::principal::{self, PrincipalError};
use crate::program::Programs;
use crate::session::{Caller, Connection, Origin, ReadyWorker, serve};
use crate::sys::{process, socket};

use std::process::ExitCode;

/// Serves one run for the client at the other end of standard input, as the user this process runs as. It is recorded where
/// that is asked for.
pub fn session(audit: Option<Audit>) -> ExitCode {
    match serve_one(audit) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve_one(audit: Option<Audit>) -> Result<(), String> {
    // If the client is killed, nobody waits for the run.
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)
        .map_err(|error| format!("cannot tie the session's life to its client's: {error}"))?;
    process::confirm_openat2()?;
    let config = Config::default();
    let programs = Programs::open(&config).map_err(|error| error.to_string())?;
    // It seals itself while all else is looked at. Where it cannot be started, that is told when it is needed.
    let ready = ReadyWorker::start(&programs.worker, &config.limits).ok();
    let fault = |error| format!("standard input is no connection: {error}; `rex-exec --standalone` makes one");
    let client = process::inherited(0).map_err(fault)?;
    let peer = socket::peer(&client).map_err(fault)?;
    let caller =
        Caller { principal: own_principal().map_err(|error| error.to_string())?, pid: peer.pid, process: peer.process };
    let connection = Connection::new(client).map_err(|error| format!("cannot use the connection: {error}"))?;
    serve(&config, &programs, connection, caller, &Origin::Standalone(audit), ready);
    Ok(())
}

fn own_principal() -> Result<Principal, PrincipalError> {
    let groups = nix::unistd::getgroups().unwrap_or_default();
    let groups: Vec<u32> = groups.into_iter().map(|group| group.as_raw()).collect();
    principal::of(nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw(), &groups)
}
