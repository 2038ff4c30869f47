//! Runs scripts through the broker, for Rust programs. `rex-exec` (`src/exec/`) is a thin layer over it.
//!
//! ```no_run
//! use rex_client::{Broker, Ending, Event, Submission};
//!
//! # fn main() -> Result<(), rex_client::Error> {
//! let mut run = Broker::listening_at(rex_client::SOCKET)?.submit(Submission::new("1 + 1"))?;
//! let mut output = Vec::new();
//! for event in &mut run {
//!     match event? {
//!         Event::Output(part) => output.extend(part),
//!         Event::Outcome(outcome) => assert_eq!(outcome.ending, Ending::Succeeded),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Everything blocks and nothing starts a thread. A [`Run`] that is dropped before its outcome ends.
#![forbid(unsafe_code)]

mod connect;
mod error;
mod run;
mod standalone;
mod submission;

pub use connect::{Broker, SOCKET};
pub use error::Error;
pub use run::{Event, Run};
pub use submission::{Policy, Submission};

pub use rex_protocol::argument::{Argument, Arguments};
pub use rex_protocol::client::{EndClass, Ending, LimitRequest, Outcome, Refusal, RefusalReason, Usage};
pub use rex_protocol::limits::{self, LimitName, Limits};
pub use rex_protocol::worker::{Alarm, Level, Log, Metric, Unit};
