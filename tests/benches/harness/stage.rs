//! Where benches work: a folder with scripts, policies and files, and the commands that run a script.

use rex_tests::{Daemon, Settings, programs};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// How many policies stores have, by which costs are looked at.
pub(crate) const POLICIES: [usize; 4] = [2, 50, 500, 5_000];

/// A folder that goes with this value.
pub(crate) struct Stage {
    folder: TempDir,
}

/// Who runs a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runner {
    /// `rex-exec --standalone`
    Standalone,
    /// The same work in one process, without a boundary.
    OneProcess,
    /// What `REX_BENCH_RUNNER` names.
    Other,
}

impl Runner {
    /// What tables call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Runner::Standalone => "Rex, standalone",
            Runner::OneProcess => "one process",
            Runner::Other => "the other runner",
        }
    }
}

impl Stage {
    /// An empty folder, in memory where there is such a place.
    pub(crate) fn new() -> Self {
        let stage = Self { folder: rex_tests::scratch() };
        stage.file("allow.cedar", "permit(principal, action, resource);");
        stage
    }

    /// The path of a file in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The same as text.
    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).into_os_string().into_string().expect("a path of UTF-8")
    }

    /// Writes a file, and gives its path as text.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), content).expect("a file of the bench");
        self.text(name)
    }

    /// Writes a store of `count` policies, of which the first two allow what benches do; gives the file's name.
    pub(crate) fn store(&self, count: usize) -> String {
        let name = format!("policies-{count}.cedar");
        self.file(&name, store(count, self.folder.path()));
        name
    }

    /// A daemon with such a store, which logs nothing but errors of its own.
    pub(crate) fn daemon(&self, count: usize) -> Daemon {
        self.daemon_with(count, "")
    }

    /// A daemon with such a store and one more policy.
    pub(crate) fn daemon_with(&self, count: usize, policy: &str) -> Daemon {
        let policy = store(count, self.folder.path()) + policy;
        Daemon::start(&Settings { policy, config: "log_level = \"error\"\n".into(), ..Settings::default() })
    }

    /// A script through a daemon.
    pub(crate) fn through(&self, daemon: &Daemon, script: &str) -> Command {
        let mut command = Command::new(programs().join("rex-exec"));
        command.arg("--socket").arg(daemon.socket()).arg(self.path(script));
        command
    }

    /// A script by a runner; nothing if it is not there.
    pub(crate) fn run(&self, runner: Runner, script: &str, policy: &str) -> Option<Command> {
        let (script, policy) = (self.path(script), self.path(policy));
        Some(match runner {
            Runner::Standalone => {
                let mut command = Command::new(programs().join("rex-exec"));
                command.arg("--standalone").arg("--policy-file").arg(policy).arg(script);
                command
            }
            Runner::OneProcess => {
                let mut command = Command::new(programs().join("examples/one-process"));
                command.arg("--script-file").arg(script).arg("--policy-file").arg(policy);
                command
            }
            Runner::Other => {
                let line = std::env::var("REX_BENCH_RUNNER").ok()?;
                let line = line.replace("{script}", script.to_str()?).replace("{policy}", policy.to_str()?);
                let mut words = line.split_whitespace();
                let mut command = Command::new(words.next()?);
                command.args(words);
                command
            }
        })
    }

    /// A script by every runner that is there.
    pub(crate) fn by_each(&self, script: &str, policy: &str) -> Vec<(&'static str, Command)> {
        let all = [Runner::Standalone, Runner::OneProcess, Runner::Other];
        all.into_iter().filter_map(|runner| Some((runner.name(), self.run(runner, script, policy)?))).collect()
    }
}

/// Another program, found as a shell finds it.
pub(crate) fn plain(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// The interpreter itself: what stands first in the path may be a script that looks for one.
pub(crate) fn python() -> &'static str {
    if Path::new("/usr/bin/python3").exists() { "/usr/bin/python3" } else { "python3" }
}

/// Policies of the shapes that stores are made of: by directory, by user, by group of users and actions, by pattern of a path,
/// and of services. All but the first two are about somebody or something else.
fn store(count: usize, folder: &Path) -> String {
    let mut text = format!(
        "permit(principal, action in [file_system::Action::\"open\", file_system::Action::\"read\", file_system::Action::\"stat\"], \
         resource in file_system::Dir::\"{}\");\n\
         permit(principal, action == process_system::Action::\"list\", resource);\n",
        folder.display()
    );
    for number in 2..count {
        text += &match number % 5 {
            0 => format!("permit(principal, action, resource in file_system::Dir::\"/srv/area{number}\");\n"),
            1 => format!(
                "permit(principal == User::\"user{number}\", action == file_system::Action::\"read\", \
                 resource == file_system::File::\"/srv/report{number}.txt\");\n"
            ),
            2 => format!(
                "permit(principal in Group::\"team{number}\", action in file_system::Action::\"SafeIO\", resource) \
                 when {{ resource in file_system::Dir::\"/srv/team{number}\" }};\n"
            ),
            3 => format!(
                "forbid(principal, action == file_system::Action::\"read\", resource) \
                 when {{ resource is file_system::File && resource.path like \"/srv/area{number}/private/*\" }};\n"
            ),
            _ => format!(
                "permit(principal in Group::\"team{number}\", action == systemd::Action::\"restart\", \
                 resource == systemd::Service::\"app{number}.service\");\n"
            ),
        };
    }
    text
}
