//! What the broker, its workers and its clients agree on.
//!
//! Four programs of one package speak three conversations:
//!
//! * [`client`]: a client submits a run to the broker and follows it;
//! * [`worker`]: a worker asks its session for [operations](operations) and tells what its script does;
//! * [`net`]: a session has a sealed program understand what comes from the network.
//!
//! Every value is validated by its type while it is decoded ([`path::AbsPath`], [`path::Name`],
//! [`text::Text`], [`handle::Handle`]): a value that does not decode proves that the sender is not
//! the program it claims to be. Nothing here does I/O or reads a clock.
#![forbid(unsafe_code)]

pub mod action;
pub mod argument;
pub mod client;
pub mod failure;
pub mod fs;
pub mod handle;
pub mod limits;
pub mod net;
pub mod network;
pub mod operation;
pub mod operations;
pub mod path;
pub mod process;
pub mod run;
pub mod status;
pub mod system;
pub mod systemd;
pub mod text;
pub mod wire;
pub mod worker;

pub use action::Action;
pub use failure::{Failure, Violation};
pub use handle::Handle;
pub use operation::{Listed, Operation};

/// The version all parts of one installation share; compared in each handshake.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
