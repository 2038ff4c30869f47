//! Running programs.
//!
//! Why this is safe given a hostile worker: what runs is the descriptor that was judged. Policy is told arguments and
//! environment as the program gets them, and lists that could mean two things are refused. The program runs as its caller unless
//! policy says otherwise by name ([`identity`]), behind walls that leave it what policy could grant that caller by
//! itself ([`confine`]), in a process tree that ends with it ([`start`]).

mod confine;
mod debugger;
mod filter;
mod identity;
mod places;
mod running;
mod settings;
mod start;
mod trace;

pub(crate) use running::Started;
pub(crate) use start::PROCESSES;

use crate::authz::{Context, Demand, Granted, ProgramContext, tags, told};
use crate::perform::fs::OpenRegularFile;
use crate::perform::process::Pinned;
use crate::perform::{Demands, Perform, Stop};
use crate::plan::{self, About, Planned};
use crate::session::State;
use confine::Walls;
use identity::Identity;
use rex_protocol::change::Act;
use rex_protocol::failure::{Failure, FailureKind};
use rex_protocol::fs::{ARGUMENTS, Argument, Execute, Follow, ProgramOutput};
use rex_protocol::handle::Program;
use rex_protocol::{Action, Handle};
use start::Command;
use std::collections::BTreeSet;
use std::ffi::CString;
use std::rc::Rc;

pub(crate) struct ExecuteTarget {
    file: Rc<OpenRegularFile>,
    identity: Identity,
    context: Rc<ProgramContext>,
}

impl ExecuteTarget {
    fn demand(&self) -> Demand {
        self.file.demand(Action::FileExecute).with(Context::Program(Rc::clone(&self.context)))
    }
}

impl Perform for Execute {
    type Target = ExecuteTarget;

    fn target(self, state: &mut State) -> Result<ExecuteTarget, Stop> {
        let file = state.handles.file(self.file)?;
        confirm_arguments(&self)?;
        let identity = Identity::asked_for(state.principal(), self.user.as_deref(), self.group.as_deref())?;
        let environment = self.environment.into_iter().map(|(name, value)| (name.into_string(), value.into_string()));
        let context = ProgramContext {
            arguments: self.arguments,
            environment: environment.collect(),
            user: identity.user.clone(),
            group: identity.group.clone(),
            capabilities: self.capabilities.iter().map(|name| name.to_string()).collect(),
            namespace: self.namespace,
        };
        Ok(ExecuteTarget { file, identity, context: Rc::new(context) })
    }

    fn demands(target: &ExecuteTarget) -> Demands {
        Demands::all(vec![target.demand()])
    }

    fn perform(target: Granted<ExecuteTarget>, state: &mut State) -> Result<Handle<Program>, Stop> {
        state.handles.confirm_room_for_program()?;
        let target = target.into_inner();
        let demand = target.demand();
        let ExecuteTarget { file, identity, context } = target;
        confirm_read_only(&file)?;
        let capabilities = identity::capabilities(&context.capabilities)?;
        identity::confirm_said(state, &demand, &identity, &context)?;
        if let Some(pid) = context.namespace {
            confirm_not_ours(pid)?;
        }
        let walls =
            Walls::for_caller(state, &file, identity.power(&capabilities), &capabilities, context.namespace.is_some())?;
        let command = Command {
            arguments: arguments(&file, &context.arguments)?,
            environment: environment(&context.environment)?,
            is_script: confine::interpreter(&file.fd).is_some(),
            program: Rc::clone(&file.fd),
            inherited: Vec::new(),
            identity,
            capabilities,
            namespace: context.namespace,
            walls,
            memory: state.limits.memory,
            cpu_ms: state.limits.cpu_ms,
        };
        let running = command.start(vec![demand])?;
        Ok(state.handles.add_program(running)?)
    }

