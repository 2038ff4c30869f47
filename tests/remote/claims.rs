//! Who may say that it comes by SSH, and by which key.

use crate::server::{REX_EXEC, Server, Setup, said};
use rex_tests::run;
use std::process::Stdio;
use std::time::{Duration, Instant};

const POLICY: &str = "permit(principal, action, resource) when { context.session.via == \"ssh\" };";
const SCRIPT: &str = "hostname().len() > 0";

fn setup() -> Setup {
    Setup { policy: POLICY, forced: "" }
}

#[test]
fn nobody_comes_by_ssh_whom_sshd_did_not_start() {
    Server::with(&setup(), |server| {
        let claimed = |account: &str, command: &str| server.ssh(account, &command.replace("REX", REX_EXEC), SCRIPT);
        for command in ["exec REX --ssh", "REX --ssh; true"] {
            assert_eq!(said(&claimed("ana", command)), ("true".into(), String::new()), "{command}: {}", server.log());
        }
        for (account, command) in [
            ("ana", "(REX --ssh; true); true"),
            ("ana", "sh -c 'REX --ssh; true'; true"),
            ("root", "(REX --ssh; true); true"),
        ] {
            let (output, error) = said(&claimed(account, command));
            assert!(output.is_empty(), "{command}: {output}");
            assert!(error.contains("sshd did not start the caller"), "{command}: {error}");
        }
        // What outlives its connection has not come by it.
        let left = "echo 'hostname().len() > 0' > script; setsid sh -c 'while kill -0 $PPID; do sleep 0.01; done; \
            env -u SSH_USER_AUTH REX --ssh script; echo end' < script > said 2>&1 & exit";
        claimed("ana", left);
        let said_later = || std::fs::read_to_string("/run/home/ana/said").unwrap_or_default();
        server.daemon.until("it says something", |_| said_later().ends_with("end\n"));
        assert!(said_later().contains("sshd did not start the caller"), "{}", said_later());
        let ran = server.ssh("root", &format!("exec {REX_EXEC} --ssh"), SCRIPT);
        assert_eq!(said(&ran), ("true".into(), String::new()), "{}", server.log());
        let script = server.daemon.folder().join("script");
        std::fs::write(&script, SCRIPT).expect("a script");
        let ran = run(&["--ssh", script.to_str().expect("text")], server.daemon.folder());
        assert_eq!(ran.code, 4, "{ran:?}");
        assert!(ran.stderr.contains("sshd did not start the caller"), "{ran:?}");
    });
}

/// Where sshd itself connects to the broker, for whoever is at the other end, that one is the account and no more.
#[test]
fn a_forwarded_connection_does_not_come_by_ssh() {
    Server::with(&setup(), |server| {
        let script = server.daemon.folder().join("script");
        std::fs::write(&script, SCRIPT).expect("a script");
        for account in ["ana", "root"] {
            let socket = format!("/run/ssh/{account}.sock");
            let forward = format!("{socket}:{}", rex_client::SOCKET);
            let mut client = server.client("key1", account, &["-N", "-L", &forward, "-o", "ExitOnForwardFailure=yes"]);
            let mut client = client.stdin(Stdio::null()).spawn().expect("ssh starts");
            let end = Instant::now() + Duration::from_secs(20);
            while !std::path::Path::new(&socket).exists() {
                assert!(Instant::now() < end, "nothing is forwarded: {}", server.log());
                std::thread::sleep(Duration::from_millis(5));
            }
            let claimed = run(&["--ssh", "--socket", &socket, script.to_str().expect("text")], server.daemon.folder());
            let plain = run(&["--socket", &socket, script.to_str().expect("text")], server.daemon.folder());
            let _ = client.kill();
            let _ = client.wait();
            assert!(claimed.stderr.contains("sshd did not start the caller"), "{account}: {claimed:?}");
            assert_eq!((claimed.code, plain.code), (4, 4), "{account}: {plain:?}");
            assert!(plain.stderr.contains(&format!("{account} unauthorized")), "{account}: {plain:?}");
        }
        let mut refused = server.client("key1", "deploy", &["-N", "-o", "ExitOnForwardFailure=yes"]);
        let refused =
            refused.args(["-R", "/run/home/deploy/x:127.0.0.1:22"]).stdin(Stdio::null()).output().expect("ssh starts");
        assert_eq!(refused.status.code(), Some(255), "{refused:?}");
    });
}
