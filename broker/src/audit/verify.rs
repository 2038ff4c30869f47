//! Whether the log is what was written, all of it and nothing else.

use super::chain;
use super::head::{BEGINNING, Head, Position};
use super::log::{CURRENT, HEAD};
use super::read::Record;
use super::snapshot::{Part, Snapshot};
use crate::sys::clock;
use jiff::Timestamp;
use std::collections::HashMap;
use std::io::{self, BufRead};
use std::path::Path;

/// What was found.
#[derive(Debug, Default)]
pub struct Verified {
    /// How many records are there.
    pub records: u64,
    /// The number of the first one.
    pub first: u64,
    /// The number of the last one.
    pub last: u64,
    /// When the first one was made.
    pub from: Option<Timestamp>,
    /// How many records before the first one were removed, as there were newer ones enough, where that is known.
    pub removed: u64,
    /// Whether there were younger ones among them than should be removed.
    pub removed_early: bool,
    /// When the last one was made.
    pub to: Option<Timestamp>,
    /// The SHA-256 of the last one's line. Who has noted it elsewhere can tell later that the log is that one's continuation.
    pub head: String,
    /// What shows that the log is not what was written; empty where it is.
    pub faults: Vec<String>,
    /// What is no fault and still to be known.
    pub remarks: Vec<String>,
}

impl Verified {
    /// Whether the log is whole.
    pub fn is_whole(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Reads the whole log in a directory and looks whether each record continues the one before, from the first that is kept to
/// the head. Of a log that is written meanwhile it is what was there at the beginning. An error where it cannot be read.
pub fn verify(directory: &Path) -> io::Result<Verified> {
    let mut found = Verified::default();
    let mut position: Option<Position> = None;
    let mut beginning = None;
    let mut retired = Vec::new();
    let mut unfinished = Unfinished::default();
    let Snapshot { head, parts } = Snapshot::take(directory)?;
    let has_current = parts.last().is_some_and(|part| part.name == CURRENT);
    for Part { name, content: mut reader } in parts {
        let mut line = Vec::new();
        if let Some(position) = &mut position {
            position.length = 0;
        }
        loop {
            line.clear();
            if reader.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if line.last() != Some(&b'\n') {
                found.remarks.push(format!("{name} ends with a record that was cut off, {} bytes of it", line.len()));
                break;
            }
            let at = position.get_or_insert_with(|| {
                let before = chain::predecessor(&line).unwrap_or_else(Position::beginning);
                beginning = Some(before.clone());
                before
            });
            if let Err(reason) = chain::follow(at, &line) {
                found.faults.push(format!("{name}: {reason}"));
                // Goes on behind it, to tell of everything.
                let Some(before) = chain::predecessor(&line) else { continue };
                let length = at.length;
                *at = Position { length, ..before };
                if chain::follow(at, &line).is_err() {
                    continue;
                }
            }
            found.records += 1;
            let Some(record) = std::str::from_utf8(&line).ok().and_then(Record::parse) else {
                found.faults.push(format!("{name}: record {} is not JSON", at.seq));
                continue;
            };
            found.from = found.from.or(record.at());
            found.to = record.at().or(found.to);
            match record.kind() {
                "retired" => {
                    retired.push((record.number("last"), record.text("hash").to_owned()));
                    found.removed_early |= record.fields().contains_key("early");
                }
                "recovered" => found.remarks.push(format!("record {}: {}", record.seq(), record.text("message"))),
                "gap" => found.faults.push(format!("record {}: {}", record.seq(), record.text("message"))),
                _ => unfinished.take(&record),
            }
        }
    }
    let beginning = beginning.unwrap_or_else(Position::beginning);
    let explained = (beginning.seq, &beginning.hash) == (0, &BEGINNING.to_owned())
        || retired.iter().any(|(last, hash)| (*last, hash) == (beginning.seq, &beginning.hash));
    if !explained {
        found.faults.push(format!("the log begins with record {}: those before are missing", beginning.seq + 1));
    }
    let last = position.unwrap_or_else(Position::beginning);
    (found.first, found.last) = (beginning.seq + 1, last.seq);
    found.removed = if explained { beginning.seq } else { 0 };
    compare_with_head(head, &last, &mut found)?;
    found.head = last.hash;
    if !has_current {
        found.remarks.push(format!("{CURRENT} is not there: the next record begins it"));
    }
    found.remarks.extend(unfinished.remarks());
    Ok(found)
}

/// What was cut off at its end shows here.
fn compare_with_head(head: io::Result<Option<Head>>, last: &Position, found: &mut Verified) -> io::Result<()> {
    let head = match head {
        Ok(Some(head)) => head,
        Ok(None) => {
            found.faults.push("the head is empty".into());
            return Ok(());
        }
        Err(error) => {
            found.faults.push(format!("the head cannot be read: {error}"));
            return Ok(());
        }
    };
    let boot = clock::boot_id()?;
    let known = if head.boot == boot { &head.last } else { &head.synced };
    if last.seq < known.seq {
        found.faults.push(format!("the log ends with record {}, its head tells of {}", last.seq, known.seq));
    } else if last.seq == known.seq && last.hash != known.hash {
        found.faults.push(format!("record {} is another than its head tells of", last.seq));
    } else if last.seq < head.last.seq {
        let message = format!("the machine went down: records {} to {} may be lost", last.seq + 1, head.last.seq);
        found.remarks.push(message);
    } else if last.seq > head.last.seq {
        let message = format!("records {} to {} are written and not in {HEAD} yet", head.last.seq + 1, last.seq);
        found.remarks.push(message);
    }
    Ok(())
}

/// Operations that were allowed to change something, and of which it is not known whether they did.
#[derive(Default)]
struct Unfinished {
    runs: HashMap<String, Option<(u64, String)>>,
}

impl Unfinished {
    fn take(&mut self, record: &Record) {
        let run = record.run();
        match record.kind() {
            "run-start" => drop(self.runs.insert(run.to_owned(), None)),
            "run-end" => drop(self.runs.remove(run)),
            "decision" if record.text("decision") == "allow" => {
                let what = format!("{} {}", record.text("operation"), record.text("resource"));
                self.runs.insert(run.to_owned(), Some((record.number("op"), what)));
            }
            "outcome" => drop(self.runs.insert(run.to_owned(), None)),
            _ => {}
        }
    }

    fn remarks(self) -> Vec<String> {
        let mut remarks: Vec<String> = self
            .runs
            .into_iter()
            .map(|(run, operation)| match operation {
                Some((op, what)) => {
                    format!("run {run} has not ended; unknown whether its operation {op} was done: {what}")
                }
                None => format!("run {run} has not ended"),
            })
            .collect();
        remarks.sort_unstable();
        remarks
    }
}
