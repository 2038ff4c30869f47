//! The broker as a service: its socket, its store, its callers, its end.

mod callers;
mod doctor;
mod limits;
mod metrics;
mod rails;
mod session;
mod signature;
mod status;
mod store;
mod supervised;
mod unusable;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rex_tests::{Daemon, Ran, Settings, is_root, programs, skip};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Runs the broker until it ends by itself, and gives what it said.
fn refused(arguments: &[&str], prepare: impl FnOnce(&Path)) -> String {
    refused_under(|_| {}, arguments, prepare)
}

/// The same, under what is done to its command. It says in one line why it does not start, and ends with 1.
fn refused_under(under: impl FnOnce(&mut Command), arguments: &[&str], prepare: impl FnOnce(&Path)) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(folder.path().join("policies.d")).expect("a folder");
    prepare(folder.path());
    let mut command = Command::new(programs().join("rex-broker"));
    command.current_dir(folder.path());
    for (option, value) in [("--socket", "broker.sock"), ("--policies", "policies.d"), ("--audit-log", "log.d")] {
        if !arguments.contains(&option) {
            command.args([option, value]);
        }
    }
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::piped());
    under(&mut command);
    let mut child = command.spawn().expect("rex-broker starts");
    let mut said = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
    assert_eq!(child.wait().expect("an end").code(), Some(1), "{said}");
    let (last, before) = said.trim_end().rsplit_once('\n').map_or((said.trim_end(), ""), |(rest, last)| (last, rest));
    assert!(last.starts_with("ERROR cannot ") || last.starts_with("ERROR control groups are required"), "{said}");
    // Whatever it says of itself before that is no fault.
    assert!(before.lines().all(|line| line.starts_with(" INFO ") || line.starts_with(" WARN ")), "{said}");
    said
}

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).expect("a pid")), signal).expect("a signal");
}

#[test]
fn a_store_that_cannot_be_trusted_is_refused_in_one_line() {
    let policy = |folder: &Path, text: &str| std::fs::write(folder.join("policies.d/a.cedar"), text).expect("a file");
    let mode = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("a mode");
    type Prepare<'a> = Box<dyn Fn(&Path) + 'a>;
    let cases: Vec<(&str, Prepare<'_>)> = vec![
        ("does not parse", Box::new(|folder| policy(folder, "permit("))),
        ("does not validate", Box::new(|folder| policy(folder, "permit(principal is Robot, action, resource);"))),
        (
            "has several faults",
            Box::new(|folder| policy(folder, &"permit(principal is Robot, action, resource);\n".repeat(3))),
        ),
        (
            "is writable by others",
            Box::new(|folder| {
                policy(folder, "");
                mode(&folder.join("policies.d/a.cedar"), 0o666);
            }),
        ),
        ("lies in a folder that others may write to", Box::new(|folder| mode(&folder.join("policies.d"), 0o777))),
        (
            "is a link",
            Box::new(|folder| {
                std::fs::write(folder.join("elsewhere"), "").expect("a file");
                std::os::unix::fs::symlink("../elsewhere", folder.join("policies.d/a.cedar")).expect("a link");
            }),
        ),
        (
            "is a directory",
            Box::new(|folder| {
                std::fs::create_dir(folder.join("policies.d/a.cedar")).expect("a folder");
            }),
        ),
        ("is not there", Box::new(|folder| std::fs::remove_dir(folder.join("policies.d")).expect("a folder"))),
    ];
    for (what, prepare) in cases {
        let said = refused(&[], prepare);
        assert!(said.contains("polic"), "{what}: {said}");
        assert!(!said.contains("panicked"), "{what}: {said}");
    }
}

#[test]
fn a_configuration_that_cannot_be_used_is_refused_in_one_line() {
    for (text, names) in [
        ("sokcet = 1", "sokcet"),
        ("[limits]\nhandles = 0", "handles"),
        ("log_level = \"loud\"", "loud"),
        ("= =", "line 1"),
    ] {
        let said = refused(&["--config", "broker.toml"], |folder| {
            std::fs::write(folder.join("broker.toml"), text).expect("a file");
        });
        assert!(said.contains("broker.toml") && said.contains(names), "{text}: {said}");
    }
    assert!(refused(&["--config", "missing.toml"], |_| {}).contains("missing.toml"));
}

