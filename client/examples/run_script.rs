//! Runs a script, shows its log as it comes, and its result.
//!
//!     cargo run -p rex-client --example run_script -- SCRIPT [NAME=VALUE]...

use rex_client::{Broker, Ending, Event, Level, Submission};
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let path = words.next().ok_or("the path of a script is needed")?;
    let mut submission =
        Submission::new(std::fs::read(path)?).time_limit(Duration::from_secs(60)).log_level(Level::Debug);
    for word in words {
        let (name, value) = word.split_once('=').ok_or("arguments are NAME=VALUE")?;
        submission = submission.argument(name, value);
    }

    let (mut log, mut output) = (io::stderr().lock(), Vec::new());
    let mut run = Broker::connect()?.submit(submission)?;
    while let Some(event) = run.next().transpose()? {
        match event {
            Event::Accepted(limits) => writeln!(log, "runs for {} s at most", limits.time_ms / 1000)?,
            Event::Warning(text) => writeln!(log, "about the policy: {text}")?,
            Event::Log(_, entry) => writeln!(log, "{} line {}: {}", entry.level.name(), entry.line, entry.message)?,
            Event::Metric(_, metric) => writeln!(log, "{} = {}", metric.name, metric.value)?,
            Event::Alarm(alarm) => writeln!(log, "alarm: {}", alarm.kind)?,
            Event::Change(change) => writeln!(log, "would {} {}", change.act.name(), change.object)?,
            Event::Output(part) => output.extend(part),
            Event::Progress { .. } => {}
            Event::Outcome(outcome) => match outcome.ending {
                Ending::Succeeded => io::stdout().write_all(&output)?,
                Ending::Failed { class, message } => {
                    writeln!(log, "{class:?}: {message}")?;
                    return Ok(ExitCode::FAILURE);
                }
            },
        }
    }
    Ok(ExitCode::SUCCESS)
}
