//! Running programs.

use super::file::File;
use super::options::{self, Options, Setters};
use super::{Surface, item, log, refuse};
use crate::channel::{Channel, Held};
use crate::engine::line;
use crate::error::{Error, Io, Result};
use caps::Capability;
use rex_protocol::failure::FailureKind;
use rex_protocol::fs::{ARGUMENTS, Argument, Execute, Exit, Follow};
use rex_protocol::handle::Program;
use rex_protocol::text::Text;
use rex_protocol::worker::{Level, Log};
use rex_protocol::{Failure, Handle};
use rhai::{Array, Dynamic, EvalAltResult, ImmutableString, Map, NativeCallContext, Position};
use serde::Deserialize;
use std::fmt;
use std::rc::Rc;
use std::str::FromStr;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct ExecuteOptions {
    #[serde(skip)]
    args: Vec<Given>,
    #[serde(skip)]
    env: Vec<(String, String)>,
    #[serde(skip)]
    capabilities: Vec<Capability>,
    user: Option<String>,
    group: Option<String>,
    #[serde(skip)]
    namespace: Option<ChildNamespaceOptions>,
}

impl Options for ExecuteOptions {
    const NAME: &'static str = "ExecuteOptions";

    fn setters(setters: &mut Setters<'_, Self>) {
        setters.parsed("args", arguments, |options, args| options.args = args);
        setters.parsed("env", environment, |options, env| options.env = env);
        setters.parsed("capabilities", capabilities, |options, all| options.capabilities = all);
        setters.value("namespace", |options, namespace| options.namespace = Some(namespace));
    }

    fn check(&self) -> std::result::Result<(), String> {
        for (index, argument) in self.args.iter().enumerate() {
            match argument {
                Given::Single(key) | Given::Pair(key, _) if key.is_empty() => {
                    return Err(format!("Validation error: Argument key at index {index} cannot be empty"));
                }
                Given::Pair(key, value) if value.is_empty() => {
                    let what = format!("Argument value for key '{key}' at index {index}");
                    return Err(format!("Validation error: {what} cannot be empty"));
                }
                _ => {}
            }
        }
        match self.env.iter().position(|(name, value)| name.is_empty() || value.is_empty()) {
            Some(index) => {
                let what = format!("Environment variable at index {index}");
                Err(format!("Validation error: {what} should have non-empty key and value"))
            }
            None => Ok(()),
        }
    }
}

