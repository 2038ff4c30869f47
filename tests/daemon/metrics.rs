//! Metrics at a socket of their own.

use crate::refused;
use rex_tests::{Daemon, Settings, is_root, skip};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A broker with a socket for metrics in a folder of its own, and where that is.
fn daemon() -> (Daemon, tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).expect("a mode");
    let socket = folder.path().join("metrics.sock");
    let daemon = Daemon::start(&Settings { config: format!("metrics = {socket:?}\n"), ..Settings::default() });
    (daemon, folder, socket)
}

/// What is answered to these bytes.
fn answer(socket: &Path, request: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(15))).expect("a timeout");
    // It may have been refused before all of it was read.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).expect("text")
}

/// The samples of a text that keeps the rules of the format: families apart, each with a type and a help, names that go with
/// the type, `# EOF` at the end.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let (mut families, mut family) = (Vec::new(), None);
    let text = text.strip_suffix("# EOF\n").expect("an end");
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert!(!families.contains(&name), "{name} twice");
            families.push(name);
            family = Some((name, kind));
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help");
            assert!(family.is_some_and(|(family, _)| family == name) && !help.is_empty(), "{line}");
        } else {
            let (sample, value) = line.rsplit_once(' ').expect("a value");
            let (name, kind) = family.expect("a family first");
            let suffix = match kind {
                "counter" => "_total",
                "info" => "_info",
                "gauge" => "",
                other => panic!("{other}"),
            };
            let own = sample.split('{').next().expect("a name");
            assert_eq!(own, format!("{name}{suffix}"), "{line}");
            let before = samples.insert(sample.to_owned(), value.parse().expect("a number"));
            assert!(before.is_none(), "{sample} twice");
        }
    }
    samples
}

fn scrape(socket: &Path) -> BTreeMap<String, f64> {
    let answer = answer(socket, b"GET /metrics HTTP/1.1\r\nHost: rex\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    parse(body)
}

#[test]
fn they_are_openmetrics_and_count_what_happens() {
    let (daemon, _folder, socket) = daemon();
    let mode = std::fs::metadata(&socket).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    daemon.until("the pairs are ready", |_| scrape(&socket)["rex_ready_sessions"] == 2.0);
    let before = scrape(&socket);
    assert_eq!(before["rex_runs_total{end=\"succeeded\"}"], 0.0);
    assert_eq!(before["rex_refusals_total{reason=\"busy\"}"], 0.0);
    assert_eq!(before[&format!("rex_broker_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))], 1.0);
    assert_eq!((before["rex_policies_count"], before["rex_ready_sessions_target"]), (1.0, 2.0));
    assert_eq!(daemon.run("cat(\"/usr/lib/os-release\").len() > 0").output(), "true");
    assert_eq!(daemon.run("throw 1").code, 1);
    daemon.until("both have ended", |_| scrape(&socket)["rex_sessions"] == 0.0);
    let after = scrape(&socket);
    assert_eq!(after["rex_runs_total{end=\"succeeded\"}"], 1.0);
    assert_eq!(after["rex_runs_total{end=\"script\"}"], 1.0);
    assert!(after["rex_decisions_total{decision=\"allow\"}"] >= 2.0);
    assert!(after["rex_audit_sequence"] > before["rex_audit_sequence"]);
    drop(daemon);
    assert!(!socket.exists(), "a broker that is told to stop removes its sockets");
}

#[test]
fn curl_reads_them() {
    let (_daemon, _folder, socket) = daemon();
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--fail", "--max-time", "10", "--unix-socket"]).arg(&socket).arg("http://rex/metrics");
    let Ok(done) = curl.output() else { return skip("curl is not installed") };
    assert!(done.status.success(), "{done:?}");
    assert!(parse(&String::from_utf8_lossy(&done.stdout)).contains_key("rex_sessions"));
}

#[test]
fn what_is_no_request_gets_no_answer_and_does_no_harm() {
    let (daemon, _folder, socket) = daemon();
    let idle = |daemon: &Daemon| daemon.is_idle();
    for bytes in [&b"\r\n\r\n"[..], b"POST / HTTP/1.1\r\n\r\n", b"get / HTTP/1.1\r\n\r\n", b"\0\xff\r\n\r\n"] {
        assert!(answer(&socket, bytes).starts_with("HTTP/1.1 405 "), "{bytes:?}");
    }
    assert_eq!(answer(&socket, &vec![b'x'; 1 << 20]), "");
    // As many as may be answered at a time, who say nothing, say half of it, or do not read.
    let mut held = Vec::new();
    for bytes in [&b""[..], b"GET ", b"GET / HTTP/1.1\r\n\r\n", b"\r"] {
        let mut stream = UnixStream::connect(&socket).expect("it listens");
        let _ = stream.write_all(bytes);
        held.push(stream);
    }
    assert_eq!(daemon.run("1").output(), "1", "clients are served meanwhile");
    // They are given up after a few seconds.
    assert!(scrape(&socket).contains_key("rex_sessions"));
    drop(held);
    daemon.until("nothing is left of it", idle);
}

#[test]
fn nobody_but_root_reads_them() {
    if !is_root() {
        return skip("only root can become another user");
    }
    let (_daemon, _folder, socket) = daemon();
    let read = |socket: &Path| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--max-time", "10", "--unix-socket"]).arg(socket).arg("http://rex/metrics");
        std::os::unix::process::CommandExt::uid(&mut curl, 65534);
        curl.output()
    };
    let Ok(done) = read(&socket) else { return skip("curl is not installed") };
    assert!(!done.status.success() && done.stdout.is_empty(), "{done:?}");
    // Also where somebody has changed the mode.
    std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o666)).expect("a mode");
    let done = read(&socket).expect("curl starts");
    assert!(!done.status.success() && done.stdout.is_empty(), "{done:?}");
    assert!(scrape(&socket).contains_key("rex_sessions"));
}

#[test]
fn a_socket_that_cannot_be_had_is_told_in_one_line() {
    let said = refused(&["--config", "broker.toml"], |folder| {
        std::fs::write(folder.join("broker.toml"), "metrics = \"taken\"\n").expect("a file");
        std::fs::write(folder.join("taken"), "").expect("a file");
    });
    assert!(said.contains("cannot listen on `taken`") && said.contains("no socket"), "{said}");
    assert!(!is_metrics_there_without_being_asked_for(), "off unless it is configured");
}

fn is_metrics_there_without_being_asked_for() -> bool {
    let daemon = Daemon::start(&Settings::default());
    let sockets = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let folder = daemon.folder().display().to_string();
    sockets.lines().any(|line| line.contains(&folder) && line.contains("metrics"))
}
