//! The program itself: sealed, and speaking to its session on descriptor 3.
#![allow(clippy::unwrap_used)]

mod session;

use rex_protocol::worker::{EXIT_OUT_OF_MEMORY, EXIT_SEAL_FAILED, FaultClass};
use session::{Report, World, pair, serve};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

/// Starts the program in the way its parent must, less what needs privileges. `more` is for the shell.
fn start(socket: OwnedFd, more: &str, privileges: &[&str]) -> Child {
    // Whoever runs the tests may have left descriptors open.
    let close = "for fd in /proc/$$/fd/*; do fd=${fd##*/}; [ $fd -gt 2 ] && eval \"exec $fd>&-\"; done";
    let program = env!("CARGO_BIN_EXE_rex-worker");
    let line = format!("{close}; ulimit -n 64; exec {program} 3<&0 0</dev/null {more}");
    // Without `--norc` the shell takes its socket for a remote login.
    let shell = ["/bin/bash", "--norc", "-c", &line];
    let mut words = privileges.iter().chain(&shell);
    Command::new(words.next().unwrap())
        .args(words)
        .env_clear()
        .stdin(socket)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

const NO_NEW_PRIVILEGES: &[&str] = &["/usr/bin/setpriv", "--no-new-privs"];

fn run(world: World, script: &str) -> (Report, Option<i32>) {
    let (ours, theirs) = pair();
    let child = start(theirs, "", &[NO_NEW_PRIVILEGES, &["/usr/bin/prlimit", "--as=67108864"]].concat());
    let report = serve(ours, world, script);
    let ended = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
    (report, ended.status.code())
}

#[test]
fn a_sealed_worker_runs_scripts() {
    let world = World::new(&[("/d/f", "content")]);
    for (script, output) in [
        ("cat(\"/d/f\")", "content"),
        ("sleep(0.01); now().year > 2024 && timestamp().elapsed >= 0.0", "true"),
        ("random_alphanumeric(5).len", "5"),
        (
            "let a = []; for i in 0..300_000 { a.push(`${i}`); } let b = a.filter(|x| x.len > 5); [a.len, b.len]",
            "[300000, 200000]",
        ),
        (
            "let s = \"\"; for i in 0..200 { s.pad(10_000 * i, \"x\"); } s = \"\"; let t = \"y\"; t.pad(8_000_000, \"z\"); t.len",
            "8000000",
        ),
        (
            "grep(\"(c|o)+n\", \"/d/f\") + [#{a: 1}.to_json(), parse_json(`{\"a\": 1}`).a]",
            "[\"content\", \"{\\\"a\\\":1}\", 1]",
        ),
        ("parse_datetime(\"Tue, 21 Oct 2025 14:30:05 +0000\", DateTimeFormat::RFC2822).epoch_seconds()", "1761057005"),
        ("write(\"/d/f\", \"x\"); ls(\"/d\").keys()", "[\"f\"]"),
        ("fn r(n) { if n > 0 { [n].map(|x| r(x - 1))[0] } else { 7 } } r(20)", "7"),
    ] {
        let (report, code) = run(world.clone(), script);
        assert_eq!((report.fault, report.output.as_str(), code), (None, output, Some(0)), "{script}");
    }
}

#[test]
fn faults_are_told_from_inside_the_seal() {
    let (report, code) = run(World::new(&[]), "throw \"x\"");
    assert_eq!(report.fault.unwrap().0, FaultClass::Script);
    assert_eq!(code, Some(0));
}

#[test]
fn running_out_of_memory_has_its_own_exit_code() {
    for script in [
        "let s = \"x\"; while true { s += s; }",
        "let a = [1]; while true { a += a; }",
        "blob(9_000_000_000_000_000_000)",
        "blob(1_000_000_000_000)",
        "let m = #{}; let i = 0; while true { i += 1; m[`key${i}`] = i; }",
    ] {
        let (report, code) = run(World::new(&[]), script);
        assert!(!report.finished);
        assert_eq!(code, Some(EXIT_OUT_OF_MEMORY), "{script}");
    }
}

#[test]
fn a_stack_that_is_used_up_ends_the_worker_by_its_signal() {
    let (ours, theirs) = pair();
    let child = start(theirs, "", &[NO_NEW_PRIVILEGES, &["/usr/bin/prlimit", "--stack=524288"]].concat());
    let report = serve(ours, World::new(&[]), "let a = []; for i in 0..15_000 { a = [a.take()]; }");
    assert!(!report.finished);
    assert_eq!(child.wait_with_output().unwrap().status.signal(), Some(libc::SIGSEGV));
}

#[test]
fn a_worker_that_cannot_seal_itself_says_nothing() {
    for (more, privileges, reason) in [
        ("", &["/usr/bin/env"][..], "`no_new_privs` is not set"),
        ("9</dev/null", NO_NEW_PRIVILEGES, "descriptor 9 is open"),
    ] {
        let (ours, theirs) = pair();
        let child = start(theirs, more, privileges);
        let report = serve(ours, World::new(&[]), "1");
        let ended = child.wait_with_output().unwrap();
        assert!(!report.finished);
        assert_eq!(ended.status.code(), Some(EXIT_SEAL_FAILED));
        assert!(String::from_utf8_lossy(&ended.stderr).contains(reason));
    }
}

#[test]
fn the_seal_shows_from_outside() {
    let (ours, theirs) = pair();
    let child = start(theirs, "", NO_NEW_PRIVILEGES);
    let status = format!("/proc/{}/status", child.id());
    let session = std::thread::spawn(move || serve(ours, World::new(&[]), "sleep(1)"));
    std::thread::sleep(std::time::Duration::from_millis(500));
    let status = std::fs::read_to_string(status).unwrap();
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2", "Seccomp_filters:\t1", "Threads:\t1"] {
        assert!(status.lines().any(|found| found == line), "`{line}` is not in:\n{status}");
    }
    assert!(session.join().unwrap().finished);
    assert!(child.wait_with_output().unwrap().status.success());
}
