//! Whoever changes the log is found out.

use rex_broker::audit::{Audit, Entry, Event, Log, verify};
use rex_tests::{Daemon, Settings, scratch};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

fn settings(folder: &Path) -> Audit {
    Audit { directory: folder.to_owned(), ..Audit::default() }
}

fn entry(text: &str) -> Entry {
    Entry::of_run("0123456789abcdef", "revision", &Event::Violation { message: text })
}

/// A log of ten records.
fn log() -> (TempDir, String) {
    let folder = scratch();
    let mut log = Log::open(&settings(folder.path())).expect("a log");
    for number in 0..10 {
        log.append(&[entry(&format!("number {number}"))]).expect("a record");
    }
    let text = fs::read_to_string(folder.path().join("audit.jsonl")).expect("the log");
    (folder, text)
}

fn faults(folder: &Path, text: &str) -> Vec<String> {
    fs::write(folder.join("audit.jsonl"), text).expect("another log");
    verify(folder).expect("a log that can be read").faults
}

#[test]
fn every_change_is_found() {
    let (folder, text) = log();
    assert_eq!(faults(folder.path(), &text), Vec::<String>::new());
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for at in 0..lines.len() {
        let without = [&lines[..at], &lines[at + 1..]].concat().concat();
        assert!(!faults(folder.path(), &without).is_empty(), "without record {}", at + 1);
        let changed = text.replace(&format!("number {at}"), "number x");
        assert!(!faults(folder.path(), &changed).is_empty(), "with record {} changed", at + 1);
        let twice = [&lines[..=at], &lines[at..]].concat().concat();
        assert!(!faults(folder.path(), &twice).is_empty(), "with record {} twice", at + 1);
        if at > 0 {
            let mut swapped = lines.clone();
            swapped.swap(at, at - 1);
            assert!(
                !faults(folder.path(), &swapped.concat()).is_empty(),
                "with record {} before the one before",
                at + 1
            );
        }
        let cut = lines[..at].concat();
        assert!(!faults(folder.path(), &cut).is_empty(), "cut short behind record {at}");
    }
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        assert!(!faults(folder.path(), &changed).is_empty(), "with another byte at {at}");
    }
}

#[test]
fn a_forged_record_at_the_end_is_found() {
    let (folder, text) = log();
    let last = text.lines().last().expect("a record");
    let forged = format!("{text}{}\n", last.replace("\"seq\":10", "\"seq\":11"));
    fs::write(folder.path().join("audit.jsonl"), &forged).expect("another log");
    assert!(!verify(folder.path()).expect("a log").is_whole());
    let refused = Log::open(&settings(folder.path())).and_then(|mut log| log.append(&[entry("next")]));
    assert!(refused.expect_err("nothing is written to it").to_string().contains("does not continue the chain"));
}

#[test]
fn nothing_is_done_upon_a_log_that_was_changed() {
    let daemon = Daemon::start(&Settings::default());
    daemon.run("1");
    let path = daemon.audit_log().join("audit.jsonl");
    let text = fs::read_to_string(&path).expect("the log");
    let cut: Vec<&str> = text.split_inclusive('\n').collect();
    fs::write(&path, cut[..cut.len() - 1].concat()).expect("a shorter log");
    let ran = daemon.run(&format!("write(\"{}/a\", \"x\")", daemon.folder().display()));
    assert_eq!(ran.code, 9, "{}", ran.stdout);
    assert!(ran.error().contains("was changed"), "{}", ran.stdout);
    assert!(!daemon.folder().join("a").exists());
}

#[test]
fn a_broker_that_finds_its_log_changed_begins_a_new_one_that_says_so() {
    let (folder, text) = log();
    fs::write(folder.path().join("audit.jsonl"), &text[..text.len() / 2]).expect("a shorter log");
    let mut log = Log::open_or_begin_anew(&settings(folder.path())).expect("a new log");
    log.append(&[entry("after")]).expect("a record");
    let found = verify(folder.path()).expect("a log");
    assert_eq!(found.faults.len(), 1, "{found:#?}");
    assert!(found.faults[0].contains("was changed"), "{found:#?}");
    let aside = fs::read_dir(folder.path()).expect("the directory").flatten();
    assert!(aside.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("audit-damaged-")));
}

#[test]
fn a_power_cut_at_any_byte_leaves_a_chain_that_verifies() {
    let (folder, text) = log();
    // As it would be after another start of the machine.
    let head = fs::read(folder.path().join("audit.head")).expect("the head");
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a boot id");
    let settings = settings(folder.path());
    for cut in (0..=text.len()).rev().step_by(7) {
        fs::write(folder.path().join("audit.jsonl"), &text[..cut]).expect("what is left");
        fs::write(folder.path().join("audit.head"), other_boot(&head, boot.trim())).expect("its head");
        let whole = text[..cut].matches('\n').count() as u64;
        let mut log = Log::open(&settings).expect("a log");
        log.append(&[entry("after")]).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
        let found = verify(folder.path()).expect("a log");
        assert!(found.is_whole(), "cut at {cut}: {found:#?}");
        let lost = u64::from(whole < 10 || cut < text.len());
        assert_eq!(found.last, whole + lost + 1, "what was whole is there, what was lost is told: {found:#?}");
    }
}

/// The same head as if it had been written in another boot, before the disk had confirmed anything.
fn other_boot(head: &[u8], boot: &str) -> Vec<u8> {
    let slots = head.chunks(512).map(|slot| {
        let text = String::from_utf8_lossy(slot).replace(boot, "00000000-0000-0000-0000-000000000000");
        let Some((text, _)) = text.trim_end().rsplit_once(' ') else { return slot.to_vec() };
        let mut slot = format!("{text} {}\n", rex_broker::digest::sha256([text.as_bytes()])).into_bytes();
        slot.resize(512, b' ');
        slot
    });
    slots.collect::<Vec<_>>().concat()
}