/// An argument as the script grouped it.
#[derive(Debug, Clone)]
enum Given {
    Single(String),
    Pair(String, String),
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct ChildNamespaceOptions {
    target_process: u32,
}

impl Options for ChildNamespaceOptions {
    const NAME: &'static str = "ChildNamespaceOptions";
}

/// How a program ended, and what it put out.
#[derive(Debug, Clone)]
struct ExecuteResult {
    exit_code: i64,
    stdout: ImmutableString,
    stderr: ImmutableString,
}

/// What a program put out, as bytes.
pub(super) struct Ran {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    pub(super) exit: Exit,
}

/// Follows a program that the session has started to its end.
pub(in crate::script) fn follow(channel: &Rc<Channel>, program: Handle<Program>) -> std::result::Result<Ran, Failure> {
    // Let go of it when its end is known, or when it cannot be followed: then it is ended.
    let program = Held::new(channel, program);
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    loop {
        let output = channel.call(&Follow { program: program.handle() })?;
        stdout.extend_from_slice(&output.stdout);
        stderr.extend_from_slice(&output.stderr);
        if let Some(exit) = output.ended {
            return Ok(Ran { stdout, stderr, exit });
        }
    }
}

fn execute(context: &NativeCallContext<'_>, file: &File, options: &ExecuteOptions) -> Result<ExecuteResult> {
    let request = request(file, options)?;
    let channel = file.channel();
    let ran = channel.call(&request).and_then(|program| follow(channel, program));
    let Ran { stdout, stderr, exit } = ran.map_err(|failure| refused(&failure, file))?;
    let exit_code = match exit {
        Exit::Code(code) => i64::from(code),
        Exit::Signal(signal) => {
            let message = format!("Execute API: Child stopped because it received a signal {}", signal_name(signal));
            let function = Some(Text::cut("execute"));
            let message = Text::cut(log::message(&message));
            channel.log(Log { level: Level::Error, message, line: line(context.call_position()), function });
            -i64::from(signal)
        }
    };
    Ok(ExecuteResult { exit_code, stdout: lossy(stdout).into(), stderr: lossy(stderr).into() })
}

fn request(file: &File, options: &ExecuteOptions) -> Result<Execute> {
    let arguments = options.args.iter().map(|argument| match argument {
        Given::Single(text) => Ok(Argument::Single(text_of(text)?)),
        Given::Pair(key, value) => Ok(Argument::Pair(text_of(key)?, text_of(value)?)),
    });
    let environment = options.env.iter().map(|(name, value)| Ok((text_of(name)?, text_of(value)?)));
    Ok(Execute {
        file: file.handle(),
        arguments: arguments.collect::<Result<_>>()?,
        environment: environment.collect::<Result<_>>()?,
        capabilities: options.capabilities.iter().map(|capability| Text::cut(capability.to_string())).collect(),
        user: options.user.as_deref().map(text_of).transpose()?,
        group: options.group.as_deref().map(text_of).transpose()?,
        namespace: options.namespace.map(|namespace| namespace.target_process),
    })
}

fn refused(failure: &Failure, file: &File) -> Box<EvalAltResult> {
    let error = refuse::general(failure, file.path());
    match failure.kind {
        // Part of the way into a namespace the script cannot go on: it ends, whatever it catches.
        FailureKind::Namespace { .. } => EvalAltResult::ErrorTerminated(error.message().into(), Position::NONE).into(),
        _ => error.into(),
    }
}

/// A text that a request can carry.
fn text_of<const MOST: usize>(text: &str) -> Result<Text<MOST>> {
    Ok(Text::try_from(text.to_owned()).map_err(|_| {
        let reason = format!("arguments and environment have more than {ARGUMENTS} bytes");
        Error::new(Io::InvalidArguments, format!("Invalid arguments: {reason}"))
    })?)
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// `SIGKILL`; the bare number of a signal that has no name (signal(7)).
fn signal_name(signal: i32) -> String {
    nix::sys::signal::Signal::try_from(signal).map_or_else(|_| signal.to_string(), |signal| signal.to_string())
}

fn arguments(array: Array) -> std::result::Result<Vec<Given>, String> {
    let all = array.into_iter().enumerate();
    all.map(|(index, value)| argument(index, value)).collect()
}

fn argument(index: usize, value: Dynamic) -> std::result::Result<Given, String> {
    let value = match value.try_cast_result::<ImmutableString>() {
        Ok(text) => return Ok(Given::Single(text.into())),
        Err(value) => value,
    };
    let no_argument = |_| format!("Argument at index {index} must be a string or an array");
    let mut parts = value.try_cast_result::<Array>().map_err(no_argument)?.into_iter();
    let text = |part: Dynamic, what: &str| {
        let text = part.try_cast::<ImmutableString>().ok_or_else(|| format!("Argument {what} must be a string"));
        text.map(String::from)
    };
    match (parts.next(), parts.next(), parts.next()) {
        (None, ..) => Err(format!("Argument array at index {index} cannot be empty")),
        (_, _, Some(_)) => Err(format!("Argument array at index {index} cannot have more than 2 elements")),
        (Some(key), None, _) => Ok(Given::Single(text(key, "key")?)),
        (Some(key), Some(value), _) => Ok(Given::Pair(text(key, "key")?, text(value, "value")?)),
    }
}

fn environment(map: Map) -> std::result::Result<Vec<(String, String)>, String> {
    let variable = |(name, value): (rhai::Identifier, Dynamic)| match value.try_cast::<ImmutableString>() {
        Some(value) => Ok((name.to_string(), value.into())),
        None => Err(format!("Environment variable value for key '{name}' must be a string")),
    };
    map.into_iter().map(variable).collect()
}

fn capabilities(array: Array) -> std::result::Result<Vec<Capability>, String> {
    let capability = |(index, value): (usize, Dynamic)| {
        let name = value.try_cast::<ImmutableString>();
        let name = name.ok_or_else(|| format!("Capability at index {index} must be a string"))?;
        Capability::from_str(&name).map_err(|_| format!("Invalid capability format: '{name}'"))
    };
    array.into_iter().enumerate().map(capability).collect()
}

impl fmt::Display for ExecuteResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExecuteResult({})", self.exit_code)
    }
}

/// Registers `execute` with its options and result.
pub fn register(surface: &mut Surface) {
    options::register::<ExecuteOptions>(surface);
    options::register::<ChildNamespaceOptions>(surface);
    surface.function("execute", |context: NativeCallContext<'_>, file: File, options: ExecuteOptions| {
        execute(&context, &file, &options)
    });
    surface.shown::<ExecuteResult>("ExecuteResult");
    surface.property("exit_code", |result: &mut ExecuteResult| result.exit_code);
    surface.property("stdout", |result: &mut ExecuteResult| result.stdout.clone());
    surface.property("stderr", |result: &mut ExecuteResult| result.stderr.clone());
    surface.function("to_map", |result: &mut ExecuteResult| {
        Map::from_iter([
            item("exit_code", result.exit_code),
            item("stderr", result.stderr.clone()),
            item("stdout", result.stdout.clone()),
        ])
    });
}
