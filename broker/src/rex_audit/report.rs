//! `rex-audit report`.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::filter::Filter;
use crate::options::{self, Filters};
use crate::page::page;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rex_broker::audit::{Reader, Record};
use serde_json::Value;
use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// The most records that a report is made of: all of them are in memory, each with a few KiB.
const MOST: usize = 500_000;

/// Writes a page about the records that are meant.
pub(crate) fn report(directory: &Path, options: &options::Report) -> Result<Exit, Failure> {
    let mut filters = options.filters.clone();
    if let Some((first, last)) = options.day {
        (filters.since, filters.until) = (Some(first), Some(last));
    }
    let records = records(directory, &filters)?;
    let text = page(&title(options, &records), &records);
    match &options.output {
        None => io::stdout().lock().write_all(text.as_bytes())?,
        Some(path) => write(path, &text).map_err(|error| Failure::File { path: path.display().to_string(), error })?,
    }
    Ok(Exit::Success)
}

fn records(directory: &Path, filters: &Filters) -> Result<Vec<Value>, Failure> {
    let failed = Failure::of_log(directory);
    let chosen = Chosen::of(directory, filters)?;
    let mut records = Vec::new();
    for record in Reader::open(directory).map_err(&failed)? {
        let record = record.map_err(&failed)?;
        if chosen.has(&record) {
            records.push(Value::Object(record.fields().clone()));
        }
    }
    if records.is_empty() { Err(Failure::NoRecord) } else { Ok(records) }
}

/// The records that are meant, and what belongs to them: how their operations came out, how their runs began and ended. Without
/// that a page would tell that it is not known.
#[derive(Default)]
struct Chosen {
    numbers: HashSet<u64>,
    operations: HashSet<(String, u64)>,
    runs: HashSet<String>,
}

impl Chosen {
    fn of(directory: &Path, filters: &Filters) -> Result<Self, Failure> {
        let failed = Failure::of_log(directory);
        let mut filter = Filter::new(filters);
        let mut matching = VecDeque::new();
        for record in Reader::open(directory).map_err(&failed)? {
            let record = record.map_err(&failed)?;
            if !filter.takes(&record) {
                continue;
            }
            matching.push_back((record.seq(), record.run().to_owned(), record.number("op")));
            if matching.len() > filters.last.unwrap_or(usize::MAX) {
                matching.pop_front();
            }
            if matching.len() > MOST {
                return Err(Failure::TooMany(MOST));
            }
        }
        let mut chosen = Self::default();
        for (number, run, operation) in matching {
            chosen.numbers.insert(number);
            chosen.runs.insert(run.clone());
            chosen.operations.insert((run, operation));
        }
        Ok(chosen)
    }

    fn has(&self, record: &Record) -> bool {
        self.numbers.contains(&record.seq())
            || match record.kind() {
                "run-start" | "run-end" => self.runs.contains(record.run()),
                "outcome" => self.operations.contains(&(record.run().to_owned(), record.number("op"))),
                _ => false,
            }
    }
}

/// What the page is about.
fn title(options: &options::Report, records: &[Value]) -> String {
    let whole = || records.iter().find_map(|record| record.get("run")).and_then(Value::as_str);
    let run = options.filters.run.as_deref().map(|prefix| format!("run {}", whole().unwrap_or(prefix)));
    let day = |at: Timestamp| at.to_zoned_datetime(TimeZone::system()).date().to_string();
    let parts: Vec<String> = [
        run,
        options.filters.user.as_ref().map(|user| format!("user {user}")),
        options.day.map(|(first, _)| day(first)),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() { "Audit log".into() } else { format!("Audit log: {}", parts.join(", ")) }
}

/// What a new file holds is as private as the log.
#[expect(clippy::disallowed_methods, reason = "whoever wants the report names the file, with their own rights")]
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut options = File::options();
    std::os::unix::fs::OpenOptionsExt::mode(options.write(true).create(true).truncate(true), 0o600);
    options.open(path)?.write_all(text.as_bytes())
}