#[test]
fn a_socket_that_is_held_is_left_alone_and_a_stale_one_replaced() {
    let daemon = Daemon::start(&Settings::default());
    let socket = daemon.socket();
    let said = refused(&[], |folder| {
        std::os::unix::fs::symlink(&socket, folder.join("link")).expect("a link");
        std::fs::hard_link(&socket, folder.join("broker.sock")).expect("a second name of the socket");
    });
    assert!(said.contains("another broker listens there"), "{said}");
    assert_eq!(daemon.run("1").output(), "1");
    let said = refused(&[], |folder| std::fs::write(folder.join("broker.sock"), "").expect("a file"));
    assert!(said.contains("no socket"), "{said}");
    let pid = daemon.pid();
    signal(pid, Signal::SIGKILL);
    daemon.until("it is gone", |_| {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
    });
    assert!(socket.exists(), "a broker that is killed leaves its socket");
    let again = Command::new(programs().join("rex-broker"))
        .arg("--socket")
        .arg(&socket)
        .arg("--policies")
        .arg(daemon.folder().join("policies.d"))
        .arg("--audit-log")
        .arg(daemon.audit_log())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut again = again.expect("rex-broker starts");
    daemon.until("the next broker serves", |daemon| daemon.run("1").output() == "1");
    signal(again.id(), Signal::SIGTERM);
    assert!(again.wait().expect("an end").success());
    assert!(!socket.exists(), "a broker that is told to stop removes its socket");
}

#[test]
fn a_hangup_loads_the_policies_anew_and_a_bad_store_changes_nothing() {
    let daemon = Daemon::start(&Settings { policy: String::new(), ..Settings::default() });
    let policy = daemon.folder().join("policies.d/test.cedar");
    let reads = |daemon: &Daemon| daemon.run("cat(\"/usr/lib/os-release\").len() > 0").code;
    assert_eq!(reads(&daemon), 4);
    std::fs::write(&policy, "permit(principal, action, resource);").expect("a file");
    assert_eq!(reads(&daemon), 4, "nothing changes before the signal");
    signal(daemon.pid(), Signal::SIGHUP);
    daemon.until("the new policies are in force", |daemon| daemon.log().contains("policies loaded anew"));
    assert_eq!(reads(&daemon), 0);
    std::fs::write(&policy, "permit(").expect("a file");
    signal(daemon.pid(), Signal::SIGHUP);
    daemon.until("the fault is told", |daemon| daemon.log().contains("the policies in force stay"));
    assert_eq!(reads(&daemon), 0);
}

#[test]
fn a_policy_that_comes_with_a_run_narrows_and_never_widens() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in ["a", "b", "c"] {
        std::fs::write(folder.path().join(name), name).expect("a file");
    }
    let root = folder.path().display();
    let permit = |names: &str| {
        format!(
            "permit(principal, action, resource) when {{ resource.path like \"{root}*\" && !(resource.path like \"*/{names}\") }};"
        )
    };
    // The store allows all but `a`, the run's own policy all but `b`.
    let daemon = Daemon::start(&Settings {
        policy: permit("a").replace("resource)", "resource is file_system::File)")
            + &format!("permit(principal, action, resource is file_system::Dir in file_system::Dir::\"{root}\");"),
        ..Settings::default()
    });
    let own = daemon.folder().join("own.cedar");
    std::fs::write(&own, permit("b")).expect("a policy");
    let cat = |name: &str, options: &[&str]| daemon.run_with(&format!("cat(\"{root}/{name}\")"), options).code;
    let narrowed = ["--policy-file", own.to_str().expect("UTF-8")];
    assert_eq!((cat("a", &[]), cat("b", &[]), cat("c", &[])), (4, 0, 0));
    assert_eq!((cat("a", &narrowed), cat("b", &narrowed), cat("c", &narrowed)), (4, 4, 0));
}

/// Copies the programs to where every user reaches them.
fn for_everybody(folder: &Path) {
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).expect("a mode");
    for name in ["rex-exec", "rex-broker", "rex-worker", "rex-policy"] {
        std::fs::copy(programs().join(name), folder.join(name)).expect("a copy");
    }
}

/// Runs one of these copies as another user.
fn command_as_nobody(folder: &Path, program: &str, arguments: &[&str]) -> Output {
    let nobody = nix::unistd::User::from_name("nobody").expect("a user database").expect("nobody");
    let mut command = Command::new(folder.join(program));
    command.args(arguments).current_dir(folder).uid(nobody.uid.as_raw()).gid(nobody.gid.as_raw());
    command.stdin(Stdio::null()).output().expect("the program starts")
}

