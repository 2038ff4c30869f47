//! Acts on a Linux server through Rex, for Rust programs: a broker decides each operation by policy before it happens.
//!
//! There are two ways. **Run a script** in a sealed worker, and follow what it says; this is what `rex-exec` (`src/exec/`)
//! does, which is a thin layer over this library:
//!
//! ```no_run
//! use rex_client::{Broker, Ending, Event, Submission};
//!
//! # fn main() -> Result<(), rex_client::Error> {
//! let submission = Submission::new("info(`hello ${name}`); name.len()").argument("name", "ana");
//! let outcome = Broker::connect()?.submit(submission)?.follow(|event| match event {
//!     Event::Log(_, log) => eprintln!("{} {}", log.level.name(), log.message),
//!     Event::Output(part) => print!("{}", String::from_utf8_lossy(&part)),
//!     _ => {}
//! })?;
//! assert_eq!(outcome.ending, Ending::Succeeded);
//! # Ok(())
//! # }
//! ```
//!
//! Or **perform operations directly**, where the program is our own and needs no sandbox but should still do nothing that
//! policy does not allow:
//!
//! ```no_run
//! use rex_client::Broker;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let session = Broker::connect()?.session()?;
//! for entry in session.list_dir("/srv/notes")? {
//!     println!("{}", entry.name.to_text());
//! }
//! session.write_file("/srv/notes/today.txt", "checked\n")?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Session::call`] performs any operation of [`fs`] and [`process`]; each says there what policy is asked.
//!
//! Without the daemon, [`Broker::standalone`] starts a session with our own rights, narrowed by a policy that we bring.
//!
//! Everything blocks and nothing starts a thread. A [`Run`] that is dropped before its outcome ends, and so does a
//! [`Session`] with its last clone. An operation that was not carried out is a [`Failure`], which tells a denial from what the
//! kernel refuses; [`Error`] is about broker and connection.
#![forbid(unsafe_code)]

mod connect;
mod conversation;
mod error;
mod files;
mod run;
mod session;
mod standalone;
mod submission;

pub use connect::{Broker, SOCKET};
pub use error::Error;
pub use run::{Event, Finished, Run};
pub use session::{CallError, Held, Session};
pub use submission::{Policy, Submission, Terms};

pub use rex_protocol::argument::{Argument, Arguments};
pub use rex_protocol::change::{self, Change};
pub use rex_protocol::client::{EndClass, Ending, LimitRequest, ListedPolicy, Outcome, Refusal, RefusalReason, Usage};
pub use rex_protocol::failure::{Denial, Failure, FailureKind};
pub use rex_protocol::limits::{self, LimitName, Limits};
pub use rex_protocol::path::{AbsPath, Name, PathError};
pub use rex_protocol::ssh::{Fingerprint, Ssh};
pub use rex_protocol::text::{CHUNK, Chunk, Text, TooLong};
pub use rex_protocol::worker::{Alarm, Level, Log, Metric, Unit};
pub use rex_protocol::{Action, Effect, Handle, Listed, Operation, fs, handle, process};
