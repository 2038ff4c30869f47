//! The page about runs.

use crate::{audit, daemon};
use rex_broker::audit::Record;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_run_is_reported_and_its_words_stay_text() {
    let daemon = daemon();
    let records = daemon.records();
    let runs: Vec<&str> = records.iter().filter(|record| record.kind() == "run-start").map(Record::run).collect();
    let done = audit(daemon.audit_log(), &["report", "--run", &runs[0][..8]]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    let page = done.stdout;
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
    assert!(page.contains(&format!("<h1>Audit log: run {}</h1>", runs[0])), "{page}");
    assert!(page.contains("succeeded") && !page.contains(runs[1]), "{page}");
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
    assert!(!page.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\u{2028}', '\u{200b}']) && page.contains("\\u{202e}"));
}

#[test]
fn a_day_is_reported_into_a_file_that_is_private() {
    let daemon = daemon();
    let day = &daemon.records()[0].text("at")[..10].to_owned();
    let path = daemon.folder().join("page.html");
    let path_text = path.display().to_string();
    let done = audit(daemon.audit_log(), &["report", "--day", day, "--output", &path_text]);
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (Some(0), "", ""));
    let page = std::fs::read_to_string(&path).expect("the page");
    assert!(page.contains(&format!("<h1>Audit log: {day}</h1>")) && page.contains("no-secrets"), "{page}");
    assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
    let done = audit(daemon.audit_log(), &["report", "--output", "/nowhere/at/all.html"]);
    assert_eq!(done.code, Some(4));
    assert!(done.stderr.contains("cannot write `/nowhere/at/all.html`"), "{done:?}");
}

#[test]
fn what_belongs_to_the_records_that_are_meant_is_told_with_them() {
    let daemon = daemon();
    let done = audit(daemon.audit_log(), &["report", "--decision", "deny", "--action", "read"]);
    assert!(done.stdout.contains("✕ deny") && done.stdout.contains("no-secrets"), "{}", done.stdout);
    assert!(!done.stdout.contains("no end recorded</em>") && !done.stdout.contains(">unknown<"), "{}", done.stdout);
}

#[test]
fn there_is_no_report_on_nothing() {
    let daemon = daemon();
    for arguments in [&["report", "--day", "2001-02-03"][..], &["report", "--run", "nothing"]] {
        let done = audit(daemon.audit_log(), arguments);
        assert_eq!((done.code, done.stdout.as_str()), (Some(1), ""), "{done:?}");
        assert!(done.stderr.contains("no record matches"), "{done:?}");
    }
}