fn as_nobody(folder: &Path, arguments: &[&str]) -> Ran {
    Ran::of(&command_as_nobody(folder, "rex-exec", arguments))
}

#[test]
fn the_principal_is_who_connects() {
    if !is_root() {
        return skip("only root can become another user");
    }
    let policy = "permit(principal == User::\"nobody\", action, resource);\n\
        permit(principal in Group::\"root\", action == file_system::Action::\"open\", resource);";
    let daemon = Daemon::start(&Settings { policy: policy.into(), ..Settings::default() });
    let folder = daemon.folder();
    for_everybody(folder);
    std::fs::write(folder.join("read.rhai"), "cat(\"/usr/lib/os-release\").len() > 0").expect("a script");
    let arguments = ["--socket", "broker.sock", "-o", "json", "read.rhai"];
    let ran = as_nobody(folder, &arguments);
    assert_eq!((ran.code, ran.output()), (0, "true"), "{ran:?}");
    let ran = rex_tests::run(&arguments, folder);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.error().contains("root unauthorized to perform file_system::Action::\"read\""), "{ran:?}");
}

#[test]
fn a_plain_user_runs_standalone_behind_the_same_walls() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    for_everybody(folder);
    std::fs::write(folder.join("p.cedar"), "permit(principal, action, resource);").expect("a policy");
    std::fs::write(folder.join("s.rhai"), "cat(\"/usr/lib/os-release\").len() > 0").expect("a script");
    std::fs::write(folder.join("d.rhai"), "cat(\"/etc/shadow\")").expect("a script");
    let arguments = |script| ["--standalone", "--policy-file", "p.cedar", "-o", "json", script];
    let run = |script| {
        if is_root() { as_nobody(folder, &arguments(script)) } else { rex_tests::run(&arguments(script), folder) }
    };
    let ran = run("s.rhai");
    assert_eq!((ran.code, ran.output()), (0, "true"), "{ran:?}");
    // Policy allows it, the caller's own rights do not.
    let ran = run("d.rhai");
    assert_eq!((ran.code, ran.error_type()), (4, "ACCESS_DENIED_EXCEPTION"), "{ran:?}");
}

#[test]
fn a_signal_ends_the_whole_run_at_once() {
    let daemon = Daemon::start(&Settings::default());
    std::fs::write(daemon.folder().join("s.rhai"), "sleep(100)").expect("a script");
    std::fs::write(daemon.folder().join("p.cedar"), "permit(principal, action, resource);").expect("a policy");
    for (send, code) in [(Signal::SIGINT, 130), (Signal::SIGHUP, 129)] {
        for options in [&["--socket", "broker.sock"][..], &["--standalone", "--policy-file", "p.cedar"]] {
            // These tests may run where signals are ignored, as in the background; `env` execs, so the process stays the same.
            let mut client = Command::new("env")
                .arg("--default-signal=INT,HUP,TERM")
                .arg(programs().join("rex-exec"))
                .args(options)
                .arg("s.rhai")
                .current_dir(daemon.folder())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("rex-exec starts");
            std::thread::sleep(Duration::from_millis(400));
            let below = rex_tests::descendants(client.id());
            let begun = Instant::now();
            signal(client.id(), send);
            let status = client.wait().expect("an end");
            assert!(begun.elapsed() < Duration::from_secs(1), "{send}: {:?}", begun.elapsed());
            let ended = std::os::unix::process::ExitStatusExt::signal(&status).map(|n| 128 + n).or(status.code());
            assert_eq!(ended, Some(code), "{send} {options:?}");
            daemon.until("nothing of the run is left", |daemon| {
                let gone = |pid: &u32| !Path::new(&format!("/proc/{pid}")).exists();
                daemon.is_idle() && below.iter().all(gone)
            });
        }
    }
}

#[test]
fn a_worker_that_cannot_be_started_is_told_with_its_reason() {
    let said = refused(&["--config", "broker.toml"], |folder| {
        std::fs::write(folder.join("broker.toml"), "worker = \"/etc/passwd\"").expect("a file");
    });
    assert!(said.contains("execute its program: EACCES"), "{said}");
}

#[test]
fn a_standalone_session_without_a_connection_is_told_so() {
    let mut command = Command::new(programs().join("rex-broker"));
    let done = command.arg("--standalone-session").stdin(Stdio::null()).output().expect("rex-broker starts");
    assert!(!done.status.success());
    assert!(String::from_utf8_lossy(&done.stderr).contains("standard input is no connection"), "{done:?}");
}
