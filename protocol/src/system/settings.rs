//! Kernel settings from files.

use crate::handle::Program;
use crate::{Action, Effect, Handle, Operation};
use serde::{Deserialize, Serialize};

/// Have `/usr/sbin/sysctl --system` load the kernel's settings from the system's configuration, as root.
///
/// Asks `load` on the kernel's settings, `open` on the directory `/usr/sbin` and `open` on the program; not `execute`, since
/// what runs is this program and nothing else. No link is followed. The program is followed as any other
/// ([`crate::fs::Follow`]), which asks for the program again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoadSettings {}

impl LoadSettings {
    /// The program that loads them.
    pub const PROGRAM: &'static str = "/usr/sbin/sysctl";
    /// Its one argument.
    pub const ARGUMENT: &'static str = "--system";
}

impl Operation for LoadSettings {
    type Reply = Handle<Program>;
    const NAME: &'static str = "system.load_settings";
    const EFFECT: Effect<Self> = Effect::Changes;
    const ACTIONS: &'static [Action] = &[Action::SysctlLoad, Action::FileOpen];
}
