//! Who may ask at all.

use rex_tests::{Daemon, Settings, is_root, skip};
use std::process::Command;

/// Connects, and prints what the broker says by itself.
const LISTEN: &str = "import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.settimeout(1)
try: print(s.recv(4096))
except TimeoutError: print('nothing')";

/// In a user namespace a process can put away its groups, and with them what policies forbid to these.
#[test]
fn a_process_in_a_user_namespace_of_its_own_is_refused() {
    if !is_root() {
        return skip("the daemon of a plain user serves nobody else");
    }
    let daemon = Daemon::start(&Settings::default());
    let said = |prefix: &[&str]| {
        let socket = daemon.socket().display().to_string();
        let words = [prefix, &["python3", "-c", LISTEN, &socket]].concat();
        let done = Command::new(words[0]).args(&words[1..]).output().expect("it runs");
        String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned()
    };
    let inside = said(&["unshare", "--user", "--map-root-user"]);
    if inside.contains("unshare") {
        return skip("this host has no user namespaces");
    }
    assert!(inside.contains("user namespace"), "{inside}");
    assert!(!said(&["env"]).contains("user namespace"));
}

/// As the kernel tells it (capabilities(7)).
const DAC_OVERRIDE: u64 = 1 << 1;
const DAC_READ_SEARCH: u64 = 1 << 2;

#[test]
fn a_session_keeps_no_capability_that_no_policy_could_need() {
    if !is_root() {
        return skip("a plain user has none");
    }
    let look = "permit(principal, action in [file_system::Action::\"open\", file_system::Action::\"read\"], resource);";
    for (policy, is_reduced) in [(look, true), ("permit(principal, action, resource);", false)] {
        let config = "[runs]\nready = 0".into();
        let daemon = Daemon::start(&Settings { policy: policy.into(), config, ..Settings::default() });
        std::thread::scope(|scope| {
            scope.spawn(|| daemon.run("sleep(1)"));
            daemon.until("the run begins", |daemon| daemon.log().contains("run begins"));
            let session = daemon.descendants()[0];
            for set in ["CapEff", "CapPrm", "CapBnd"] {
                let had = capabilities(session, set);
                assert_eq!(had & DAC_OVERRIDE == 0, is_reduced, "{set}: {had:x}");
                assert!(had & DAC_READ_SEARCH != 0, "{set}: {had:x}");
            }
        });
    }
}

fn capabilities(process: u32, set: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix(set)?.strip_prefix(":\t")).expect("a set");
    u64::from_str_radix(line, 16).expect("a number")
}
