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
    /// Every action that this operation may demand. Only [`Narrow`](crate::run::Narrow), which takes rights away, demands none.
    const ACTIONS: &'static [Action];
}

/// An operation that stands in [the list](crate::operations). Only those can be called and dispatched.
pub trait Listed: Operation {}
