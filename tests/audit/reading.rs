//! Reading a log while it is written, put aside and removed.

use rex_broker::audit::{Audit, Entry, Event, Log, Reader, Record};
use rex_tests::scratch;
use std::fs;
use std::path::Path;

/// A log of which each append begins a new file.
fn log(folder: &Path, keep: usize) -> Log {
    Log::open(&Audit { directory: folder.to_owned(), rotate_mib: 0, keep, ..Audit::default() }).expect("a log")
}

fn append(log: &mut Log) {
    let event = Event::Violation { message: "it happened" };
    log.append(&[Entry::of_run("0123456789abcdef", "revision", &event)]).expect("a record");
}

/// What comes until the end for now.
fn rest(reader: &mut Reader) -> Vec<u64> {
    std::iter::from_fn(|| reader.next_record().expect("a log")).map(|record| record.seq()).collect()
}

#[test]
fn a_reader_goes_on_over_any_number_of_files() {
    let folder = scratch();
    let mut log = log(folder.path(), 100);
    append(&mut log);
    let mut reader = Reader::open(folder.path()).expect("a log");
    let mut seen = rest(&mut reader);
    assert_eq!(seen, [1]);
    for count in [1, 2, 0, 5] {
        (0..count).for_each(|_| append(&mut log));
        let new = rest(&mut reader);
        assert_eq!(new.iter().max().is_some(), count > 0);
        seen.extend(new);
    }
    let all: Vec<u64> = Reader::open(folder.path()).expect("a log").map(|record| record.expect("one").seq()).collect();
    assert_eq!(seen, all);
    assert_eq!(seen, (1..=all.len() as u64).collect::<Vec<_>>());
}

#[test]
fn files_that_are_removed_under_a_reader_are_passed_over() {
    let folder = scratch();
    let mut log = log(folder.path(), 2);
    (0..3).for_each(|_| append(&mut log));
    let mut reader = Reader::open(folder.path()).expect("a log");
    let first = reader.next_record().expect("a log").expect("a record").seq();
    (0..6).for_each(|_| append(&mut log));
    let seen = rest(&mut reader);
    let kept: Vec<u64> = rest(&mut Reader::open(folder.path()).expect("a log"));
    assert!(seen.ends_with(&kept), "{seen:?}, {kept:?}");
    assert!(kept[0] > first + 1 && seen.is_sorted_by(|one, next| one < next), "{seen:?}, {kept:?}");
}

#[test]
fn a_line_beyond_all_measure_hides_nothing_behind_it() {
    let folder = scratch();
    append(&mut log(folder.path(), 1));
    let path = folder.path().join("audit.jsonl");
    let line = fs::read_to_string(&path).expect("the log");
    let long = "x".repeat(40 << 20);
    fs::write(&path, format!("{long}\n{line}no record\n{line}{}", &line[..20])).expect("another log");
    let records: Vec<Record> = Reader::open(folder.path()).expect("a log").map(|record| record.expect("one")).collect();
    assert_eq!(records.iter().map(Record::to_json).collect::<Vec<_>>(), [line.trim_end(), line.trim_end()]);
}
