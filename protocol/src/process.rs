//! Operations on processes.

mod files;
mod list;
mod namespaces;
mod signal;
mod trace;

pub use files::{Access, FilePlace, FilesOf, ListOpenFiles, ObjectKind, OpenFile, OpenFiles, UsedBy};
pub use list::{Identity, ListProcesses, Machine, Namespace, Process, ProcessPlace, Processes};
pub use namespaces::{EnterNamespaces, EnterNetwork, NETWORKS};
pub use signal::{Seen, Signal, SignalKind, Signalled};
pub use trace::Trace;

/// The longest command line that is told, in bytes: of a longer one as much. Policy is told the same.
pub const COMMAND: usize = 32 * 1024;

/// The longest name of a process, in bytes. The kernel's are shorter, but bytes that are no UTF-8 grow.
pub const NAME: usize = 256;
