//! Services: the states that a unit can have.

use super::Surface;
use std::fmt;

/// What a unit of the service manager does at the moment; `ActiveState` of org.freedesktop.systemd1(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Active,
    Inactive,
    Failed,
    Activating,
    Deactivating,
    Maintenance,
    Reloading,
    Refreshing,
    Unknown,
}

impl State {
    const ALL: &'static [State] = &[
        State::Active,
        State::Inactive,
        State::Failed,
        State::Activating,
        State::Deactivating,
        State::Maintenance,
        State::Reloading,
        State::Refreshing,
        State::Unknown,
    ];

    /// The state of this name, whatever its case.
    pub(super) fn named(name: &str) -> Self {
        let is_it = |state: &&State| state.name().eq_ignore_ascii_case(name);
        Self::ALL.iter().find(is_it).copied().unwrap_or(State::Unknown)
    }

    const fn name(self) -> &'static str {
        match self {
            State::Active => "active",
            State::Inactive => "inactive",
            State::Failed => "failed",
            State::Activating => "activating",
            State::Deactivating => "deactivating",
            State::Maintenance => "maintenance",
            State::Reloading => "reloading",
            State::Refreshing => "refreshing",
            State::Unknown => "unknown",
        }
    }

    /// Whether the unit does its work.
    const fn is_active(self) -> bool {
        matches!(self, State::Active | State::Reloading | State::Refreshing)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Registers the states.
pub fn register(surface: &mut Surface) {
    surface.shown::<State>("State");
    surface.comparable::<State>();
    surface.constants("State", State::ALL.iter().map(|state| (state.name().to_uppercase(), *state)));
    surface.property("is_active", |state: State| state.is_active());
    surface.function("is_active", |state: State| state.is_active());
}
