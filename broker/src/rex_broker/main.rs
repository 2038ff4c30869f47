//! The broker's program.

mod doctor;
mod options;
mod status;

use clap::Parser;
use options::{Command, Options};
use rex_broker::audit::Audit;
use rex_broker::config::{Config, ConfigError};
use std::io::{self, Write};
use std::process::ExitCode;
use tracing::level_filters::LevelFilter;

fn main() -> ExitCode {
    let options = Options::parse();
    if options.standalone_session {
        rex_broker::start_log(LevelFilter::WARN);
        let audit = options.audit_log.map(|directory| Audit { directory, ..Audit::default() });
        return rex_broker::standalone::session(audit);
    }
    let config = configured(&options);
    match options.command {
        None => serve(config),
        Some(Command::Status(shown)) => ask(config, &shown),
        Some(Command::Doctor(shown)) => doctor::tell(config.map_err(|error| error.to_string()), &shown),
    }
}

/// What the configuration and the command line say.
fn configured(options: &Options) -> Result<Config, ConfigError> {
    let config = Config::load(options.config.as_deref())?;
    let mut audit = config.audit;
    audit.directory = options.audit_log.clone().unwrap_or(audit.directory);
    let socket = options.socket.clone().unwrap_or(config.socket);
    let policies = options.policies.clone().unwrap_or(config.policies);
    Ok(Config { socket, policies, audit, ..config })
}

fn serve(config: Result<Config, ConfigError>) -> ExitCode {
    let level = config.as_ref().ok().and_then(|config| config.log_level.parse().ok());
    rex_broker::start_log(level.unwrap_or(LevelFilter::INFO));
    let served = config.map_err(|error| error.to_string());
    match served.and_then(|config| rex_broker::daemon::run(config).map_err(|error| error.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", rex_broker::one_line(&error));
            ExitCode::FAILURE
        }
    }
}

fn ask(config: Result<Config, ConfigError>, shown: &options::Shown) -> ExitCode {
    let told = config.map_err(|error| error.to_string()).and_then(|config| status::tell(&config.socket, shown));
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell where this fails.
            let _ = writeln!(io::stderr().lock(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}
