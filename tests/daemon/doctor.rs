//! `rex-broker doctor`: what it finds, and that it agrees with the broker.

use rex_tests::{Daemon, Settings, programs};
use std::path::Path;
use std::process::{Command, Output};

fn doctor(configuration: &Path, policies: &Path) -> (Output, serde_json::Value) {
    let done = Command::new(programs().join("rex-broker"))
        .args(["doctor", "--output-format", "json", "--config"])
        .arg(configuration)
        .arg("--policies")
        .arg(policies)
        .output()
        .expect("rex-broker starts");
    let found = serde_json::from_slice(&done.stdout).expect("JSON");
    (done, found)
}

fn state<'a>(found: &'a serde_json::Value, what: &str) -> &'a str {
    let finding = found["findings"].as_array().and_then(|all| all.iter().find(|finding| finding["what"] == what));
    finding.and_then(|finding| finding["state"].as_str()).unwrap_or("not looked at")
}

#[test]
fn where_a_broker_runs_nothing_is_missing() {
    let daemon = Daemon::start(&Settings::default());
    let folder = daemon.folder();
    let (done, found) = doctor(&folder.join("broker.toml"), &folder.join("policies.d"));
    assert_ne!(done.status.code(), Some(1), "{found}");
    for what in ["kernel", "landlock", "seccomp", "openat2", "worker", "network", "policies"] {
        assert!(matches!(state(&found, what), "good" | "weaker"), "{what}: {found}");
    }
}

#[test]
fn what_keeps_a_broker_from_starting_is_found() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (configuration, policies) = (folder.path().join("broker.toml"), folder.path().join("policies.d"));
    std::fs::create_dir(&policies).expect("a folder");
    for (text, policy, what) in [
        ("", "permit(nonsense", "policies"),
        ("worker = \"/etc/hostname\"", "", "worker"),
        ("sokcet = 1", "", "configuration"),
    ] {
        std::fs::write(&configuration, text).expect("a file");
        std::fs::write(policies.join("a.cedar"), policy).expect("a file");
        let (done, found) = doctor(&configuration, &policies);
        assert_eq!((done.status.code(), state(&found, what)), (Some(1), "missing"), "{found}");
        assert_eq!(found["state"], "missing");
    }
}
