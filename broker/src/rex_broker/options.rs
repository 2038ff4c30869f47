//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Decides and performs the operations of scripts that run in sealed workers.
#[derive(Debug, Parser)]
#[command(name = "rex-broker", version, about)]
pub(crate) struct Options {
    /// Configuration file [default: /etc/rex/broker.toml, if it is there]
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// Socket to listen on, where systemd passes none
    #[arg(long, value_name = "PATH", global = true)]
    pub(crate) socket: Option<PathBuf>,
    /// Directory of the policies
    #[arg(long, value_name = "DIRECTORY", global = true)]
    pub(crate) policies: Option<PathBuf>,
    /// Serve one run for the client at standard input, without a daemon
    #[arg(long, conflicts_with_all = ["config", "socket", "policies"])]
    pub(crate) standalone_session: bool,
    /// Directory of the audit log
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) audit_log: Option<PathBuf>,
    /// What else than to serve
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Tell how the running broker is: its runs, its policies, what it has counted
    ///
    /// It is asked at its socket, and answers root alone, also while it has no room for runs.
    Status(Shown),
    /// Tell which walls this host has, whether policies and programs can be used, and what that means
    ///
    /// No broker is asked, and nothing is changed. As root it finds what the broker finds; as another user, what
    /// `rex-exec --standalone` does. Exit codes: 0, all is as it should be; 1, Rex refuses to run here; 3, it runs, with less
    /// between a script and the system.
    Doctor(Shown),
}

#[derive(Debug, Args)]
pub(crate) struct Shown {
    /// How it is shown
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Format::Human)]
    pub(crate) output_format: Format,
}

/// How something is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Human,
    /// One object of JSON
    Json,
}

#[cfg(test)]
#[path = "../../../packaging/documents.rs"]
mod documents;

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_manual_tells_every_option() {
        documents::the_manual_tells_every_option::<Options>("rex-broker.8");
    }

    #[test]
    fn the_definition_is_sound() {
        Options::command().debug_assert();
    }

    #[test]
    fn a_session_without_a_daemon_has_no_status() {
        assert!(Options::try_parse_from(["rex-broker", "--standalone-session", "--config", "x"]).is_err());
        let options = Options::try_parse_from(["rex-broker", "status", "--socket", "s", "-o", "json"]).unwrap();
        assert_eq!(options.socket, Some("s".into()));
    }
}
