//! A bus that is not there, says nothing, or says nonsense: the call fails, in time, and names the bus.

use rex_tests::{Ran, programs};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Asks for the start of a unit over the bus at this address.
fn start(address: &str, timeout: &str) -> Ran {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let done = Command::new(programs().join("rex-exec"))
        .args(["--standalone", "--output-format", "json", "--timeout", timeout, "--policy-file"])
        .arg(file("policy.cedar", "permit(principal, action, resource);"))
        .arg("--script-file")
        .arg(file("script.rhai", "SystemctlManager().start(\"a.service\")"))
        .env("DBUS_SYSTEM_BUS_ADDRESS", address)
        .stdin(Stdio::null())
        .output()
        .expect("rex-exec starts");
    Ran::of(&done)
}

/// A bus that does this with the one who connects.
fn with_bus(serve: impl FnOnce(UnixStream) + Send, ask: impl FnOnce(&str)) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("bus");
    let listener = UnixListener::bind(&path).expect("a socket");
    std::thread::scope(|scope| {
        scope.spawn(|| serve(listener.accept().expect("a connection").0));
        ask(&format!("unix:path={}", path.display()));
    });
}

/// Lets the one who connects in, and reads its first call.
fn let_in(stream: UnixStream) -> BufReader<UnixStream> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).expect("a line");
    assert!(line.starts_with("\0AUTH EXTERNAL "), "{line:?}");
    stream.get_mut().write_all(b"OK 0123456789abcdef0123456789abcdef\r\n").expect("it hears");
    line.clear();
    stream.read_line(&mut line).expect("a line");
    assert_eq!(line, "BEGIN\r\n");
    stream
}

/// Waits until the other side is gone.
fn wait_for_the_end(mut stream: impl std::io::Read) {
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
}

fn is_error(ran: &Ran, says: &str) {
    assert_eq!(ran.error_type(), "SCRIPT_EXCEPTION", "{}", ran.stdout);
    assert!(ran.error().starts_with("ProcessErrorKind: DBusError: "), "{}", ran.error());
    assert!(ran.error().contains(says), "{says}: {}", ran.error());
}

#[test]
fn a_bus_that_is_not_there_is_an_error() {
    is_error(&start("unix:path=/no/such/bus", "30s"), "Failed to connect to system bus: No such file or directory");
    is_error(&start("tcp:host=127.0.0.1,port=1", "30s"), "DBUS_SYSTEM_BUS_ADDRESS names no Unix socket");
    let file = tempfile::NamedTempFile::new().expect("a file");
    let path: &Path = file.path();
    is_error(&start(&format!("unix:path={}", path.display()), "30s"), "Failed to connect to system bus: ");
}

#[test]
fn a_silent_bus_costs_no_more_than_the_runs_time() {
    for answers in [false, true] {
        let serve =
            |stream: UnixStream| if answers { wait_for_the_end(let_in(stream)) } else { wait_for_the_end(stream) };
        with_bus(serve, |address| {
            let ran = start(address, "1s");
            assert!(ran.error().contains("time limit"), "{}", ran.stdout);
        });
    }
}

#[test]
fn a_bus_that_lets_nobody_in_is_an_error() {
    let serve = |stream: UnixStream| {
        let mut stream = BufReader::new(stream);
        stream.read_line(&mut String::new()).expect("a line");
        stream.get_mut().write_all(b"REJECTED EXTERNAL\r\n").expect("it hears");
    };
    with_bus(serve, |address| is_error(&start(address, "30s"), "it does not let us in"));
    // A line without an end.
    let serve = |mut stream: UnixStream| while stream.write_all(&[b'x'; 4096]).is_ok() {};
    with_bus(serve, |address| is_error(&start(address, "30s"), "Failed to connect to system bus: "));
}

#[test]
fn a_bus_that_hangs_up_is_an_error() {
    with_bus(|stream| drop(let_in(stream)), |address| is_error(&start(address, "30s"), "Error.Disconnected"));
    // In the midst of a message.
    let serve = |stream: UnixStream| let_in(stream).get_mut().write_all(b"l\x02\0\x01").expect("it hears");
    with_bus(serve, |address| is_error(&start(address, "30s"), "Error.Disconnected"));
}

#[test]
fn nonsense_is_an_error() {
    let header = |first: u8, body: u32, fields: u32| {
        [&[first, 2, 0, 1][..], &body.to_le_bytes(), &7u32.to_le_bytes(), &fields.to_le_bytes()].concat()
    };
    let messages = [
        vec![b'x'; 64],
        header(b'l', u32::MAX, 0),
        header(b'l', 0, 1 << 30),
        [header(b'l', 0, 16), vec![0xff; 16]].concat(),
        [header(b'B', 0, 0x1000_0000), vec![0; 64]].concat(),
    ];
    for message in messages {
        let serve = |stream: UnixStream| {
            let mut stream = let_in(stream);
            stream.get_mut().write_all(&message).expect("it hears");
            wait_for_the_end(stream);
        };
        with_bus(serve, |address| is_error(&start(address, "30s"), "D-Bus operation failed: "));
    }
}

#[test]
fn an_endless_stream_of_signals_costs_no_more_than_the_runs_time() {
    // A signal without anything in it, again and again, and never the reply.
    let signal = [b'l', 4, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0].repeat(256);
    let serve = |stream: UnixStream| {
        let mut stream = let_in(stream);
        while stream.get_mut().write_all(&signal).is_ok() {}
    };
    with_bus(serve, |address| {
        let ran = start(address, "2s");
        assert!(ran.error().contains("time limit"), "{}", ran.stdout);
    });
}
