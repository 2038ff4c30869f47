//! The debugger over a core dump.
//!
//! Why this is safe given a hostile worker: what it can make the debugger do, it does to itself. The debugger has no identity, no
//! network, no capability but to open again the two files it is given, can change nothing, and can read these two and
//! what everybody's programs are made of. So policy is asked whether the caller may read the two, and open the debugger.

use super::confine::Walls;
use super::identity::Identity;
use super::running::Running;
use super::start::{Command, INHERITED};
use super::{c_string, program_name};
use crate::authz::{Demand, Granted};
use crate::perform::fs::OpenRegularFile;
use crate::perform::{Demands, Perform, Stop};
use crate::plan;
use crate::session::State;
use caps::Capability;
use nix::unistd::geteuid;
use rex_protocol::fs::RunDebugger;
use rex_protocol::handle::Program;
use rex_protocol::text::Text;
use rex_protocol::{Action, Handle};
use std::rc::Rc;

/// Where the debugger keeps what it needs besides the system's libraries.
const DATA: &[&str] = &["/usr/share/gdb"];

pub(crate) struct DebuggerTarget {
    debugger: Rc<OpenRegularFile>,
    executable: Rc<OpenRegularFile>,
    core: Rc<OpenRegularFile>,
    arguments: Vec<Text<4096>>,
}

impl DebuggerTarget {
    fn demands(&self) -> Vec<Demand> {
        vec![
            self.debugger.demand(Action::FileOpen),
            self.executable.demand(Action::FileRead),
            self.core.demand(Action::FileRead),
        ]
    }
}

impl Perform for RunDebugger {
    type Target = DebuggerTarget;

    fn target(self, state: &mut State) -> Result<DebuggerTarget, Stop> {
        Ok(DebuggerTarget {
            debugger: state.handles.file(self.debugger)?,
            executable: state.handles.file(self.executable)?,
            core: state.handles.file(self.core)?,
            arguments: self.arguments,
        })
    }

    fn demands(target: &DebuggerTarget) -> Demands {
        Demands::all(target.demands())
    }

    fn perform(target: Granted<DebuggerTarget>, state: &mut State) -> Result<Handle<Program>, Stop> {
        state.handles.confirm_room_for_program()?;
        let target = target.into_inner();
        let demands = target.demands();
        let DebuggerTarget { debugger, executable, core, arguments } = target;
        if [&debugger, &executable, &core].iter().any(|file| plan::shadow(&*file.fd).is_some()) {
            return Err(plan::not_known("what the debugger would say of files that it would have changed").into());
        }
        let privileged = geteuid().is_root();
        let mut all = vec![program_name(&debugger)?];
        for argument in &arguments {
            all.push(match &**argument {
                "{executable}" => c_string(format!("/proc/self/fd/{INHERITED}"))?,
                "{core}" => c_string(format!("/proc/self/fd/{}", INHERITED + 1))?,
                other => c_string(other)?,
            });
        }
        let files = [&debugger.fd, &executable.fd, &core.fd];
        let command = Command {
            arguments: all,
            environment: Vec::new(),
            program: Rc::clone(&debugger.fd),
            is_script: false,
            walls: Walls::reading_only(&files.map(|file| &**file), DATA)?,
            inherited: vec![Rc::clone(&executable.fd), Rc::clone(&core.fd)],
            identity: if privileged { Identity::nobody() } else { Identity::own(state.principal()) },
            // Without an identity it could not open the two again by its own rights.
            capabilities: if privileged { vec![Capability::CAP_DAC_READ_SEARCH] } else { Vec::new() },
            namespace: None,
            memory: state.limits.memory,
            cpu_ms: state.limits.cpu_ms,
        };
        let running: Running = command.start(demands)?;
        Ok(state.handles.add_program(running)?)
    }
}
