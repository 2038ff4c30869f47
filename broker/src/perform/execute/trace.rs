//! The debugger over a process that runs.
//!
//! Why this is safe given a hostile worker, and a hostile process: program and arguments are named here, and in the request there is
//! nothing but numbers. The process is pinned before it is judged, and what is said counts only while it still has its number, so
//! that it is of no other. A debugger that is led astray by what it reads has no more than the user of the process has that
//! led it: it runs as that user, and without what would change files, owners, or the network.

use super::confine::Walls;
use super::identity::Identity;
use super::running::Started;
use super::start::Command;
use super::{c_string, program_name};
use crate::authz::{Demand, Granted};
use crate::perform::fs::{dir_demand, file_demand, open_program};
use crate::perform::process::{Pinned, asked_about, no_process};
use crate::perform::{Demands, Perform, Stop};
use crate::plan::{self, Planned};
use crate::session::State;
use nix::unistd::geteuid;
use rex_protocol::change::Act;
use rex_protocol::failure::{Failure, FailureKind};
use rex_protocol::handle::Program;
use rex_protocol::path::AbsPath;
use rex_protocol::process::Trace;
use rex_protocol::{Action, Handle, Violation};

pub(crate) struct TraceTarget {
    request: Trace,
    /// Nothing where there is no such process.
    pinned: Option<Pinned>,
    /// The process that it was named by.
    beside: Option<Option<Pinned>>,
    named: AbsPath,
}

impl Perform for Trace {
    type Target = TraceTarget;

    fn target(self, _: &mut State) -> Result<TraceTarget, Stop> {
        Ok(TraceTarget {
            pinned: Pinned::new(self.pid)?,
            beside: self.beside.map(Pinned::new).transpose()?,
            named: known(Self::NAMED)?,
            request: self,
        })
    }

    fn demands(target: &TraceTarget) -> Demands {
        let TraceTarget { request: Trace { pid, beside: named_by }, pinned, beside, named } = target;
        let mut demands = vec![asked_about(Action::ProcessTrace, *pid, pinned.as_ref())];
        if let (Some(pid), Some(pinned)) = (named_by, beside) {
            demands.push(asked_about(Action::ProcessMountNamespace, *pid, pinned.as_ref()));
        }
        demands.extend(open_demands(named));
        Demands::all(demands)
    }

    fn perform(target: Granted<TraceTarget>, state: &mut State) -> Result<Handle<Program>, Stop> {
        state.handles.confirm_room_for_program()?;
        let (pid, pinned, named) = target.into_inner().confirmed()?;
        let debugger = open_program(&known(Self::DEBUGGER)?)?;
        let identity = match geteuid().is_root() {
            true => {
                let (uid, gid) = pinned.ids().ok_or_else(|| no_process(pid))?;
                Identity::of(uid, gid)
            }
            false => Identity::own(state.principal()),
        };
        let attach = pid.to_string();
        let arguments = [
            "-nx",
            "-batch",
            "-iex",
            "set auto-load off",
            "-iex",
            "set width 0",
            "-iex",
            "set debuginfod enabled off",
            "-p",
            &attach,
            "-ex",
            "thread apply all backtrace",
        ];
        let mut all = vec![program_name(&debugger)?];
        for argument in arguments {
            all.push(c_string(argument)?);
        }
        let command = Command {
            arguments: all,
            environment: Vec::new(),
            program: debugger.fd,
            is_script: false,
            inherited: Vec::new(),
            identity,
            capabilities: Vec::new(),
            // Where it can see the process: in no namespace of its own.
            namespace: Some(std::process::id()),
            walls: Walls::tracing()?,
            memory: state.limits.memory,
            cpu_ms: state.limits.cpu_ms,
        };
        let running = command.start(open_demands(&named))?.about(pinned.into_process());
        Ok(state.handles.add_program(running)?)
    }

    // To tell where its threads are it would have to be stopped.
    fn plan(target: Granted<TraceTarget>, state: &mut State) -> Result<Handle<Program>, Stop> {
        state.handles.confirm_room_for_program()?;
        let (pid, _, named) = target.into_inner().confirmed()?;
        open_program(&known(Self::DEBUGGER)?)?;
        plan::note(Planned::other(Act::Trace, pid.to_string()));
        Ok(state.handles.add_program(Started::Planned(open_demands(&named)))?)
    }
}

impl TraceTarget {
    /// The process, if it is there and none of ours.
    fn confirmed(self) -> Result<(u32, Pinned, AbsPath), Failure> {
        let TraceTarget { request: Trace { pid, .. }, pinned, named, .. } = self;
        let pinned = pinned.ok_or_else(|| no_process(pid))?;
        if pinned.is_ours() {
            let message = format!("cannot trace the broker's own process {pid}");
            return Err(Failure::new(FailureKind::Refused { errno: libc::EACCES }, message));
        }
        Ok((pid, pinned, named))
    }
}

fn open_demands(path: &AbsPath) -> Vec<Demand> {
    let dir = path.split().map(|(dir, _)| dir_demand(Action::FileOpen, &dir));
    dir.into_iter().chain([file_demand(Action::FileOpen, path)]).collect()
}

fn known(path: &'static str) -> Result<AbsPath, Stop> {
    AbsPath::parse(path).map_err(|_| Violation::new("asked for a program that has no path").into())
}
