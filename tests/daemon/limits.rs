//! What each user is held to, and that nobody is shut out by what others do.

use crate::as_nobody;
use rex_tests::{Daemon, Ran, Settings, is_root, programs, skip};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

/// A broker that holds the user of these tests to its limits too, also where that is root.
pub(crate) fn strict(users: &str) -> Daemon {
    started(&format!("[users]\nexempt = []\n{users}\n"), false)
}

/// The same, with a worker that attacks as it is told.
pub(crate) fn attacked(users: &str) -> Daemon {
    started(&format!("[users]\nexempt = []\n{users}\n"), true)
}

fn started(config: &str, attacked: bool) -> Daemon {
    let worker = attacked.then(|| programs().join("rex-probe"));
    Daemon::start(&Settings { config: config.into(), worker, ..Settings::default() })
}

fn refused(ran: &Ran, says: &[&str]) {
    assert_eq!(ran.code, 8, "{ran:?}");
    for part in says {
        assert!(ran.error().contains(part), "`{part}`: {ran:?}");
    }
}

#[test]
fn runs_come_as_fast_as_they_may_and_no_faster() {
    // The next one is earned after 20 seconds.
    let daemon = strict("runs_per_minute = 3");
    for _ in 0..3 {
        assert_eq!(daemon.run("1").output(), "1");
    }
    refused(&daemon.run("1"), &["this user starts more than 3 runs a minute", "try again in "]);
    refused(&daemon.run("1"), &["more than 3 runs a minute"]);
}

#[test]
fn what_was_taken_is_earned_again() {
    // One each two seconds, and as many at once.
    let daemon = strict("runs_per_minute = 30");
    let says = "more than 30 runs a minute";
    while !daemon.log().contains(says) {
        // Each connection counts, whatever comes of it.
        drop(UnixStream::connect(daemon.socket()).expect("it listens"));
    }
    daemon.until("a run is taken again", |daemon| daemon.run("1").output() == "1");
}

#[test]
fn who_attacks_too_often_is_refused_for_a_while() {
    let daemon = attacked("violations = 3\nwithin_seconds = 600\npenalty_seconds = 300");
    for attack in ["exec", "wire: noise", "wire: says hello again"] {
        let ran = daemon.run(attack);
        assert_eq!(ran.code, 1, "{attack}: {ran:?}");
    }
    // At once, although the last session may not have ended yet.
    refused(&daemon.run("control: nothing"), &["broke the protocol or their walls too often", "try again in "]);
    assert!(daemon.log().contains("runs of this user are refused: too many violations"), "{}", daemon.log());
}

#[test]
fn a_penalty_ends() {
    let daemon = attacked("violations = 1\npenalty_seconds = 1");
    assert_eq!(daemon.run("exec").code, 1);
    refused(&daemon.run("control: nothing"), &["try again in 1 s"]);
    daemon.until("runs are taken again", |daemon| daemon.run("control: nothing").output() == "returned 0");
}

#[test]
fn what_is_no_attack_bars_nobody() {
    let daemon = strict("violations = 1");
    for (script, code) in [("throw 1", 1), ("cat(\"/nowhere\")", 1), ("(", 3)] {
        assert_eq!(daemon.run(script).code, code, "{script}");
    }
    assert_eq!(daemon.run_with("sleep(100)", &["--timeout", "1"]).code, 6);
    assert_eq!(daemon.run("1").output(), "1");
}

#[test]
fn who_could_end_the_broker_is_not_barred_unless_the_configuration_says_so() {
    let daemon = started("[users]\nviolations = 1\nruns_per_minute = 1\n", true);
    for _ in 0..3 {
        assert_eq!(daemon.run("exec").code, 1);
    }
    assert_eq!(daemon.run("control: nothing").output(), "returned 0");
}

#[test]
fn one_users_penalty_is_no_others() {
    if !is_root() {
        return skip("only root can become another user");
    }
    let daemon = started("[users]\nviolations = 1\n", true);
    let folder = daemon.folder();
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).expect("a mode");
    std::fs::copy(programs().join("rex-exec"), folder.join("rex-exec")).expect("a copy");
    let nobody = |script: &str| {
        std::fs::write(folder.join("s.rhai"), script).expect("a script");
        as_nobody(folder, &["--socket", "broker.sock", "-o", "json", "s.rhai"])
    };
    assert_eq!(nobody("exec").code, 1);
    refused(&nobody("control: nothing"), &["too often"]);
    assert_eq!(daemon.run("control: nothing").output(), "returned 0");
    // Questions are refused like runs.
    let listed = as_nobody(folder, &["--socket", "broker.sock", "--list"]);
    assert_eq!(listed.code, 8, "{listed:?}");
}

#[test]
fn a_user_who_connects_and_says_nothing_shuts_nobody_out() {
    if !is_root() {
        return skip("only root can become another user");
    }
    let daemon = started("[runs]\nper_user = 4\n[users]\nruns_per_minute = 0\n", false);
    let mut command = std::process::Command::new("python3");
    let silent = "import socket, sys, time
held = []
for _ in range(200):
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
    held.append(s)
print('held', flush=True)
time.sleep(60)";
    std::fs::set_permissions(daemon.folder(), PermissionsExt::from_mode(0o755)).expect("a mode");
    command.args(["-c", silent]).arg(daemon.socket()).stdout(std::process::Stdio::piped());
    std::os::unix::process::CommandExt::uid(&mut command, 65534);
    let Ok(mut silent) = command.spawn() else { return skip("python3 is not there") };
    let mut said = [0; 5];
    let heard = std::io::Read::read_exact(&mut silent.stdout.take().expect("a pipe"), &mut said);
    for _ in 0..5 {
        assert_eq!(daemon.run("1").output(), "1");
    }
    // Of those refused the log tells once, not 196 times.
    let told = daemon.log().matches("run refused: this user has 4 runs").count();
    let _ = silent.kill();
    let _ = silent.wait();
    heard.expect("it connects");
    assert_eq!(told, 1, "{}", daemon.log());
}
