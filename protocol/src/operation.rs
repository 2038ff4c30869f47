//! What an operation is.

use crate::Action;
use serde::{Serialize, de::DeserializeOwned};

/// A request that a worker, or a client in its place, may make of its session: a plain struct, its reply, its name and the
/// actions that policy may be asked for on its way.
pub trait Operation: Serialize + DeserializeOwned {
    /// What a granted and performed request gives.
    type Reply: Serialize + DeserializeOwned;
    /// `domain.verb`, as it stands on the wire and in records.
    const NAME: &'static str;
    /// Whether it changes something. A dry run performs those that only look, and no others.
    const EFFECT: Effect<Self>;
    /// Every action that this operation may demand. Only [`Narrow`](crate::run::Narrow), which takes rights away, demands none.
    const ACTIONS: &'static [Action];
}

/// Whether an operation changes something outside of its run: in the system, or in another by a request that says so.
///
/// A request by a method that is safe (RFC 9110, 9.2.1), a connection, and a name that is looked up reach the outside and change
/// nothing there by what they are. What a run holds open, and what it gives up, is its own.
#[derive(Debug, Clone, Copy)]
pub enum Effect<O> {
    /// It only looks.
    Looks,
    /// It changes something.
    Changes,
    /// It does where this says so of the request.
    Depends(fn(&O) -> bool),
}

impl<O> Effect<O> {
    /// Whether this request is for a change.
    pub fn changes(&self, request: &O) -> bool {
        match self {
            Effect::Looks => false,
            Effect::Changes => true,
            Effect::Depends(changes) => changes(request),
        }
    }

    /// Whether none of its requests is.
    pub const fn only_looks(&self) -> bool {
        matches!(self, Effect::Looks)
    }
}

/// An operation that stands in [the list](crate::operations). Only those can be called and dispatched.
pub trait Listed: Operation {}
