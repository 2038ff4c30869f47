//! Commands about processes: `ps`, `kill`.

use super::flags::{Flag, Flags, parse};
use crate::channel::Channel;
use crate::error::{Error, Process, Result};
use crate::script::Surface;
use crate::script::options::Options;
use crate::script::process::{KillOptions, ProcessManager, SignalNumber};
use rhai::{Array, EvalAltResult, Map, NativeCallContext};
use std::rc::Rc;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kill {
    /// A signal by its number.
    Signal(i64),
}

impl Flag for Kill {
    const COMMAND: &'static str = "kill";
    const TYPE: &'static str = "KillFlag";
}

/// Registers the commands and their flags.
pub(super) fn register(surface: &mut Surface) {
    let flags = Flags::new().made(&["signal"], Kill::Signal);
    let name = |flags: Flags<Kill>, known: &SignalNumber| flags.flag(&[known.name], Kill::Signal(known.number));
    SignalNumber::ALL.iter().fold(flags, name).register(surface);

    let channel = surface.channel();
    surface.function("ps", move || ProcessManager::new(&channel).processes().map_err(|error| told("ps", error)));
    let channel = surface.channel();
    surface.function("kill", move |pid: i64| kill(&channel, &[], pid));
    let channel = surface.channel();
    surface.function("kill", move |context: NativeCallContext<'_>, flags: Array, pid: i64| {
        let flags = parse(&context, &flags).map_err(invalid)?;
        kill(&channel, &flags, pid)
    });
}

fn kill(channel: &Rc<Channel>, flags: &[Kill], pid: i64) -> Result<Array> {
    let Kill::Signal(number) = flags.first().copied().unwrap_or(Kill::Signal(i64::from(libc::SIGTERM)));
    let known = SignalNumber::ALL.iter().find(|known| known.number == number);
    let known = known.ok_or_else(|| invalid(format!("kill: unsupported signal number {number}")))?;
    let options = KillOptions::by_pid(pid, known.signal);
    options.check().map_err(|fault| invalid(format!("kill: failed to build options: {fault}")))?;
    ProcessManager::new(channel).kill(&options).map_err(|error| told("kill", error))
}

/// All errors of these commands have one kind, whatever they are about.
fn invalid(what: impl std::fmt::Display) -> Error {
    Error::new(Process::ValidationError, format!("Validation error: {what}"))
}

/// An error of the manager as one of the command.
fn told(command: &str, error: Box<EvalAltResult>) -> Box<EvalAltResult> {
    let mut error = crate::error::as_kind(error, Process::ValidationError);
    if let EvalAltResult::ErrorRuntime(value, _) = &mut *error
        && let Some(mut map) = value.write_lock::<Map>()
    {
        let message = map.get("message").map(ToString::to_string).unwrap_or_default();
        map.insert("message".into(), format!("Validation error: {command}: {message}").into());
    }
    error
}
