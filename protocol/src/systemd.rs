//! Operations on the service manager, org.freedesktop.systemd1(5).
//!
//! What the manager is asked takes its time. So each operation begins a task, and [`FollowTask`] tells how it ended.

use crate::handle::{Handle, Task};
use crate::text::Text;
use crate::{Action, Effect, Operation};
use serde::{Deserialize, Serialize};

/// The longest name of a unit, in bytes; systemd's own limit is 255.
pub const UNIT_NAME: usize = 1024;

/// Start a unit, and all that it needs. Done when its job is: a service that fails to start is a failure.
///
/// Asks `start` on the unit's name as it is given and, where that is an alias, on the unit's own name too, before anything is
/// done. The manager is not spoken to before the first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StartUnit {
    /// The unit's name, with its suffix.
    pub name: Text<UNIT_NAME>,
}

/// Stop a unit. Asks `stop` as [`StartUnit`] asks `start`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StopUnit {
    /// The unit's name, with its suffix.
    pub name: Text<UNIT_NAME>,
}

/// Stop a unit and start it again. Asks `restart` as [`StartUnit`] asks `start`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RestartUnit {
    /// The unit's name, with its suffix.
    pub name: Text<UNIT_NAME>,
    /// Do nothing with a unit that does not run.
    pub only_running: bool,
}

/// Tell what a unit is like. Asks `status` as [`StartUnit`] asks `start`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InspectUnit {
    /// The unit's name, with its suffix.
    pub name: Text<UNIT_NAME>,
}

/// Have the manager read its units' files anew. Asks `daemon_reload` on the manager.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReloadManager {}

/// Wait a little for a task. Asks what was asked to begin it; where the unit has another name of its own, the same on that.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FollowTask {
    /// The task. Dropped before its end, it is not waited for any more; what the manager does it goes on with.
    pub task: Handle<Task>,
}

/// How a task ended well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskEnd {
    /// It is done.
    Done,
    /// This is what the unit is like.
    Unit(Box<UnitStatus>),
}

/// What a unit is like, as the manager's properties say it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitStatus {
    /// `Description`
    pub description: Text<4096>,
    /// `LoadState`
    pub load_state: Text<64>,
    /// `FragmentPath`
    pub load_path: Text<4096>,
    /// `UnitFileState`
    pub file_state: Text<64>,
    /// `UnitFilePreset`
    pub file_preset: Text<64>,
    /// `ActiveState`
    pub active_state: Text<64>,
    /// `SubState`
    pub sub_state: Text<64>,
    /// `NeedDaemonReload`
    pub need_reload: bool,
    /// `Documentation`
    pub documentation: Vec<Text<1024>>,
    /// `MainPID` of a service that is active.
    pub main_pid: Option<u32>,
    /// `TasksCurrent` of a service that is active; the greatest number where they are not counted.
    pub tasks: Option<u64>,
    /// `MemoryCurrent` of a service that is active, in bytes; the greatest number where it is not counted.
    pub memory: Option<u64>,
}

impl Operation for StartUnit {
    type Reply = Handle<Task>;
    const NAME: &'static str = "systemd.start";
    const EFFECT: Effect<Self> = Effect::Changes;
    const ACTIONS: &'static [Action] = &[Action::UnitStart];
}

impl Operation for StopUnit {
    type Reply = Handle<Task>;
    const NAME: &'static str = "systemd.stop";
    const EFFECT: Effect<Self> = Effect::Changes;
    const ACTIONS: &'static [Action] = &[Action::UnitStop];
}

impl Operation for RestartUnit {
    type Reply = Handle<Task>;
    const NAME: &'static str = "systemd.restart";
    const EFFECT: Effect<Self> = Effect::Changes;
    const ACTIONS: &'static [Action] = &[Action::UnitRestart];
}

impl Operation for InspectUnit {
    type Reply = Handle<Task>;
    const NAME: &'static str = "systemd.status";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[Action::UnitStatus];
}

impl Operation for ReloadManager {
    type Reply = Handle<Task>;
    const NAME: &'static str = "systemd.reload";
    const EFFECT: Effect<Self> = Effect::Changes;
    const ACTIONS: &'static [Action] = &[Action::ManagerReload];
}

impl Operation for FollowTask {
    /// Nothing while it goes on: ask again.
    type Reply = Option<TaskEnd>;
    const NAME: &'static str = "systemd.follow";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] =
        &[Action::UnitStart, Action::UnitStop, Action::UnitRestart, Action::UnitStatus, Action::ManagerReload];
}
