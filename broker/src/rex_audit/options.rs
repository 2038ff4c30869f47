//! The command line.

use crate::exit;
use crate::filter::Pattern;
use crate::moment;
use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use std::path::PathBuf;

/// Look whether the audit log of Rex is whole, and show what stands in it.
///
/// The log belongs to root, and so does reading it. What others have put into it, such as paths and reasons, is shown so that a
/// terminal obeys nothing of it: every character but letters, digits and ASCII signs reads like `\u{202e}`.
#[derive(Debug, Parser)]
#[command(name = "rex-audit", version, after_long_help = exit::help())]
pub(crate) struct Options {
    /// Directory of the audit log [default: as the broker's configuration says, else /var/log/rex]
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) directory: Option<PathBuf>,
    /// The broker's configuration, which tells the directory [default: /etc/rex/broker.toml, if it is there]
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Look whether the log is what was written, all of it and nothing else
    ///
    /// Tells the hash of the last record: whoever notes it elsewhere can tell later that nothing before it was changed.
    #[command(after_long_help = exit::help())]
    Verify(Verify),
    /// Show records: lines for people on a terminal, else JSON as it stands in the log
    ///
    /// An operation that was allowed and of which neither an outcome nor the end of its run is recorded reads `unknown`.
    #[command(after_long_help = exit::help())]
    Show(Show),
    /// Show records, and go on with those that come
    ///
    /// Ends with SIGINT or SIGTERM, and when nobody reads it any more.
    #[command(after_long_help = exit::help())]
    Follow(Show),
    /// Write one HTML page about what was decided and done
    #[command(after_long_help = exit::help())]
    Report(Report),
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// How the result is shown
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Format::Human)]
    pub(crate) output_format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    pub(crate) filters: Filters,
    /// How records are shown: human on a terminal, else json, unless given
    #[arg(short, long, value_name = "FORMAT", value_enum)]
    pub(crate) output_format: Option<Format>,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    #[command(flatten)]
    pub(crate) filters: Filters,
    /// Only of this day
    #[arg(long, value_name = "DAY", value_parser = moment::day, conflicts_with_all = ["since", "until"])]
    pub(crate) day: Option<(Timestamp, Timestamp)>,
    /// The file that is written [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// Which records. All that are given must hold.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Filters {
    /// Only of this run: its id, or at least the first 4 characters of it
    #[arg(long, value_name = "ID", value_parser = run)]
    pub(crate) run: Option<String>,
    /// Only of runs of this user
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// Only decisions that came out so
    #[arg(long, value_name = "DECISION", value_enum)]
    pub(crate) decision: Option<Verdict>,
    /// Only decisions on resources that contain this; with `*`, that are like this
    #[arg(long, value_name = "TEXT")]
    pub(crate) resource: Option<Pattern>,
    /// Only decisions on this action: `read`, `file_system read`, or as policies write it
    #[arg(long, value_name = "NAME")]
    pub(crate) action: Option<String>,
    /// Only records of this kind: decision, outcome, run-start, run-end, run-refused, violation, broker-start, broker-stop,
    /// policy-load, asked, rotated, retired, recovered, gap
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,
    /// Only from then on: 2026-11-25T10:30:00Z, 2026-11-25, 10:30, or 2h or 3d for so long ago
    #[arg(long, value_name = "TIME", value_parser = moment::since)]
    pub(crate) since: Option<Timestamp>,
    /// Only up to then; a day is meant as a whole
    #[arg(long, value_name = "TIME", value_parser = moment::until)]
    pub(crate) until: Option<Timestamp>,
    /// Only the last so many of what is there
    #[arg(long, value_name = "N")]
    pub(crate) last: Option<usize>,
}

/// How something is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Human,
    /// For programs
    Json,
}

/// What policy answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Verdict {
    Allow,
    Deny,
}

impl Verdict {
    /// As it stands in records.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

fn run(text: &str) -> Result<String, String> {
    const LEAST: usize = 4;
    if text.chars().count() < LEAST {
        return Err(format!("is too short to tell runs apart: give at least {LEAST} characters"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
#[path = "../../../packaging/documents.rs"]
mod documents;

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(words: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from([&["rex-audit"], words].concat())
    }

    #[test]
    fn the_completions_are_of_these_options() {
        documents::completions_are_as_generated::<Options>();
    }

    #[test]
    fn the_manual_tells_every_option() {
        documents::the_manual_tells_every_option::<Options>("rex-audit.1");
    }

    #[test]
    fn the_definition_is_sound() {
        Options::command().debug_assert();
    }

    #[test]
    fn the_long_help_tells_every_exit_code() {
        let mut program = Options::command();
        let commands = program.get_subcommands_mut().map(|command| command.render_long_help().to_string());
        let all: Vec<String> = commands.collect();
        for help in all.into_iter().chain([program.render_long_help().to_string()]) {
            for (exit, meaning) in exit::TABLE {
                assert!(help.contains(&format!("  {:<5} {meaning}", exit.code())), "{help}");
            }
        }
    }

    #[test]
    fn the_directory_may_stand_behind_the_command() {
        for words in [["--directory", "d", "verify"], ["verify", "--directory", "d"]] {
            assert_eq!(parse(&words).unwrap().directory, Some("d".into()));
        }
    }

    #[test]
    fn wrong_command_lines_are_refused() {
        let wrong: &[&[&str]] = &[
            &[],
            &["verify", "x"],
            &["show", "--run", "abc"],
            &["show", "--decision", "maybe"],
            &["show", "--since", "yesterday"],
            &["show", "--until", "25:00"],
            &["show", "--last", "-1"],
            &["show", "--output-format", "yaml"],
            &["show", "--output", "file"],
            &["report", "--day", "10:30"],
            &["report", "--day", "2026-11-25", "--since", "2h"],
        ];
        for words in wrong {
            let error = parse(words).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{words:?}");
            assert!(error.use_stderr(), "{words:?}");
        }
    }
}
