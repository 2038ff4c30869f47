//! Names that mean several addresses, and name servers that lie.

use crate::server::{Server, answer};
use rex_tests::{Daemon, Settings, is_root, put_in_place_of, skip, with_private_mounts};
use std::net::UdpSocket;
use std::path::Path;

/// A broker on a machine where these files stand for names, that permits everything but what `policy` forbids.
fn with_names(hosts: &str, configuration: &str, policy: &str, test: impl FnOnce(&Daemon) + Send) {
    with_policy(hosts, configuration, format!("permit(principal, action, resource);\n{policy}"), test);
}

/// One that permits GET where this holds, and nothing else.
fn with_only(configuration: &str, condition: &str, test: impl FnOnce(&Daemon) + Send) {
    let get = "permit(principal, action == network::Action::\"GET\", resource)";
    with_policy("", configuration, format!("{get} when {{ {condition} }};"), test);
}

fn with_policy(hosts: &str, configuration: &str, policy: String, test: impl FnOnce(&Daemon) + Send) {
    if !is_root() {
        return skip("only root gives this machine other names");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (new_hosts, new_configuration) = (folder.path().join("hosts"), folder.path().join("resolv.conf"));
    std::fs::write(&new_hosts, hosts).expect("a file");
    std::fs::write(&new_configuration, configuration).expect("a file");
    with_private_mounts(|| {
        put_in_place_of(Path::new("/etc/hosts"), &new_hosts);
        let real = Path::new("/etc/resolv.conf").canonicalize().expect("a file");
        put_in_place_of(&real, &new_configuration);
        test(&Daemon::start(&Settings { policy, ..Settings::default() }));
    });
}

#[test]
fn of_several_addresses_only_those_are_tried_that_are_allowed() {
    let inner = Server::at("127.0.0.2", |_, stream| answer(stream, "inner"));
    let port = inner.port();
    let hosts = "127.0.0.2 both.example inner.example\n127.0.0.3 both.example\n";
    let forbid = "forbid(principal, action, resource is network::url) when { resource.ip == ip(\"127.0.0.2\") };";
    with_names(hosts, "nameserver 127.0.0.1\n", forbid, |daemon| {
        for call in [
            format!("curl(\"http://both.example:{port}/\")"),
            format!("connect(\"both.example\", {port}, TransportProtocol::TCP)"),
        ] {
            let ran = daemon.run(&call);
            assert_eq!(ran.error_type(), "SCRIPT_EXCEPTION", "{call}: {}", ran.stdout);
            assert!(ran.error().contains("refused"), "{call}: {}", ran.stdout);
        }
        for call in [
            format!("curl(\"http://inner.example:{port}/\")"),
            format!("connect(\"inner.example\", {port}, TransportProtocol::TCP)"),
        ] {
            let ran = daemon.run(&call);
            assert_eq!(ran.error_type(), "ACCESS_DENIED_EXCEPTION", "{call}: {}", ran.stdout);
        }
    });
    assert_eq!(inner.connections(), 0);
}

/// A name server at an address of this machine alone, that answers as told; nothing where something else is there.
fn name_server(address: &str, answers: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> bool {
    let Ok(socket) = UdpSocket::bind((address, 53)) else { return false };
    std::thread::spawn(move || {
        let mut question = [0; 4096];
        // It ends with the test's process.
        while let Ok((length, from)) = socket.recv_from(&mut question) {
            for answer in answers(question.get(..length).unwrap_or_default()) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    true
}

/// The answer to a question for an address of IPv4: this one. To others, none.
fn address(question: &[u8], address: [u8; 4]) -> Vec<u8> {
    let is_v4 = question.get(question.len() - 4..) == Some(&[0, 1, 0, 1]);
    let mut answer = question.to_vec();
    answer[2..4].copy_from_slice(&[0x81, 0x80]);
    if is_v4 {
        answer[7] = 1;
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(address);
    }
    answer
}

#[test]
fn a_name_that_means_another_address_each_time_is_asked_for_once() {
    let count = std::sync::atomic::AtomicU8::new(0);
    let inner = Server::at("127.0.0.2", |_, stream| answer(stream, "inner"));
    let outer = Server::at("127.0.0.4", |_, stream| answer(stream, "outer"));
    // First the address that policy allows, then the one it forbids.
    let served = name_server("127.0.77.1", move |question| {
        let first = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 2;
        vec![address(question, if first { [127, 0, 0, 4] } else { [127, 0, 0, 2] })]
    });
    if !served {
        return skip("it needs port 53 of an address of its own");
    }
    let forbid = "forbid(principal, action, resource is network::url) when { resource.ip == ip(\"127.0.0.2\") };";
    with_names("", "nameserver 127.0.77.1\n", forbid, |daemon| {
        let ask = |port| daemon.run(&format!("curl(\"http://rebinding.example:{port}/\").text"));
        assert_eq!(ask(outer.port()).output(), "outer");
        assert_eq!(ask(inner.port()).error_type(), "ACCESS_DENIED_EXCEPTION");
    });
    assert_eq!(inner.connections(), 0);
}

#[test]
fn name_servers_that_lie_are_not_believed() {
    let wrong_number = |question: &[u8]| {
        let mut answer = address(question, [6, 6, 6, 6]);
        answer[0] ^= 0xff;
        answer
    };
    let wrong_question = |question: &[u8]| {
        let mut answer = address(question, [6, 6, 6, 6]);
        answer[13] ^= 0x20;
        answer[14] = b'z';
        answer
    };
    let loops = |question: &[u8]| {
        let mut answer = address(question, [6, 6, 6, 6]);
        answer.truncate(question.len());
        // A name that is where it begins.
        let here = u16::try_from(question.len()).expect("short");
        answer.extend([0xc0 | (here >> 8) as u8, (here & 0xff) as u8, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 6, 6, 6, 6]);
        answer
    };
    let served = name_server("127.0.77.2", move |question| {
        vec![
            vec![],
            vec![0xff; 4000],
            question.get(..11).unwrap_or_default().to_vec(),
            wrong_number(question),
            wrong_question(question),
            loops(question),
            address(question, [127, 0, 0, 9]),
        ]
    });
    let silent = name_server("127.0.77.3", |_| Vec::new());
    if !served || !silent {
        return skip("it needs port 53 of addresses of its own");
    }
    let resolve = |server: &str| {
        format!(
            "SystemInfo().resolve_hostname(ResolveOptions().hostname(\"a.example\").resolver(\"{server}\").timeout(1).build())"
        )
    };
    let daemon = Daemon::start(&Settings::default());
    let lied = daemon.run(&resolve("127.0.77.2"));
    assert!(!lied.stdout.contains("6.6.6.6"), "{}", lied.stdout);
    assert_eq!(lied.output(), "[\"127.0.0.9\"]", "{}", lied.stdout);
    let silence = daemon.run(&resolve("127.0.77.3"));
    assert!(silence.error().contains("request timed out"), "{}", silence.stdout);
    let nobody = daemon.run(&resolve("127.0.77.4"));
    assert!(nobody.error().contains("DNS resolution failed for hostname: a.example"), "{}", nobody.stdout);
    daemon.until("nothing is left", Daemon::is_idle);
}

#[test]
fn nobody_is_asked_for_a_name_that_is_denied_whatever_its_address() {
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicU8::new(0));
    let counted = std::sync::Arc::clone(&asked);
    let served = name_server("127.0.77.9", move |question| {
        counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        vec![address(question, [127, 0, 0, 4])]
    });
    if !served {
        return skip("it needs port 53 of an address of its own");
    }
    let policy = "forbid(principal, action, resource is network::url) when { !(resource.host == \"open.example\") };
        forbid(principal, action, resource is network::url) when { resource.host == \"open.example\" && resource.is_private };";
    with_names("", "nameserver 127.0.77.9\n", policy, |daemon| {
        let ask = |name: &str| daemon.run(&format!("curl(\"http://{name}/\")"));
        assert_eq!(ask("word.example").error_type(), "ACCESS_DENIED_EXCEPTION");
        assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 0);
        assert_eq!(ask("open.example").error_type(), "ACCESS_DENIED_EXCEPTION");
        assert!(asked.load(std::sync::atomic::Ordering::SeqCst) > 0);
    });
    // The same by what is permitted.
    let before = asked.load(std::sync::atomic::Ordering::SeqCst);
    with_only("nameserver 127.0.77.9\n", "resource.host == \"open.example\" && !resource.is_private", |daemon| {
        let ran = daemon.run("curl(\"http://word.example/\")");
        assert_eq!(ran.error_type(), "ACCESS_DENIED_EXCEPTION", "{}", ran.stdout);
    });
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), before);
}
