//! What the system tells of itself, and its mounts.
//!
//! Why this is safe given a hostile worker: what is read is one of a few files that are named here, never in a request, and
//! it is passed on as it is: the worker parses it. Mount points come as validated [`AbsPath`]s, are judged as text before
//! anything is looked at, and no link in last place is followed.

mod aside;
mod identity;
mod interfaces;
mod log;
mod mount;
mod sockets;
mod table;

pub(crate) use log::OpenLog;

use super::fs::{dir_demand, file_demand, lead, open_table, real_path, refused};
use super::{Demands, Perform, Stop};
use crate::authz::{Demand, Granted, Resource};
use crate::session::State;
use rex_protocol::path::AbsPath;
use rex_protocol::{Action, Violation};

/// A path that this program names itself.
fn known(path: &'static str) -> Result<AbsPath, Stop> {
    AbsPath::parse(path).map_err(|_| Violation::new("asked for a table that has no path").into())
}
