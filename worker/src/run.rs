//! One run: what the session sends, and how it ends.

use crate::channel::Channel;
use crate::engine::Interpreter;
use crate::fault;
use crate::sys;
use rex_protocol::argument::{Argument, Arguments};
use rex_protocol::text::Text;
use rex_protocol::worker::{FaultClass, Finished, Run, ScriptFault, ToWorker};
use rhai::{Dynamic, Scope};

/// A script with what belongs to it.
#[derive(Debug)]
pub struct Job {
    /// Limits and the level of messages.
    pub run: Run,
    /// The script's text.
    pub script: Vec<u8>,
    /// Its arguments as JSON; empty for none.
    pub arguments: Vec<u8>,
}

/// Waits for a script. Ends the process where anything else comes.
pub fn receive(channel: &Channel) -> Job {
    let ToWorker::Run(run) = channel.hear() else { sys::exit(sys::EXIT_SESSION_LOST) };
    let (script, arguments) = (run.script as usize, run.arguments as usize);
    let mut text = Vec::with_capacity(script + arguments);
    while text.len() < script + arguments {
        match channel.hear() {
            ToWorker::Part(part) if !part.is_empty() => text.extend_from_slice(&part),
            _ => sys::exit(sys::EXIT_SESSION_LOST),
        }
    }
    if text.len() != script + arguments {
        sys::exit(sys::EXIT_SESSION_LOST);
    }
    let arguments = text.split_off(script);
    Job { run: *run, script: text, arguments }
}

/// Runs a script to its end; its value goes out as output.
pub fn run(interpreter: &mut Interpreter, channel: &Channel, job: &Job) -> Finished {
    channel.set_level(job.run.log_level);
    interpreter.limit(&job.run.limits);
    match value(interpreter, channel, job) {
        Ok(text) => {
            channel.output(&text);
            Finished::Succeeded
        }
        Err(fault) => Finished::Failed(fault),
    }
}

fn value(interpreter: &Interpreter, channel: &Channel, job: &Job) -> Result<String, ScriptFault> {
    let mut scope = scope(&job.arguments)?;
    let compile = |message: String| ScriptFault { class: FaultClass::Compile, message: Text::cut(message) };
    let script = std::str::from_utf8(&job.script)
        .map_err(|error| compile(format!("Syntax error: the script is not UTF-8: {error}")))?;
    let script = without_interpreter_line(script);
    let script = interpreter
        .engine()
        .compile_with_scope(&scope, script)
        .map_err(|error| compile(rhai::EvalAltResult::from(error).to_string()))?;
    let result: Result<Dynamic, _> = interpreter.engine().eval_ast_with_scope(&mut scope, &script);
    match result {
        Ok(value) => Ok(interpreter.texts().display(&value)),
        Err(error) => Err(fault::describe(*error, interpreter.texts(), channel)),
    }
}

/// The script without a first line that names an interpreter; its end stays, so that all lines keep their numbers.
fn without_interpreter_line(script: &str) -> &str {
    if script.starts_with("#!") { script.find('\n').and_then(|end| script.get(end..)).unwrap_or_default() } else { script }
}

/// The arguments as variables.
fn scope(json: &[u8]) -> Result<Scope<'static>, ScriptFault> {
    let mut scope = Scope::new();
    if json.is_empty() {
        return Ok(scope);
    }
    let fault = |message: String| ScriptFault { class: FaultClass::Arguments, message: Text::cut(message) };
    let arguments: Arguments = serde_json::from_slice(json)
        .map_err(|error| fault(format!("Failed to parse script arguments JSON: {error}")))?;
    for (name, argument) in arguments {
        if argument.is_too_deep() {
            return Err(fault(format!(
                "Script arguments depth validation failed: Argument '{name}': Maximum nesting depth of {} exceeded",
                rex_protocol::argument::DEPTH
            )));
        }
        scope.push_dynamic(name, variable(argument));
    }
    Ok(scope)
}

fn variable(argument: Argument) -> Dynamic {
    match argument {
        Argument::String(text) => text.into(),
        Argument::Integer(number) => i64::from(number).into(),
        Argument::Long(number) => number.into(),
        Argument::Double(number) => number.into(),
        Argument::Boolean(flag) => flag.into(),
        Argument::List(items) => Dynamic::from_array(items.into_iter().map(variable).collect()),
        Argument::Map(items) => {
            Dynamic::from_map(items.into_iter().map(|(key, item)| (key.into(), variable(item))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interpreter_line_goes_and_lines_stay() {
        for (before, after) in [("#!/bin/x\nlet a;\n", "\nlet a;\n"), ("#!x", ""), ("", ""), ("1 #!\n", "1 #!\n")] {
            assert_eq!(without_interpreter_line(before), after);
        }
    }
}
