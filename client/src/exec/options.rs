//! The command line.

use super::exit;
use clap::{Parser, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Run a script on this machine: policy decides each operation before it happens.
///
/// SCRIPT may begin with `#!/usr/bin/env rex-exec`. Without --standalone the broker runs it, under the policies of this
/// machine; a policy given here can only narrow those.
#[derive(Debug, Parser)]
#[command(name = "rex-exec", version, after_long_help = exit::help())]
pub(crate) struct Options {
    /// The script; `-` reads it from standard input
    #[arg(required_unless_present_any = ["script_file", "list"])]
    pub(crate) script: Option<PathBuf>,

    /// Arguments of the script, always strings; see --arg-json for others
    #[arg(value_name = "NAME=VALUE", value_parser = assignment)]
    pub(crate) assignments: Vec<(String, String)>,

    /// The script, where the result should be JSON (see --output-format)
    #[arg(short, long, value_name = "PATH", conflicts_with_all = ["script", "assignments"])]
    pub(crate) script_file: Option<PathBuf>,

    /// A policy that must allow each operation as well; with --standalone the only one
    #[arg(short, long, value_name = "PATH")]
    pub(crate) policy_file: Option<PathBuf>,

    /// Arguments of the script as a JSON object: {"name": {"stringValue": "x"}}
    ///
    /// The type is one of stringValue, integerValue (32 bits), longValue, doubleValue, booleanValue, listValue, mapValue.
    /// Arguments from the command line replace those of the same name.
    #[arg(short = 'a', long, value_name = "PATH")]
    pub(crate) script_arguments_file: Option<PathBuf>,

    /// An argument of the script whose type is that of its JSON: count=3, names=["a", "b"]
    #[arg(long, value_name = "NAME=JSON", value_parser = assignment)]
    pub(crate) arg_json: Vec<(String, String)>,

    /// How the result is shown: json with --script-file, human with SCRIPT, unless given
    #[arg(short, long, value_name = "FORMAT", value_enum)]
    pub(crate) output_format: Option<Format>,

    /// Show log, metrics and alarms too (human), and warnings about the policy (all formats)
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// Why it is run, for policies that ask: a ticket, a sentence
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub(crate) reason: Option<String>,

    /// A signature of the script, as `ssh-keygen -Y sign -n rex-script` writes it, for policies that ask who signed it
    #[arg(long, value_name = "PATH", conflicts_with = "standalone")]
    pub(crate) signature: Option<PathBuf>,

    /// The longest time the script may take: 500ms, 30s, 5m, 1h; seconds without a unit
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,

    /// The most memory the script may use: 512M, 1G; bytes without a unit
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) memory: Option<u64>,

    /// Where the broker listens
    #[arg(long, value_name = "PATH", default_value = rex_client::SOCKET, conflicts_with = "standalone")]
    pub(crate) socket: PathBuf,

    /// Run without the broker, as the calling user and under the given policy alone
    #[arg(long, requires = "policy_file")]
    pub(crate) standalone: bool,

    /// List what the policies of this machine say of you, and run nothing
    #[arg(short, long, conflicts_with_all = ["script", "assignments", "script_file", "policy_file", "standalone", "script_arguments_file", "arg_json"])]
    pub(crate) list: bool,

    /// Refuse a policy that does not fit the schema instead of warning
    #[arg(long, requires = "policy_file")]
    pub(crate) strict: bool,

    /// Never ask anything, fail instead; nothing asks today
    #[arg(short, long)]
    pub(crate) non_interactive: bool,
}

/// How the result is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One line of JSON
    Json,
    /// JSON over several lines
    PrettyJson,
    /// The script's output on standard output, errors on standard error
    Human,
}

impl Options {
    /// The format asked for, or the one that goes with the way the script was given.
    pub(crate) fn format(&self) -> Format {
        let usual = if self.script_file.is_some() { Format::Json } else { Format::Human };
        self.output_format.unwrap_or(usual)
    }
}

/// `NAME=VALUE`, the name one that a script can use.
fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("is not NAME=VALUE")?;
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if first && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        Ok((name.to_owned(), value.to_owned()))
    } else {
        Err(format!("`{name}` is not a name that a script can use"))
    }
}

