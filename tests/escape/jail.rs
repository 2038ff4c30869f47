//! Native code in a sealed worker.

use crate::{native, with_probe};
use rex_tests::{Daemon, Settings, is_root, programs, skip};

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
fn only_stored_files_are_donated_and_only_to_who_may_read_them() {
    let donates = |daemon: &Daemon, path: &str| daemon.run(&format!("donated {path}")).output().to_owned();
    let daemon = with_probe("");
    assert_eq!(donates(&daemon, "/etc/passwd"), "donated");
    for made_up in ["/proc/version", "/proc/kallsyms", "/sys/kernel/profiling", "/sys/kernel/uevent_seqnum"] {
        assert_eq!(donates(&daemon, made_up), "not donated", "{made_up}");
    }
    let worker = Some(programs().join("rex-probe"));
    let policy = "permit(principal, action, resource);\n\
        forbid(principal, action == file_system::Action::\"read\", resource);";
    let redacting = Daemon::start(&Settings { worker, policy: policy.into(), ..Settings::default() });
    assert_eq!(donates(&redacting, "/etc/passwd"), "not donated");
}

#[test]
fn a_donated_descriptor_is_an_opening_of_its_own_to_read_from() {
    if !is_root() {
        return skip("only root sees the descriptors of a worker");
    }
    let daemon = with_probe("");
    let openings = |flags: &str| {
        let of = |pid: u32| {
            let numbers = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
            let files = numbers.filter(|fd| std::fs::read_link(fd.path()).is_ok_and(|path| path == *"/etc/passwd"));
            files.map(|fd| format!("/proc/{pid}/fdinfo/{}", fd.file_name().display())).collect::<Vec<_>>()
        };
        let infos = daemon.descendants().into_iter().flat_map(of).filter_map(|path| std::fs::read_to_string(path).ok());
        infos.filter(|info| info.contains("pos:\t0\n") && info.contains(flags)).count()
    };
    std::thread::scope(|scope| {
        scope.spawn(|| daemon.run_with("wire: holds what was donated", &["--timeout", "4"]));
        // O_RDONLY, beside O_LARGEFILE, O_NONBLOCK and, in the session, O_CLOEXEC: the probe takes it without.
        daemon.until("the session has one and the worker another", |_| {
            openings("flags:\t02104000\n") == 1 && openings("flags:\t0104000\n") == 1
        });
        assert_eq!(openings(""), 2);
    });
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
