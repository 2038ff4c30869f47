//! The program that loads the kernel's settings.
//!
//! Why this is safe given a hostile worker: program, argument and an empty environment are named here, and nothing of it in
//! the request. It runs with the session's own rights, as what it does takes them; that is what `load` hands out.

use super::confine::Walls;
use super::identity::Identity;
use super::running::Started;
use super::start::Command;
use super::{c_string, program_name};
use crate::authz::{Demand, Granted, Resource};
use crate::perform::fs::{dir_demand, file_demand, open_program};
use crate::perform::{Demands, Perform, Stop};
use crate::plan::{self, Planned};
use crate::session::State;
use nix::unistd::geteuid;
use rex_protocol::change::Act;
use rex_protocol::handle::Program;
use rex_protocol::path::AbsPath;
use rex_protocol::system::LoadSettings;
use rex_protocol::{Action, Handle, Violation};

impl Perform for LoadSettings {
    type Target = AbsPath;

    fn target(self, _: &mut State) -> Result<AbsPath, Stop> {
        AbsPath::parse(Self::PROGRAM).map_err(|_| Violation::new("asked for a program that has no path").into())
    }

    fn demands(path: &AbsPath) -> Demands {
        let mut demands = vec![Demand::new(Action::SysctlLoad, Resource::Sysctl)];
        demands.extend(path.split().map(|(dir, _)| dir_demand(Action::FileOpen, &dir)));
        demands.push(file_demand(Action::FileOpen, path));
        Demands::all(demands)
    }

    fn perform(path: Granted<AbsPath>, state: &mut State) -> Result<Handle<Program>, Stop> {
        let path = path.into_inner();
        let program = open_program(&path)?;
        let privileged = geteuid().is_root();
        let command = Command {
            arguments: vec![program_name(&program)?, c_string(Self::ARGUMENT)?],
            environment: Vec::new(),
            program: program.fd,
            is_script: false,
            inherited: Vec::new(),
            identity: if privileged { Identity::root() } else { Identity::own(state.principal()) },
            capabilities: Vec::new(),
            namespace: None,
            walls: Walls::none()?,
            memory: state.limits.memory,
            cpu_ms: state.limits.cpu_ms,
        };
        let running = command.start(vec![file_demand(Action::FileOpen, &path)])?;
        Ok(state.handles.add_program(running)?)
    }

    fn plan(path: Granted<AbsPath>, state: &mut State) -> Result<Handle<Program>, Stop> {
        let path = path.into_inner();
        state.handles.confirm_room_for_program()?;
        open_program(&path)?;
        plan::note(Planned::other(Act::Reload, "kernel settings"));
        Ok(state.handles.add_program(Started::Planned(vec![file_demand(Action::FileOpen, &path)]))?)
    }
}