fn reason(text: &str) -> Result<String, String> {
    const MOST: usize = 1024;
    match text.len() {
        0 => Err("is empty".into()),
        length if length > MOST => Err(format!("has {length} bytes, at most {MOST} are taken")),
        _ => Ok(text.to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    const WRONG: &str = "is not a duration such as 500ms, 30s, 5m or 1h";
    let (number, unit) = number_and_unit(text).ok_or(WRONG)?;
    let milliseconds = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(WRONG.into()),
    };
    number.checked_mul(milliseconds).filter(|total| *total > 0).map(Duration::from_millis).ok_or_else(|| WRONG.into())
}

fn size(text: &str) -> Result<u64, String> {
    const WRONG: &str = "is not a size such as 512M or 1G";
    let (number, unit) = number_and_unit(text).ok_or(WRONG)?;
    let bytes: u64 = match unit.to_ascii_uppercase().as_str() {
        "" => 1,
        "K" | "KIB" => 1 << 10,
        "M" | "MIB" => 1 << 20,
        "G" | "GIB" => 1 << 30,
        "T" | "TIB" => 1 << 40,
        _ => return Err(WRONG.into()),
    };
    number.checked_mul(bytes).filter(|total| *total > 0).ok_or_else(|| WRONG.into())
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit))
}

#[cfg(test)]
#[path = "../../../packaging/documents.rs"]
mod documents;

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(words: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from([&["rex-exec"], words].concat())
    }

    #[test]
    fn the_definition_is_sound() {
        Options::command().debug_assert();
    }

    #[test]
    fn the_completions_are_of_these_options() {
        documents::completions_are_as_generated::<Options>();
    }

    #[test]
    fn the_manual_tells_every_option() {
        documents::the_manual_tells_every_option::<Options>("rex-exec.1");
    }

    #[test]
    fn the_long_help_tells_every_exit_code() {
        let help = Options::command().render_long_help().to_string();
        for (exit, meaning) in exit::TABLE {
            assert!(help.contains(&format!("  {:<5} {meaning}", exit.code())), "{help}");
        }
    }

    #[test]
    fn the_way_the_script_is_given_decides_the_format() {
        assert_eq!(parse(&["x"]).unwrap().format(), Format::Human);
        assert_eq!(parse(&["-s", "x"]).unwrap().format(), Format::Json);
        assert_eq!(parse(&["-s", "x", "-o", "pretty-json"]).unwrap().format(), Format::PrettyJson);
        assert_eq!(parse(&["-o", "json", "x"]).unwrap().format(), Format::Json);
    }

    #[test]
    fn wrong_command_lines_are_refused() {
        let wrong: &[&[&str]] = &[
            &[],
            &["x", "no assignment"],
            &["x", "1a=b"],
            &["x", "=b"],
            &["x", "a-b=c"],
            &["-s", "x", "y"],
            &["-s", "x", "-s", "y"],
            &["x", "-v", "-v"],
            &["x", "--unknown"],
            &["x", "--standalone"],
            &["x", "--strict"],
            &["x", "--standalone", "-p", "p", "--socket", "s"],
            &["x", "-o", "yaml"],
            &["x", "--timeout", "0"],
            &["x", "--timeout", "5 m"],
            &["x", "--timeout", "99999999999999999999h"],
            &["x", "--memory", "-1"],
            &["x", "--memory", "99999999999T"],
        ];
        for words in wrong {
            let error = parse(words).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{words:?}");
            assert!(error.use_stderr(), "{words:?}");
        }
    }

    #[test]
    fn sizes_and_durations() {
        assert_eq!(duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(size("512M"), Ok(512 << 20));
        assert_eq!(size("1gib"), Ok(1 << 30));
        assert_eq!(size("4096"), Ok(4096));
    }

    #[test]
    fn a_value_may_hold_anything() {
        let options = parse(&["x", "url=http://a/?b=c", "empty="]).unwrap();
        let pairs = [("url".into(), "http://a/?b=c".into()), ("empty".into(), String::new())];
        assert_eq!(options.assignments, pairs);
    }
}
