//! Rights that a run has given up: nothing takes them back, and nothing is gained by it.

use crate::with_probe;
use rex_client::fs::Read;
use rex_client::{Broker, Denial, FailureKind, Handle, Session};
use rex_tests::{Daemon, Ran, Settings, skip};
use std::path::Path;

const ALL: &str = "permit(principal, action, resource);";

fn daemon(policy: &str) -> Daemon {
    Daemon::start(&Settings { policy: policy.into(), ..Settings::default() })
}

fn session(daemon: &Daemon) -> Session {
    Broker::connect_to(daemon.socket()).expect("the broker listens").session().expect("a session")
}

fn denial<T: std::fmt::Debug>(result: Result<T, rex_client::CallError>) -> Denial {
    match result.expect_err("it is denied").failure().map(|failure| failure.kind.clone()) {
        Some(FailureKind::Denied(denial)) => denial,
        other => panic!("not denied: {other:?}"),
    }
}

fn policies(denial: &Denial) -> Vec<&str> {
    denial.policies.iter().map(|id| &**id).collect()
}

#[test]
fn a_worker_cannot_take_it_back() {
    let ran = with_probe("").run("narrowing: takes it back");
    assert_eq!(
        ran.output(),
        "open, narrowed, denied, narrowed, denied, refused, denied, 14 narrowed, refused, denied",
        "{ran:?}"
    );
}

#[test]
fn a_worker_that_sends_too_long_a_policy_breaks_the_protocol() {
    let daemon = with_probe("");
    let ran = daemon.run_with("narrowing: too long", &["--timeout", "10"]);
    assert!(ran.code != 0 && ran.error().contains("broke the protocol"), "{ran:?}");
    assert_eq!(daemon.run("control: nothing").output(), "returned 0", "the broker serves on");
}

#[test]
fn what_is_open_and_what_was_decided_is_decided_anew() {
    let daemon = daemon(ALL);
    let path = daemon.folder().join("a");
    std::fs::write(&path, "text").expect("a file");
    let session = session(&daemon);
    let file = session.open_file(&path).expect("it is opened");
    let read = |file: Handle<_>| session.call(&Read { file, offset: 0, length: 9 });
    for _ in 0..2 {
        assert_eq!(&*read(file.handle()).expect("it is read"), b"text");
    }
    let forbid = format!(
        "{ALL} @id(\"mine\") forbid(principal, action == file_system::Action::\"read\", resource == file_system::File::{path:?});"
    );
    assert_eq!(session.narrow(&forbid).expect("it is narrowed"), Vec::<String>::new());
    assert_eq!(policies(&denial(read(file.handle()))), ["mine"]);
    assert_eq!(session.narrow(ALL).expect("it is narrowed"), Vec::<String>::new());
    assert_eq!(policies(&denial(read(file.handle()))), ["mine"]);
    // Only this session.
    assert_eq!(self::session(&daemon).read_file(&path).expect("it is read"), b"text");
}

