//! Whether the program tells a log that is whole from one that is not.

use crate::{Done, audit, daemon};
use rex_tests::{Daemon, Settings};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn verify(log: &Path) -> Done {
    audit(log, &["verify"])
}

/// The log's lines, written back after a change.
fn change(log: &Path, change: impl FnOnce(&mut Vec<String>)) {
    let path = log.join("audit.jsonl");
    let mut lines = fs::read_to_string(&path).expect("the log").lines().map(str::to_owned).collect();
    change(&mut lines);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(path, text).expect("another log");
}

#[test]
fn a_whole_log_is_told_in_a_line() {
    let daemon = daemon();
    let records = daemon.records();
    let done = verify(daemon.audit_log());
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{done:?}");
    assert_eq!(done.stdout.lines().count(), 1, "{}", done.stdout);
    assert!(done.stdout.starts_with(&format!("whole: {} records (1 to {0}), from ", records.len())), "{}", done.stdout);
    let last = rex_broker::digest::sha256([records.last().expect("a record").to_json().as_bytes()]);
    assert!(done.stdout.ends_with(&format!("head {last}\n")), "{}", done.stdout);
    let done = audit(daemon.audit_log(), &["verify", "--output-format", "json"]);
    let told: Value = serde_json::from_str(&done.stdout).expect("JSON");
    assert_eq!((done.code, &told["whole"], &told["records"]), (Some(0), &true.into(), &records.len().into()));
    assert_eq!((&told["head"], &told["from"]), (&last.into(), &records[0].text("at").into()));
}

#[test]
fn a_log_that_was_cut_or_changed_is_found_out_fault_by_fault() {
    let daemon = daemon();
    let log = daemon.audit_log();
    let text = fs::read_to_string(log.join("audit.jsonl")).expect("the log");
    for (what, told, act) in [
        ("cut", "its head tells of", (|lines| drop(lines.pop())) as fn(&mut Vec<String>)),
        ("without a record", "stands where record 3 should", |lines| drop(lines.remove(2))),
        ("with another user", "does not continue the chain", |lines| {
            lines[1] = lines[1].replace("\"uid\":", "\"uid\":1")
        }),
        ("not JSON", "is malformed", |lines| lines[1] = "\u{1b}[2Jnonsense".into()),
    ] {
        change(log, act);
        let done = verify(log);
        assert_eq!(done.code, Some(1), "{what}: {done:?}");
        assert!(done.stderr.lines().all(|line| line.starts_with("fault: ")), "{what}: {}", done.stderr);
        assert!(done.stderr.contains(told), "{what}: {}", done.stderr);
        assert!(!done.stdout.contains("whole"), "{what}: {}", done.stdout);
        let json = audit(log, &["verify", "--output-format", "json"]);
        let value: Value = serde_json::from_str(&json.stdout).expect("JSON");
        assert_eq!((json.code, &value["whole"]), (Some(1), &false.into()), "{what}");
        assert_eq!(value["faults"].as_array().map(Vec::len), Some(done.stderr.lines().count()), "{what}");
        fs::write(log.join("audit.jsonl"), &text).expect("the log as it was");
    }
    assert_eq!(verify(log).code, Some(0));
}

#[test]
fn a_log_that_is_written_and_rotated_meanwhile_is_whole_at_every_moment() {
    let config = "[audit]\nrotate_mib = 1\nkeep = 1\n".to_owned();
    let daemon = Daemon::start(&Settings { config, ..Settings::default() });
    let folder = daemon.folder().display().to_string();
    let script = format!("for n in 0..500 {{ write([write::replace], \"{folder}/f\", \"x\"); }}");
    let looked = std::thread::scope(|scope| {
        let writer = scope.spawn(|| (0..3).for_each(|_| assert_eq!(daemon.run(&script).code, 0)));
        let mut looked = 0;
        while !writer.is_finished() {
            let found = rex_broker::audit::verify(daemon.audit_log()).expect("a log that can be read");
            assert!(found.is_whole(), "{found:#?}");
            // Of a run that goes on it is said, and nothing else.
            assert!(found.remarks.iter().all(|remark| remark.contains("has not ended")), "{found:#?}");
            looked += 1;
        }
        looked
    });
    assert!(looked > 0);
    let found = rex_broker::audit::verify(daemon.audit_log()).expect("a log");
    assert!(found.is_whole() && found.first > 1, "files were put aside and removed: {found:#?}");
}

#[test]
fn what_cannot_be_read_is_told_with_what_to_do() {
    let folder = rex_tests::scratch();
    for command in ["verify", "show", "follow", "report"] {
        let done = audit(&folder.path().join("none"), &[command]);
        assert_eq!((done.code, done.stdout.as_str()), (Some(3), ""), "{command}: {done:?}");
        assert!(
            done.stderr.contains("cannot read the audit log in `") && done.stderr.contains("--directory"),
            "{done:?}"
        );
    }
    // An empty one may have been emptied.
    assert_eq!(verify(folder.path()).code, Some(1));
    assert_eq!(audit(folder.path(), &["show"]).code, Some(3));
}

#[test]
fn the_configuration_tells_where_the_log_is() {
    let daemon = daemon();
    let config = daemon.folder().join("audit.toml");
    let run = || {
        let mut command = std::process::Command::new(rex_tests::programs().join("rex-audit"));
        command.arg("verify").arg("--config").arg(&config).output().expect("rex-audit starts")
    };
    fs::write(&config, format!("[audit]\ndirectory = {:?}\n", daemon.audit_log())).expect("a configuration");
    assert_eq!(run().status.code(), Some(0));
    fs::write(&config, "nonsense").expect("a configuration");
    let done = run();
    assert_eq!(done.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&done.stderr).contains("cannot use the configuration"), "{done:?}");
}

#[test]
fn a_wrong_command_line_is_refused() {
    let folder = rex_tests::scratch();
    for arguments in [&["look"][..], &["show", "--run", "abc"], &["show", "--since", "soon"], &["report", "--day", "x"]]
    {
        assert_eq!(audit(folder.path(), arguments).code, Some(2), "{arguments:?}");
    }
}
