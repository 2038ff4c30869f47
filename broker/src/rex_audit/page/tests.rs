//! Whole pages: what must be in them, and what must not.

use serde_json::{Value, json};

use super::page;

fn at(second: u64) -> String {
    format!("2026-03-14T{:02}:{:02}:{:02}.000250Z", 8 + second / 3600, second / 60 % 60, second % 60)
}

fn decision(run: &str, op: u64, second: u64, allowed: bool, resource: &str) -> Value {
    json!({
        "seq": op, "at": at(second), "kind": "decision", "run": run, "revision": "ab12", "op": op,
        "operation": "fs.read", "user": "ada", "action": "file_system::Action::\"read\"", "resource": resource,
        "decision": if allowed { "allow" } else { "deny" }, "policies": if allowed { json!(["read-etc"]) } else { json!([]) },
    })
}

fn start(run: &str, second: u64, reason: &str) -> Value {
    json!({
        "seq": 0, "at": at(second), "kind": "run-start", "run": run, "user": "ada", "uid": 1000, "groups": ["adm", "ops"],
        "pid": 7, "via": "socket", "tty": "pts/0", "parent": "bash", "script": "0123456789abcdef0123456789abcdef",
        "script_bytes": 120, "reason": reason, "revision": "ab12",
    })
}

fn end(run: &str, second: u64, result: &str) -> Value {
    json!({
        "seq": 9, "at": at(second), "kind": "run-end", "run": run, "user": "ada", "result": result, "operations": 2,
        "bytes_read": 4096, "bytes_written": 0, "deleted": 0, "milliseconds": 2500,
    })
}

fn sample() -> Vec<Value> {
    vec![
        json!({"seq": 1, "at": at(0), "kind": "broker-start", "policies": 3, "revision": "ab12",
            "files": [["a.cedar", "ff00"]]}),
        start("r1", 1, "weekly check"),
        decision("r1", 1, 2, true, "file_system::File::\"/etc/hosts\""),
        json!({"seq": 4, "at": at(2), "kind": "outcome", "run": "r1", "op": 1, "operation": "fs.read", "result": "done"}),
        decision("r1", 2, 3, false, "file_system::File::\"/etc/shadow\""),
        json!({"seq": 6, "at": at(3), "kind": "outcome", "run": "r1", "op": 2, "operation": "fs.read",
            "result": "denied", "error": "no policy allows it"}),
        json!({"seq": 7, "at": at(4), "kind": "violation", "run": "r1", "message": "frame too long"}),
        end("r1", 5, "failed"),
        json!({"seq": 9, "at": at(6), "kind": "policy-load", "result": "refused", "revision": "cd34", "policies": 0,
            "message": "line 3: unexpected token"}),
        json!({"seq": 10, "at": at(7), "kind": "gap", "message": "12 records lost"}),
        json!({"seq": 11, "at": at(8), "kind": "of-the-future", "x": [1, 2]}),
    ]
}

#[test]
fn a_sample_has_every_section() {
    let page = page("One run", &sample());
    for part in [
        "<h1>One run</h1>",
        "2026-03-14 08:00:00 to 2026-03-14 08:00:08 UTC",
        "The log is not complete.",
        "<code>a.cedar</code> <code class=\"hash\">ff00</code>",
        "id=\"timeline\"",
        "id=\"violations\"",
        "frame too long",
        "id=\"denials\"",
        "<em>no policy</em>",
        "id=\"runs\"",
        "weekly check",
        "0123456789ab<",
        "id=\"decisions\"",
        "Decisions by action",
        "Decisions by resource",
        "read-etc",
        "id=\"events\"",
        "Policies refused",
        "line 3: unexpected token",
        "Gap in the log",
        "12 records lost",
        "<code>of-the-future</code> (1)",
        "id=\"operations\"",
        "<details open>",
        "✕ deny",
        "no policy allows it",
        "adm, ops",
        "2.5 s",
        "href=\"#denial\"",
        "href=\"#violation\"",
        "default-src &#39;none&#39;",
    ] {
        let part = part.replace("&#39;", "'");
        assert!(page.contains(&part), "{part}");
    }
}

