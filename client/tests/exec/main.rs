//! `rex-exec` against a broker that does as told: exit codes, formats, signals, and what a broken conversation comes to.

mod fake;
mod signals;
mod submission;
mod terminal;

use fake::{Fake, Ran};
use rex_protocol::client::{EndClass, Ending, Refusal, RefusalReason, ToClient};
use rex_protocol::limits::{LimitName, Limits};
use rex_protocol::text::Text;
use rex_protocol::wire;
use rex_protocol::worker::{Alarm, Level, Log, Metric, Unit};
use std::process::Command;

pub(crate) fn failed(class: EndClass, message: &str) -> Ending {
    Ending::Failed { class, message: Text::cut(message) }
}

pub(crate) fn log(level: Level, message: &str) -> ToClient {
    ToClient::Log { at: 5, log: Log { level, message: Text::cut(message), line: 1, function: None } }
}

fn ends(ending: Ending, words: &[&str]) -> Ran {
    let fake = Fake::new(|peer| {
        peer.accept();
        peer.end(ending);
    });
    fake.run(words)
}

#[test]
fn each_ending_has_its_exit_code() {
    assert_eq!(ends(Ending::Succeeded, &[]).code, Some(0));
    for (class, code) in [
        (EndClass::Policy, 7),
        (EndClass::Arguments, 3),
        (EndClass::Compile, 3),
        (EndClass::Script, 1),
        (EndClass::Denied, 4),
        (EndClass::AccessRefused, 4),
        (EndClass::ReservedMetric, 1),
        (EndClass::ReservedAlarm, 1),
        (EndClass::Limit(LimitName::Memory), 6),
        (EndClass::Terminated, 143),
        (EndClass::Cancelled, 1),
        (EndClass::WorkerDied, 1),
        (EndClass::Violation, 1),
        (EndClass::Internal, 8),
    ] {
        let ran = ends(failed(class, "why"), &["-o", "json"]);
        assert_eq!(ran.code, Some(code), "{class:?}: {ran:?}");
        assert_eq!(ran.json()["status"], "ERROR");
        let ran = ends(failed(class, "why"), &[]);
        assert_eq!(ran.code, Some(code), "{class:?}: {ran:?}");
        assert!(ran.stderr.starts_with("error: ") && ran.stderr.ends_with("why\n"), "{ran:?}");
        assert_eq!(ran.stdout, "");
    }
}

#[test]
fn each_refusal_has_its_exit_code() {
    for (reason, code) in [
        (RefusalReason::Protocol, 8),
        (RefusalReason::Busy, 8),
        (RefusalReason::TooFast { retry_ms: 500 }, 8),
        (RefusalReason::Barred { retry_ms: 300_000 }, 8),
        (RefusalReason::Limit(LimitName::Time), 6),
        (RefusalReason::NoPolicy, 7),
        (RefusalReason::Unavailable, 8),
    ] {
        let fake = Fake::new(move |peer| {
            peer.submission();
            peer.say(&ToClient::Refused(Refusal { reason, message: Text::cut("not now") }));
        });
        let ran = fake.run(&["-o", "json"]);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        let error = &ran.json()["error"];
        assert_eq!(error["error_type"], "COMMUNICATION_EXCEPTION");
        assert_eq!(error["message"], "the run was refused: not now");
    }
}

#[test]
fn a_submission_that_is_refused_before_it_is_read_is_told_so() {
    let fake = Fake::new(|peer| {
        let refusal = Refusal { reason: RefusalReason::Busy, message: Text::cut("not now") };
        peer.say(&ToClient::Refused(refusal));
    });
    let script = fake.file("large", " ".repeat(4 * 1024 * 1024));
    let ran = Ran::of(fake.command(&[&script]).output().unwrap());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(8), "error: the run was refused: not now\n"));
}

#[test]
fn a_broker_that_is_not_there_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("none");
    let script = folder.path().join("script");
    std::fs::write(&script, "1").unwrap();
    let run = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rex-exec"));
        Ran::of(command.arg("--socket").arg(&socket).arg(&script).output().unwrap())
    };
    let ran = run();
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(8), ""));
    assert_eq!(ran.stderr.lines().count(), 1);
    for part in ["No such file", "rex-broker.socket", "--standalone", socket.to_str().unwrap()] {
        assert!(ran.stderr.contains(part), "{ran:?}");
    }
    // The file is there and nobody listens.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let ran = run();
    assert_eq!(ran.code, Some(8));
    assert!(ran.stderr.contains("Connection refused"), "{ran:?}");
}

#[test]
fn a_socket_of_somebody_else_is_not_spoken_to() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let fake = Fake::new(|peer| peer.hear().is_none());
    std::os::unix::fs::chown(fake.place("socket"), Some(65534), None).unwrap();
    let ran = fake.run(&[]);
    assert_eq!(ran.code, Some(8));
    assert!(ran.stderr.contains("the socket belongs to uid 65534, not to root"), "{ran:?}");
}

