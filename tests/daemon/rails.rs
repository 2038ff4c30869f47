//! What the broker keeps to itself, whatever its policies permit.

use crate::refused;
use rex_tests::{Daemon, Settings};

/// Tries each of these in the folder of a broker whose policy permits everything: which of them are denied, and by what.
fn tried(daemon: &Daemon, calls: &[&str]) -> Vec<String> {
    let folder = daemon.folder().display().to_string();
    calls
        .iter()
        .map(|call| {
            let ran = daemon.run(&call.replace("FOLDER", &folder));
            match ran.error_type() {
                "" => "done".to_owned(),
                "ACCESS_DENIED_EXCEPTION" => "denied".to_owned(),
                _ => ran.error().to_owned(),
            }
        })
        .collect()
}

const CHANGES: &[&str] = &[
    "write(\"FOLDER/policies.d/more.cedar\", \"permit(principal, action, resource);\")",
    "write([write::replace], \"FOLDER/policies.d/test.cedar\", \"\")",
    "rm(\"FOLDER/policies.d/test.cedar\")",
    "mkdir(\"FOLDER/policies.d/more\")",
    "mv(\"FOLDER/policies.d/test.cedar\", \"FOLDER/elsewhere\")",
    "DirConfig().path(\"FOLDER/policies.d\").build().open(OpenDirOptions().build()).chmod(ChmodDirOptions().permissions(0o777).build())",
    "rm([rm::r], \"FOLDER/policies.d\")",
    "DirConfig().path(\"FOLDER\").build().open(OpenDirOptions().build()).delete(DeleteDirOptions().recursive(true).build())",
];

#[test]
fn policies_and_socket_are_left_alone_whatever_policy_permits() {
    let daemon = Daemon::start(&Settings::default());
    let tried = tried(&daemon, CHANGES);
    assert!(tried.iter().all(|ended| ended == "denied"), "{tried:#?}");
    assert!(daemon.folder().join("policies.d/test.cedar").is_file());
    assert!(daemon.socket().exists());
    let ran = daemon.run(&format!("write(\"{}/policies.d/x.cedar\", \"\")", daemon.folder().display()));
    assert!(
        ran.error().contains("file_system::Action::\"create\"") || ran.error().contains("\"write\""),
        "{}",
        ran.stdout
    );
    assert_eq!(
        daemon.run(&format!("cat(\"{}/policies.d/test.cedar\").len() > 0", daemon.folder().display())).output(),
        "true"
    );
}

#[test]
fn the_broker_is_not_stopped_by_a_script() {
    let daemon = Daemon::start(&Settings::default());
    for call in
        ["stop(\"rex-broker.service\")", "restart(\"rex-broker.socket\")", "try_restart(\"rex-broker.service\")"]
    {
        let ran = daemon.run(&format!("SystemctlManager().{call}"));
        assert_eq!(ran.error_type(), "ACCESS_DENIED_EXCEPTION", "{call}: {}", ran.stdout);
    }
}

#[test]
fn the_configuration_takes_rails_away_by_name() {
    let config = "[rails]\noff = [\"rex:configuration\"]\n".to_owned();
    let daemon = Daemon::start(&Settings { config, ..Settings::default() });
    assert_eq!(tried(&daemon, &CHANGES[..1]), ["done"]);
    let said = refused(&["--config", "broker.toml"], |folder| {
        std::fs::write(folder.join("broker.toml"), "[rails]\noff = [\"rex:everything\"]\n").expect("a file");
    });
    assert!(said.contains("rex:everything") && said.contains("rex:configuration"), "{said}");
}
