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

/// A script names what it changes by the real path, and could lead the configured one elsewhere.
#[test]
fn links_to_what_is_configured_do_not_lead_around_rails() {
    let folder = rex_tests::scratch();
    let root = folder.path();
    std::fs::create_dir_all(root.join("real/below")).expect("a folder");
    std::os::unix::fs::symlink("real", root.join("link")).expect("a link");
    std::fs::write(root.join("real/below/entities.json"), "[]").expect("a file");
    let path = |path: &str| root.join(path).display().to_string();
    let config = format!(
        "entities = {:?}\nallowed_signers = {:?}\n",
        path("link/below/entities.json"),
        path("link/missing/signers")
    );
    let daemon = Daemon::start(&Settings { config, ..Settings::default() });
    let calls = [
        format!("write([write::replace], {:?}, \"[]\")", path("real/below/entities.json")),
        format!("write([write::replace], {:?}, \"[]\")", path("link/below/entities.json")),
        format!("rm({:?})", path("real/below/entities.json")),
        format!(
            "let d = DirConfig().path({:?}).build().open(OpenDirOptions().build());
             d.create_symlink(\"/tmp\", \"link\", CreateSymlinkOptions().force(true).build())",
            path("")
        ),
        // What leads to something that is not there yet.
        format!(
            "let d = DirConfig().path({:?}).build().open(OpenDirOptions().build());
             d.create_symlink(\"/tmp\", \"missing\", CreateSymlinkOptions().build())",
            path("real")
        ),
        format!("write({:?}, \"\")", path("real/missing")),
        format!(
            "let at = |path| DirConfig().path({:?} + path).build().open(OpenDirOptions().build());
             at.call(\"/real\").move(at.call(\"/real/below\"), at.call(\"\"), \"elsewhere\", MoveOptions().build())",
            path("")
        ),
    ];
    for call in &calls {
        assert_eq!(daemon.run(call).error_type(), "ACCESS_DENIED_EXCEPTION", "{call}: {}", daemon.run(call).stdout);
    }
    let beside = daemon.run(&format!("mkdir({:?}); write({:?}, \"\")", path("real/other"), path("real/below/other")));
    assert_eq!(beside.code, 0, "{}", beside.stdout);
}

#[test]
fn the_configuration_itself_is_left_alone() {
    let daemon = Daemon::start(&Settings::default());
    let calls = [
        "write([write::append], \"FOLDER/broker.toml\", \"# by a script\")",
        "rm(\"FOLDER/broker.toml\")",
        "mv(\"FOLDER/broker.toml\", \"FOLDER/elsewhere\")",
    ];
    assert_eq!(tried(&daemon, &calls), ["denied"; 3]);
}

#[test]
fn no_directory_is_moved_to_where_rails_are_below() {
    let folder = rex_tests::scratch();
    let root = folder.path().display().to_string();
    let config = format!("allowed_signers = \"{root}/system/rex.d/signers\"\n");
    let daemon = Daemon::start(&Settings { config, ..Settings::default() });
    std::fs::create_dir_all(folder.path().join("t/rex.d")).expect("a folder");
    std::fs::write(folder.path().join("t/rex.d/signers"), "evil").expect("a file");
    std::fs::create_dir(folder.path().join("system")).expect("a folder");
    let script = format!(
        "let at = |path| DirConfig().path(\"{root}/\" + path).build().open(OpenDirOptions().build());
         at.call(\".\").move(at.call(\"t\"), at.call(\".\"), \"system\", MoveOptions().build())"
    );
    assert_eq!(daemon.run(&script).error_type(), "ACCESS_DENIED_EXCEPTION", "{}", daemon.run(&script).stdout);
    assert!(folder.path().join("t/rex.d/signers").is_file());
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
