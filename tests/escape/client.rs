//! A client that speaks the protocol wrongly, or not at all.

use rex_protocol::VERSION;
use rex_protocol::client::{FromClient, LimitRequest, RefusalReason, Submit, ToClient};
use rex_protocol::text::Text;
use rex_protocol::wire::{FRAME, Frames, PREAMBLE, decode, frame};
use rex_protocol::worker::Level;
use rex_tests::{Daemon, Settings, skip};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

pub(crate) fn connect(daemon: &Daemon) -> UnixStream {
    let stream = UnixStream::connect(daemon.socket()).expect("the broker listens");
    stream.set_read_timeout(Some(Duration::from_secs(15))).expect("a timeout");
    stream
}

pub(crate) fn submission(script: &str) -> FromClient {
    FromClient::Submit(Box::new(Submit {
        version: Text::cut(VERSION),
        script: script.into(),
        arguments: Vec::new(),
        policy: None,
        strict: false,
        log_level: Level::Info,
        limits: LimitRequest::default(),
        measure: false,
        progress: false,
        reason: None,
        dry_run: false,
        signature: None,
        ssh: None,
    }))
}

fn submitted(script: &str) -> Vec<u8> {
    [PREAMBLE.as_slice(), &frame(&submission(script)).expect("a frame")].concat()
}

/// Everything the broker says until it closes.
pub(crate) fn heard(stream: &mut UnixStream) -> Vec<ToClient> {
    let (mut frames, mut messages, mut bytes) = (Frames::new(FRAME), Vec::new(), Vec::new());
    if let Err(error) = stream.read_to_end(&mut bytes) {
        // What it had not read when it closed resets the connection.
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "the broker does not close the connection");
    }
    frames.push(&bytes);
    while let Ok(Some(body)) = frames.next_frame() {
        messages.push(decode(&body).expect("the broker speaks its own protocol"));
    }
    messages
}

pub(crate) fn refusal(messages: &[ToClient]) -> Option<RefusalReason> {
    match messages {
        [ToClient::Refused(refusal)] => Some(refusal.reason),
        _ => None,
    }
}

