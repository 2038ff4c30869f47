//! Native code in a sealed worker.

use crate::{native, with_probe};
use rex_tests::{Daemon, Settings, programs};

#[test]
fn every_attack_by_system_call_ends_the_worker() {
    let daemon = with_probe("");
    let mut survived = Vec::new();
    let (controls, attacks): (Vec<_>, Vec<_>) =
        native::ATTACKS.iter().partition(|(name, _)| name.starts_with("control"));
    assert!(attacks.len() >= 40, "{} attacks are not enough", attacks.len());
    for (name, _) in controls {
        let ran = daemon.run(name);
        assert_eq!((ran.code, ran.output()), (0, "returned 0"), "{name}: {ran:?}");
    }
    for (name, _) in attacks {
        let ran = daemon.run(name);
        if !ran.error().contains("forbidden system call") {
            survived.push(format!("{name}: exit {} `{}` {}", ran.code, ran.output(), ran.error()));
        }
    }
    assert!(survived.is_empty(), "{} attacks did not end the worker:\n{}", survived.len(), survived.join("\n"));
    assert_eq!(daemon.run("control: nothing").output(), "returned 0", "the broker serves on");
}

#[test]
fn a_worker_that_does_not_seal_itself_is_given_no_script() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let worker = folder.path().join("rex-probe-unsealed");
    std::fs::copy(programs().join("rex-probe"), &worker).expect("a copy of the probe");
    let refused = std::panic::catch_unwind(|| Daemon::start(&Settings { worker: Some(worker), ..Settings::default() }));
    let said = *refused.expect_err("the broker starts").downcast::<String>().expect("a message");
    assert!(said.contains("not sealed: ") && said.contains("Seccomp"), "{said}");
}
