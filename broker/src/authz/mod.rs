//! Decisions. The only place that evaluates Cedar.
//!
//! [`PolicyStore::load`] parses and indexes policies once; [`Authorizer`] holds them for one run and its principal
//! and answers [`Demand`]s. It is the only maker of [`Granted`].

mod bounds;
mod conditions;
mod demand;
mod engine;
mod entity;
mod index;
mod load;
mod schema;
mod warning;

pub use demand::{Decision, Demand, Granted, Principal, Resource};
pub use engine::Authorizer;
pub use load::{PolicyError, PolicySource, PolicyStore, Strictness};
pub use warning::PolicyWarning;
