//! The broker under systemd, which these tests play: it passes the socket, and is told of what the broker does.

use crate::signal;
use nix::sys::signal::Signal;
use rex_tests::{Ran, programs};
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The service manager, and what it has started.
struct Manager {
    folder: TempDir,
    listener: UnixListener,
    notify: UnixDatagram,
    broker: Option<Child>,
}

impl Manager {
    fn new(configuration: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("policies.d")).expect("a folder");
        fs::write(folder.path().join("broker.toml"), configuration).expect("a file");
        fs::write(folder.path().join("s.rhai"), "40 + 2").expect("a script");
        let listener = UnixListener::bind(folder.path().join("passed.sock")).expect("a socket");
        let notify = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
        notify.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        Self { folder, listener, notify, broker: None }
    }

    /// Starts the broker with the socket, as sd_listen_fds(3) has it.
    fn start(&mut self, environment: &[(&str, &str)]) {
        let passed = self.listener.as_raw_fd();
        let mut command = Command::new("sh");
        let line = "LISTEN_PID=$$ exec \"$0\" --config broker.toml --policies policies.d --audit-log log.d";
        command
            .args(["-c", line])
            .arg(programs().join("rex-broker"))
            .current_dir(self.folder.path())
            .env("LISTEN_FDS", "1")
            .env("NOTIFY_SOCKET", self.folder.path().join("notify"))
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        // SAFETY: fcntl and dup2 are async-signal-safe.
        unsafe {
            command.pre_exec(move || {
                let placed = if passed == 3 { libc::fcntl(3, libc::F_SETFD, 0) } else { libc::dup2(passed, 3) };
                if placed == -1 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
            })
        };
        self.broker = Some(command.spawn().expect("rex-broker starts"));
        assert_eq!(self.told(), "READY=1");
    }

    /// The next word of the broker's.
    fn told(&self) -> String {
        let mut message = [0; 256];
        let length = self.notify.recv(&mut message).expect("a notification");
        String::from_utf8_lossy(&message[..length]).trim().to_owned()
    }

    fn run(&self) -> Ran {
        rex_tests::run(&["--socket", "passed.sock", "s.rhai"], self.folder.path())
    }

    fn signal(&self, number: Signal) {
        signal(self.broker.as_ref().expect("a broker").id(), number);
    }

    /// How the broker ends by itself.
    fn end(&mut self) -> ExitStatus {
        let mut broker = self.broker.take().expect("a broker");
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = broker.try_wait().expect("a status") {
                return status;
            }
            if Instant::now() > end {
                let _ = broker.kill();
                let _ = broker.wait();
                panic!("the broker does not end");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        if let Some(mut broker) = self.broker.take() {
            let _ = broker.kill();
            let _ = broker.wait();
        }
    }
}

#[test]
fn systemd_may_pass_the_socket_and_is_told_of_readiness() {
    let mut manager = Manager::new("socket = \"/nonexistent/broker.sock\"");
    manager.start(&[]);
    let ran = manager.run();
    assert_eq!((ran.code, ran.stdout.trim()), (0, "42"), "{ran:?}");
    manager.signal(Signal::SIGTERM);
    assert_eq!(manager.told(), "STOPPING=1");
    assert!(manager.end().success());
    assert!(manager.folder.path().join("passed.sock").exists(), "systemd's socket is not ours to remove");
}

#[test]
fn a_reload_has_a_beginning_and_an_end() {
    let mut manager = Manager::new("");
    manager.start(&[]);
    for policy in ["permit(principal, action, resource);", "nonsense"] {
        fs::write(manager.folder.path().join("policies.d/a.cedar"), policy).expect("a file");
        manager.signal(Signal::SIGHUP);
        let begun = manager.told();
        let moment = begun.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap_or_default();
        assert!(moment.parse::<u64>().is_ok_and(|moment| moment > 0), "{begun}");
        assert_eq!(manager.told(), "READY=1", "also where the old policies stay");
    }
}

#[test]
fn the_watchdog_hears_that_the_loop_turns() {
    let mut manager = Manager::new("");
    manager.start(&[("WATCHDOG_USEC", "200000")]);
    for _ in 0..3 {
        assert_eq!(manager.told(), "WATCHDOG=1");
    }
}

#[test]
fn a_broker_that_nobody_needs_ends_and_the_next_client_finds_the_next() {
    let mut manager = Manager::new("idle_seconds = 1");
    for _ in 0..2 {
        manager.start(&[]);
        assert_eq!(manager.run().code, 0);
        assert_eq!(manager.told(), "STOPPING=1");
        assert!(manager.end().success());
    }
}