#[test]
fn it_gives_nothing_whatever_its_ids() {
    let daemon = daemon(
        "@id(\"opens\") permit(principal, action == file_system::Action::\"open\", resource);
         @id(\"not-etc\") forbid(principal, action, resource in file_system::Dir::\"/etc\");",
    );
    let session = session(&daemon);
    let (listed, opened) = (denial(session.list_dir("/")), denial(session.open_dir("/etc")));
    assert_eq!(policies(&opened), ["not-etc"]);
    session.narrow(&format!("@id(\"opens\") {ALL} @id(\"not-etc\") {ALL}")).expect("it is narrowed");
    assert_eq!((denial(session.list_dir("/")), denial(session.open_dir("/etc"))), (listed, opened));
    assert!(session.open_dir("/").is_ok());
    // It grants nothing, so no record says that it did.
    let records = daemon.records();
    let allowed = records.iter().filter(|record| record.text("decision") == "allow");
    assert!(allowed.clone().count() > 0 && allowed.into_iter().all(|record| record.texts("policies") == ["opens"]));
}

#[test]
fn a_client_learns_what_is_wrong_with_its_policy() {
    let daemon = daemon(ALL);
    let session = session(&daemon);
    let refused = session.narrow("permit(principal, action, resource;").expect_err("it does not parse");
    assert!(
        !refused.is_denial() && refused.to_string().contains("rex:narrow-1:1: the policy does not parse"),
        "{refused}"
    );
    assert!(session.narrow(&" ".repeat(64 * 1024 + 1)).is_err());
    assert!(session.open_dir("/").is_ok(), "nothing was given up");
    let warnings = session.narrow("permit(principal, action, resource in Dir::\"/\");").expect("it is narrowed");
    assert!(warnings.iter().any(|warning| warning.starts_with("rex:narrow-1:1: ")), "{warnings:?}");
}

#[test]
fn it_is_recorded_before_it_holds_and_its_annotations_hide_nothing() {
    let daemon = daemon(ALL);
    let ran = daemon.run(
        "rex::narrow(\"@id(\\\"mine\\\") @sensitive(\\\"arguments\\\") permit(principal, action, resource);\");
         let dir = DirConfig().path(\"/bin\").build().open(OpenDirOptions().follow_symlinks(true).build());
         let exe = dir.open_file(\"true\", OpenFileOptions().read(true).follow_symlinks(true).build());
         exe.execute(ExecuteOptions().args([\"told\"]).build());
         rex::pledge([]);
         hostname()",
    );
    assert_eq!(ran.code, 4, "{ran:?}");
    let records = daemon.records();
    let narrowed: Vec<_> = records.iter().filter(|record| record.kind() == "narrowed").collect();
    assert_eq!(
        narrowed.iter().map(|record| record.texts("ids")).collect::<Vec<_>>(),
        [vec!["mine"], vec!["rex:pledge"]]
    );
    assert!(narrowed.iter().all(|record| record.text("digest").len() == 64 && !record.run().is_empty()));
    let executed = records.iter().find(|record| record.text("action").ends_with("\"execute\"")).expect("a decision");
    assert!(executed.fields()["context"].to_string().contains("told"), "{executed:?}");
    let denied = records.iter().find(|record| record.text("decision") == "deny").expect("a denial");
    assert!(denied.seq() > narrowed[1].seq() && denied.texts("policies") == ["rex:pledge"], "{denied:?}");
}

/// Executes a program that reads a file, after `first`.
fn reads(daemon: &Daemon, file: &Path, first: &str) -> Ran {
    daemon.run(&format!(
        "let dir = DirConfig().path(\"/bin\").build().open(OpenDirOptions().follow_symlinks(true).build());
         let exe = dir.open_file(\"cat\", OpenFileOptions().read(true).follow_symlinks(true).build());
         {first}
         let r = exe.execute(ExecuteOptions().args([{file:?}]).build());
         `${{r.exit_code}} ${{r.stdout}}`"
    ))
}

#[test]
fn programs_that_are_executed_afterwards_are_held_to_it() {
    if !nix::unistd::geteuid().is_root() {
        return skip("programs run as another user only for root");
    }
    let daemon = daemon(ALL);
    let [secret, public] = ["secret", "public"].map(|name| daemon.folder().join(name));
    for file in [&secret, &public] {
        std::fs::write(file, "text").expect("a file");
    }
    let narrow = format!(
        "rex::narrow(`{ALL} forbid(principal, action == file_system::Action::\"read\", resource == file_system::File::{secret:?});`);"
    );
    for (file, first, said) in [
        (&secret, "", "0 text"),
        (&secret, narrow.as_str(), "1 "),
        (&public, narrow.as_str(), "0 text"),
        (&public, "rex::pledge([\"open\", \"read\", \"execute\"]);", "0 text"),
        (&public, "rex::pledge([\"open\", \"execute\"]);", "1 "),
    ] {
        let ran = reads(&daemon, file, first);
        assert_eq!(ran.output(), said, "{first} {ran:?}");
    }
    let ran = reads(&daemon, &public, "rex::pledge([\"open\", \"read\"]);");
    assert!(ran.error().contains("file_system::Action::\"execute\""), "{ran:?}");
}
