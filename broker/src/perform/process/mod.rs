//! Processes.
//!
//! Why this is safe given a hostile worker: a number is looked up once, and what it stands for is pinned by a descriptor.
//! Name, user and command line that policy judges are read from what is pinned, and what is allowed is done to that, so that
//! another process that has the number by then is never hit. The session's own processes are left alone whatever policy says.

mod files;
mod identity;
mod list;
mod maps;
mod namespaces;
mod signal;

pub(crate) use namespaces::Entered;
pub(in crate::perform) use signal::Pinned;

use crate::authz::{Demand, Resource};
use identity::Known;
use nix::errno::Errno;
use rex_protocol::Action;
use rex_protocol::failure::{Failure, FailureKind};

/// How many processes one request looks at.
const LOOKED_AT: usize = 256;
/// What the processes of one page take together, in bytes, less one of the largest size.
const PAGE: usize = 64 * 1024;

/// What policy is asked about a process.
fn demand(action: Action, process: &Known) -> Demand {
    Demand::new(action, Resource::Process(process.for_policy()))
}

/// What policy is asked about what has this number, also where nothing has it.
pub(in crate::perform) fn asked_about(action: Action, pid: u32, pinned: Option<&Pinned>) -> Demand {
    pinned.map_or_else(|| demand(action, &Known::nobody(pid)), |pinned| demand(action, &pinned.known))
}

pub(in crate::perform) fn no_process(pid: u32) -> Failure {
    Failure::new(FailureKind::NoProcess { pid }, format!("there is no process {pid}"))
}

fn refused(errno: Errno, step: &str, pid: u32) -> Failure {
    let message = format!("cannot {step} process {pid}: {}", errno.desc());
    Failure::new(FailureKind::Refused { errno: errno as i32 }, message)
}