#[test]
fn a_wrong_beginning_is_refused() {
    let daemon = Daemon::start(&Settings::default());
    let mut other_version = submitted("1");
    if let Some(byte) = other_version.get_mut(4) {
        *byte = 99;
    }
    let mut trailing = frame(&submission("1")).expect("a frame");
    let length = u32::try_from(trailing.len() - 4 + 1).expect("short");
    trailing.splice(..4, length.to_le_bytes());
    trailing.push(0);
    for (what, bytes) in [
        ("no preamble", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("another protocol version", other_version),
        ("a frame that is too large", [PREAMBLE.as_slice(), &u32::MAX.to_le_bytes()].concat()),
        ("noise", [PREAMBLE.as_slice(), &8u32.to_le_bytes(), &[0xff; 8]].concat()),
        ("trailing bytes", [PREAMBLE.as_slice(), &trailing].concat()),
        ("no submission first", [PREAMBLE.as_slice(), &frame(&FromClient::Cancel).expect("a frame")].concat()),
    ] {
        let mut stream = connect(&daemon);
        stream.write_all(&bytes).expect("the broker reads");
        assert_eq!(refusal(&heard(&mut stream)), Some(RefusalReason::Protocol), "{what}");
    }
    assert_eq!(daemon.run("1").output(), "1");
}

#[test]
fn a_client_of_another_version_is_told_so() {
    let daemon = Daemon::start(&Settings::default());
    let FromClient::Submit(mut submit) = submission("1") else { return };
    submit.version = Text::cut("0.0.0-other");
    let mut stream = connect(&daemon);
    let bytes = [PREAMBLE.as_slice(), &frame(&FromClient::Submit(submit)).expect("a frame")].concat();
    stream.write_all(&bytes).expect("the broker reads");
    match heard(&mut stream).as_slice() {
        [ToClient::Refused(refusal)] => assert!(refusal.message.contains("0.0.0-other"), "{refusal:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_client_that_goes_away_ends_its_run() {
    let daemon = Daemon::start(&Settings::default());
    for cut in [3, 9, 30] {
        let mut stream = connect(&daemon);
        stream.write_all(&submitted("sleep(100)")[..cut]).expect("the broker reads");
    }
    let mut stream = connect(&daemon);
    stream.write_all(&submitted("sleep(100)")).expect("the broker reads");
    daemon.until("the run begins", |daemon| daemon.log().contains("run begins"));
    drop(stream);
    daemon.until("the run ends", |daemon| daemon.log().contains("its client is gone"));
    daemon.until("no session is left", Daemon::is_idle);
}

#[test]
fn what_comes_together_with_the_submission_is_heard() {
    let daemon = Daemon::start(&Settings::default());
    let mut stream = connect(&daemon);
    let cancel = frame(&FromClient::Cancel).expect("a frame");
    stream.write_all(&[submitted("sleep(100)"), cancel].concat()).expect("the broker reads");
    let cancelled = heard(&mut stream).iter().any(|message| match message {
        ToClient::Outcome(outcome) => format!("{:?}", outcome.ending).contains("Cancelled"),
        _ => false,
    });
    assert!(cancelled, "{}", daemon.log());
}

#[test]
fn a_client_that_closes_its_half_has_gone_away() {
    let daemon = Daemon::start(&Settings::default());
    let mut stream = connect(&daemon);
    stream.write_all(&submitted("sleep(100)")).expect("the broker reads");
    stream.shutdown(std::net::Shutdown::Write).expect("a half-closed connection");
    let messages = heard(&mut stream);
    assert!(!messages.iter().any(|message| matches!(message, ToClient::Outcome(_))), "{messages:?}");
    daemon.until("no session is left", Daemon::is_idle);
}

#[test]
fn a_client_that_floods_or_goes_on_wrongly_loses_its_run() {
    let daemon = Daemon::start(&Settings::default());
    for more in [vec![0xff; 1024 * 1024], frame(&submission("2")).expect("a frame"), 65u32.to_le_bytes().to_vec()] {
        let mut stream = connect(&daemon);
        let _ = stream.write_all(&submitted("sleep(100); 1"));
        let _ = stream.write_all(&more);
        let messages = heard(&mut stream);
        assert!(!messages.iter().any(|message| matches!(message, ToClient::Outcome(_))), "{messages:?}");
    }
    daemon.until("no session is left", Daemon::is_idle);
    assert_eq!(daemon.run("1").output(), "1");
}

#[test]
fn a_client_that_does_not_read_makes_only_itself_wait() {
    let daemon = Daemon::start(&Settings { config: "[limits]\ntime_seconds = 3\n".into(), ..Settings::default() });
    let mut silent = connect(&daemon);
    silent
        .write_all(&submitted(r#"let s = ""; s.pad(2000, "x"); for i in 0..1000000 { info(s); }"#))
        .expect("it reads");
    for _ in 0..5 {
        assert_eq!(daemon.run("1").output(), "1");
    }
    // Its session keeps about a MiB for it and makes the worker wait, until the time limit ends the run.
    daemon.until("the flood has ended", |daemon| daemon.log().contains("class=\"limit\""));
    drop(silent);
}

#[test]
fn descriptors_sent_to_the_broker_are_not_kept() {
    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
    use std::os::fd::AsRawFd;
    let daemon = Daemon::start(&Settings::default());
    daemon.until("the pool fills", Daemon::is_idle);
    let count = |daemon: &Daemon| std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).map_or(0, Iterator::count);
    let before = count(&daemon);
    for _ in 0..20 {
        let stream = connect(&daemon);
        let (bytes, fds) = (submitted("1"), [stream.as_raw_fd(), 0, 1, 2]);
        let piece = [std::io::IoSlice::new(&bytes)];
        let _ = sendmsg::<()>(stream.as_raw_fd(), &piece, &[ControlMessage::ScmRights(&fds)], MsgFlags::empty(), None);
        let mut stream = stream;
        let ended = heard(&mut stream).iter().any(|message| matches!(message, ToClient::Outcome(_)));
        assert!(ended, "the run itself is a fair one");
    }
    // Pairs come and go for a moment; what was leaked would stay.
    daemon.until("no more descriptors than before are open", |daemon| daemon.is_idle() && count(daemon) == before);
}

/// Connects, forks, and ends; its child goes on with the connection and writes what it is answered.
pub(crate) const PASS_ON: &str = "import socket, sys, os, time
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
if os.fork(): os._exit(0)
time.sleep(0.3)
try:
    s.sendall(bytes.fromhex(sys.argv[2]))
    while True:
        answer = s.recv(65536)
        if not answer: break
        os.write(1, answer)
except OSError: pass
";

#[test]
fn a_connection_passed_to_another_process_carries_no_rights() {
    let daemon = Daemon::start(&Settings::default());
    let hex: String = submitted("info(\"reached\"); sleep(100)").iter().map(|byte| format!("{byte:02x}")).collect();
    let mut command = std::process::Command::new("python3");
    let out = command.arg("-c").arg(PASS_ON).arg(daemon.socket()).arg(hex).output();
    let Ok(out) = out else { return skip("python3 is not there") };
    assert!(!String::from_utf8_lossy(&out.stdout).contains("reached"), "the script ran");
    daemon.until("no run of a passed connection goes on", Daemon::is_idle);
}
