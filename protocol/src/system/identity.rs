//! What the system is called, and what it runs on.

use crate::text::Text;
use crate::{Action, Effect, Operation};
use serde::{Deserialize, Serialize};

/// Ask for the names of the system (`uname(2)`). Asks `list` on the system's information.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Uname {}

/// The names of the system, as the kernel has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemNames {
    /// The kernel: `Linux`.
    pub kernel: Text<256>,
    /// The host's name.
    pub node: Text<256>,
    /// The kernel's release.
    pub release: Text<256>,
    /// How and when the kernel was built.
    pub version: Text<256>,
    /// The machine's architecture.
    pub machine: Text<256>,
}

impl Operation for Uname {
    type Reply = SystemNames;
    const NAME: &'static str = "system.uname";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[Action::SysinfoList];
}

/// Ask which processors are in use. Asks `list` on the system's information.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OnlineProcessors {}

impl Operation for OnlineProcessors {
    /// Their numbers as the kernel lists them (`/sys/devices/system/cpu/online`): `0-3,8`.
    type Reply = Text<4096>;
    const NAME: &'static str = "system.online_processors";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[Action::SysinfoList];
}
