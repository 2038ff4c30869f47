//! The files of a run: read whole before anything is submitted.

mod bundle;

use super::arguments;
use super::options::Options;
use nix::fcntl::OFlag;
use rex_client::limits::{ARGUMENTS, POLICY, SCRIPT};
use rex_client::{Arguments, Policy, Submission};
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// The largest signature that is taken, in bytes.
const SIGNATURE: usize = 16 * 1024;

/// Why a run cannot be put together.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The command line asks for the impossible.
    Usage(String),
    /// A file of script or arguments cannot be used.
    Input(String),
    /// The policy's file cannot be used.
    Policy(String),
}

/// Reads the files that the command line names, in their order: script, policy, signature, arguments.
pub(crate) fn read(options: &Options) -> Result<Submission, Fault> {
    let most = if options.bundle { bundle::LARGEST } else { SCRIPT };
    let script = match (&options.script_file, &options.script) {
        (Some(path), _) => load(path, most, "script file").map_err(Fault::Input)?,
        (None, Some(path)) if path.as_os_str() == "-" => {
            let text = bounded(io::stdin().lock(), most);
            text.map_err(|what| Fault::Input(format!("Failed to read script file: standard input: {what}")))?
        }
        (None, Some(path)) => load(path, most, "script file").map_err(Fault::Input)?,
        (None, None) => return Err(Fault::Usage("a script is needed".into())),
    };
    let mut submission = if options.bundle {
        bundle::parse(&script).map_err(|what| Fault::Input(format!("Failed to read bundle: {what}")))?
    } else {
        Submission::new(script)
    };
    if let Some(path) = &options.policy_file {
        only_one("policy", submission.policy.is_some())?;
        let text = load(path, POLICY, "policy file").map_err(Fault::Policy)?;
        submission.policy = Some(Policy::new(path.display().to_string(), text));
    }
    if let Some(path) = &options.signature {
        only_one("signature", submission.signature.is_some())?;
        let text = load(path, SIGNATURE, "signature file").map_err(Fault::Input)?;
        submission.signature = Some(String::from_utf8_lossy(&text).into_owned());
    }
    submission.arguments = read_arguments(options, submission.arguments)?;
    submission.strict = options.strict;
    Ok(submission)
}

/// A bundle and an option may not both bring it.
fn only_one(what: &str, is_in_bundle: bool) -> Result<(), Fault> {
    if is_in_bundle { Err(Fault::Usage(format!("the bundle has a {what}, and another is given"))) } else { Ok(()) }
}

/// The arguments of bundle, file and command line; the later replace those of the same name.
fn read_arguments(options: &Options, mut given: Arguments) -> Result<Arguments, Fault> {
    if let Some(path) = &options.script_arguments_file {
        let text = load(path, ARGUMENTS, "script arguments file").map_err(Fault::Input)?;
        let failed =
            |error| Fault::Input(format!("Failed to parse script arguments JSON: {}: {error}", path.display()));
        given.extend(arguments::parse(&text).map_err(failed)?);
    }
    if options.assignments.is_empty() && options.arg_json.is_empty() && !options.bundle {
        return Ok(given);
    }
    arguments::add(&mut given, &options.assignments, &options.arg_json).map_err(Fault::Usage)?;
    let text = serde_json::to_vec(&given).map_err(|error| Fault::Usage(error.to_string()))?;
    if text.len() > ARGUMENTS {
        return Err(Fault::Usage(format!("the arguments have {} bytes, at most {ARGUMENTS} are taken", text.len())));
    }
    Ok(given)
}

fn load(path: &Path, most: usize, what: &str) -> Result<Vec<u8>, String> {
    load_file(path, most).map_err(|error| format!("Failed to read {what}: {}: {error}", path.display()))
}

/// The text of a regular file. Nothing else is waited for: a FIFO could make us wait for ever.
fn load_file(path: &Path, most: usize) -> Result<Vec<u8>, String> {
    let flags = (OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(|error| error.to_string())?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    let kind = metadata.file_type();
    if !kind.is_file() {
        let kind = match () {
            () if kind.is_dir() => "a directory",
            () if kind.is_fifo() => "a FIFO",
            () if kind.is_socket() => "a socket",
            () => "a device",
        };
        return Err(format!("it is {kind}, not a file"));
    }
    if metadata.len() > most as u64 {
        return Err(format!("it has {} bytes, at most {most} are taken", metadata.len()));
    }
    bounded(file, most)
}

/// All that `source` has, UTF-8 and not more than `most` bytes.
fn bounded(source: impl Read, most: usize) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    source.take(most as u64 + 1).read_to_end(&mut text).map_err(|error| error.to_string())?;
    if text.len() > most {
        return Err(format!("it has more than {most} bytes"));
    }
    match std::str::from_utf8(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(format!("it is not UTF-8 after byte {}", error.valid_up_to())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::fs;

    fn submission(words: &[&str]) -> Result<Submission, Fault> {
        read(&Options::try_parse_from([&["rex-exec"], words].concat()).unwrap())
    }

    fn input_fault(words: &[&str]) -> String {
        match submission(words) {
            Err(Fault::Input(message) | Fault::Policy(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let [good, bad, huge, fifo] = ["good", "bad", "huge", "fifo"].map(place);
        fs::write(&good, "1").unwrap();
        fs::write(&bad, b"ab\xff").unwrap();
        fs::File::create(&huge).unwrap().set_len(SCRIPT as u64 + 1).unwrap();
        nix::unistd::mkfifo(fifo.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for (path, what) in [
            (place("none"), "No such file"),
            (folder.path().to_str().unwrap().to_owned(), "a directory"),
            (fifo, "a FIFO"),
            ("/dev/null".into(), "a device"),
            (bad, "not UTF-8 after byte 2"),
            (huge, "bytes, at most"),
        ] {
            for (words, step) in [
                (vec!["-s", &path], "Failed to read script file: "),
                (vec!["-s", &good, "-p", &path], "Failed to read policy file: "),
                (vec!["-s", &good, "-a", &path], "Failed to read script arguments file: "),
            ] {
                let message = input_fault(&words);
                assert!(message.starts_with(&format!("{step}{path}: ")), "{message}");
                assert!(message.contains(what), "{message}");
            }
        }
    }

    #[test]
    fn arguments_of_file_and_command_line_come_together() {
        let folder = tempfile::tempdir().unwrap();
        let [script, file] = ["s", "a"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
        fs::write(&script, "").unwrap();
        assert!(submission(&[&script]).unwrap().arguments.is_empty());
        fs::write(&file, r#"{"b": {"longValue": 1}, "c": {"longValue": 2}}"#).unwrap();
        let submission = submission(&["-a", &file, "--arg-json", "b=[true]", &script, "a=x"]).unwrap();
        let expected = r#"{"a":{"stringValue":"x"},"b":{"listValue":[{"booleanValue":true}]},"c":{"longValue":2}}"#;
        assert_eq!(serde_json::to_string(&submission.arguments).unwrap(), expected);
        fs::write(&file, "{").unwrap();
        let message = input_fault(&["-s", &script, "-a", &file]);
        assert!(message.starts_with(&format!("Failed to parse script arguments JSON: {file}: ")), "{message}");
    }
}