#[test]
fn a_conversation_that_breaks_off_or_makes_no_sense_is_the_brokers_fault() {
    let outcome = ToClient::Accepted { limits: Limits::DEFAULT, run: Text::default() };
    let whole = wire::frame(&outcome).unwrap();
    let mut pieces: Vec<Vec<u8>> = (0..=whole.len()).map(|end| whole[..end].to_vec()).collect();
    pieces.push(vec![0xff; 64]);
    pieces.push([&whole[..], &[3, 0, 0, 0, 0xff, 0xff, 0xff]].concat());
    pieces.push([&whole[..], &whole[..]].concat());
    pieces.push(wire::frame(&ToClient::Output(b"early".to_vec())).unwrap());
    for piece in pieces {
        let shown = format!("{piece:?}");
        let fake = Fake::new(move |peer| {
            peer.submission();
            peer.raw(&piece);
        });
        let ran = fake.run(&["-o", "json"]);
        assert_eq!(ran.code, Some(8), "{shown}: {ran:?}");
        assert_eq!(ran.json()["error"]["error_type"], "COMMUNICATION_EXCEPTION");
        assert!(ran.json().get("logs").is_none());
    }
}

#[test]
fn more_output_than_agreed_is_not_kept() {
    let fake = Fake::new(|peer| {
        peer.submission();
        peer.say(&ToClient::Accepted { limits: Limits { output: 10, ..Limits::DEFAULT }, run: Text::default() });
        peer.say(&ToClient::Output(vec![b'x'; 11]));
        peer.end(Ending::Succeeded);
    });
    assert_eq!(fake.run(&[]).code, Some(8));
}

#[test]
fn a_connection_lost_after_the_runs_time_is_the_limit() {
    let fake = Fake::new(|peer| {
        peer.submission();
        peer.say(&ToClient::Accepted { limits: Limits { time_ms: 0, ..Limits::DEFAULT }, run: Text::default() });
        peer.say(&log(Level::Info, "before"));
    });
    let ran = fake.run(&["-o", "json"]);
    assert_eq!(ran.code, Some(6), "{ran:?}");
    let json = ran.json();
    assert_eq!(json["error"]["message"], "Script terminated: the time limit of 0 s was reached");
    assert_eq!(json["logs"][0]["attributes"]["message"], "before");
}

/// A run with something of everything.
fn rich() -> Fake<()> {
    Fake::new(|peer| {
        peer.say(&ToClient::Warning(Text::cut("policy `p` matches nothing")));
        peer.accept();
        peer.say(&log(Level::Info, "looking"));
        peer.say(&log(Level::Warn, "odd \x1b[31m"));
        let metric = Metric { name: Text::cut("count"), value: 1.0, unit: Unit::Count, dimensions: vec![] };
        peer.say(&ToClient::Metric { at: 7, metric });
        peer.say(&ToClient::Alarm(Alarm { kind: Text::cut("smoke"), details: Some(Text::cut("hall")) }));
        peer.say(&ToClient::Output(b"a\x1b".to_vec()));
        peer.say(&ToClient::Output(b"[0m\n".to_vec()));
        peer.end(Ending::Succeeded);
    })
}

#[test]
fn human_shows_output_and_what_needs_attention() {
    let ran = rich().run(&[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "a\x1b[0m\n\n"));
    assert_eq!(ran.stderr, "warning: policy `p` matches nothing\n[WARN] odd \x1b[31m\n");
}

#[test]
fn human_shows_all_when_verbose() {
    let ran = rich().run(&["-v"]);
    let start = "[INFO] looking\n[WARN] odd \x1b[31m\na\x1b[0m\n\n--- metrics ---\ncount: 1\nRexRunnerScriptExecutionSuccessCount: 1\n";
    assert!(ran.stdout.starts_with(start), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("--- alarms ---\nsmoke: hall\n"), "{}", ran.stdout);
    assert_eq!(ran.stderr, "warning: policy `p` matches nothing\n");
}

#[test]
fn json_is_one_line_and_pretty_json_more_and_neither_ends_one() {
    let ran = rich().run(&["-o", "json"]);
    assert_eq!((ran.stderr.as_str(), ran.stdout.contains('\n')), ("", false));
    assert_eq!(ran.json()["output"], "a\x1b[0m\n");
    let pretty = rich().run(&["-o", "pretty-json"]);
    assert!(pretty.stdout.starts_with("{\n  \"output\": ") && pretty.stdout.ends_with("\n}"), "{}", pretty.stdout);
    assert_eq!(rich().run(&["-o", "json", "-v"]).stderr, "warning: policy `p` matches nothing\n");
}

#[test]
fn no_output_is_nothing_at_all() {
    let ran = ends(Ending::Succeeded, &[]);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
}

#[test]
fn of_many_log_messages_the_latest_are_in_the_result() {
    let fake = Fake::new(|peer| {
        peer.accept();
        (0..2500).for_each(|number| peer.say(&log(Level::Info, &number.to_string())));
        peer.end(Ending::Succeeded);
    });
    let json = fake.run(&["-o", "json"]).json();
    let logs = json["logs"].as_array().unwrap();
    assert_eq!(logs.len(), 1001);
    assert!(logs[0]["attributes"]["message"].as_str().unwrap().starts_with("Warning: Log buffer capacity exceeded."));
    assert_eq!(logs[1]["attributes"]["message"], "1500");
    assert_eq!(logs[1000]["attributes"]["message"], "2499");
}

#[test]
fn a_result_that_nobody_reads_or_that_does_not_fit() {
    let fake = rich();
    let script = fake.file("script", "1");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = fake.command(&["-o", "json", &script]).stdout(writer).status().unwrap();
    assert_eq!(status.code(), Some(141));
    let fake = rich();
    let script = fake.file("script", "1");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ran = Ran::of(fake.command(&["-o", "json", &script]).stdout(full).output().unwrap());
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.starts_with("error: cannot write the result: "), "{ran:?}");
}
