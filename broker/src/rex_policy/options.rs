//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Check policies, explain what they decide, test them, and have the broker load them.
///
/// It needs no broker but for `reload`, and changes nothing.
#[derive(Debug, Parser)]
#[command(
    name = "rex-policy",
    version,
    after_long_help = "\
Exit codes:
  0     it is as it should be
  1     it is not: policies do not hold, tests fail
  2     the command line is wrong
  3     something cannot be read, reached or understood"
)]
pub(crate) struct Options {
    /// The broker's configuration, which names the store [default: /etc/rex/broker.toml, if it is there]
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,

    /// Another directory of policies than the configured one
    #[arg(long, value_name = "DIRECTORY", global = true)]
    pub(crate) policies: Option<PathBuf>,

    /// How the answer is shown
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value = "human", global = true)]
    pub(crate) output_format: Format,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How an answer is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Human,
    /// One object of JSON
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Are policies fit to be used? Syntax, schema, owners, modes, their tests, and what can never match
    Check(Check),
    /// Do the tests beside policies pass?
    Test(Test),
    /// Why is a request allowed or denied?
    Explain(Box<Explain>),
    /// What may somebody do?
    List(List),
    /// What would other policies decide differently?
    Diff(Diff),
    /// The least policies that allow what a recorded run did
    Suggest(Suggest),
    /// Have the broker load its policies anew
    Reload(Reload),
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Policy files, or directories of them, instead of the store; owners and modes are only looked at in the store
    pub(crate) paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Policy files, each with its tests beside it, or directories of them, instead of the store
    pub(crate) paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The action: `read`, or in full
    #[arg(required_unless_present_any = ["record", "question"])]
    pub(crate) action: Option<String>,

    /// The resource, as policies write it, or an absolute path of a file or directory
    #[arg(required_unless_present_any = ["record", "question"])]
    pub(crate) resource: Option<String>,

    /// Who asks [default: you]
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,

    /// A group that who asks is in; may be given again [default: those of the user]
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Vec<String>,

    /// What is known of the resource besides: owner=root, mode=420; may be given again. Without, files are looked at as they are
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    pub(crate) attribute: Vec<(String, String)>,

    /// What is known of the run: reason=x, deleted=3, now=2026-11-25T10:00:00Z; may be given again
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    pub(crate) session: Vec<(String, String)>,

    /// Where something is moved to
    #[arg(long, value_name = "PATH")]
    pub(crate) destination: Option<String>,

    /// An argument of a program that is executed; may be given again
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) argument: Vec<String>,

    /// The question as a file of JSON, `-` for standard input, instead of all of these
    #[arg(long, value_name = "FILE", conflicts_with_all = ["action", "resource", "record"])]
    pub(crate) question: Option<PathBuf>,

    /// The decision of this number in the audit log
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["action", "resource"])]
    pub(crate) record: Option<u64>,

    /// The directory of the audit log [default: the configured one]
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) audit_log: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Who [default: you]
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,

    /// A group that it is in; may be given again [default: those of the user]
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// A policy file or a directory of them
    pub(crate) old: PathBuf,
    /// Another
    pub(crate) new: PathBuf,

    /// The directory of the audit log whose requests are asked again [default: the configured one]
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) audit_log: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Suggest {
    /// The run, by the beginning of its id
    #[arg(long, value_name = "ID")]
    pub(crate) run: String,

    /// Name a directory where so many files of it were used alike
    #[arg(long, value_name = "COUNT")]
    pub(crate) generalise: Option<usize>,

    /// Permit as well what the run was denied because nothing permitted it
    #[arg(long)]
    pub(crate) with_denied: bool,

    /// The directory of the audit log [default: the configured one]
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) audit_log: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Reload {
    /// Where the broker listens [default: the configured socket]
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("is not NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
#[path = "../../../packaging/documents.rs"]
mod documents;

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_completions_are_of_these_options() {
        documents::completions_are_as_generated::<Options>();
    }

    #[test]
    fn the_manual_tells_every_option() {
        documents::the_manual_tells_every_option::<Options>("rex-policy.1");
    }

    #[test]
    fn the_definition_is_sound() {
        Options::command().debug_assert();
    }
}
