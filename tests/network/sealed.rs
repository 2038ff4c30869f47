//! The program that speaks on the network, as the kernel sees it.

use crate::server::{Server, answer};
use rex_tests::{Daemon, Settings, programs};
use std::path::Path;
use std::time::Duration;

#[test]
fn what_is_not_the_sealed_program_gets_no_connection() {
    let server = Server::new(|_, stream| answer(stream, "spoken to"));
    for program in [Path::new("/usr/bin/true"), Path::new("/no/such/program"), &programs().join("rex-worker")] {
        let config = format!("net = {program:?}\n");
        let daemon = Daemon::start(&Settings { config, ..Settings::default() });
        let ran = daemon.run(&format!("curl(\"{}\").text", server.url("/")));
        assert!(ran.error().contains("Failed to send a request"), "{}: {}", program.display(), ran.stdout);
        daemon.until("nothing is left", Daemon::is_idle);
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn it_has_nothing_but_its_socket_and_the_connection() {
    let server = Server::new(|_, _| std::thread::sleep(Duration::from_secs(3)));
    let daemon = Daemon::start(&Settings::default());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            daemon.run(&format!("try {{ Client().timeout(2).get(\"{}\").send(); }} catch {{}}", server.url("/")))
        });
        daemon.until("a request is under way", |_| server.connections() > 0);
        let read = |pid: u32, name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let mut found = daemon.descendants();
        found.retain(|pid| read(*pid, "comm").trim() == "rex-net");
        let [pid] = found[..] else { panic!("{found:?}") };
        let status = read(pid, "status");
        for line in
            ["NoNewPrivs:\t1", "Seccomp:\t2", "Threads:\t1", "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000"]
        {
            assert!(status.contains(line), "{line}: {status}");
        }
        if rex_tests::is_root() {
            let mut descriptors: Vec<_> = std::fs::read_dir(format!("/proc/{pid}/fd"))
                .expect("its descriptors")
                .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
                .collect();
            descriptors.sort();
            assert_eq!(descriptors, ["0", "1", "2", "3", "4"]);
            for namespace in ["net", "mnt", "pid", "ipc", "uts"] {
                let of = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/{namespace}")).expect("a namespace");
                assert_ne!(of(pid), of(std::process::id()), "{namespace}");
            }
            let uid = status.lines().find_map(|line| line.strip_prefix("Uid:\t")).expect("its user");
            assert!(uid.starts_with("21"), "{uid}");
        }
    });
    daemon.until("nothing is left", Daemon::is_idle);
}
