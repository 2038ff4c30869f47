//! `rex-audit`: looks whether the audit log is whole, and shows what stands in it. It reads the log and writes nothing to it.
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unreachable
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice,
        reason = "a failing test may panic"
    )
)]

mod exit;
mod failure;
mod filter;
mod moment;
mod options;
mod output;
mod page;
mod report;
mod row;
mod show;
mod text;
mod unknown;
mod verify;
mod view;

use clap::Parser;
use exit::Exit;
use failure::Failure;
use options::{Command, Options};
use rex_broker::config::Config;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.code().into() } else { ExitCode::SUCCESS };
        }
    };
    let exit = perform(&options).unwrap_or_else(|failure| {
        let exit = failure.exit();
        if exit != Exit::Success {
            let _ = writeln!(io::stderr().lock(), "error: {}", text::shown(&failure.to_string()));
        }
        exit
    });
    exit.code().into()
}

fn perform(options: &Options) -> Result<Exit, Failure> {
    let directory = directory(options)?;
    match &options.command {
        Command::Verify(verify) => verify::verify(&directory, verify),
        Command::Show(show) => show::show(&directory, show),
        Command::Follow(show) => show::follow(&directory, show),
        Command::Report(report) => report::report(&directory, report),
    }
}

/// Where the log is.
fn directory(options: &Options) -> Result<PathBuf, Failure> {
    match (&options.directory, &options.config) {
        (Some(directory), _) => Ok(directory.clone()),
        (None, config) => Ok(Config::load(config.as_deref())?.audit.directory),
    }
}
