//! The broker's program.

use clap::Parser;
use rex_broker::audit::Audit;
use rex_broker::config::Config;
use std::path::PathBuf;
use std::process::ExitCode;
use tracing::level_filters::LevelFilter;

/// Decides and performs the operations of scripts that run in sealed workers.
#[derive(Debug, Parser)]
#[command(name = "rex-broker", version, about)]
struct Options {
    /// Configuration file [default: /etc/rex/broker.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Socket to listen on, where systemd passes none
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Directory of the policies
    #[arg(long, value_name = "DIRECTORY")]
    policies: Option<PathBuf>,
    /// Serve one run for the client at standard input, without a daemon
    #[arg(long, conflicts_with_all = ["config", "socket", "policies"])]
    standalone_session: bool,
    /// Directory of the audit log
    #[arg(long, value_name = "DIRECTORY")]
    audit_log: Option<PathBuf>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.standalone_session {
        rex_broker::start_log(LevelFilter::WARN);
        let audit = options.audit_log.map(|directory| Audit { directory, ..Audit::default() });
        return rex_broker::standalone::session(audit);
    }
    let mut config = match Config::load(options.config.as_deref()) {
        Ok(config) => config,
        Err(error) => {
            rex_broker::start_log(LevelFilter::INFO);
            tracing::error!("{error}");
            return ExitCode::FAILURE;
        }
    };
    rex_broker::start_log(config.log_level.parse().unwrap_or(LevelFilter::INFO));
    config.socket = options.socket.unwrap_or(config.socket);
    config.policies = options.policies.unwrap_or(config.policies);
    config.audit.directory = options.audit_log.unwrap_or(config.audit.directory);
    match rex_broker::daemon::run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
