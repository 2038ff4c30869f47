//! The walls around a worker: what is imposed from outside before it runs, and the look at it
//! afterwards, before it is trusted with a script.

mod landlock;
mod network;
mod spawn;
mod verify;

pub use landlock::MINIMUM_ABI;
pub(crate) use landlock::usable_abi;
pub(crate) use network::share as share_network;
pub(crate) use spawn::{FIRST_NOBODY_ID, map_own_ids};
pub use spawn::{Jail, Program, SpawnError, Walls, Worker};
pub use verify::{SealError, verify};
