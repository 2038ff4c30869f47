//! One run, from its submission to its outcome, in a process of its own.
//!
//! A session talks to a client that it does not trust and to a worker that it trusts even less; where the client asks for
//! operations itself there is no worker. It decides, performs and accounts for every operation, and holds every limit. It
//! never looks into a script.

mod affinity;
mod connection;
mod direct;
mod ending;
mod facts;
mod policies;
mod recording;
mod report;
mod rights;
mod run;
mod signature;
mod ssh;
mod start;
mod state;
mod submission;
mod usage;

pub(crate) use connection::Connection;
pub(crate) use ending::{CLASSES, class_name, reason_name};
pub(crate) use report::{How, Report, Reporter};
pub(crate) use run::end as end_worker;
pub(crate) use start::{Caller, ReadyWorker, serve};
pub(crate) use state::State;
pub(crate) use submission::{Origin, Reloads, Ties};
