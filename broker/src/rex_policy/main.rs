//! `rex-policy`: checks policies, explains what they decide, tests them, and has the broker load them.
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod broker;
mod check;
mod diff;
mod explain;
mod list;
mod load;
mod options;
mod recorded;
mod suggest;
mod text;

use clap::Parser;
use options::{Command, Options};
use std::process::ExitCode;

/// Why a command does not come to its end; what is to be said of it.
pub(crate) enum Fault {
    /// What was asked for is not so: policies do not hold, tests fail, a request is answered otherwise.
    No(String),
    /// The command line asks for the impossible.
    Usage(String),
    /// Something cannot be read, reached or understood.
    Cannot(String),
}

impl Fault {
    /// For people; empty where all is said.
    pub(crate) fn message(&self) -> &str {
        match self {
            Fault::No(message) | Fault::Usage(message) | Fault::Cannot(message) => message,
        }
    }
}

fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    let done = match &options.command {
        Command::Check(check) => check::run(&options, check),
        Command::Test(test) => check::test(&options, test),
        Command::Explain(explain) => explain::run(&options, explain),
        Command::List(list) => list::run(&options, list),
        Command::Diff(diff) => diff::run(&options, diff),
        Command::Suggest(suggest) => suggest::run(&options, suggest),
        Command::Reload(reload) => broker::reload(&options, reload),
    };
    let Err(fault) = done else { return ExitCode::SUCCESS };
    text::complain(fault.message());
    ExitCode::from(match fault {
        Fault::No(_) => 1,
        Fault::Usage(_) => 2,
        Fault::Cannot(_) => 3,
    })
}
