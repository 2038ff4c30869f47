//! Servers that send too much, too little, too slowly, or nonsense.

use crate::server::{Server, answer};
use rex_client::{Broker, FailureKind, Text};
use rex_protocol::limits::LimitName;
use rex_protocol::network::{Fetch, Method};
use rex_tests::{Daemon, Settings};
use std::io::Write;
use std::net::TcpStream;

/// What a request to such a server ends in; the broker serves on.
fn error(serve: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static, call: &str) -> String {
    let server = Server::new(serve);
    let daemon = Daemon::start(&Settings::default());
    let script = format!(
        "try {{ {} }} catch (e) {{ return e.message; }}",
        call.replace("URL", &format!("\"{}\"", server.url("/")))
    );
    let ran = daemon.run(&format!("fn ask() {{ {script} }} ask()"));
    daemon.until("nothing is left", Daemon::is_idle);
    assert_eq!(daemon.run("1").output(), "1", "the broker serves on");
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    ran.output().to_owned()
}

const GET: &str = "return Client().timeout(3).get(URL).send().text;";

fn failed(said: &str, why: &str) {
    assert!(said.starts_with("Failed to send a request: reason: error sending request for url (http://"), "{said}");
    assert!(said.contains(why), "{said}");
}

#[test]
fn endless_headers() {
    let said = error(
        |_, stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
            while stream.write_all(b"X-More: and more and more and more and more\r\n").is_ok() {}
        },
        GET,
    );
    failed(&said, "");
}

#[test]
fn an_endless_line() {
    let said = error(
        |_, stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 ");
            while stream.write_all(&[b'x'; 4096]).is_ok() {}
        },
        GET,
    );
    failed(&said, "");
}

#[test]
fn an_endless_body() {
    let serve = |_: &str, stream: &mut TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 65536]).is_ok() {}
    };
    failed(&error(serve, "return Client().get(URL).send().text;"), "more than 16777216 bytes");
    assert_eq!(error(serve, "return Client().max_text_bytes(5).get(URL).send().text;"), "xxxxx");
}

#[test]
fn endless_chunks_that_are_empty_but_for_their_extensions() {
    let said = error(
        |_, stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            while stream.write_all(b"1;x=y\r\nz\r\n").is_ok() {}
        },
        "return Client().timeout(2).get(URL).send().text;",
    );
    failed(&said, "");
}

#[test]
fn a_drip() {
    for begin in ["HTTP/1.1 200 ", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"] {
        let said = error(
            move |_, stream| {
                let _ = stream.write_all(begin.as_bytes());
                while stream.write_all(b"x").is_ok() {
                    std::thread::sleep(std::time::Duration::from_millis(100));
                }
            },
            "return Client().timeout(1).get(URL).send().text;",
        );
        failed(&said, "timed out");
    }
}

#[test]
fn silence() {
    let said = error(
        |_, _| std::thread::sleep(std::time::Duration::from_secs(4)),
        "return Client().timeout(1).get(URL).send().text;",
    );
    failed(&said, "timed out");
}

#[test]
fn what_is_packed_stays_packed() {
    // A kibibyte that would be a mebibyte.
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(&vec![0; 1 << 20]).expect("bytes");
    let packed = packer.finish().expect("bytes");
    let length = packed.len();
    let said = error(
        move |head, stream| {
            assert!(!head.to_lowercase().contains("accept-encoding"), "{head}");
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n");
            let _ = stream.write_all(&packed);
        },
        "return Client().get(URL).send().text.len().to_string();",
    );
    assert!(said.parse::<usize>().is_ok_and(|told| told <= length), "{said} of {length}");
}

#[test]
fn nonsense() {
    for sent in [
        &b"SSH-2.0-x\r\n"[..],
        b"HTTP/9.9 000 \r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx",
        b"HTTP/1.1 200 OK\r\n\0\xff: \x01\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"\0\0\0\0",
        b"",
    ] {
        failed(&error(move |_, stream| drop(stream.write_all(sent)), GET), "");
    }
}

#[test]
fn a_run_that_is_cancelled_does_not_wait() {
    let server = Server::new(|_, _| std::thread::sleep(std::time::Duration::from_secs(20)));
    let daemon = Daemon::start(&Settings::default());
    let ran = daemon.run_with(&format!("curl(\"{}\")", server.url("/")), &["--timeout", "500ms"]);
    assert!(ran.error().contains("time limit") || ran.error().contains("timed out"), "{}", ran.stdout);
    daemon.until("nothing is left", Daemon::is_idle);
}

#[test]
fn no_proxy_is_asked() {
    let proxy = Server::new(|_, stream| answer(stream, "by the proxy"));
    let server = Server::new(|_, stream| answer(stream, "by the server"));
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let mut command = std::process::Command::new(rex_tests::programs().join("rex-exec"));
    command.args(["--standalone", "--output-format", "json", "--policy-file"]);
    command.arg(file("policy", "permit(principal, action, resource);")).arg("--script-file");
    command.arg(file("script", &format!("curl(\"{}\").text", server.url("/"))));
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"] {
        command.env(name, proxy.url("/"));
    }
    let ran = rex_tests::Ran::of(&command.output().expect("rex-exec starts"));
    assert_eq!(ran.output(), "by the server", "{}", ran.stdout);
    assert_eq!(proxy.connections(), 0);
}

#[test]
fn what_is_sent_is_the_request_and_nothing_else() {
    let server = Server::new(|head, stream| answer(stream, head));
    let daemon = Daemon::start(&Settings::default());
    let ran = daemon.run(&format!("curl(\"{}\").text.to_lower()", server.url("/a b?c#d")));
    let mut lines: Vec<&str> = ran.output().lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.remove(0), "get /a%20b?c http/1.1");
    lines.sort_unstable();
    assert_eq!(lines, ["accept: */*", &format!("host: 127.0.0.1:{}", server.port())]);
}

/// What a client holds in its session's memory is bounded as its own would be.
#[test]
fn bodies_that_are_kept_are_counted() {
    const SIZE: usize = 8 << 20;
    let server = Server::new(|_, stream| answer(stream, &"x".repeat(SIZE)));
    let daemon = Daemon::start(&Settings { config: "[limits]\nmemory_mib = 40\n".into(), ..Settings::default() });
    let session = Broker::connect_to(daemon.socket()).expect("the broker listens").session().expect("a session");
    let fetch = || {
        let (headers, url) = (Vec::new(), Text::cut(server.url("/")));
        session.call(&Fetch { method: Method::Get, url, headers, body: None, most: None, time_ms: None })
    };
    let held: Vec<_> = (0..5).map(|_| session.hold(fetch().expect("a response").body.expect("a body"))).collect();
    let refused = fetch().expect_err("six are more than 40 MiB");
    assert_eq!(refused.failure().map(|failure| &failure.kind), Some(&FailureKind::Limit(LimitName::Memory)));
    drop(held);
    assert!(fetch().is_ok(), "what is let go of makes room");
}
