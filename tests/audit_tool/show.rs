//! What is shown, and what is not.

use crate::{HOSTILE, audit, daemon, tool};
use rex_broker::audit::{Audit, Decision, Entry, Event, Log, Record, is_plain};
use rex_tests::{Daemon, scratch};
use std::fs;
use std::process::Stdio;

/// The records that are shown as JSON.
fn shown(daemon: &Daemon, filters: &[&str]) -> Vec<Record> {
    let done = audit(daemon.audit_log(), &[&["show"], filters].concat());
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{done:?}");
    done.stdout.lines().map(|line| Record::parse(line).expect("a record")).collect()
}

#[test]
fn where_no_terminal_is_records_come_as_they_stand() {
    let daemon = daemon();
    let done = audit(daemon.audit_log(), &["show"]);
    assert_eq!(done.stdout, fs::read_to_string(daemon.audit_log().join("audit.jsonl")).expect("the log"));
}

#[test]
fn each_filter_takes_what_it_says() {
    let daemon = daemon();
    let all = daemon.records();
    let runs: Vec<&str> = all.iter().filter(|record| record.kind() == "run-start").map(Record::run).collect();
    let of = |what: &dyn Fn(&Record) -> bool| all.iter().filter(|record| what(record)).cloned().collect::<Vec<_>>();
    let user = all.iter().find(|record| record.kind() == "run-start").expect("a run").text("user");
    let (first, last) = (all[0].text("at"), all[all.len() - 1].text("at"));
    let is_file = |record: &Record| record.text("resource").ends_with("/a\"");
    let expected: &[(&[&str], Vec<Record>)] = &[
        (&["--run", runs[0]], of(&|record| record.run() == runs[0])),
        (&["--run", &runs[1][..6]], of(&|record| record.run() == runs[1])),
        (&["--user", user], of(&|record| !record.run().is_empty())),
        (&["--decision", "deny"], of(&|record| record.text("decision") == "deny")),
        (&["--decision", "allow"], of(&|record| record.text("decision") == "allow")),
        (&["--resource", "/a\""], of(&is_file)),
        (&["--resource", "*/a"], of(&is_file)),
        (&["--resource", "file_system::*/a\""], of(&is_file)),
        (&["--action", "read"], of(&|record| record.text("action").ends_with("::\"read\""))),
        (&["--action", "file_system::Action::\"read\""], of(&|record| record.text("action").ends_with("::\"read\""))),
        (&["--kind", "outcome"], of(&|record| record.kind() == "outcome")),
        (&["--since", last], of(&|record| record.text("at") >= last)),
        (&["--until", first], of(&|record| record.text("at") <= first)),
        (&["--since", "1h"], all.clone()),
        (&["--until", "1h"], Vec::new()),
        (&["--last", "3"], all[all.len() - 3..].to_vec()),
        (&["--last", "0"], Vec::new()),
        (&["--action", "read", "--decision", "deny", "--run", runs[0]], Vec::new()),
        (&["--kind", "run-end", "--last", "1"], of(&|record| record.kind() == "run-end" && record.run() == runs[1])),
    ];
    for (filters, expected) in expected {
        assert_eq!(&shown(&daemon, filters), expected, "{filters:?}");
    }
    assert!(!of(&is_file).is_empty() && all.iter().any(|record| record.text("decision") == "deny"));
    assert!(shown(&daemon, &["--user", "nobody-of-this-name"]).is_empty());
}

#[test]
fn hostile_words_come_out_harmless() {
    let daemon = daemon();
    let records = daemon.records();
    assert!(records.iter().any(|record| record.text("reason") == HOSTILE));
    for format in ["human", "json"] {
        let done = audit(daemon.audit_log(), &["show", "--output-format", format]);
        assert_eq!(done.stdout.lines().count(), records.len(), "no line of theirs: {}", done.stdout);
        assert!(done.stdout.lines().flat_map(str::chars).all(is_plain), "{}", done.stdout);
    }
    let done = audit(daemon.audit_log(), &["show", "--output-format", "human", "--kind", "run-start"]);
    assert!(
        done.stdout.contains("reason: a\\u{a}{\"seq\":1}\\u{1b}[2J\\u{9b}31m\\u{202e}\\u{2028}"),
        "{}",
        done.stdout
    );
}

