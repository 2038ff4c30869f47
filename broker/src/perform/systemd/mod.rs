//! The service manager.
//!
//! Why this is safe given a hostile worker: a request names a unit and nothing else. Policy is asked about the name as it
//! is given before the bus is spoken to, and about the unit's own name before anything is done; what is done is done to that
//! name. No unit is made or changed: there is no way here to the manager's other methods. The bus is spoken to by a
//! process of its own ([`task`]), so that its silence costs nothing but the task.

mod log;
mod manager;
mod task;

pub(crate) use task::Task;

use crate::authz::{Demand, Granted, Resource};
use crate::perform::{Demands, Perform, Stop};
use crate::plan::{self, Planned};
use crate::session::State;
use rex_protocol::change::Act;
use rex_protocol::handle;
use rex_protocol::systemd::{FollowTask, InspectUnit, ReloadManager, RestartUnit, StartUnit, StopUnit, TaskEnd};
use rex_protocol::{Action, Handle};
use std::rc::Rc;
use task::Question;

/// What policy is asked about a unit.
fn demand(action: Action, name: &str) -> Demand {
    Demand::new(action, Resource::Service(Rc::from(name)))
}

/// A task that is to begin, and what policy is asked for it.
pub(crate) struct TaskTarget {
    question: Question,
    demand: Demand,
}

impl TaskTarget {
    fn job(action: Action, method: &'static str, name: &str) -> Self {
        Self { question: Question::Job { method, name: Rc::from(name) }, demand: demand(action, name) }
    }

    /// The same, which does nothing.
    fn planned(self) -> Self {
        let act = match self.demand.action {
            Action::UnitStart => Act::Start,
            Action::UnitStop => Act::Stop,
            Action::UnitRestart => Act::Restart,
            _ => Act::Reload,
        };
        let (question, object) = match self.question {
            Question::Job { name, .. } => (Question::Known { name: Rc::clone(&name) }, name.to_string()),
            _ => (Question::Reached, "units".to_owned()),
        };
        plan::note(Planned::other(act, object));
        Self { question, ..self }
    }

    fn begin(self, state: &mut State) -> Result<Handle<handle::Task>, Stop> {
        state.handles.confirm_room_for_program()?;
        let task = Task::begin(self.question, self.demand, state)?;
        Ok(state.handles.add_task(task)?)
    }
}

macro_rules! begins_a_task {
    ($($operation:ty: |$request:ident| $target:expr;)*) => {
        $(impl Perform for $operation {
            type Target = TaskTarget;

            fn target(self, _: &mut State) -> Result<TaskTarget, Stop> {
                let $request = self;
                Ok($target)
            }

            fn demands(target: &TaskTarget) -> Demands {
                Demands::all(vec![target.demand.clone()])
            }

            fn perform(target: Granted<TaskTarget>, state: &mut State) -> Result<Handle<handle::Task>, Stop> {
                target.into_inner().begin(state)
            }

            // The manager is asked for the unit, as policy is for its own name, and told to do nothing with it.
            fn plan(target: Granted<TaskTarget>, state: &mut State) -> Result<Handle<handle::Task>, Stop> {
                target.into_inner().planned().begin(state)
            }
        })*
    };
}

begins_a_task! {
    StartUnit: |request| TaskTarget::job(Action::UnitStart, "StartUnit", &request.name);
    StopUnit: |request| TaskTarget::job(Action::UnitStop, "StopUnit", &request.name);
    RestartUnit: |request| TaskTarget::job(
        Action::UnitRestart,
        if request.only_running { "TryRestartUnit" } else { "RestartUnit" },
        &request.name,
    );
    InspectUnit: |request| TaskTarget {
        question: Question::Status { name: Rc::from(&*request.name) },
        demand: demand(Action::UnitStatus, &request.name),
    };
    ReloadManager: |_request| TaskTarget {
        question: Question::Reload,
        demand: Demand::new(Action::ManagerReload, Resource::Systemd),
    };
}

impl Perform for FollowTask {
    type Target = Rc<Task>;

    fn target(self, state: &mut State) -> Result<Self::Target, Stop> {
        state.handles.task(self.task)
    }

    fn demands(task: &Self::Target) -> Demands {
        Demands::all(vec![task.demand.clone()])
    }

    fn perform(task: Granted<Self::Target>, state: &mut State) -> Result<Option<TaskEnd>, Stop> {
        Ok(task.into_inner().follow(state)?)
    }
}
