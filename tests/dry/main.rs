//! Dry runs, from outside: everything is decided, what would be changed is told, and nothing is changed. That this holds for each
//! operation of the list shows `coverage`, with which operations have to be added.

mod seen;
mod told;

use rex_client::change::Change;
use rex_tests::{Closely, Ran, Tree};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder with a few things in it, and a run under a policy of its own.
struct Stage {
    folder: TempDir,
}

const EVERYTHING: &str = "permit(principal, action, resource);";

impl Stage {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("rex-test-").tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("root")).expect("a folder");
        let stage = Self { folder };
        for dir in ["dir", "dir/below", "empty"] {
            std::fs::create_dir(stage.path(dir)).expect("a folder");
        }
        for (name, content) in
            [("a", "one\ntwo\nthree\n"), ("b", "other\n"), ("dir/inner", "inner\n"), ("dir/below/f", "f\n")]
        {
            std::fs::write(stage.path(name), content).expect("a file");
        }
        std::fs::write(stage.path("bytes"), [0, 159, 146, 150]).expect("a file");
        std::os::unix::fs::symlink("a", stage.path("link")).expect("a link");
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("root").join(name)
    }

    fn tree(&self) -> Tree {
        Tree::of(&self.path(""))
    }

    /// Runs a script in which `ROOT` is the folder, and `DIR` opens it.
    fn run(&self, policy: &str, script: &str, options: &[&str]) -> Ran {
        let root = self.path("").display().to_string();
        let root = root.trim_end_matches('/');
        let open = "DirConfig().path(\"ROOT\").build().open(OpenDirOptions().build())";
        let fill = |text: &str| text.replace("DIR", open).replace("ROOT", root);
        let write = |name: &str, text: &str| {
            let path = self.folder.path().join(name);
            std::fs::write(&path, fill(text)).expect("a file");
            path.display().to_string()
        };
        let (script, policy) = (write("script.rhai", script), write("policy.cedar", policy));
        let files = ["--standalone", "--policy-file", &policy, "--script-file", &script];
        rex_tests::run(&[&files[..], options].concat(), self.folder.path())
    }

    /// The same as a dry run, after which everything must be as it was.
    fn dry(&self, policy: &str, script: &str) -> Ran {
        let before = self.tree();
        let ran = self.run(policy, script, &["--dry-run"]);
        let differences = self.tree().differences(&before, Closely::Times);
        assert!(differences.is_empty(), "{differences:?}");
        ran
    }
}

/// The changes that a run tells, each as its act and the name of what it is about.
fn acts(ran: &Ran) -> Vec<String> {
    let changes = ran.result["changes"].as_array().unwrap_or_else(|| panic!("no list: {ran:?}"));
    let name =
        |object: &str| Path::new(object).file_name().map_or(object.to_owned(), |name| name.to_string_lossy().into());
    changes.iter().map(|change| format!("{} {}", text(&change["act"]), name(text(&change["object"])))).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// How much of content a run tells at most, in bytes.
const CONTENTS: usize = rex_client::change::CONTENTS;

/// The fields that programs rely on are those of this type.
#[test]
fn a_program_that_asks_for_operations_itself_is_told_too() {
    use rex_client::{Broker, Policy, Terms};
    let stage = Stage::new();
    let before = stage.tree();
    let terms = Terms::new().policy(Policy::new("all.cedar", EVERYTHING)).dry_run();
    let broker = Broker::standalone_by(rex_tests::programs().join("rex-broker")).expect("a session");
    let session = broker.operate(terms).expect("a session");
    session.write_file(stage.path("new"), "content\n").expect("it is planned");
    assert_eq!(session.read_file(stage.path("new")).expect("it is seen"), b"content\n");
    let changes: Vec<Change> = session.take_changes();
    assert!(changes.iter().any(|change| change.object.ends_with("/new") && change.content.is_some()), "{changes:?}");
    assert!(session.take_changes().is_empty());
    let outcome = session.end().expect("an outcome");
    assert_eq!(outcome.usage.changes, changes.len() as u64);
    assert!(stage.tree().differences(&before, Closely::Times).is_empty());
}
