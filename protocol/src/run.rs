//! Operations on the run itself.

use crate::text::Text;
use crate::{Action, Effect, Operation};
use serde::{Deserialize, Serialize};

/// The longest policy by which a run gives up rights, in bytes.
pub const NARROWING: usize = 64 * 1024;
/// How often a run may give up rights.
pub const NARROWINGS: usize = 16;

/// Give up rights for the rest of the run: from now on this policy must allow everything as well, whatever is open already
/// included. Nothing takes it back.
///
/// Asks nothing of policy, as it takes rights away and gives none. A policy that does not parse is an error that names the line, and
/// so is one more than [`NARROWINGS`]; then nothing is given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Narrow {
    /// Policies as they stand in a file.
    pub policy: Text<NARROWING>,
}

/// The run has given up rights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Narrowed {
    /// What the author of the policy should know, the first of it.
    pub warnings: Vec<Text<1024>>,
}

impl Operation for Narrow {
    type Reply = Narrowed;
    const NAME: &'static str = "run.narrow";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[];
}
