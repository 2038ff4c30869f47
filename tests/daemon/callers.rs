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
