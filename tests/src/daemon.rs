//! A broker of a test's own: its socket, policies and configuration in a folder that goes with it.

use crate::{Ran, programs, run};
use rex_broker::audit::{Reader, Record};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What a broker's configuration calls the places in its folder.
const PLACES: [(&str, &str); 4] = [
    ("socket", "broker.sock"),
    ("policies", "policies.d"),
    ("entities", "entities.json"),
    ("allowed_signers", "allowed_signers"),
];

/// How a test's broker is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The store's one policy file.
    pub policy: String,
    /// More lines for its configuration.
    pub config: String,
    /// The worker's program, if not the real one.
    pub worker: Option<PathBuf>,
    /// Where its audit log is, if not in its folder.
    pub audit_log: Option<PathBuf>,
    /// How many descriptors the broker and its sessions may have open, if not as many as this test.
    pub descriptors: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: "permit(principal, action, resource);".into(),
            config: String::new(),
            worker: None,
            audit_log: None,
            descriptors: None,
        }
    }
}

/// A running broker. It is ended with this value.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    folder: TempDir,
    audit_log: PathBuf,
}

impl Daemon {
    /// Starts a broker and waits until it listens.
    pub fn start(settings: &Settings) -> Self {
        let folder = tempfile::Builder::new().prefix("rex-test-").tempdir().expect("a temporary folder");
        let path = folder.path();
        let policies = path.join("policies.d");
        std::fs::create_dir(&policies).expect("a folder for policies");
        std::fs::write(policies.join("test.cedar"), &settings.policy).expect("a policy file");
        let worker = settings.worker.as_ref().map_or(String::new(), |path| format!("worker = {path:?}\n"));
        let places = PLACES.iter().filter(|(key, _)| !settings.config.contains(&format!("{key} = ")));
        let places: String = places.map(|(key, name)| format!("{key} = {:?}\n", path.join(name))).collect();
        std::fs::write(path.join("broker.toml"), format!("{places}{worker}{}", settings.config))
            .expect("a configuration");
        let mut command = match settings.descriptors {
            None => Command::new(programs().join("rex-broker")),
            Some(most) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", "ulimit -n \"$1\" && shift && exec \"$@\"", "sh", &most.to_string()]);
                shell.arg(programs().join("rex-broker"));
                shell
            }
        };
        let audit_log = settings.audit_log.clone().unwrap_or_else(|| path.join("log.d"));
        let child = command
            .arg("--config")
            .arg(path.join("broker.toml"))
            .arg("--audit-log")
            .arg(&audit_log)
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(path.join("log")).expect("a log file"))
            .spawn()
            .expect("rex-broker starts");
        let daemon = Self { child, folder, audit_log };
        let end = Instant::now() + Duration::from_secs(20);
        while !daemon.is_listening() {
            assert!(Instant::now() < end, "the broker does not listen:\n{}", daemon.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        daemon
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("broker.sock")
    }

    /// A folder for a test's files; it is removed with the broker.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The directory of its audit log.
    pub fn audit_log(&self) -> &Path {
        &self.audit_log
    }

    /// The records of its audit log so far.
    pub fn records(&self) -> Vec<Record> {
        Reader::open(&self.audit_log).and_then(Iterator::collect).expect("an audit log that can be read")
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Runs a script with more options for `rex-exec`, and gives the JSON result.
    pub fn run_with(&self, script: &str, options: &[&str]) -> Ran {
        let file = tempfile::Builder::new().suffix(".rhai").tempfile_in(self.folder()).expect("a script file");
        std::fs::write(file.path(), script).expect("a script");
        let (socket, script) = (self.socket(), file.path().to_owned());
        let mut arguments = vec!["--socket", text(&socket), "--script-file", text(&script), "--output-format", "json"];
        arguments.extend(options);
        run(&arguments, self.folder())
    }

    /// Runs a script.
    pub fn run(&self, script: &str) -> Ran {
        self.run_with(script, &[])
    }

    /// Runs `rex-policy` on its store and its log.
    pub fn policy(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(programs().join("rex-policy"));
        command.arg("--config").arg(self.folder().join("broker.toml")).args(arguments).current_dir(self.folder());
        if ["explain", "diff", "suggest"].iter().any(|command| arguments.contains(command)) {
            command.arg("--audit-log").arg(self.audit_log());
        }
        Ran::of(&command.stdin(Stdio::null()).output().expect("rex-policy starts"))
    }

    /// The processes below the broker, their parents before them.
    pub fn descendants(&self) -> Vec<u32> {
        descendants(self.pid())
    }

    /// Whether nothing is left but the two ready pairs: two sessions with a worker each.
    pub fn is_idle(&self) -> bool {
        let sessions = children(self.pid());
        sessions.len() == 2 && sessions.iter().all(|session| children(*session).len() == 1)
    }

    /// Whether it takes connections: its socket has a name a moment before that, unix(7).
    fn is_listening(&self) -> bool {
        const ACCEPTS: &str = " 00010000 ";
        let sockets = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
        let path = self.socket();
        sockets.lines().any(|socket| socket.contains(ACCEPTS) && socket.ends_with(text(&path)))
    }

    /// Waits until `condition` holds, for at most ten seconds.
    pub fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let end = Instant::now() + Duration::from_secs(10);
        while !condition(self) {
            assert!(Instant::now() < end, "{what}:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX));
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

/// The processes below a process, their parents before them.
pub fn descendants(pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let mut at = 0;
    while let Some(&pid) = found.get(at) {
        found.extend(children(pid));
        at += 1;
    }
    found.split_off(1)
}

fn children(pid: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|number| number.parse().ok()).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of these tests is UTF-8")
}