#[test]
fn a_log_that_was_not_written_by_a_broker_comes_out_harmless_too() {
    let folder = scratch();
    let line = "{\"seq\":1,\t\"kind\":\"violation\",\"user\":\"\u{9b}2J\u{202e}\",\"message\":\"\u{7f}\u{2028}x\",\"at\":\"\u{85}\"}\n";
    fs::write(folder.path().join("audit.jsonl"), format!("{line}\u{1b}[2J\n{line}")).expect("a log");
    for format in ["human", "json"] {
        let done = audit(folder.path(), &["show", "--output-format", format]);
        assert_eq!((done.code, done.stdout.lines().count()), (Some(0), 2), "{done:?}");
        assert!(done.stdout.lines().flat_map(str::chars).all(is_plain), "{}", done.stdout);
    }
    let done = audit(folder.path(), &["show"]);
    let first = done.stdout.lines().next().and_then(Record::parse).expect("a record");
    assert_eq!((first.text("user"), first.text("message")), ("\u{9b}2J\u{202e}", "\u{7f}\u{2028}x"));
}

#[test]
fn what_was_allowed_and_has_neither_outcome_nor_end_reads_unknown() {
    let folder = scratch();
    let mut log = Log::open(&Audit { directory: folder.path().to_owned(), ..Audit::default() }).expect("a log");
    let decision = |run: &str, op, resource: &str| {
        Entry::of_run(
            run,
            "revision",
            &Event::Decision(Decision {
                op,
                operation: "fs.delete",
                user: "ada",
                action: "file_system::Action::\"delete\"".into(),
                resource: format!("file_system::File::\"{resource}\""),
                decision: "allow",
                policies: &["all".into()],
                attributes: Default::default(),
                context: Default::default(),
                spent: Default::default(),
                more_policies: 0,
                masked: false,
                unless_forbidden: false,
            }),
        )
    };
    let done = Event::Outcome { op: 1, operation: "fs.delete", result: "done", error: None };
    let entries = [
        decision("0123456789abcdef", 1, "/done"),
        Entry::of_run("0123456789abcdef", "revision", &done),
        decision("0123456789abcdef", 2, "/open"),
    ];
    log.append(&entries).expect("records");
    let done = audit(folder.path(), &["show", "--output-format", "human"]);
    let words: Vec<&str> = done.stdout.lines().filter_map(|line| line.split_whitespace().nth(4)).collect();
    assert_eq!(words, ["allow", "done", "unknown"], "{}", done.stdout);
    let verified = audit(folder.path(), &["verify"]);
    assert!(verified.stdout.contains("remark: run 0123456789abcdef has not ended; unknown whether"), "{verified:?}");
    assert_eq!(verified.code, Some(0));
    let report = audit(folder.path(), &["report"]);
    assert_eq!(report.stdout.matches(">unknown<").count(), 1, "{}", report.stdout);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let daemon = daemon();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let done =
        tool(daemon.audit_log(), &["show"]).stdout(writer).stderr(Stdio::piped()).output().expect("rex-audit starts");
    assert_eq!((done.status.code(), done.stderr.as_slice()), (Some(0), &b""[..]), "{done:?}");
    let full = fs::File::options().write(true).open("/dev/full").expect("a full disk");
    let done =
        tool(daemon.audit_log(), &["show"]).stdout(full).stderr(Stdio::piped()).output().expect("rex-audit starts");
    assert_eq!(done.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&done.stderr).starts_with("error: cannot write the output: "), "{done:?}");
}
