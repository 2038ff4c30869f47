//! What the broker tells of itself: to root, and to nobody else.

use crate::limits::{attacked, strict};
use crate::{as_nobody, signal};
use nix::sys::signal::Signal;
use rex_tests::{Daemon, Settings, is_root, programs, skip};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

fn ask(daemon: &Daemon, options: &[&str]) -> Output {
    let mut command = Command::new(programs().join("rex-broker"));
    let socket = daemon.socket();
    command.args(["status", "--socket"]).arg(socket).args(options).stdin(Stdio::null());
    command.output().expect("rex-broker starts")
}

fn status(daemon: &Daemon) -> Value {
    let done = ask(daemon, &["--output-format", "json"]);
    assert!(done.status.success(), "{done:?}\n{}", daemon.log());
    serde_json::from_slice(&done.stdout).expect("JSON")
}

#[test]
fn it_tells_of_a_run_under_way_and_of_those_that_ended() {
    let daemon = Daemon::start(&Settings {
        policy: "permit(principal, action, resource) when { !(resource == file_system::File::\"/etc/hosts\") };".into(),
        ..Settings::default()
    });
    let before = status(&daemon);
    assert_eq!(before["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(before["pid"], daemon.pid());
    assert_eq!(before["ready"]["target"], 2);
    assert_eq!(before["runs"], Value::Array(Vec::new()));
    assert_eq!(before["counters"]["ended"]["succeeded"], 0);
    assert_eq!(before["policies"]["count"], 1);
    std::thread::scope(|scope| {
        let run = scope.spawn(|| daemon.run("sleep(1000)"));
        daemon
            .until("it tells of the run", |daemon| status(daemon)["runs"].as_array().is_some_and(|all| all.len() == 1));
        let told = status(&daemon);
        let run_told = &told["runs"][0];
        let records = daemon.records();
        let recorded = records.iter().find(|record| record.kind() == "run-start").expect("a record");
        assert_eq!(run_told["run"], recorded.run());
        assert_eq!(run_told["script"], recorded.text("script"));
        assert_eq!(run_told["uid"], nix::unistd::geteuid().as_raw());
        let session = run_told["session"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("a process");
        assert!(daemon.descendants().contains(&session), "{told}");
        signal(session, Signal::SIGKILL);
        assert_eq!(run.join().expect("an end").code, 8);
    });
    daemon.until("the run is lost", |daemon| status(daemon)["counters"]["ended"]["lost"] == 1);
    assert_eq!(daemon.run("cat(\"/usr/lib/os-release\").len() > 0").output(), "true");
    assert_eq!(daemon.run("cat(\"/etc/hosts\")").code, 4);
    assert_eq!(daemon.run("throw 1").code, 1);
    assert_eq!(daemon.run_with("1", &["--timeout", "100000000"]).code, 6);
    let after = status(&daemon);
    let counters = &after["counters"];
    assert_eq!(counters["ended"]["succeeded"], 1, "{after}");
    assert_eq!(counters["ended"]["denied"], 1, "{after}");
    assert_eq!(counters["ended"]["script"], 1, "{after}");
    assert_eq!(counters["refused"]["limit"], 1, "{after}");
    let decisions = daemon.records();
    let came_out = |how: &str| decisions.iter().filter(|record| record.text("decision") == how).count();
    assert_eq!(counters["decisions"]["allow"], came_out("allow"), "{after}");
    assert_eq!(counters["decisions"]["deny"], came_out("deny"), "{after}");
    let last = decisions.last().expect("a record");
    assert_eq!(after["audit"]["seq"], last.seq(), "{after}");
    assert_eq!(after["runs"], Value::Array(Vec::new()));
}

#[test]
fn it_tells_what_became_of_a_reload() {
    let daemon = Daemon::start(&Settings::default());
    let before = status(&daemon);
    assert_eq!(before["policies"]["fault"], Value::Null);
    std::fs::write(daemon.folder().join("policies.d/test.cedar"), "permit(").expect("a file");
    signal(daemon.pid(), Signal::SIGHUP);
    daemon.until("the fault is told", |daemon| status(daemon)["policies"]["fault"]["message"].is_string());
    let refused = status(&daemon);
    assert_eq!(refused["policies"]["revision"], before["policies"]["revision"]);
    assert_eq!(refused["counters"]["reloads"]["refused"], 1);
    std::fs::write(daemon.folder().join("policies.d/test.cedar"), "").expect("a file");
    signal(daemon.pid(), Signal::SIGHUP);
    daemon.until("it is mended", |daemon| status(daemon)["policies"]["fault"].is_null());
    let mended = status(&daemon);
    assert_ne!(mended["policies"]["revision"], before["policies"]["revision"]);
    assert_eq!((&mended["policies"]["count"], &mended["counters"]["reloads"]["loaded"]), (&0.into(), &1.into()));
}

#[test]
fn it_tells_who_is_barred() {
    let daemon = attacked("violations = 2\npenalty_seconds = 100");
    daemon.run("exec");
    daemon.run("exec");
    assert_eq!(daemon.run("control: nothing").code, 8);
    // Root may ask all the same, and so may the user that the broker runs as.
    let told = status(&daemon);
    assert_eq!(told["barred"][0]["uid"], nix::unistd::geteuid().as_raw(), "{told}");
    assert_eq!(told["counters"]["ended"]["violation"], 2, "{told}");
    assert_eq!(told["counters"]["refused"]["barred"], 1, "{told}");
    let human = ask(&daemon, &[]);
    let human = String::from_utf8_lossy(&human.stdout);
    assert!(human.contains("barred") && human.contains("violation 2") && human.contains(" s more"), "{human}");
}

#[test]
fn it_answers_also_while_there_is_no_room_for_runs() {
    let daemon = Daemon::start(&Settings { config: "[runs]\ntotal = 2\nper_user = 2\n".into(), ..Settings::default() });
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| daemon.run("sleep(1000)"));
        }
        daemon.until("both are under way", |daemon| daemon.log().matches("run begins").count() == 2);
        let told = status(&daemon);
        assert_eq!(told["runs"].as_array().map(Vec::len), Some(2), "{told}");
        assert_eq!(told["sessions"], serde_json::json!({ "now": 2, "most": 2 }));
        // What is kept for questions runs nothing.
        let ran = daemon.run("1");
        assert!(ran.code == 8 && ran.error().contains("this user has 2 runs"), "{ran:?}");
        for run in told["runs"].as_array().expect("runs") {
            let session = run["session"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("a process");
            signal(session, Signal::SIGKILL);
        }
    });
    daemon.until("there is room again", |daemon| daemon.run("1").output() == "1");
    assert_eq!(status(&daemon)["counters"]["refused"]["busy"], 1);
}

#[test]
fn nobody_but_root_is_told() {
    if !is_root() {
        return skip("only root can become another user");
    }
    let daemon = Daemon::start(&Settings::default());
    let folder = daemon.folder();
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).expect("a mode");
    std::fs::copy(programs().join("rex-broker"), folder.join("rex-exec")).expect("a copy");
    let asked = as_nobody(folder, &["status", "--socket", "broker.sock"]);
    assert_eq!(asked.code, 1, "{asked:?}");
    assert!(asked.stdout.is_empty() && asked.stderr.contains("only root may ask for that"), "{asked:?}");
    assert_eq!(status(&daemon)["counters"]["refused"]["not allowed"], 1);
}

#[test]
fn a_broker_that_is_not_there_is_told_in_one_line() {
    let daemon = strict("");
    let socket = daemon.socket();
    drop(daemon);
    let done = Command::new(programs().join("rex-broker"))
        .args(["status", "--socket"])
        .arg(&socket)
        .stdin(Stdio::null())
        .output()
        .expect("rex-broker starts");
    assert_eq!(done.status.code(), Some(1));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(said.starts_with("error: cannot reach the broker at `") && said.lines().count() == 1, "{said}");
}
