//! `kill -9` of workers, sessions and clients at any point: no orphan, no zombie, and the broker serves on.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rex_tests::{Daemon, Settings, programs};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How many runs are cut short.
const RUNS: u64 = 1000;

#[test]
fn nothing_is_left_behind_when_processes_are_killed() {
    let daemon = Daemon::start(&Settings { config: "[runs]\nper_user = 64\n".into(), ..Settings::default() });
    let script = daemon.folder().join("busy.rhai");
    std::fs::write(&script, r#"for i in 0..100000 { ls("/proc/sys"); }"#).expect("a script");
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for run in 0..RUNS {
        // A fixed sequence, so that a failure can be seen again.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut client = start(&daemon, &script);
        std::thread::sleep(Duration::from_micros(random % 12_000));
        let victim = match run % 3 {
            0 => Some(client.id()),
            _ => pick(&daemon, random >> 32),
        };
        if let Some(victim) = victim {
            let _ = kill(Pid::from_raw(i32::try_from(victim).expect("a pid")), Signal::SIGKILL);
        }
        let _ = client.kill();
        let _ = client.wait();
    }
    let ran = daemon.run("40 + 2");
    assert_eq!((ran.code, ran.output()), (0, "42"), "{ran:?}\n{}", daemon.log());
    daemon.until("only the ready pairs are left", Daemon::is_idle);
    for pid in daemon.descendants() {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        assert!(!status.contains("State:\tZ"), "{pid} is a zombie");
    }
    assert!(!workers_without_parent(), "a worker outlived its session");
}

fn start(daemon: &Daemon, script: &std::path::Path) -> Child {
    Command::new(programs().join("rex-exec"))
        .arg("--socket")
        .arg(daemon.socket())
        .arg(script)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("rex-exec starts")
}

/// Some process below the broker.
fn pick(daemon: &Daemon, random: u64) -> Option<u32> {
    let all = daemon.descendants();
    let at = usize::try_from(random).ok()?.checked_rem(all.len())?;
    all.get(at).copied()
}

/// Whether a worker of the programs under test has been left to pid 1.
fn workers_without_parent() -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    let worker = programs().join("rex-worker");
    processes.flatten().any(|process| {
        let is_worker = std::fs::read_link(process.path().join("exe")).is_ok_and(|exe| exe == worker);
        let status = std::fs::read_to_string(process.path().join("status")).unwrap_or_default();
        is_worker && status.lines().any(|line| line == "PPid:\t1")
    })
}
