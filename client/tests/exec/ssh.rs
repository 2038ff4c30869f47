//! `rex-exec --ssh`: what a remote command may say, against a broker that takes everything.

use crate::fake::{Fake, Ran};
use rex_protocol::client::{Ending, LimitRequest, Submit};
use rex_protocol::worker::Level;
use std::io::Write;
use std::process::{Command, Stdio};

/// `rex-exec --ssh` with words of the administrator's, as sshd starts it for a remote command.
fn started(fake: &Fake<Submit>, own: &[&str], remote: Option<&str>) -> Command {
    let mut command = fake.command(&[&["--ssh"], own].concat());
    command.env_remove("SSH_USER_AUTH").env_remove("SSH_ORIGINAL_COMMAND");
    command.envs(remote.map(|remote| ("SSH_ORIGINAL_COMMAND", remote)));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn ran(mut command: Command, input: &str) -> Ran {
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    Ran::of(child.wait_with_output().unwrap())
}

fn receiver() -> Fake<Submit> {
    Fake::new(|peer| {
        let submit = peer.accept();
        peer.end(Ending::Succeeded);
        submit
    })
}

fn submitted(own: &[&str], remote: Option<&str>, input: &str) -> Submit {
    let fake = receiver();
    let ran = ran(started(&fake, own, remote), input);
    assert_eq!(ran.code, Some(0), "{own:?} {remote:?}: {ran:?}");
    fake.join()
}

/// What is said of a remote command that is refused.
fn refused(own: &[&str], remote: &str) -> String {
    let ran = ran(started(&receiver(), own, Some(remote)), "1");
    assert_eq!(ran.code, Some(2), "{own:?} {remote}: {ran:?}");
    assert!(ran.stdout.is_empty() && ran.stderr.starts_with("error: "), "{ran:?}");
    ran.stderr
}

#[test]
fn the_script_is_standard_input_and_the_command_says_the_rest() {
    for remote in [None, Some(""), Some("rex-exec"), Some("/usr/bin/rex-exec -"), Some("rex-exec -n -v")] {
        let submit = submitted(&[], remote, "1 + 1");
        assert_eq!((submit.script.as_slice(), submit.arguments.len()), (&b"1 + 1"[..], 0), "{remote:?}");
        assert_eq!(submit.ssh.map(|ssh| ssh.key), Some(None), "{remote:?}");
    }
    let remote = r#"rex-exec --reason 'T-1: "it"' --timeout 30s --memory 64M - a='x y' --arg-json 'n=[1]'"#;
    let submit = submitted(&[], Some(remote), "1");
    assert_eq!(submit.arguments, br#"{"a":{"stringValue":"x y"},"n":{"listValue":[{"longValue":1}]}}"#);
    assert_eq!(submit.reason.as_deref(), Some("T-1: \"it\""));
    assert_eq!(submit.limits, LimitRequest { time_ms: Some(30_000), memory: Some(64 << 20) });
}

#[test]
fn a_bundle_is_taken_apart_here() {
    let submit = submitted(&[], Some("rex-exec --bundle"), r#"{"script": "s", "arguments": {"a": 1}, "policy": "p"}"#);
    assert_eq!((submit.script.as_slice(), submit.arguments.as_slice()), (&b"s"[..], &br#"{"a":{"longValue":1}}"#[..]));
    assert_eq!(submit.policy.map(|policy| policy.text), Some(b"p".to_vec()));
    let ran = ran(started(&receiver(), &[], Some("rex-exec --bundle")), "1");
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stderr.contains("Failed to read bundle"), "{ran:?}");
}

#[test]
fn no_remote_command_names_a_file_of_this_machine_or_another_program() {
    for (remote, names) in [
        ("rex-exec --script-file /etc/passwd", "--script-file"),
        ("rex-exec -s/etc/passwd", "--script-file"),
        ("rex-exec --script-arguments-file=/etc/passwd -", "--script-arguments-file"),
        ("rex-exec - --policy-file /etc/passwd", "--policy-file"),
        ("rex-exec - --policy-file /etc/passwd --strict", "--policy-file"),
        ("rex-exec - --signature /etc/passwd", "--signature"),
        ("rex-exec - --socket /tmp/x", "--socket"),
        ("rex-exec - --standalone --policy-file /etc/passwd", "--"),
        ("rex-exec - --ssh", "--ssh"),
        ("rex-exec /etc/passwd", "/etc/passwd"),
        ("rex-exec a=b", "a=b"),
        ("rex-exec -- /etc/passwd", "/etc/passwd"),
        ("rex-exec ./-", "./-"),
        ("bash", "`bash`"),
        ("rex-execute -", "`rex-execute`"),
        ("../rex-exec/ls", "`../rex-exec/ls`"),
        ("--list", "`--list`"),
        ("rex-exec 'x", "quote"),
        ("rex-exec - --unknown", "--unknown"),
        ("rex-exec - a=b && id", "&&"),
        ("rex-exec - 'a\u{1b}[2J'", "NAME=VALUE"),
    ] {
        let said = refused(&[], remote);
        assert!(said.contains(names), "{remote}: {said}");
    }
    let mut command = started(&receiver(), &[], None);
    let bytes = std::os::unix::ffi::OsStringExt::from_vec(b"rex-exec - a=\xff".to_vec());
    command.env::<_, std::ffi::OsString>("SSH_ORIGINAL_COMMAND", bytes);
    let ran = ran(command, "1");
    assert!(ran.code == Some(2) && ran.stderr.contains("UTF-8"), "{ran:?}");
}

#[test]
fn what_the_administrator_says_cannot_be_said_otherwise() {
    let fake = receiver();
    let script = fake.file("fixed.rhai", "fixed");
    for (own, remote, names) in [
        (vec!["--timeout", "1s"], "rex-exec - --timeout 1h", "--timeout"),
        (vec!["--memory", "64M"], "rex-exec - --memory 1G", "--memory"),
        (vec!["--reason", "r"], "rex-exec - --reason s", "--reason"),
        (vec!["-o", "json"], "rex-exec - -o human", "--output-format"),
        (vec!["-", "a=b"], "rex-exec - a=c", "`a`"),
        (vec!["--arg-json", "a=1"], "rex-exec - a=c", "`a`"),
        (vec![&script], "rex-exec --bundle", "one script"),
        (vec![&script], "rex-exec --list", "one script"),
    ] {
        let said = refused(&own, remote);
        assert!(said.contains(names), "{own:?} {remote}: {said}");
    }
    let submit = submitted(&["--timeout", "1s", &script, "a=b"], Some("rex-exec - c=d"), "another");
    assert_eq!((submit.script.as_slice(), submit.limits.time_ms), (&b"fixed"[..], Some(1_000)));
    assert_eq!(submit.arguments, br#"{"a":{"stringValue":"b"},"c":{"stringValue":"d"}}"#);
    let policy = fake.file("narrow.cedar", "forbid(principal, action, resource);");
    let bundle = r#"{"script": "1", "arguments": {"a": 1}, "policy": "permit(principal, action, resource);"}"#;
    let ran = ran(started(&receiver(), &["--policy-file", &policy], Some("rex-exec --bundle")), bundle);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let submit = submitted(&["-", "a=b"], Some("rex-exec --bundle"), bundle);
    assert_eq!(submit.arguments, br#"{"a":{"stringValue":"b"}}"#);
}

#[test]
fn the_environment_says_nothing() {
    let fake = receiver();
    let mut command = started(&fake, &[], None);
    command.env("LOG_LEVEL", "trace").env("REX_RUNNER_DISABLE_MONITORING", "1");
    assert_eq!(ran(command, "1").code, Some(0));
    let submit = fake.join();
    assert_eq!((submit.log_level, submit.measure), (Level::Info, true));
    let mut command = started(&receiver(), &[], None);
    command.env("SSH_USER_AUTH", "/etc/passwd");
    let ran = ran(command, "1");
    assert!(ran.code == Some(3) && ran.stderr.contains("no file of sshd's"), "{ran:?}");
}
