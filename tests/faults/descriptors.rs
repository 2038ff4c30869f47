//! Descriptors that run out.

use crate::attempts::{Attempt, DONE, change_nothing};
use rex_tests::{Daemon, Settings};
use std::fs;
use std::os::unix::net::UnixStream;

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
    let daemon = Daemon::start(&Settings { descriptors: Some(64), ..Settings::default() });
    let folder = tempfile::Builder::new().prefix("rex-test-").tempdir().expect("a temporary folder");
    fs::write(folder.path().join("victim"), "old content").expect("a file");
    let hands = "let held = []; let file = d.open_file(\"victim\", rw);";
    change_nothing(&daemon, folder.path(), hands, ATTEMPTS);
}

#[test]
fn a_broker_without_descriptors_serves_on_when_it_has_some() {
    let daemon = Daemon::start(&Settings { descriptors: Some(32), ..Settings::default() });
    let held: Vec<_> = (0..64).filter_map(|_| UnixStream::connect(daemon.socket()).ok()).collect();
    assert!(held.len() > 32, "they wait for the broker to take them");
    drop(held);
    for _ in 0..3 {
        assert_eq!(daemon.run("6 * 7").output(), "42", "{}", daemon.log());
    }
    daemon.until("nothing of them is left", Daemon::is_idle);
}
