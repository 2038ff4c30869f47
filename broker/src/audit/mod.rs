//! The record of what was decided and done, which nobody can bend: who changes it, cuts it short or takes something out is found.
//!
//! From the outside in: [`Trail`] is a run's, and says no where a record cannot be written; [`Log`] appends to the file;
//! `record` says what stands in it, `chain` and `head` hold it together, `ledger` and
//! `retention` bound it; [`verify`] and [`Reader`] are for those who read it.

mod chain;
mod error;
mod files;
mod head;
mod journal;
mod json;
mod ledger;
mod log;
mod read;
mod record;
mod retention;
mod settings;
mod snapshot;
mod trail;
mod verify;

pub use error::AuditError;
pub(crate) use journal::append_and_tell;
pub use json::is_plain;
pub use log::Log;
pub use read::{Reader, Record};
pub use record::{Asked, Decision, Entry, Event, RunEnd, RunRefused, RunStart};
pub use settings::{Audit, Journal, Sync};
pub(crate) use trail::{Decisions, Trail};
pub use verify::{Verified, verify};
