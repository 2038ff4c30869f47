//! What `rex-exec` submits, and what it does not get as far as submitting.

use crate::fake::{Fake, Ran};
use rex_protocol::client::{Ending, LimitRequest, Submit};
use rex_protocol::worker::Level;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

fn receiver() -> Fake<Submit> {
    Fake::new(|peer| {
        let submit = peer.accept();
        peer.end(Ending::Succeeded);
        submit
    })
}

fn submitted(fake: Fake<Submit>, words: &[&str]) -> Submit {
    let ran = fake.run(words);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    fake.join()
}

#[test]
fn options_are_in_the_submission() {
    let fake = receiver();
    let policy = fake.file("policy.cedar", "permit(principal, action, resource);");
    let words = ["-p", &policy, "--strict", "--timeout", "30s", "--memory", "64M", "-n", "--arg-json", "n=[1]"];
    let submit = submitted(fake, &words);
    assert_eq!(&*submit.version, rex_protocol::VERSION);
    assert_eq!(submit.script, b"1");
    assert_eq!(submit.arguments, br#"{"n":{"listValue":[{"longValue":1}]}}"#);
    let sent = submit.policy.unwrap();
    assert_eq!((&*sent.name, sent.text.as_slice()), (policy.as_str(), &b"permit(principal, action, resource);"[..]));
    assert_eq!(submit.limits, LimitRequest { time_ms: Some(30_000), memory: Some(64 << 20) });
    assert!(submit.strict && submit.measure && !submit.progress);
    assert_eq!(submit.log_level, Level::Info);
    let submit = submitted(receiver(), &[]);
    assert!(submit.policy.is_none() && !submit.strict && submit.arguments.is_empty());
    assert_eq!(submit.limits, LimitRequest::default());
}

#[test]
fn the_environment_sets_log_level_and_monitoring() {
    for (name, value, level, measure) in [
        ("LOG_LEVEL", "trace", Level::Trace, true),
        ("LOG_LEVEL", "Error", Level::Error, true),
        ("LOG_LEVEL", "all", Level::Info, true),
        ("REX_RUNNER_DISABLE_MONITORING", "1", Level::Info, false),
        ("REX_RUNNER_DISABLE_MONITORING", "TRUE", Level::Info, false),
        ("REX_RUNNER_DISABLE_MONITORING", "0", Level::Info, true),
    ] {
        let fake = receiver();
        let script = fake.file("script", "1");
        assert!(fake.command(&[&script]).env(name, value).status().unwrap().success());
        let submit = fake.join();
        assert_eq!((submit.log_level, submit.measure), (level, measure), "{name}={value}");
    }
}

#[test]
fn a_script_comes_from_standard_input() {
    let fake = receiver();
    let mut child = fake.command(&["-", "a=b"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all("cat(\"é\")".as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    let submit = fake.join();
    assert_eq!(submit.script, "cat(\"é\")".as_bytes());
    assert_eq!(submit.arguments, br#"{"a":{"stringValue":"b"}}"#);
}

#[test]
fn a_script_runs_as_a_program() {
    let fake = receiver();
    let text = format!("#!{} --socket={}\nlet a = 1;\n", env!("CARGO_BIN_EXE_rex-exec"), fake.socket());
    let script = fake.file("program", text);
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(Command::new(&script).arg("name=value").status().unwrap().success());
    let text = std::fs::read(&script).unwrap();
    let submit = fake.join();
    assert_eq!(submit.script, text, "digests and signatures are of the file as it is");
    assert_eq!(submit.arguments, br#"{"name":{"stringValue":"value"}}"#);
}

#[test]
fn an_empty_script_is_a_script() {
    let fake = receiver();
    let script = fake.file("empty", "");
    assert!(fake.command(&["-s", &script]).output().unwrap().status.success());
    assert!(fake.join().script.is_empty());
}

#[test]
fn files_that_cannot_be_used_keep_to_the_format() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (good, bad, none) = (place("good"), place("bad"), place("none"));
    std::fs::write(&good, "1").unwrap();
    std::fs::write(&bad, "{").unwrap();
    let run = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rex-exec"));
        Ran::of(command.arg("--socket=/nonexistent").args(words).stdin(Stdio::null()).output().unwrap())
    };
    for (words, code, what) in [
        (vec!["-s", &none], 3, "Failed to read script file: "),
        (vec!["-s", &good, "-p", &none], 7, "Failed to read policy file: "),
        (vec!["-s", &good, "-a", &none], 3, "Failed to read script arguments file: "),
        (vec!["-s", &good, "-a", &bad], 3, "Failed to parse script arguments JSON: "),
    ] {
        let ran = run(&words);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(code), ""), "{ran:?}");
        let error = &ran.json()["error"];
        assert_eq!(error["error_type"], "COMMUNICATION_EXCEPTION");
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("Failed to load input files: {what}")), "{message}");
        let ran = run(&[&words[..], &["-o", "human"]].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""));
        assert_eq!(ran.stderr, format!("error: {message}\n"));
    }
    // The first that fails is told.
    assert!(run(&["-s", &none, "-p", &none]).stdout.contains("script file"));
}

#[test]
fn a_wrong_command_line_is_told_on_standard_error_alone() {
    for words in [&["--unknown"][..], &["-s", "x", "-s", "y"], &["/dev/null", "a=1", "--arg-json", "a=1", "-v", "-v"]] {
        let done = Command::new(env!("CARGO_BIN_EXE_rex-exec")).args(words).output().unwrap();
        assert_eq!((done.status.code(), done.stdout.len()), (Some(2), 0), "{words:?}");
        assert!(!done.stderr.is_empty());
    }
    let fake = Fake::new(|_| ());
    for words in [["--arg-json", "a=null"], ["--arg-json", "a={"]] {
        let ran = fake.run(&words);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
        assert!(ran.stderr.starts_with("error: argument `a`: "), "{ran:?}");
    }
    for word in ["--help", "--version"] {
        let done = Command::new(env!("CARGO_BIN_EXE_rex-exec")).arg(word).output().unwrap();
        assert_eq!((done.status.code(), done.stderr.len()), (Some(0), 0));
        assert!(!done.stdout.is_empty());
    }
}
