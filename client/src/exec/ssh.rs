//! `--ssh`: sshd starts us for whoever has a key, whatever that one asks for.
//!
//! Our own command line is the administrator's, and what it says holds. The other end says the rest: in the remote command
//! (`SSH_ORIGINAL_COMMAND`) and on standard input. It chooses every byte of both, so the command can name no file of this machine, and
//! nothing but what stands here. The environment is partly its own as well, so only what sshd itself puts there is looked at.

mod key;

use super::options::Options;
use clap::Parser;
use rex_client::Ssh;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::Path;

/// Where sshd puts the remote command, and the name of a file about how the user was let in.
const COMMAND: &str = "SSH_ORIGINAL_COMMAND";
const AUTHENTICATION: &str = "SSH_USER_AUTH";
/// In place of a script: it is standard input.
const STANDARD_INPUT: &str = "-";

/// Why there is nothing to run.
#[derive(Debug)]
pub(crate) enum Fault {
    /// What was asked for cannot be asked for, or not so.
    Usage(String),
    /// The words to say instead of running something: the help, or the version.
    Told(String),
}

/// Our options and those of the other end, together.
pub(crate) fn with_remote(own: Options) -> Result<Options, Fault> {
    let remote = match std::env::var_os(COMMAND) {
        Some(command) => parse(command)?,
        None => None,
    };
    let mut options = match remote {
        Some(remote) => join(own, remote)?,
        None => own,
    };
    if options.script.is_none() && options.script_file.is_none() && !options.list {
        options.script = Some(STANDARD_INPUT.into());
    }
    let reads_standard_input = options.script.as_deref() == Some(Path::new(STANDARD_INPUT));
    if reads_standard_input && io::stdin().is_terminal() {
        return Err(Fault::Usage(
            "this account has no shell, it runs scripts: `ssh HOST rex-exec - NAME=VALUE... < SCRIPT`".into(),
        ));
    }
    Ok(options)
}

/// What the broker is told of the connection.
pub(crate) fn connection() -> Result<Ssh, String> {
    let Some(path) = std::env::var_os(AUTHENTICATION) else { return Ok(Ssh::default()) };
    let key = key::used(Path::new(&path)).map_err(|error| format!("cannot tell by which key you came: {error}"))?;
    Ok(Ssh { key })
}

/// The options of a remote command, which is one of `rex-exec`; nothing if it is empty.
fn parse(command: OsString) -> Result<Option<Options>, Fault> {
    let command = command.into_string().map_err(|_| Fault::Usage("the remote command is not UTF-8".into()))?;
    let words =
        shlex::split(&command).ok_or_else(|| Fault::Usage("the remote command has a quote without its end".into()))?;
    let Some(program) = words.first() else { return Ok(None) };
    if Path::new(program).file_name().is_none_or(|name| name != "rex-exec") {
        return Err(Fault::Usage(format!(
            "this account runs nothing but `rex-exec`, not `{program}`: `ssh HOST rex-exec - NAME=VALUE... < SCRIPT`"
        )));
    }
    match Options::try_parse_from(&words) {
        Ok(options) => Ok(Some(options)),
        // A script is not needed: it is standard input.
        Err(error) if error.kind() == clap::error::ErrorKind::MissingRequiredArgument => {
            let with_script = words.iter().map(String::as_str).chain([STANDARD_INPUT]);
            Options::try_parse_from(with_script).map(Some).map_err(fault)
        }
        Err(error) => Err(fault(error)),
    }
}

fn fault(error: clap::Error) -> Fault {
    let text = error.render().to_string();
    if error.use_stderr() {
        let text = text.strip_prefix("error: ").unwrap_or(&text);
        Fault::Usage(text.trim_end().to_owned())
    } else {
        Fault::Told(text)
    }
}

/// The options of both: those of the other end that stand on the list, and of these what is not said already.
fn join(mut own: Options, remote: Options) -> Result<Options, Fault> {
    // Without `..`: an option that is added later does not compile until it is decided whether it may come from afar.
    let Options {
        script,
        assignments,
        bundle,
        arg_json,
        output_format,
        verbose,
        reason,
        timeout,
        memory,
        list,
        non_interactive,
        dry_run,
        script_file,
        policy_file,
        script_arguments_file,
        signature,
        socket,
        ssh,
        standalone,
        strict,
    } = remote;
    let is_at_usual_place = socket == Path::new(rex_client::SOCKET);
    for (option, is_given) in [
        ("--script-file", script_file.is_some()),
        ("--policy-file", policy_file.is_some()),
        ("--script-arguments-file", script_arguments_file.is_some()),
        ("--signature", signature.is_some()),
        ("--socket", !is_at_usual_place),
        ("--ssh", ssh),
        ("--standalone", standalone),
        ("--strict", strict),
    ] {
        if is_given {
            return Err(Fault::Usage(format!("`{option}` cannot be given in a remote command")));
        }
    }
    if let Some(script) = script.filter(|script| script.as_os_str() != STANDARD_INPUT) {
        return Err(Fault::Usage(format!(
            "a remote command cannot name a script, such as `{}`: it is standard input, `-`",
            script.display()
        )));
    }
    let has_script =
        own.script.as_deref().is_some_and(|script| script.as_os_str() != STANDARD_INPUT) || own.script_file.is_some();
    if has_script && (bundle || list) {
        return Err(Fault::Usage("this key runs one script, and that is chosen already".into()));
    }
    add(&mut own.output_format, output_format, "--output-format")?;
    add(&mut own.reason, reason, "--reason")?;
    add(&mut own.timeout, timeout, "--timeout")?;
    add(&mut own.memory, memory, "--memory")?;
    own.bundle |= bundle;
    own.verbose |= verbose;
    own.list |= list;
    own.dry_run |= dry_run;
    own.non_interactive |= non_interactive;
    let is_fixed = |name: &str| own.assignments.iter().chain(&own.arg_json).any(|(own, _)| own == name);
    if let Some((name, _)) = assignments.iter().chain(&arg_json).find(|(name, _)| is_fixed(name)) {
        return Err(Fault::Usage(format!("the argument `{name}` is chosen already")));
    }
    own.assignments.extend(assignments);
    own.arg_json.extend(arg_json);
    Ok(own)
}

/// What `theirs` says, where we say nothing.
fn add<T>(own: &mut Option<T>, theirs: Option<T>, option: &str) -> Result<(), Fault> {
    match theirs {
        Some(_) if own.is_some() => Err(Fault::Usage(format!("`{option}` is chosen already"))),
        Some(value) => {
            *own = Some(value);
            Ok(())
        }
        None => Ok(()),
    }
}
