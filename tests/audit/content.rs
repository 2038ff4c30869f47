//! What is recorded, and what is not.

use crate::of_kind;
use rex_broker::audit::{is_plain, verify};
use rex_tests::{Daemon, Settings};
use std::collections::HashSet;

const POLICY: &str = r#"
@id("all") permit(principal, action, resource);
@id("no-secrets") forbid(principal, action in [file_system::Action::"read", file_system::Action::"redacted_read"], resource)
  when { resource is file_system::File && resource.path like "*/secret" };
@id("quiet") @sensitive("arguments")
forbid(principal, action == file_system::Action::"execute", resource == file_system::File::"/usr/bin/true");
"#;

fn daemon() -> Daemon {
    Daemon::start(&Settings { policy: POLICY.into(), ..Settings::default() })
}

#[test]
fn a_run_is_recorded_from_its_start_to_its_end_each_decision_before_its_outcome() {
    let daemon = daemon();
    let path = daemon.folder().join("a").display().to_string();
    let ran = daemon.run_with(&format!("write(\"{path}\", \"CONTENT\"); cat(\"{path}\")"), &["--reason", "ticket 7"]);
    assert_eq!(ran.output(), "CONTENT");
    let records = daemon.records();
    let start = of_kind(&records, "run-start").next().expect("a start");
    let run: Vec<_> = records.iter().filter(|record| record.run() == start.run()).collect();
    assert_eq!(start.text("reason"), "ticket 7");
    assert_eq!(start.number("uid"), u64::from(nix::unistd::getuid().as_raw()));
    assert_eq!(start.text("script").len(), 64);
    assert!(start.number("pid") > 1 && start.text("via") == "socket", "{start:?}");
    let end = run.last().expect("an end");
    assert_eq!((end.kind(), end.text("result"), end.text("class")), ("run-end", "succeeded", ""));
    assert_eq!((end.number("bytes_read"), end.number("bytes_written")), (7, 7));
    // Each operation: decisions, then its outcome, in its turn.
    let mut open = 0;
    for record in &run[1..run.len() - 1] {
        match record.kind() {
            "decision" => open = record.number("op"),
            "outcome" => assert_eq!((record.number("op"), record.text("result")), (open, "done")),
            other => panic!("{other}"),
        }
    }
    assert_eq!(end.number("operations"), open);
    let write = of_kind(&records, "decision").find(|record| record.text("action").ends_with("\"write\"")).expect("it");
    assert_eq!(write.text("resource"), format!("file_system::File::\"{path}\""));
    assert_eq!((write.text("decision"), write.texts("policies")), ("allow", vec!["all"]));
    let revisions: HashSet<_> = records.iter().map(|record| record.text("revision")).collect();
    assert_eq!(revisions.len(), 1);
    assert_eq!(revisions.into_iter().next().map(str::len), Some(32));
    assert!(verify(daemon.audit_log()).expect("a log").is_whole());
    let kept = std::fs::read_to_string(daemon.audit_log().join("audit.jsonl")).expect("the log");
    assert!(!kept.contains("CONTENT"), "what files hold stands in no record");
}

#[test]
fn a_denial_tells_the_policy_that_decided() {
    let daemon = daemon();
    std::fs::write(daemon.folder().join("secret"), "x").expect("a file");
    let ran = daemon.run(&format!("cat(\"{}/secret\")", daemon.folder().display()));
    assert_eq!(ran.code, 4);
    let records = daemon.records();
    let denied = of_kind(&records, "decision").find(|record| record.text("decision") == "deny").expect("a denial");
    assert_eq!(denied.texts("policies"), ["no-secrets"]);
    let outcome = of_kind(&records, "outcome").find(|record| record.number("op") == denied.number("op"));
    assert_eq!(outcome.map(|outcome| outcome.text("result")), Some("denied"));
    let end = of_kind(&records, "run-end").next().expect("an end");
    assert_eq!((end.text("class"), end.number("denied") > 0), ("denied", true));
}

#[test]
fn hostile_words_come_out_harmless() {
    let daemon = daemon();
    let hostile = "x\\n{\\\"seq\\\":99,\\\"kind\\\":\\\"run-end\\\"}\\x1b[2J\\u{202e}\\u{2028}\\u{200b}";
    daemon.run(&format!("cat(\"/tmp/{hostile}\")"));
    daemon.run_with("1", &["--reason", "a\nb\u{1b}[31m\u{202e}"]);
    let kept = std::fs::read_to_string(daemon.audit_log().join("audit.jsonl")).expect("the log");
    assert!(kept.lines().flat_map(str::chars).all(is_plain));
    assert!(kept.lines().all(|line| line.starts_with("{\"seq\":") && line.ends_with("\"}")));
    assert!(kept.contains("\\u202e"), "{kept}");
    assert!(verify(daemon.audit_log()).expect("a log").is_whole());
    let records = daemon.records();
    assert!(of_kind(&records, "run-start").any(|record| record.text("reason") == "a\nb\u{1b}[31m\u{202e}"));
}

