//! What is told to whom, and when: nothing before it is recorded.

use crate::of_kind;
use rex_broker::audit::Record;
use rex_client::process::ListProcesses;
use rex_client::{Broker, CallError, EndClass, Ending, Session, Terms};
use rex_protocol::client::FromClient;
use rex_protocol::wire;
use rex_tests::{Daemon, Disk, Settings, with_private_mounts};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

fn session(daemon: &Daemon) -> Session {
    Broker::connect_to(daemon.socket()).and_then(Broker::session).expect("a session")
}

/// A process whose arguments hold a secret that no name tells of.
struct Talkative(Child);

impl Talkative {
    fn new() -> Self {
        let child = Command::new("sh")
            .args(["-c", "read line", "sh", "-u", "ana:hunter2", "Authorization: hunter2"])
            .stdin(Stdio::piped())
            .spawn();
        Self(child.expect("sh starts"))
    }

    fn listed(&self) -> ListProcesses {
        ListProcesses { only: Some(vec![self.0.id()]), ..ListProcesses::default() }
    }
}

impl Drop for Talkative {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn listings(records: &[Record]) -> impl Iterator<Item = &Record> {
    of_kind(records, "decision").filter(|record| record.text("action").ends_with("\"list\""))
}

#[test]
fn what_is_listed_is_recorded_before_it_is_told() {
    let (daemon, process) = (Daemon::start(&Settings::default()), Talkative::new());
    let session = session(&daemon);
    for count in 1..20 {
        let found = session.call(&process.listed()).expect("a list");
        assert_eq!(found.processes.len(), 1);
        // The session asks for nothing more: all there is of it is there by now.
        assert_eq!(listings(&daemon.records()).count(), count);
    }
}

#[test]
fn what_cannot_be_recorded_is_not_listed() {
    with_private_mounts(|| {
        let folder = rex_tests::scratch();
        let log = folder.path().join("log.d");
        std::fs::create_dir(&log).expect("a folder");
        let _disk = Disk::on(&log, "size=256k");
        std::fs::set_permissions(&log, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("a mode");
        let daemon = Daemon::start(&Settings { audit_log: Some(log.clone()), ..Settings::default() });
        let process = Talkative::new();
        let session = session(&daemon);
        let _ = std::fs::write(log.join("filler"), vec![0; 1 << 20]);
        // What is left of the log's last page takes some records yet.
        let told = (0..100).map(|_| session.call(&process.listed())).take_while(Result::is_ok).count();
        let error = session.call(&process.listed()).expect_err("there is no room for its record");
        let ended = matches!(&error, CallError::Ended(Ending::Failed { class: EndClass::Unrecorded, .. }));
        assert!(ended, "{error}");
        assert_eq!(listings(&daemon.records()).count(), told, "no more was told than is recorded");
    });
}

#[test]
fn the_outcome_of_a_look_does_not_wait_for_the_next_one() {
    let daemon = Daemon::start(&Settings::default());
    let session = session(&daemon);
    session.stat("/").expect("it is there");
    // The client does nothing more.
    daemon.until("it is recorded", |daemon| {
        let records = daemon.records();
        let last = records.iter().rfind(|record| !record.run().is_empty()).map(Record::kind);
        last == Some("outcome")
    });
}

#[test]
fn arguments_of_listed_processes_stand_in_no_record() {
    let (daemon, process) = (Daemon::start(&Settings::default()), Talkative::new());
    let found = session(&daemon).call(&process.listed()).expect("a list");
    assert!(found.processes.iter().any(|process| process.identity.command.contains("hunter2")), "{found:?}");
    let kept = std::fs::read_to_string(daemon.audit_log().join("audit.jsonl")).expect("the log");
    assert!(!kept.contains("hunter2"), "{kept}");
    let records = daemon.records();
    let decision = listings(&records).next().expect("a decision");
    let attributes = decision.fields().get("attributes").cloned().unwrap_or_default();
    assert_eq!((&attributes["command"], &attributes["words"]), (&"sh".into(), &8.into()), "{decision:?}");
}

#[test]
fn a_url_is_masked_also_where_it_is_denied_before_its_address_is_known() {
    let policy = r#"
        permit(principal, action, resource);
        @sensitive("arguments") forbid(principal, action == network::Action::"GET", resource);
    "#;
    let daemon = Daemon::start(&Settings { policy: policy.into(), ..Settings::default() });
    // Twice, as decisions are remembered.
    let get = r#"try { Client().get("http://name.invalid/?key=hunter2").send() } catch { }"#;
    daemon.run(&format!("{get} {get}"));
    let records = daemon.records();
    let told: Vec<_> = of_kind(&records, "decision").map(|record| record.text("resource")).collect();
    assert!(!told.is_empty());
    assert!(told.iter().all(|url| !url.contains("hunter2")), "{told:?}");
}

#[test]
fn who_asks_about_policies_is_recorded() {
    let daemon = Daemon::start(&Settings::default());
    for message in [FromClient::List, FromClient::Inspect, FromClient::Reload] {
        let mut stream = UnixStream::connect(daemon.socket()).expect("it listens");
        let frame = wire::frame(&message).expect("a frame");
        stream.write_all(&[wire::PREAMBLE.as_slice(), &frame].concat()).expect("it hears");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        assert!(!answer.is_empty(), "{message:?}");
    }
    let records = daemon.records();
    let asked: Vec<_> = of_kind(&records, "asked").map(|record| record.text("what")).collect();
    assert_eq!(asked, ["list", "inspect", "reload"]);
    let uid = u64::from(nix::unistd::getuid().as_raw());
    assert!(
        of_kind(&records, "asked").all(|record| record.number("uid") == uid && record.text("result") == "answered")
    );
}

#[test]
fn a_run_that_does_not_begin_is_recorded_with_its_reason() {
    let daemon = Daemon::start(&Settings::default());
    let own = daemon.folder().join("own.cedar");
    std::fs::write(&own, "permit(principal, action, nonsense);").expect("a policy");
    let signature = daemon.folder().join("script.sig");
    std::fs::write(&signature, "no signature").expect("a signature");
    let text = |path: &std::path::Path| path.to_str().expect("UTF-8").to_owned();
    let (own, signature) = (text(&own), text(&signature));
    for (options, code, class) in [
        (["--policy-file", &own], 7, "policy"),
        (["--signature", &signature], 3, "signature"),
        (["--timeout", "100000s"], 6, "limit"),
    ] {
        let before = daemon.records().len();
        let ran = daemon.run_with("1 + 1", &[&options[..], &["--reason", "TICKET-17"]].concat());
        assert_eq!(ran.code, code, "{class}: {ran:?}");
        // The client is told once it is recorded.
        let records = daemon.records().split_off(before);
        let [refused] = &records[..] else { panic!("{class}: {records:?}") };
        assert_eq!((refused.kind(), refused.run(), refused.text("result")), ("run-refused", "", "refused"));
        assert_eq!((refused.text("class"), refused.text("reason")), (class, "TICKET-17"), "{refused:?}");
        assert_eq!(refused.number("uid"), u64::from(nix::unistd::getuid().as_raw()));
        assert_eq!((refused.text("script").len(), refused.number("script_bytes")), (64, 5), "{refused:?}");
        assert_eq!(refused.text("own_policy").is_empty(), class != "policy", "{refused:?}");
        assert!(refused.text("signed_by").is_empty(), "nobody has: {refused:?}");
        assert!(ran.error().ends_with(refused.text("message")), "{refused:?}: {ran:?}");
    }
}

#[test]
fn a_session_that_does_not_begin_is_recorded_too() {
    let daemon = Daemon::start(&Settings::default());
    let broker = Broker::connect_to(daemon.socket()).expect("it listens");
    let refused = broker.operate(Terms::new().time_limit(std::time::Duration::from_secs(1_000_000)));
    assert!(refused.is_err());
    let records = daemon.records();
    let refused = of_kind(&records, "run-refused").next().expect("a record");
    assert_eq!((refused.text("class"), refused.text("script")), ("limit", ""));
}

#[test]
fn a_long_reason_of_a_refusal_is_recorded_in_part() {
    let daemon = Daemon::start(&Settings::default());
    let own = daemon.folder().join("own.cedar");
    std::fs::write(&own, format!("permit(principal, action, resource is {});", "x".repeat(20_000))).expect("a policy");
    let ran = daemon.run_with("1", &["--strict", "--policy-file", own.to_str().expect("UTF-8")]);
    assert_eq!(ran.code, 7, "{ran:?}");
    let records = daemon.records();
    let refused = of_kind(&records, "run-refused").next().expect("a record");
    assert!(refused.text("message").len() < 2048, "{refused:?}");
}
