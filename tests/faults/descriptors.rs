//! Descriptors that run out.

use crate::attempts::{Attempt, DONE, change_nothing};
use rex_tests::{Daemon, Settings, skip};
use std::collections::BTreeSet;
use std::fs;

/// Enough to start a worker, which takes some above 64 for a moment.
const MOST: u32 = 80;

const NONE_LEFT: &str = "IoError: Too many open files (os error 24)";

/// With as many directories open as there is room for.
const ATTEMPTS: &[Attempt<'_>] = &[
    (r#"while true { held.push(DirConfig().path("ROOT").build().open(OpenDirOptions().build())) }"#, NONE_LEFT),
    (r#"cat("ROOT/victim")"#, NONE_LEFT),
    (r#"write("ROOT/victim", "x")"#, NONE_LEFT),
    (r#"touch("ROOT/new")"#, NONE_LEFT),
    (r#"mkdir("ROOT/new")"#, NONE_LEFT),
    (r#"d.open_file("new", OpenFileOptions().create(true).build())"#, NONE_LEFT),
    (r#"file.write("x")"#, NONE_LEFT),
    (r#"file.write_in_place("x")"#, NONE_LEFT),
    (r#"file.read()"#, DONE),
    // With room again, all goes on.
    (r#"held.clear()"#, DONE),
    (r#"cat("ROOT/victim")"#, DONE),
    (r#"file.write_in_place("old content")"#, DONE),
];

#[test]
fn a_run_without_descriptors_is_told_of_it_and_goes_on() {
    let daemon = Daemon::start(&Settings { descriptors: Some(MOST), ..Settings::default() });
    let folder = tempfile::Builder::new().prefix("rex-test-").tempdir().expect("a temporary folder");
    fs::write(folder.path().join("victim"), "old content").expect("a file");
    let hands = "let held = []; let file = d.open_file(\"victim\", rw);";
    change_nothing(&daemon, folder.path(), hands, ATTEMPTS);
}

#[test]
fn a_run_without_descriptors_is_recorded_also_while_the_log_rotates() {
    let config = "[audit]\nrotate_mib = 1\nkeep = 1\n".to_owned();
    let daemon = Daemon::start(&Settings { descriptors: Some(MOST), config, ..Settings::default() });
    let folder = daemon.folder().display().to_string();
    let ran = daemon.run(&format!(
        "let held = [];
         try {{ while true {{ held.push(DirConfig().path(`{folder}`).build().open(OpenDirOptions().build())); }} }} catch {{ }}
         for n in 0..3000 {{ try {{ cat(`{folder}/broker.toml`); }} catch {{ }} }}
         held.len > 0"
    ));
    assert_eq!(ran.output(), "true", "{}{}", ran.stdout, ran.stderr);
    let found = rex_broker::audit::verify(daemon.audit_log()).expect("a log");
    assert!(found.is_whole() && found.removed > 0, "it has rotated more than once: {found:#?}");
}

#[test]
fn a_broker_without_descriptors_serves_on_when_it_has_some() {
    let daemon = Daemon::start(&Settings::default());
    // A pair is there before the broker has its descriptor.
    daemon
        .until("the broker has its pairs ready", |daemon| daemon.is_idle() && daemon.log().contains("ready policies"));
    let Some(free) = lowest_free(daemon.pid()) else { return skip("the broker's descriptors cannot be listed") };
    let usual = limit(daemon.pid(), free);
    let ran = std::thread::scope(|scope| {
        let run = scope.spawn(|| daemon.run("6 * 7"));
        daemon.until("the broker says what it lacks", |daemon| daemon.log().contains("cannot accept a client: EMFILE"));
        limit(daemon.pid(), usual);
        run.join().expect("a run")
    });
    assert_eq!(ran.output(), "42", "{}", daemon.log());
    daemon.until("nothing of it is left", Daemon::is_idle);
}

/// The number that a process's next descriptor has.
fn lowest_free(pid: u32) -> Option<u64> {
    let listed = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let open: BTreeSet<u64> =
        listed.filter_map(|entry| entry.ok()?.file_name().to_string_lossy().parse().ok()).collect();
    (0..).find(|number| !open.contains(number))
}

/// Lets a process have only descriptors below a number from now on. Gives what was allowed before.
fn limit(pid: u32, below: u64) -> u64 {
    let pid = libc::pid_t::try_from(pid).expect("a process");
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` lives for the call, which writes to it.
    let read = unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, std::ptr::null(), &raw mut limit) };
    let usual = std::mem::replace(&mut limit.rlim_cur, below);
    // SAFETY: `limit` lives for the call, which reads it.
    let set = unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, &raw const limit, std::ptr::null_mut()) };
    assert_eq!((read, set), (0, 0), "{}", std::io::Error::last_os_error());
    usual
}