#[test]
fn secrets_are_masked() {
    let daemon = daemon();
    let run = |program: &str, arguments: &str| {
        daemon.run(&format!(
            "DirConfig().path(\"/usr/bin\").build().open(OpenDirOptions().build())\
             .open_file(\"{program}\", OpenFileOptions().read(true).follow_symlinks(true).build())\
             .execute(ExecuteOptions().args({arguments}).env(#{{\"API_TOKEN\": \"hunter2\", \"LANG\": \"C\"}}).build())"
        ))
    };
    let ran = run("echo", "[\"--password\", \"hunter2\", \"plain\"]");
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    assert_eq!(run("true", "[\"wholly-private\"]").code, 4);
    let kept = std::fs::read_to_string(daemon.audit_log().join("audit.jsonl")).expect("the log");
    assert!(!kept.contains("hunter2") && !kept.contains("wholly-private"), "{kept}");
    assert!(kept.contains("\"plain\"") && kept.contains("\"masked\":true"), "{kept}");
}

#[test]
fn a_program_that_says_nothing_for_long_is_no_flood_of_records() {
    let daemon = daemon();
    let ran = daemon.run(
        "DirConfig().path(\"/usr/bin\").build().open(OpenDirOptions().build())\
         .open_file(\"sleep\", OpenFileOptions().read(true).follow_symlinks(true).build())\
         .execute(ExecuteOptions().args([\"3\"]).build())",
    );
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    let records = daemon.records();
    let end = of_kind(&records, "run-end").last().expect("an end");
    // To open, to start, and some looks at it.
    assert!((4..20).contains(&end.number("operations")), "{end:?}");
}

#[test]
fn what_becomes_of_policies_is_recorded_with_its_revision() {
    let daemon = daemon();
    let policy = daemon.folder().join("policies.d/test.cedar");
    let reload = |text: &str| {
        let before = daemon.records().len();
        std::fs::write(&policy, text).expect("a policy");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(daemon.pid() as i32), nix::sys::signal::Signal::SIGHUP)
            .expect("a signal");
        daemon.until("it is recorded", |daemon| of_kind(&daemon.records()[before..], "policy-load").count() == 1);
        daemon.records().pop().expect("a record")
    };
    let first = daemon.records()[0].clone();
    assert_eq!((first.kind(), first.number("policies")), ("broker-start", 3));
    let loaded = reload("permit(principal, action, resource);");
    assert_eq!((loaded.text("result"), loaded.number("policies")), ("loaded", 1));
    assert_ne!(loaded.text("revision"), first.text("revision"));
    let refused = reload("permit(principal, action");
    assert_eq!((refused.text("result"), refused.text("revision")), ("refused", loaded.text("revision")));
    assert!(refused.text("message").contains("test.cedar:1"), "{refused:?}");
    daemon.run("1");
    let records = daemon.records();
    assert_eq!(of_kind(&records, "run-start").last().map(|run| run.text("revision")), Some(loaded.text("revision")));
}

#[test]
fn runs_at_the_same_time_share_one_chain() {
    let daemon = daemon();
    std::thread::scope(|scope| {
        for at in 0..4 {
            let daemon = &daemon;
            scope.spawn(move || {
                let folder = daemon.folder().display().to_string();
                let script = format!("for n in 0..50 {{ write([write::replace], \"{folder}/f{at}\", `${{n}}`); }}");
                assert_eq!(daemon.run(&script).code, 0);
            });
        }
    });
    let found = verify(daemon.audit_log()).expect("a log");
    assert!(found.is_whole() && found.remarks.is_empty(), "{found:#?}");
    let records = daemon.records();
    assert_eq!(of_kind(&records, "run-end").filter(|end| end.text("result") == "succeeded").count(), 4);
    assert_eq!(of_kind(&records, "run-start").map(|start| start.run()).collect::<HashSet<_>>().len(), 4);
}

#[test]
fn a_full_file_is_put_aside_without_a_gap() {
    let config = "[audit]\nrotate_mib = 1\nkeep = 2\n".to_owned();
    let daemon = Daemon::start(&Settings { config, ..Settings::default() });
    let folder = daemon.folder().display().to_string();
    for _ in 0..4 {
        let ran = daemon.run(&format!("for n in 0..300 {{ write([write::replace], \"{folder}/f\", \"x\"); }}"));
        assert_eq!(ran.code, 0, "{}", ran.stdout);
    }
    let found = verify(daemon.audit_log()).expect("a log");
    assert!(found.is_whole(), "{found:#?}");
    assert!(found.first > 1, "the oldest file is removed, and the log still verifies: {found:#?}");
    let files = std::fs::read_dir(daemon.audit_log()).expect("the directory").count();
    assert_eq!(files, 4, "two full files, the current one, and the head");
    let records = daemon.records();
    assert!(of_kind(&records, "rotated").count() >= 1 && of_kind(&records, "retired").count() >= 1);
}
