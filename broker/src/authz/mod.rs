//! Decisions. The only place that evaluates Cedar.
//!
//! [`PolicyStore::load`] parses and indexes policies once; [`Authorizer`] holds them for one run and its principal
//! and answers [`Demand`]s. It is the only maker of [`Granted`].

mod address;
mod attributes;
mod bounds;
mod conditions;
mod context;
mod demand;
mod engine;
mod entity;
mod index;
mod inspected;
mod keys;
mod load;
mod memberships;
mod parts;
mod plain;
mod powers;
mod question;
mod reach;
mod schema;
mod session;
mod setting;
pub(crate) mod told;
mod vocabulary;
mod warning;

pub(crate) use context::tags;
pub use demand::{
    Context, Decision, Demand, Granted, Object, Principal, ProcessIdentity, ProgramContext, Resource, Url,
};
pub use engine::{Authorizer, Entry, Explained, Explanation, Listed, Missed, Relocation};
pub use load::{PolicyError, PolicySource, PolicyStore, Strictness};
pub use memberships::{MembershipError, Memberships};
pub use question::{Question, QuestionError, RunAs, Told, Word};
pub use reach::{Place, Power, Reach};
pub use session::{Session, Spent, Via};
pub(crate) use told::{Decided, beginning, cut};
pub use warning::PolicyWarning;
