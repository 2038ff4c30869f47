//! Following a log.

use crate::{POLICY, daemon, tool};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rex_broker::audit::Record;
use rex_tests::{Daemon, Settings};
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Longer than any line may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program at work. It is ended with this value.
struct Following {
    child: Child,
}

impl Following {
    fn start(daemon: &Daemon, arguments: &[&str]) -> (Self, ChildStdout) {
        let mut command = tool(daemon.audit_log(), &[&["follow"], arguments].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("rex-audit starts");
        let stdout = child.stdout.take().expect("its output");
        (Self { child }, stdout)
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("it takes a signal");
    }

    /// How it ended, and what it said of that.
    fn end(&mut self) -> (Option<i32>, String) {
        let code = self.child.wait().expect("its end").code();
        let mut said = String::new();
        let mut stderr = self.child.stderr.take().expect("its messages");
        std::io::Read::read_to_string(&mut stderr, &mut said).expect("UTF-8");
        (code, said)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Its records as they come.
fn records(stdout: ChildStdout) -> Receiver<Record> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let record = Record::parse(&line).expect("a whole record");
            if sender.send(record).is_err() {
                break;
            }
        }
    });
    receiver
}

#[test]
fn what_comes_is_shown_also_behind_a_rotation() {
    let config = "[audit]\nrotate_mib = 1\n".to_owned();
    let daemon = Daemon::start(&Settings { policy: POLICY.into(), config, ..Settings::default() });
    let (mut following, stdout) = Following::start(&daemon, &[]);
    let shown = records(stdout);
    let first = shown.recv_timeout(PATIENCE).expect("what is there");
    assert_eq!((first.seq(), first.kind()), (1, "broker-start"));
    let folder = daemon.folder().display().to_string();
    for _ in 0..2 {
        let ran = daemon.run(&format!("for n in 0..400 {{ write([write::replace], \"{folder}/f\", \"x\"); }}"));
        assert_eq!(ran.code, 0, "{}", ran.stdout);
    }
    daemon.until("the runs have ended", |daemon| daemon.records().last().is_some_and(|last| last.kind() == "run-end"));
    let expected = daemon.records();
    assert!(expected.iter().filter(|record| record.kind() == "rotated").count() >= 1, "the log was rotated");
    for expected in &expected[1..] {
        assert_eq!(&shown.recv_timeout(PATIENCE).expect("a record"), expected);
    }
    following.signal(Signal::SIGINT);
    assert_eq!(following.end(), (Some(0), String::new()));
    assert!(shown.recv_timeout(PATIENCE).is_err(), "there is no more");
}

#[test]
fn only_what_is_meant_is_shown() {
    let daemon = daemon();
    let (mut following, stdout) = Following::start(&daemon, &["--last", "0", "--decision", "deny"]);
    let shown = records(stdout);
    let script = format!("cat(\"{}/secret\")", daemon.folder().display());
    // It may not look yet when the first run is over.
    let denied = std::iter::repeat_with(|| {
        assert_eq!(daemon.run(&script).code, 4);
        shown.recv_timeout(Duration::from_millis(500))
    });
    let denied = denied.take(100).find_map(Result::ok).expect("a denial");
    assert_eq!((denied.text("decision"), denied.texts("policies")), ("deny", vec!["no-secrets"]));
    following.signal(Signal::SIGTERM);
    assert_eq!(following.end(), (Some(0), String::new()));
}

#[test]
fn it_ends_when_nobody_reads_also_where_nothing_comes() {
    let daemon = daemon();
    let (mut following, stdout) = Following::start(&daemon, &[]);
    let mut reader = BufReader::new(stdout);
    reader.read_line(&mut String::new()).expect("a line");
    drop(reader);
    assert_eq!(following.end(), (Some(0), String::new()));
}

#[test]
fn a_reader_that_does_not_read_does_not_keep_it_from_ending() {
    let config = "[audit]\nrotate_mib = 1\n".to_owned();
    let daemon = Daemon::start(&Settings { policy: POLICY.into(), config, ..Settings::default() });
    let folder = daemon.folder().display().to_string();
    // More than a pipe takes.
    daemon.run(&format!("for n in 0..100 {{ write([write::replace], \"{folder}/f\", \"x\"); }}"));
    let (mut following, stdout) = Following::start(&daemon, &[]);
    let mut reader = BufReader::with_capacity(1, stdout);
    reader.read_line(&mut String::new()).expect("a line");
    following.signal(Signal::SIGINT);
    assert_eq!(following.end(), (Some(0), String::new()));
}