    // What it would do is not known: it is listed, and seems to have ended well without a word.
    fn plan(target: Granted<ExecuteTarget>, state: &mut State) -> Result<Handle<Program>, Stop> {
        state.handles.confirm_room_for_program()?;
        let target = target.into_inner();
        let demand = target.demand();
        let ExecuteTarget { file, identity, context } = target;
        confirm_read_only(&file)?;
        identity::capabilities(&context.capabilities)?;
        identity::confirm_said(state, &demand, &identity, &context)?;
        arguments(&file, &context.arguments)?;
        environment(&context.environment)?;
        let mut planned = Planned::on(Act::Execute, About::File(file.path.clone()));
        for (name, value) in told::program(&context, state.is_sensitive()) {
            planned = planned.with(&name, None, Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
        }
        plan::note(planned);
        Ok(state.handles.add_program(Started::Planned(vec![demand]))?)
    }
}

/// Refuses to let a program join a process of Rex.
fn confirm_not_ours(pid: u32) -> Result<(), Failure> {
    if !Pinned::new(pid)?.is_some_and(|pinned| pinned.is_ours()) {
        return Ok(());
    }
    let message = format!("cannot join the namespace of the broker's own process {pid}");
    Err(Failure::new(FailureKind::Namespace { errno: libc::EACCES }, message))
}

impl Perform for Follow {
    type Target = Rc<Started>;

    fn target(self, state: &mut State) -> Result<Self::Target, Stop> {
        state.handles.program(self.program)
    }

    fn demands(program: &Self::Target) -> Demands {
        Demands::all(program.demands().to_vec())
    }

    fn perform(program: Granted<Self::Target>, state: &mut State) -> Result<ProgramOutput, Stop> {
        Ok(program.into_inner().follow(state)?)
    }
}

fn confirm_read_only(file: &OpenRegularFile) -> Result<(), Failure> {
    if file.read && !file.write {
        return Ok(());
    }
    Err(Failure::new(FailureKind::NotReadOnly, format!("`{}` is open for writing", file.path)))
}

/// Refuses what policy could not be told unambiguously, and what no program can be given.
fn confirm_arguments(request: &Execute) -> Result<(), Failure> {
    let refuse = |message: &str| Err(Failure::new(FailureKind::InvalidArguments, message));
    if tags(&request.arguments).is_none() {
        return refuse("an argument stands for two values: policy could not tell them apart");
    }
    let mut names = BTreeSet::new();
    if !request.environment.iter().all(|(name, _)| names.insert(&**name)) {
        return refuse("an environment variable is given twice");
    }
    if names.iter().any(|name| name.is_empty() || name.contains('=')) {
        return refuse("the name of an environment variable is empty or has a `=`");
    }
    let texts = request.arguments.iter().flat_map(|argument| match argument {
        Argument::Single(text) => [Some(text), None],
        Argument::Pair(key, value) => [Some(key), Some(value)],
    });
    let arguments: usize = texts.flatten().map(|text| text.len() + 1).sum();
    let environment: usize = request.environment.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    if arguments + environment > ARGUMENTS {
        return refuse(&format!("arguments and environment have more than {ARGUMENTS} bytes"));
    }
    Ok(())
}

/// What the program gets: its file's name, then each argument, a key and its value as two.
fn arguments(file: &OpenRegularFile, arguments: &[Argument]) -> Result<Vec<CString>, Failure> {
    let mut all = vec![program_name(file)?];
    for argument in arguments {
        match argument {
            Argument::Single(text) => all.push(c_string(&**text)?),
            Argument::Pair(key, value) => all.extend([c_string(&**key)?, c_string(&**value)?]),
        }
    }
    Ok(all)
}

/// The first argument: the file's own name.
fn program_name(file: &OpenRegularFile) -> Result<CString, Failure> {
    c_string(file.path.split().map_or_else(Vec::new, |(_, name)| name.as_bytes().to_vec()))
}

fn environment(environment: &[(String, String)]) -> Result<Vec<CString>, Failure> {
    environment.iter().map(|(name, value)| c_string(format!("{name}={value}"))).collect()
}

fn c_string(text: impl Into<Vec<u8>>) -> Result<CString, Failure> {
    let message = "an argument or environment variable has a NUL byte";
    CString::new(text).map_err(|_| Failure::new(FailureKind::InvalidArguments, message))
}
