//! What is told of a dry run: to the one who asked for it, to policy, and to the log.

use crate::{CONTENTS, EVERYTHING, Stage, acts, text};
use rex_tests::{Daemon, Settings};
use serde_json::{Value, json};

#[test]
fn a_write_is_told_with_both_contents_and_a_unified_diff() {
    let stage = Stage::new();
    let ran = stage.dry(EVERYTHING, "write([write::replace], \"ROOT/a\", \"one\\n2\\nthree\\n\")");
    let change = &ran.result["changes"][0];
    let path = stage.path("a").display().to_string();
    assert_eq!(
        (text(&change["act"]), text(&change["operation"]), text(&change["object"])),
        ("write", "fs.write", &*path)
    );
    assert_eq!(change["before"], json!({"state": "text", "text": "one\ntwo\nthree\n", "bytes": 14}));
    assert_eq!(change["after"], json!({"state": "text", "text": "one\n2\nthree\n", "bytes": 12}));
    assert_eq!(text(&change["diff"]), format!("--- {path}\n+++ {path}\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"));
}

#[test]
fn what_is_no_text_is_told_as_such_and_modes_as_old_and_new() {
    let stage = Stage::new();
    let ran = stage.dry(
        EVERYTHING,
        "rm(\"ROOT/bytes\"); DIR.open_file(\"a\", OpenFileOptions().read(true).build()).chmod(0o600);",
    );
    let changes = &ran.result["changes"];
    assert_eq!(changes[0]["before"], json!({"state": "binary", "bytes": 4}));
    assert_eq!((&changes[0]["after"], changes[0].get("diff")), (&json!({"state": "none"}), None));
    assert_eq!(changes[1]["properties"], json!({"mode": {"before": "0644", "after": "0600"}}));
}

#[test]
fn what_is_denied_is_denied_and_is_no_change() {
    let stage = Stage::new();
    let policy = format!(
        "{EVERYTHING} @id(\"b\") forbid(principal, action == file_system::Action::\"write\", resource == file_system::File::\"ROOT/b\");"
    );
    let script = "write(\"ROOT/a\", \"1\"); write(\"ROOT/b\", \"2\");";
    let ran = stage.dry(&policy, script);
    assert_eq!((ran.code, ran.error_type(), acts(&ran)), (4, "ACCESS_DENIED_EXCEPTION", vec!["write a".to_owned()]));
    assert!(ran.error().contains("b"), "{ran:?}");
    let real = stage.run(&policy, script, &[]);
    assert_eq!((real.code, real.error()), (ran.code, ran.error()));
}

