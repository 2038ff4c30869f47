//! `rex-exec`: submits a script, follows its run and shows what comes of it.
#![forbid(unsafe_code)]

mod arguments;
mod changes;
mod exit;
mod follow;
mod human;
mod input;
mod list;
mod options;
mod record;
mod result;
mod signals;
mod ssh;
mod terminal;

use clap::Parser;
use exit::Exit;
use follow::Stop;
use human::Screen;
use nix::sys::signal::Signal;
use options::{Format, Options};
use record::Record;
use result::{End, Report};
use rex_client::{Broker, Level, LimitRequest, Run, Submission};
use std::io;
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let begun = Instant::now();
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.code().into() } else { ExitCode::SUCCESS };
        }
    };
    let options = match if options.ssh { ssh::with_remote(options) } else { Ok(options) } {
        Ok(options) => options,
        Err(ssh::Fault::Told(text)) => {
            return write(text.as_bytes()).map_or(Exit::Failed.code().into(), |()| ExitCode::SUCCESS);
        }
        Err(ssh::Fault::Usage(message)) => {
            Screen::new(Format::Human, false).error(&message);
            return Exit::Usage.code().into();
        }
    };
    let mut screen = Screen::new(options.format(), options.verbose);
    if options.list {
        return list::run(&options, &mut screen);
    }
    let mut record = Record::default();
    // Kept until the result is out: waiting for a session of ours to end would delay it.
    let mut run = None;
    let end = match perform(&options, &mut screen, &mut record, &mut run) {
        Ok(end) => end,
        Err(Break::Usage(message)) => {
            screen.error(&message);
            return Exit::Usage.code().into();
        }
        Err(Break::Interrupted(signal)) => {
            screen.clear();
            drop(run);
            signals::die_of(signal);
            return ExitCode::from(128u8.saturating_add(signal as u8));
        }
        Err(Break::Output(error)) => return unwritten(&mut screen, &error),
    };
    let report = Report::new(&end, &record, options.dry_run, is_measured(&options), begun.elapsed());
    let written = match options.format() {
        Format::Json => serde_json::to_vec(&report).map_err(io::Error::from).and_then(|text| write(&text)),
        Format::PrettyJson => serde_json::to_vec_pretty(&report).map_err(io::Error::from).and_then(|text| write(&text)),
        Format::Human => screen.present(&end, &report, record.output()),
    };
    match written {
        Ok(()) => end.exit().code().into(),
        Err(error) => unwritten(&mut screen, &error),
    }
}

/// Why there is nothing to report.
enum Break {
    Usage(String),
    Interrupted(Signal),
    Output(io::Error),
}

fn perform(options: &Options, screen: &mut Screen, record: &mut Record, kept: &mut Option<Run>) -> Result<End, Break> {
    let mut submission = match input::read(options) {
        Ok(submission) => submission,
        Err(input::Fault::Usage(message)) => return Err(Break::Usage(message)),
        Err(input::Fault::Input(message)) => return Ok(End::Input(message)),
        Err(input::Fault::Policy(message)) => return Ok(End::PolicyFile(message)),
    };
    if options.ssh {
        match ssh::connection() {
            Ok(connection) => submission.ssh = Some(connection),
            Err(message) => return Ok(End::Input(message)),
        }
    }
    submission.log_level = log_level(options);
    submission.limits = LimitRequest {
        time_ms: options.timeout.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        memory: options.memory,
    };
    submission.measure = is_measured(options);
    submission.progress = screen.shows_progress();
    submission.reason.clone_from(&options.reason);
    submission.dry_run = options.dry_run;
    let run = match submit(options, submission) {
        Ok(run) => kept.insert(run),
        Err(error) => return Ok(End::Broker(error)),
    };
    match follow::follow(run, screen, record) {
        Ok(outcome) => Ok(End::Outcome(outcome)),
        Err(Stop::Broker(error)) => Ok(End::Broker(error)),
        Err(Stop::Interrupted(signal)) => Err(Break::Interrupted(signal)),
        Err(Stop::Output(error)) => Err(Break::Output(error)),
    }
}

fn submit(options: &Options, submission: Submission) -> Result<Run, rex_client::Error> {
    let broker = if options.standalone { Broker::standalone()? } else { Broker::connect_to(&options.socket)? };
    broker.submit(submission)
}

fn write(text: &[u8]) -> io::Result<()> {
    human::write_flushed_bytes(io::stdout().lock(), text)
}

/// The result cannot be written. A reader that went away has what it wants.
fn unwritten(screen: &mut Screen, error: &io::Error) -> ExitCode {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return ExitCode::from(128u8.saturating_add(Signal::SIGPIPE as u8));
    }
    screen.error(&format!("cannot write the result: {error}"));
    Exit::Failed.code().into()
}

/// The least level of log messages to keep, by `LOG_LEVEL`.
fn log_level(options: &Options) -> Level {
    let wanted = setting(options, "LOG_LEVEL").to_ascii_uppercase();
    let levels = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error];
    levels.into_iter().find(|level| level.name() == wanted).unwrap_or(Level::Info)
}

/// Whether metrics tell what the run used, by `REX_RUNNER_DISABLE_MONITORING`.
fn is_measured(options: &Options) -> bool {
    let disabled = setting(options, "REX_RUNNER_DISABLE_MONITORING");
    disabled != "1" && !disabled.eq_ignore_ascii_case("true")
}

/// A variable of the environment; empty where that is not our own.
fn setting(options: &Options, name: &str) -> String {
    if options.ssh { String::new() } else { std::env::var(name).unwrap_or_default() }
}
