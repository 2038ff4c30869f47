//! The network.
//!
//! Why this is safe given a hostile worker, server or name server: a session parses none of what they send. URLs, answers of name
//! servers, TLS and HTTP are understood by a sealed program ([`helper`]), a new one for each request, which has no way to the
//! network: the session makes each connection itself, to an address that policy has judged, and hands it over. So even a
//! program that has been taken over speaks with nobody else. Names are resolved once, and the address is kept. Sizes and
//! times are bounded, and the session notices meanwhile that its client has gone.

mod connect;
mod dial;
mod fetch;
mod helper;
mod judge;
mod names;
mod resolve;

pub(crate) use connect::OpenConnection;
pub(crate) use fetch::KeptBody;

use crate::authz::Demand;
use crate::perform::{Demands, Perform, Stop};
use crate::session::State;
use nix::errno::Errno;
use rex_protocol::failure::{Failure, FailureKind};

/// That a request has no response.
fn request_failed(why: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Request, why)
}

/// That the kernel does not do a step of it.
fn refused(errno: Errno, step: &str) -> Failure {
    Failure::new(FailureKind::Refused { errno: errno as i32 }, format!("cannot {step}: {}", errno.desc()))
}
