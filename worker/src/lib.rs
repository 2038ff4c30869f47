//! The sealed interpreter: runs one untrusted script and asks its session for every operation.
//!
//! * [`seal`] takes away what a worker does not need, before it sees a script;
//! * [`channel`] is its one way out: requests to the session, and what the script says;
//! * [`engine`] and [`script`] are the language and the functions that scripts call;
//! * [`text`] is work on text, and [`format`] on formats of files, that needs no permission.
//!
//! Nothing here decides or performs an operation. A bug here, or native code of an attacker, has the
//! authority of a script and no more: what the session grants, one request at a time.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod channel;
pub mod engine;
pub mod error;
pub mod fault;
pub mod format;
pub mod run;
pub mod script;
pub mod seal;
pub mod sys;
pub mod syscalls;
pub mod text;
pub mod value;