#[test]
fn content_is_told_only_to_whom_policy_lets_read_it() {
    let stage = Stage::new();
    let policy = format!("{EVERYTHING} forbid(principal, action in [file_system::Action::\"read\", file_system::Action::\"stat\"], resource)
        when {{ resource is file_system::File }};");
    let script = "let f = DIR.open_file(\"a\", OpenFileOptions().write(true).build());
        f.write(\"mine\"); f.truncate(TruncateOptions().size(3).build()); f.chmod(0o600);
        mv(\"ROOT/dir/inner\", \"ROOT/b\");";
    let ran = stage.dry(&policy, script);
    assert_eq!(ran.error(), "");
    let told = ran.result["changes"].to_string();
    for secret in ["one", "other", "inner\\n", "0644"] {
        assert!(!told.contains(secret), "{told}");
    }
    let changes = &ran.result["changes"];
    let hidden = json!({"state": "hidden"});
    assert_eq!((&changes[0]["before"], text(&changes[0]["after"]["text"])), (&hidden, "mine"));
    assert_eq!((&changes[1]["before"], &changes[1]["after"]), (&hidden, &hidden));
    assert_eq!(changes[2]["properties"], json!({"mode": {"after": "0600"}}));
}

#[test]
fn what_a_policy_calls_sensitive_and_secrets_are_not_told() {
    let stage = Stage::new();
    let policy = format!(
        "{EVERYTHING} @sensitive(\"content\") forbid(principal, action == file_system::Action::\"write\", resource)
        when {{ resource.path like \"*/nothing\" }};"
    );
    let ran = stage.dry(&policy, "write(\"ROOT/a\", \"hunter2\"); write(\"ROOT/a\", \"hunter2 again\");");
    let told = ran.result["changes"].to_string();
    assert!(!told.contains("hunter2") && !told.contains("three"), "{told}");
    let script = "let exe = DirConfig().path(\"/usr/bin\").build().open(OpenDirOptions().follow_symlinks(true).build())
            .open_file(\"true\", OpenFileOptions().read(true).follow_symlinks(true).build());
        let r = exe.execute(ExecuteOptions().args([\"--password=hunter2\", \"plain\"]).build());
        [r.exit_code, r.stdout, r.stderr]";
    let ran = stage.dry(EVERYTHING, script);
    if ran.error().is_empty() {
        assert_eq!(ran.output(), r#"[0, "", ""]"#);
        let change = &ran.result["changes"][0];
        assert_eq!(text(&change["act"]), "execute");
        let told = change.to_string();
        assert!(told.contains("plain") && told.contains("--password=***") && !told.contains("hunter2"), "{told}");
    } else {
        panic!("{ran:?}");
    }
}

#[test]
fn what_is_told_is_bounded_and_counted() {
    let stage = Stage::new();
    let script = "let text = \"x\"; text.pad(200000, 'x');
        for n in 0..60 { write(`ROOT/new${n}`, text); }
        let f = DIR.open_file(\"a\", OpenFileOptions().read(true).build());
        for n in 0..5100 { f.chmod(0o600); f.chmod(0o644); }";
    let ran = stage.dry(EVERYTHING, script);
    assert_eq!(ran.error(), "");
    let changes = ran.result["changes"].as_array().expect("a list");
    assert_eq!((changes.len(), &ran.result["change_count"]), (10_000, &json!(10_320)));
    let length: usize = changes.iter().filter_map(|change| change["after"]["text"].as_str()).map(str::len).sum();
    assert!(length <= CONTENTS, "{length}");
    let left_out = changes.iter().filter(|change| change["after"]["state"] == "left-out").count();
    assert_eq!(left_out, 60 - CONTENTS / 200_000);
}

#[test]
fn other_operations_are_planned_too() {
    let stage = Stage::new();
    let mut sleeper = std::process::Command::new("sleep").arg("60").spawn().expect("a process");
    let script = format!(
        "let told = kill({}); Client().post(\"http://127.0.0.1:1/x?token=hunter2\", \"body\").status",
        sleeper.id()
    );
    let ran = stage.dry(EVERYTHING, &script);
    let still = sleeper.try_wait().expect("a child").is_none();
    sleeper.kill().expect("it is there");
    sleeper.wait().expect("a child");
    assert!(still, "{ran:?}");
    let told = ran.result["changes"].to_string();
    assert!(told.contains("SIGTERM") && told.contains("(sleep)"), "{ran:?}");
    if ran.error().is_empty() {
        assert!(told.contains("token=***") && told.contains("POST"), "{told}");
    }
}

#[test]
fn people_find_the_list_on_standard_error_each_change_in_its_lines() {
    let stage = Stage::new();
    let script = "write([write::replace], \"ROOT/a\", \"1\\n\"); DIR.create_symlink(\"x\\nerror: forged\", \"ln\", CreateSymlinkOptions().build()); \"out\"";
    let ran = stage.run(EVERYTHING, script, &["--dry-run", "--output-format", "human"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "out\n"));
    assert!(ran.stderr.starts_with("dry run: 2 changes planned, nothing was changed\n  write "), "{}", ran.stderr);
    assert!(ran.stderr.contains("\n    -one\n") && ran.stderr.contains("\n    +1\n"), "{}", ran.stderr);
    assert!(!ran.stderr.lines().any(|line| line.starts_with("error:")), "{}", ran.stderr);
    let ran = stage.run(EVERYTHING, "1", &["--dry-run", "--output-format", "human"]);
    assert_eq!(ran.stderr, "dry run: nothing would be changed\n");
}

#[test]
fn an_ordinary_run_tells_whether_it_changed_anything() {
    let stage = Stage::new();
    let changed = |script: &str, options: &[&str]| -> Value {
        let ran = stage.run(EVERYTHING, script, options);
        assert_eq!((ran.error(), ran.result.get("changes").is_some()), ("", !options.is_empty()));
        ran.result["changed"].clone()
    };
    for (script, expected) in [
        ("cat(\"ROOT/a\"); ls(\"ROOT\");", false),
        ("mkdir([mkdir::p], \"ROOT/dir\");", false),
        ("DIR.open_file(\"a\", OpenFileOptions().create(true).build());", false),
        ("DIR.open_file(\"a\", OpenFileOptions().read(true).build()).chmod(0o644);", false),
        ("DIR.open_file(\"a\", OpenFileOptions().read(true).build()).chmod(0o640);", true),
        ("mkdir([mkdir::p], \"ROOT/new/er\");", true),
        ("write(\"ROOT/b\", \"x\");", true),
        ("rm(\"ROOT/b\");", true),
    ] {
        assert_eq!(changed(script, &["--dry-run"]), json!(expected), "in a dry run: {script}");
        assert_eq!(changed(script, &[]), json!(expected), "{script}");
    }
}

#[test]
fn records_and_policies_know_a_dry_run() {
    if !rex_tests::is_root() {
        return rex_tests::skip("the broker of an ordinary user is another test's");
    }
    let policy = "@id(\"all\") permit(principal, action, resource) when { context.session.dry_run };
        @id(\"looks\") permit(principal, action in [file_system::Action::\"open\", file_system::Action::\"read\"], resource);";
    let daemon = Daemon::start(&Settings { policy: policy.into(), ..Settings::default() });
    let path = daemon.folder().join("file");
    std::fs::write(&path, "old\n").expect("a file");
    let script = format!("write([write::replace], \"{}\", \"new\\n\"); cat(\"{}\")", path.display(), path.display());
    let ran = daemon.run_with(&script, &["--dry-run"]);
    assert_eq!((ran.error(), ran.output()), ("", "new\n"));
    assert_eq!(std::fs::read_to_string(&path).expect("it is there"), "old\n");
    let records = daemon.records();
    let of_kind = |kind: &'static str| records.iter().filter(move |record| record.kind() == kind);
    let start = of_kind("run-start").next().expect("a start");
    assert_eq!(start.fields().get("dry_run"), Some(&json!(true)));
    let write =
        of_kind("decision").find(|record| record.text("action").ends_with("\"write\"")).expect("it was decided");
    assert_eq!((write.text("decision"), write.texts("policies")), ("allow", vec!["all"]));
    let outcomes: Vec<_> = of_kind("outcome").map(|record| (record.text("operation"), record.text("result"))).collect();
    assert!(outcomes.contains(&("fs.write", "planned")) && outcomes.contains(&("fs.read", "done")), "{outcomes:?}");
    // What a policy lets be rehearsed it does not let be done.
    let ran = daemon.run(&script);
    assert_eq!((ran.code, std::fs::read_to_string(&path).expect("it is there").as_str()), (4, "old\n"));
    let start = daemon.records().into_iter().rfind(|record| record.kind() == "run-start").expect("a start");
    assert_eq!(start.fields().get("dry_run"), None);
}
