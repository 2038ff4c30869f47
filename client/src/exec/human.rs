//! What people are shown, while a run goes on and when it has ended.

use super::changes::summary;
use super::options::Format;
use super::result::{End, Report};
use super::terminal::{Channel, Progress, Style};
use rex_client::{Event, Level, Log};
use std::io::{self, Write};

/// Standard output and standard error, as one format uses them. The JSON formats leave both alone until the end.
#[derive(Debug)]
pub(crate) struct Screen {
    is_human: bool,
    verbose: bool,
    out: Channel,
    err: Channel,
    progress: Option<Progress>,
}

impl Screen {
    /// Nothing is shown yet.
    pub(crate) fn new(format: Format, verbose: bool) -> Self {
        let (out, err) = (Channel::stdout(), Channel::stderr());
        let is_human = format == Format::Human;
        let progress = (is_human && err.is_live()).then(Progress::new);
        Self { is_human, verbose, out, err, progress }
    }

    /// Whether it shows what a run is doing.
    pub(crate) fn shows_progress(&self) -> bool {
        self.progress.is_some()
    }

    /// Whether an event would be shown at once.
    pub(crate) fn shows(&self, event: &Event) -> bool {
        match event {
            Event::Log(_, log) => self.is_human && (self.verbose || log.level >= Level::Warn),
            Event::Warning(_) => self.is_human || self.verbose,
            _ => false,
        }
    }

    /// Shows an event that is for people to see at once.
    pub(crate) fn show(&mut self, event: &Event) -> io::Result<()> {
        if !self.shows(event) {
            return Ok(());
        }
        self.clear();
        match event {
            Event::Log(_, log) if self.verbose => write_flushed(io::stdout().lock(), &log_line(self.out, log)),
            Event::Log(_, log) => {
                let _ = io::stderr().lock().write_all(log_line(self.err, log).as_bytes());
                Ok(())
            }
            Event::Warning(text) => {
                self.complain(Style::Doubtful, "warning:", text);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Takes in what the run is doing.
    pub(crate) fn update(&mut self, operations: u64, current: &str) {
        if let Some(progress) = &mut self.progress {
            progress.update(operations, current);
        }
    }

    /// Shows what the run is doing, where there is a terminal to show it.
    pub(crate) fn tick(&mut self) {
        if let Some(progress) = &mut self.progress {
            progress.draw(self.err);
        }
    }

    /// Takes away what was shown for the time being.
    pub(crate) fn clear(&mut self) {
        if let Some(progress) = &mut self.progress {
            progress.clear();
        }
    }

    /// Tells an error that has no place in a result.
    pub(crate) fn error(&mut self, message: &str) {
        self.clear();
        self.complain(Style::Bad, "error:", message);
    }

    /// Shows a result: output, with `--verbose` metrics and alarms, what a dry run would have changed, and what went wrong.
    pub(crate) fn present(&mut self, end: &End, report: &Report<'_>, output: &[u8]) -> io::Result<()> {
        self.clear();
        let mut text = Vec::new();
        let message = end.told();
        if message.is_none() && !output.is_empty() {
            // A pipe gets the very bytes.
            match std::str::from_utf8(output) {
                Ok(output) => text.extend_from_slice(self.out.text(output).as_bytes()),
                Err(_) if !self.out.is_terminal() => text.extend_from_slice(output),
                Err(_) => text.extend_from_slice(self.out.text(&String::from_utf8_lossy(output)).as_bytes()),
            }
            text.push(b'\n');
        }
        if self.verbose {
            text.extend_from_slice(self.details(report).as_bytes());
        }
        write_flushed_bytes(io::stdout().lock(), &text)?;
        self.list_changes(report);
        if let Some(message) = message {
            self.complain(Style::Bad, "error:", &message);
        }
        Ok(())
    }

    /// What would have been changed, on standard error: standard output is the script's.
    fn list_changes(&self, report: &Report<'_>) {
        let Some((count, changes)) = report.changes() else { return };
        let mut text = format!("{} {}\n", self.err.paint(Style::Doubtful, "dry run:"), summary(count));
        for change in changes {
            text += &self.err.text(&change.lines());
            text.push('\n');
        }
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    fn details(&self, report: &Report<'_>) -> String {
        let mut text = String::new();
        if !report.metrics().is_empty() {
            text += "--- metrics ---\n";
        }
        for metric in report.metrics() {
            text += &format!("{}: {}\n", self.out.text(&metric.metric_name), metric.metric_value);
        }
        if !report.alarms().is_empty() {
            text += "--- alarms ---\n";
        }
        for alarm in report.alarms() {
            text += &self.out.text(&alarm.alarm_type);
            if let Some(details) = &alarm.alarm_details {
                text += &format!(": {}", self.out.text(details));
            }
            text.push('\n');
        }
        text
    }

    fn complain(&self, style: Style, word: &str, message: &str) {
        let line = format!("{} {}\n", self.err.paint(style, word), self.err.text(message));
        let _ = io::stderr().lock().write_all(line.as_bytes());
    }
}

fn log_line(channel: Channel, log: &Log) -> String {
    let level = format!("[{}]", log.level.name());
    let level = match log.level {
        Level::Error => channel.paint(Style::Bad, &level),
        Level::Warn => channel.paint(Style::Doubtful, &level),
        _ => channel.paint(Style::Aside, &level),
    };
    format!("{level} {}\n", channel.text(&log.message))
}

fn write_flushed(out: impl Write, text: &str) -> io::Result<()> {
    write_flushed_bytes(out, text.as_bytes())
}

/// Writes a text; no error is left for later.
pub(crate) fn write_flushed_bytes(mut out: impl Write, text: &[u8]) -> io::Result<()> {
    out.write_all(text)?;
    out.flush()
}
