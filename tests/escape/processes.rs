//! Numbers of processes that come to mean another, and processes that no script may touch.

use rex_client::process::{
    EnterNamespaces, FilesOf, ListOpenFiles, ListProcesses, Process, Seen, Signal, SignalKind, Trace,
};
use rex_client::{Broker, FailureKind, Session};
use rex_tests::{Daemon, Settings, skip};
use std::process::{Child, Command};
use std::time::Duration;

/// Where the kernel is told after which number to go on (proc_sys_kernel(5)).
const LAST: &str = "/proc/sys/kernel/ns_last_pid";

fn session(daemon: &Daemon) -> Session {
    Broker::connect_to(daemon.socket()).expect("the broker listens").session().expect("a session")
}

/// A process that does nothing, ended with the test.
struct Idle(Child);

impl Idle {
    fn new() -> Self {
        Self(Command::new("sleep").arg("60").spawn().expect("`sleep` starts"))
    }

    /// One that has this number. Nothing where somebody else has it.
    fn numbered(pid: u32) -> Option<Self> {
        for _ in 0..500 {
            std::fs::write(LAST, (pid - 1).to_string()).ok()?;
            let process = Self::new();
            if process.0.id() == pid {
                return Some(process);
            }
        }
        None
    }

    fn is_running(&mut self) -> bool {
        self.0.try_wait().expect("its state").is_none()
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn look_at(session: &Session, pid: u32) -> Option<Process> {
    let request = ListProcesses { only: Some(vec![pid]), ..ListProcesses::default() };
    session.call(&request).expect("it is listed").processes.into_iter().next()
}

fn kill(pid: u32, seen: Option<Seen>) -> Signal {
    Signal { pid, signal: SignalKind::Kill, seen }
}

#[test]
fn a_process_that_took_the_number_of_another_is_not_hit() {
    if std::fs::OpenOptions::new().write(true).open(LAST).is_err() {
        return skip("needs to say which number comes next");
    }
    let daemon = Daemon::start(&Settings::default());
    let session = session(&daemon);
    for _ in 0..100 {
        let first = Idle::new();
        let pid = first.0.id();
        let seen = look_at(&session, pid).expect("it runs").identity;
        // It starts later by a tick at least.
        std::thread::sleep(Duration::from_millis(30));
        drop(first);
        let Some(mut second) = Idle::numbered(pid) else { continue };
        let started = Seen { started: seen.started, ..Seen::default() };
        let failed = session.call(&kill(pid, Some(started))).expect_err("it is another");
        assert_eq!(failed.failure().map(|failure| &failure.kind), Some(&FailureKind::NoProcess { pid }));
        assert!(second.is_running());
        let now = look_at(&session, pid).expect("it runs").identity;
        assert_ne!(now.started, seen.started);
        session.call(&kill(pid, Some(Seen { started: now.started, ..Seen::default() }))).expect("this one is meant");
        assert!(!second.0.wait().expect("its end").success());
        return;
    }
    panic!("no process got the number of another");
}

#[test]
fn a_process_that_became_another_program_is_not_hit() {
    let daemon = Daemon::start(&Settings::default());
    let session = session(&daemon);
    let mut process = Idle::new();
    let pid = process.0.id();
    let started = look_at(&session, pid).expect("it runs").identity.started;
    for (name, command) in [(Some("other"), None), (None, Some("other 60"))] {
        let name = name.map(rex_client::Text::cut);
        let seen = Seen { started, name, command: command.map(rex_client::Text::cut) };
        let failed = session.call(&kill(pid, Some(seen))).expect_err("it was something else");
        assert_eq!(failed.failure().map(|failure| &failure.kind), Some(&FailureKind::NoProcess { pid }));
    }
    assert!(process.is_running());
}

#[test]
fn whether_there_is_a_process_is_told_only_to_whom_policy_lets_signal_it() {
    let daemon = Daemon::start(&Settings {
        policy:
            r#"permit(principal, action, resource is process_system::Process) when { resource.name == "no such" };"#
                .into(),
        ..Settings::default()
    });
    let session = session(&daemon);
    let mut process = Idle::new();
    for pid in [process.0.id(), 0, u32::MAX] {
        let denied = session.call(&kill(pid, None)).expect_err("policy says no");
        assert!(denied.is_denial(), "{denied}");
    }
    assert!(process.is_running());
    assert_eq!(look_at(&session, process.0.id()), None);
}

#[test]
fn processes_of_rex_are_left_alone_whosever_they_are() {
    let daemon = Daemon::start(&Settings::default());
    let session = session(&daemon);
    // Two workers that wait for a run, whose sessions are of nobody yet.
    daemon.until("workers are ready", |daemon| named(daemon, "rex-worker").len() >= 2);
    let ours = [named(&daemon, "rex-broker"), named(&daemon, "rex-worker"), vec![daemon.pid()]].concat();
    for pid in ours {
        let enter = EnterNamespaces { pid, mount: false, net: true };
        let calls = [
            session.call(&kill(pid, None)).map(drop),
            session.call(&ListOpenFiles { of: FilesOf::Process(pid), after: None }).map(drop),
            session.call(&enter).map(drop),
            session.call(&Trace { pid, beside: None }).map(drop),
        ];
        for call in calls {
            let refused = call.expect_err("it is one of Rex");
            // Sessions come and go.
            let gone = refused.failure().map(|failure| &failure.kind) == Some(&FailureKind::NoProcess { pid });
            assert!(gone || refused.errno() == Some(libc::EACCES), "{refused}");
        }
    }
    assert!(look_at(&session, daemon.pid()).is_some());
}

/// The processes below a broker that have this name.
fn named(daemon: &Daemon, name: &str) -> Vec<u32> {
    let is_named =
        |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name);
    daemon.descendants().into_iter().filter(is_named).collect()
}

#[test]
fn what_the_kernel_tells_of_rex_is_kept_from_scripts() {
    let daemon = Daemon::start(&Settings::default());
    let script = format!(
        r#"
        let reached = [];
        for name in ["maps", "environ", "oom_score_adj", "timerslack_ns", "task/PID/oom_score_adj", "status"] {{
            let path = "/proc/PID/" + name;
            path.replace("PID", "{pid}");
            try {{ cat(path); reached.push(name); }} catch {{}}
            try {{ write([write::append], path, "200"); reached.push(name); }} catch {{}}
        }}
        reached"#,
        pid = daemon.pid(),
    );
    let score = || std::fs::read_to_string(format!("/proc/{}/oom_score_adj", daemon.pid())).expect("its score");
    let before = score();
    let ran = daemon.run(&script);
    assert_eq!(ran.output(), "[]", "{}", ran.stdout);
    assert_eq!(score(), before);
}

#[test]
fn no_memory_of_any_process_is_opened() {
    let daemon = Daemon::start(&Settings::default());
    let process = Idle::new();
    let script = format!(
        r#"
        let opened = [];
        for path in ["/proc/{pid}", "/proc/{pid}/task/{pid}"] {{
            let dir = DirConfig().path(path).build().open(OpenDirOptions().build());
            for options in [OpenFileOptions().read(true), OpenFileOptions().read(true).write(true)] {{
                try {{ dir.open_file("mem", options.build()); opened.push(path); }} catch {{}}
            }}
            dir.open_file("status", OpenFileOptions().read(true).build());
        }}
        opened"#,
        pid = process.0.id(),
    );
    let ran = daemon.run(&script);
    assert_eq!(ran.output(), "[]", "{}", ran.stdout);
}

#[test]
fn a_worker_cannot_be_ended_by_its_own_script() {
    let daemon = Daemon::start(&Settings::default());
    let script = format!(
        r#"
        let sessions = [];
        let all = ProcessManager().processes();
        for p in all {{ if p.ppid == {} {{ sessions.push(p.pid); }} }}
        let refused = 0;
        for p in all {{
            if p.name == "rex-worker" && sessions.contains(p.ppid) {{
                try {{ kill([kill::SIGKILL], p.pid); }} catch {{ refused += 1; }}
            }}
        }}
        refused > 0"#,
        daemon.pid(),
    );
    let ran = daemon.run(&script);
    assert_eq!(ran.output(), "true", "{ran:?}");
}
