//! `rex-audit` from outside: the real program on logs that a real broker has written.

mod follow;
mod report;
mod show;
mod terminal;
mod verify;

use rex_tests::{Daemon, Settings, programs};
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

/// What allows everything but to read what is called `secret`.
const POLICY: &str = r#"
@id("all") permit(principal, action, resource);
@id("no-secrets") forbid(principal, action in [file_system::Action::"read", file_system::Action::"redacted_read"], resource)
  when { resource is file_system::File && resource.path like "*/secret" };
"#;

/// Words that would turn a terminal's output around, clear it, or read like another line.
const HOSTILE: &str = "a\n{\"seq\":1}\u{1b}[2J\u{9b}31m\u{202e}\u{2028}\u{200b}<script>alert(1)</script>";

/// A broker with a log of two runs: one that succeeded, and one that was denied something.
fn daemon() -> Daemon {
    let daemon = Daemon::start(&Settings { policy: POLICY.into(), ..Settings::default() });
    let folder = daemon.folder().display().to_string();
    let ran = daemon.run_with(&format!("write(\"{folder}/a\", \"x\"); cat(\"{folder}/a\")"), &["--reason", HOSTILE]);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    std::fs::write(daemon.folder().join("secret"), "x").expect("a file");
    assert_eq!(daemon.run(&format!("cat(\"{folder}/secret\")")).code, 4);
    let ended = |daemon: &Daemon| daemon.records().iter().filter(|record| record.kind() == "run-end").count();
    daemon.until("both runs have ended", |daemon| ended(daemon) == 2);
    daemon
}

/// What the program put out.
#[derive(Debug)]
struct Done {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// The program on a log, ready to be started.
fn tool<A: AsRef<OsStr>>(log: &Path, arguments: &[A]) -> Command {
    let mut command = Command::new(programs().join("rex-audit"));
    command.args(arguments).arg("--directory").arg(log).stdin(Stdio::null()).env("TZ", "UTC");
    command
}

fn audit<A: AsRef<OsStr>>(log: &Path, arguments: &[A]) -> Done {
    let done = tool(log, arguments).output().expect("rex-audit starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Done { code: done.status.code(), stdout: text(done.stdout), stderr: text(done.stderr) }
}
