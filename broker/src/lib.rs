//! The broker: owns the access to the system, decides each operation with Cedar, performs what is allowed.
//!
//! From the outside in: [`daemon`] listens and starts a session for each run, `session` serves one run,
//! `dispatch` finds the handler of a request, [`authz`] decides, [`audit`] records it, `perform` acts, `sys` holds the system calls.
//! [`jail`] builds the walls around the worker.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unreachable
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice,
        reason = "a failing test may panic"
    )
)]

pub mod ask;
pub mod audit;
pub mod authz;
mod bus;
pub mod config;
pub mod daemon;
pub mod digest;
mod dispatch;
pub mod doctor;
mod group;
mod handles;
pub mod jail;
mod log;
mod perform;
mod plan;
pub mod policy_test;
pub mod principal;
mod program;
mod rails;
mod session;
pub mod signature;
pub mod standalone;
pub mod store;
mod sys;

pub use log::{one_line, start as start_log};