#[test]
fn an_empty_log_makes_a_whole_page() {
    let page = page("Nothing", &[]);
    for part in [
        "No record with a time.",
        "No runs.",
        "No violations.",
        "Nothing was denied.",
        "No decisions.",
        "No operations.",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(page.ends_with("</html>\n"));
}

#[test]
fn several_runs_are_folded() {
    let records = [start("a", 1, ""), end("a", 2, "succeeded"), start("b", 3, ""), end("b", 4, "gone")];
    let page = page("Two", &records);
    assert!(!page.contains("<details open>"));
    assert_eq!(page.matches("<summary>Run ").count(), 2);
}

#[test]
fn an_identifier_used_again_is_another_run() {
    let page = page("Twice", &[start("a", 1, ""), end("a", 2, "succeeded"), start("a", 3, ""), end("a", 4, "gone")]);
    assert_eq!(page.matches("<summary>Run ").count(), 2);
}

#[test]
fn what_was_allowed_and_has_neither_outcome_nor_end_is_unknown() {
    let is_unknown = |records: &[Value]| page("One", records).contains(">unknown<");
    let asked = |allowed| vec![start("a", 1, ""), decision("a", 1, 2, allowed, "file_system::File::\"/srv/one\"")];
    assert!(is_unknown(&asked(true)));
    assert!(!is_unknown(&asked(false)));
    assert!(!is_unknown(&[asked(true), vec![end("a", 3, "failed")]].concat()));
}

#[test]
fn hostile_text_stays_text_wherever_it_stands() {
    let hostile = "</title></style></svg><script>alert(1)</script>\" onload='x' \u{202e}\u{200b}\u{1b}[31m&lt;";
    let mut records = sample();
    records.iter_mut().for_each(|record| poison(record, hostile));
    for records in [records, poisoned_kinds(hostile)] {
        let page = page(hostile, &records);
        assert!(!page.contains("<script"), "markup passed");
        assert!(!page.contains("onload='") && !page.contains("\" onload="), "a quote passed");
        assert!(!page.chars().any(|c| matches!(c, '\u{202e}' | '\u{200b}' | '\u{1b}')), "a character passed");
        assert_eq!(page.matches("<style>").count(), 1);
        assert_eq!(page.matches("</title>").count(), page.matches("<title>").count());
        assert!(page.contains("\\u{202e}\\u{200b}\\u{1b}"));
    }
}

/// Adds the text to all texts that do not direct the report, and replaces all numbers.
fn poison(value: &mut Value, hostile: &str) {
    match value {
        Value::String(text) => text.push_str(hostile),
        Value::Array(items) => items.iter_mut().for_each(|item| poison(item, hostile)),
        Value::Object(members) => {
            let kept = ["at", "kind", "seq", "op", "decision"];
            members
                .iter_mut()
                .filter(|(name, _)| !kept.contains(&name.as_str()))
                .for_each(|(_, item)| poison(item, hostile));
            members.insert(hostile.to_owned(), Value::from(hostile));
        }
        Value::Number(_) => *value = Value::from(hostile),
        _ => {}
    }
}

/// Records that are not what their kind promises.
fn poisoned_kinds(hostile: &str) -> Vec<Value> {
    let kinds =
        ["broker-start", "policy-load", "run-start", "decision", "outcome", "violation", "run-end", "gap", hostile];
    let of_kind = |kind: &&str| {
        json!({
            "at": hostile, "kind": kind, "run": [hostile], "op": -1, "policies": {"a": hostile}, "user": {hostile: 1},
            "files": [3, hostile, [hostile], [3, hostile]],
        })
    };
    let mut records: Vec<Value> = kinds.iter().map(of_kind).collect();
    records.extend([json!(null), json!([]), json!(hostile), json!({}), json!({"kind": 3})]);
    records
}

#[test]
fn the_page_fetches_and_runs_nothing() {
    let page = page("One run", &sample());
    for part in [
        "http://", "https://", "<script", "<link", "<iframe", " src=", "@import", "url(h", "url(/", " style=",
        " onload",
    ] {
        assert!(!page.contains(part), "{part}");
    }
}

#[test]
fn clocks_may_be_wrong() {
    let mut records = sample();
    for (record, at) in records.iter_mut().zip(["9999-12-30T00:00:00Z", "-009999-01-03T00:00:00Z", "never", ""]) {
        record["at"] = Value::from(at);
    }
    assert!(page("Wrong", &records).contains("-9999-01-03 00:00:00 to 9999-12-30 00:00:00 UTC"));
}

/// One run after the other, a hundred operations in each, every tenth denied and all resources different.
fn long_log(records: usize) -> Vec<Value> {
    (0..records as u64)
        .map(|n| {
            let (run, op, second) = (format!("run-{}", n / 100), n % 100, n / 4);
            match op {
                0 => start(&run, second, "many"),
                99 => end(&run, second, if n % 7 == 0 { "failed" } else { "succeeded" }),
                _ => decision(&run, op, second, op % 10 != 0, &format!("file_system::File::\"/srv/data/{n}\"")),
            }
        })
        .collect()
}

#[test]
fn a_long_log_makes_a_small_page() {
    let page = page("Long", &long_log(50_000));
    assert!(page.len() < 4_000_000, "{} bytes", page.len());
    assert!(page.contains("left out"));
}

#[test]
fn long_texts_do_not_make_a_large_page() {
    let mut records = long_log(4_000);
    let hostile = "\"\u{202e}".repeat(500);
    records.iter_mut().for_each(|record| poison(record, &hostile));
    records.insert(0, json!({"kind": "gap", "at": at(0), "message": "x".repeat(1_000_000)}));
    let page = page("Long texts", &records);
    assert!(page.len() < 8_000_000, "{} bytes", page.len());
}

#[test]
fn a_single_long_run_is_bounded() {
    let records: Vec<Value> =
        (0..50_000).map(|n| decision("r", n, n / 10, n % 100 > 0, "file_system::File::\"/srv/one\"")).collect();
    let page = page("One long run", &records);
    assert!(page.len() < 4_000_000, "{} bytes", page.len());
    assert!(page.contains("further operations left out, "));
}
