//! `rex-policy` from outside, and what it says held against what a real broker does.

mod check;
mod diff;
mod examples;
mod explain;
mod list;
mod suggest;

use rex_tests::{Daemon, Ran, programs};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A store that no broker uses.
struct Loose {
    folder: TempDir,
}

impl Loose {
    /// With these files in its directory of policies.
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        fs::create_dir(path.join("policies.d")).expect("a folder");
        let places = ["policies", "entities", "allowed_signers"]
            .iter()
            .zip(["policies.d", "entities.json", "allowed_signers"])
            .map(|(key, name)| format!("{key} = {:?}\n", path.join(name)));
        fs::write(path.join("broker.toml"), places.collect::<String>()).expect("a configuration");
        let store = Self { folder };
        for (name, text) in files {
            fs::write(store.path(name), text).expect("a file");
        }
        store
    }

    /// A file of the directory of policies.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("policies.d").join(name)
    }

    fn policy(&self, arguments: &[&str]) -> Ran {
        let config = self.folder.path().join("broker.toml");
        rex_policy(&[&["--config", text(&config)], arguments].concat())
    }
}

fn rex_policy(arguments: &[&str]) -> Ran {
    let mut command = Command::new(programs().join("rex-policy"));
    Ran::of(&command.args(arguments).stdin(Stdio::null()).output().expect("rex-policy starts"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of these tests is UTF-8")
}

/// The user that the tests run as.
fn own_name() -> String {
    nix::unistd::User::from_uid(nix::unistd::geteuid()).expect("a user database").expect("a name").name
}

/// The latest run of a broker, once all of it is recorded.
fn latest_run(daemon: &Daemon) -> String {
    let ends = |daemon: &Daemon, kind: &str| daemon.records().iter().filter(|record| record.kind() == kind).count();
    daemon.until("its runs have ended", |daemon| ends(daemon, "run-start") == ends(daemon, "run-end"));
    let records = daemon.records();
    records.iter().rfind(|record| record.kind() == "run-start").expect("a run").run().to_owned()
}
