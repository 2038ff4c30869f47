//! A client that asks for operations itself and speaks the protocol wrongly, or not at all.

use crate::client::{PASS_ON, connect, heard, refusal, submission};
use rex_protocol::client::{EndClass, Ending, FromClient, Operate, RefusalReason, ToClient};
use rex_protocol::fs::{Execute, ListDir, MakeDir, OpenDir, OpenFile, OpenedDir, Read};
use rex_protocol::handle::{Dir, File};
use rex_protocol::path::{AbsPath, Name};
use rex_protocol::text::Text;
use rex_protocol::wire::{FRAME, Frames, PACKET, PREAMBLE, decode, encode, frame};
use rex_protocol::{Handle, Operation, VERSION};
use rex_tests::{Daemon, Settings, programs, skip};
use std::io::{Read as _, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

fn opening() -> FromClient {
    FromClient::Operate(Box::new(Operate {
        version: Text::cut(VERSION),
        policy: None,
        strict: false,
        time_ms: None,
        reason: None,
        dry_run: false,
    }))
}

fn opened() -> Vec<u8> {
    [PREAMBLE.as_slice(), &frame(&opening()).expect("a frame")].concat()
}

fn raw_request(closed: Vec<u64>, name: &str, body: Vec<u8>) -> Vec<u8> {
    frame(&FromClient::Request { closed, name: Text::cut(name), body }).expect("a frame")
}

fn request<O: Operation>(operation: &O) -> Vec<u8> {
    raw_request(Vec::new(), O::NAME, encode(operation).expect("a request"))
}

fn open_dir(path: &Path) -> OpenDir {
    OpenDir { path: AbsPath::parse(path.as_os_str().as_encoded_bytes()).expect("a path"), follow: false, create: None }
}

/// A directory that is made if the request is carried out.
fn make_dir(path: &Path) -> Vec<u8> {
    request(&MakeDir { path: open_dir(path).path, parents: false })
}

/// An `OpenDir` whose path never went through `AbsPath`.
fn with_path(path: &[u8]) -> Vec<u8> {
    let mut body = encode(&serde_bytes::Bytes::new(path)).expect("bytes");
    body.extend_from_slice(&[0, 0]);
    raw_request(Vec::new(), OpenDir::NAME, body)
}

/// The next message of the broker.
fn hear(stream: &mut UnixStream, frames: &mut Frames) -> ToClient {
    let mut buffer = [0; 65536];
    loop {
        if let Some(body) = frames.next_frame().expect("the broker speaks its own protocol") {
            return decode(&body).expect("the broker speaks its own protocol");
        }
        let count = stream.read(&mut buffer).expect("an answer");
        assert_ne!(count, 0, "the broker closed the connection");
        frames.push(&buffer[..count]);
    }
}

/// A session in which `/` is open as handle 1.
fn with_root_open(daemon: &Daemon) -> UnixStream {
    let (mut stream, mut frames) = (connect(daemon), Frames::new(FRAME));
    stream.write_all(&[opened(), request(&open_dir(Path::new("/")))].concat()).expect("the broker reads");
    assert!(matches!(hear(&mut stream, &mut frames), ToClient::Accepted { .. }));
    match hear(&mut stream, &mut frames) {
        ToClient::Reply(Ok(reply)) => {
            let reply: OpenedDir = decode(&reply).expect("a reply");
            assert_eq!(reply.dir, Handle::from_id(1));
        }
        other => panic!("{other:?}"),
    }
    stream
}

/// What the client is told of its violation, if that is how its run ended.
fn violation(messages: &[ToClient]) -> Option<String> {
    match messages {
        [.., ToClient::Outcome(outcome)] => match &outcome.ending {
            Ending::Failed { class: EndClass::ClientViolation, message } => Some(message.to_string()),
            _ => None,
        },
        _ => None,
    }
}

#[test]
fn a_client_that_breaks_the_rules_loses_its_own_session() {
    let daemon = Daemon::start(&Settings::default());
    let witness = daemon.folder().join("witness");
    let make = make_dir(&witness);
    let frame_of = |message: &FromClient| frame(message).expect("a frame");
    let file = |id| Handle::<File>::from_id(id);
    let root = Handle::<Dir>::from_id(1);
    let read = |id| Read { file: file(id), offset: 0, length: 9 };
    let open = |mode| OpenFile {
        dir: Handle::from_id(9),
        name: Name::parse("x").expect("a name"),
        read: true,
        write: false,
        create: mode,
        follow: false,
        write_next: false,
    };
    let mut trailing = request(&read(1));
    trailing.splice(..4, u32::try_from(trailing.len() - 3).expect("short").to_le_bytes());
    trailing.push(0);
    let decodes = "cannot decode";
    let attacks: Vec<(&str, Vec<u8>, &str)> = vec![
        ("noise", [8_u32.to_le_bytes().as_slice(), &[0xff; 8]].concat(), decodes),
        ("an empty frame", 0_u32.to_le_bytes().to_vec(), decodes),
        ("trailing bytes", trailing, "after the end of a message"),
        ("a frame that is too large", u32::try_from(PACKET + 1).expect("small").to_le_bytes().to_vec(), "are allowed"),
        ("a second opening", frame_of(&opening()), "no request"),
        ("a script", frame_of(&submission("1")), "no request"),
        ("a word to a script", frame_of(&FromClient::Terminate), "no request"),
        ("another word to a script", frame_of(&FromClient::Cancel), "no request"),
        ("an unknown operation", raw_request(vec![], "fs.format_disk", vec![]), "does not exist"),
        ("no name", raw_request(vec![], "", vec![]), "does not exist"),
        ("a name that is too long", long_name(), decodes),
        ("a body that is no request", raw_request(vec![], OpenDir::NAME, vec![9; 40]), decodes),
        ("an empty body", raw_request(vec![], OpenDir::NAME, vec![]), decodes),
        (
            "a length that lies",
            raw_request(vec![], OpenDir::NAME, vec![253, 255, 255, 255, 255, 255, 255, 255, 7]),
            decodes,
        ),
        ("a path that is not canonical", with_path(b"/etc/../etc"), decodes),
        ("a relative path", with_path(b"etc"), decodes),
        ("a path with a NUL", with_path(b"/etc\0/x"), decodes),
        ("a path that is too long", with_path("/aaaaaaa".repeat(1000).as_bytes()), decodes),
        ("a forged handle", request(&read(7)), "named a file that is not open"),
        ("a handle of another kind", request(&read(1)), "named a file that is not open"),
        ("a forged directory", request(&open(Some(0o666))), "named a directory that is not open"),
        (
            "a forged listing",
            request(&ListDir { dir: root, listing: Some(Handle::from_id(1)) }),
            "named a listing that is not open",
        ),
        (
            "a handle closed by the same request",
            raw_request(vec![1], ListDir::NAME, encode(&ListDir { dir: root, listing: None }).expect("a request")),
            "named a directory that is not open",
        ),
        ("a handle closed twice", raw_request(vec![1, 1], "fs.read", vec![]), "closed a handle that is not open"),
        ("a handle closed that is not open", raw_request(vec![u64::MAX], "fs.read", vec![]), "closed a handle"),
        ("many handles closed", raw_request(vec![7; 100_000], "fs.read", vec![]), "closed a handle"),
        ("two requests at once", [request(&open_dir(Path::new("/"))), make.clone()].concat(), "did not wait"),
        (
            "a request and a part of one",
            [request(&open_dir(Path::new("/"))), make[..3].to_vec()].concat(),
            "did not wait",
        ),
    ];
    let mut wrong = Vec::new();
    for (what, bytes, ending) in attacks {
        let mut stream = with_root_open(&daemon);
        stream.write_all(&bytes).expect("the broker reads");
        // Whatever it says after that is not heard any more.
        let _ = stream.write_all(&make);
        let messages = heard(&mut stream);
        if !violation(&messages).is_some_and(|message| message.contains(ending)) {
            wrong.push(format!("{what}: {messages:?}"));
        }
        assert!(!witness.exists(), "{what}: a request was carried out after that");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    daemon.until("nothing is left", Daemon::is_idle);
    drop(with_root_open(&daemon));
    assert_eq!(daemon.run("1").output(), "1", "the broker serves on");
}

/// A request with a name of more bytes than one can have.
fn long_name() -> Vec<u8> {
    let body = [encode(&4_u32), encode(&Vec::<u64>::new()), encode(&"x".repeat(65)), encode(&Vec::<u8>::new())];
    let body = body.map(|part| part.expect("bytes")).concat();
    [u32::try_from(body.len()).expect("short").to_le_bytes().as_slice(), &body].concat()
}

#[test]
fn a_wrong_opening_is_refused() {
    let daemon = Daemon::start(&Settings::default());
    let FromClient::Operate(mut other) = opening() else { return };
    other.version = Text::cut("0.0.0-other");
    for (what, message) in [
        ("no opening", FromClient::End),
        ("a request first", FromClient::Request { closed: vec![], name: Text::cut("fs.read"), body: vec![] }),
        ("another version", FromClient::Operate(other)),
    ] {
        let mut stream = connect(&daemon);
        let bytes = [PREAMBLE.as_slice(), &frame(&message).expect("a frame")].concat();
        stream.write_all(&bytes).expect("the broker reads");
        assert_eq!(refusal(&heard(&mut stream)), Some(RefusalReason::Protocol), "{what}");
    }
}

#[test]
fn the_client_of_a_script_asks_for_no_operation() {
    let daemon = Daemon::start(&Settings::default());
    let witness = daemon.folder().join("witness");
    for more in [frame(&opening()).expect("a frame"), make_dir(&witness), frame(&FromClient::End).expect("a frame")] {
        let mut stream = connect(&daemon);
        let script = [PREAMBLE.as_slice(), &frame(&submission("sleep(100)")).expect("a frame")].concat();
        stream.write_all(&[script, more].concat()).expect("the broker reads");
        let messages = heard(&mut stream);
        assert!(
            !messages.iter().any(|message| matches!(message, ToClient::Outcome(_) | ToClient::Reply(_))),
            "{messages:?}"
        );
    }
    assert!(!witness.exists());
    daemon.until("no session is left", Daemon::is_idle);
}

#[test]
fn a_client_that_goes_away_or_closes_its_half_ends_its_session() {
    let daemon = Daemon::start(&Settings::default());
    for cut in [3, 9, 12] {
        let mut stream = connect(&daemon);
        stream.write_all(&opened()[..cut]).expect("the broker reads");
    }
    drop(with_root_open(&daemon));
    let mut half = with_root_open(&daemon);
    half.shutdown(std::net::Shutdown::Write).expect("a half-closed connection");
    let messages = heard(&mut half);
    assert!(messages.is_empty(), "{messages:?}");
    daemon.until("no session is left", Daemon::is_idle);
}

#[test]
fn a_client_that_does_not_read_is_not_served_on_and_makes_only_itself_wait() {
    let daemon = Daemon::start(&Settings { config: "[limits]\ntime_seconds = 3\n".into(), ..Settings::default() });
    let path = daemon.folder().join("large");
    std::fs::write(&path, vec![b'x'; 128 * 1024]).expect("a file");
    let mut silent = connect(&daemon);
    let mut open = |bytes: &[u8]| silent.write_all(bytes).expect("the broker reads");
    open(&[opened(), request(&open_dir(daemon.folder()))].concat());
    std::thread::sleep(Duration::from_millis(200));
    let name = Name::parse("large").expect("a name");
    let dir = Handle::from_id(1);
    open(&request(&OpenFile { dir, name, read: true, write: false, create: None, follow: false, write_next: false }));
    // What is not taken fills the socket, and then at most one reply is kept.
    for _ in 0..8 {
        std::thread::sleep(Duration::from_millis(100));
        open(&request(&Read { file: Handle::from_id(2), offset: 0, length: 128 * 1024 }));
    }
    assert_eq!(daemon.run("1").output(), "1");
    daemon.until("its time is up", |daemon| daemon.log().contains("class=\"limit\""));
    let messages = heard(&mut silent);
    let replies = messages.iter().filter(|message| matches!(message, ToClient::Reply(_))).count();
    assert!(replies < 7, "{replies} replies were kept for it");
}

#[test]
fn a_connection_passed_to_another_process_carries_no_rights() {
    let daemon = Daemon::start(&Settings::default());
    let witness = daemon.folder().join("witness");
    let bytes = [opened(), make_dir(&witness)].concat();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut command = std::process::Command::new("python3");
    let Ok(_) = command.arg("-c").arg(PASS_ON).arg(daemon.socket()).arg(hex).output() else {
        return skip("python3 is not there");
    };
    daemon.until("no session of a passed connection goes on", Daemon::is_idle);
    assert!(!witness.exists(), "the request was carried out");
}

#[test]
fn a_session_has_few_programs_at_a_time() {
    let policy = "permit(principal, action, resource);".to_owned();
    let daemon = Daemon::start(&Settings { policy, ..Settings::default() });
    let (mut stream, mut frames) = (connect(&daemon), Frames::new(FRAME));
    let mut ask = |bytes: Vec<u8>| {
        stream.write_all(&bytes).expect("the broker reads");
        hear(&mut stream, &mut frames)
    };
    assert!(matches!(ask(opened()), ToClient::Accepted { .. }));
    let folder = std::fs::canonicalize(programs()).expect("the programs");
    assert!(matches!(ask(request(&open_dir(&folder))), ToClient::Reply(Ok(_))));
    let open = OpenFile {
        dir: Handle::from_id(1),
        name: Name::parse("rex-intruder").expect("a name"),
        read: true,
        write: false,
        create: None,
        follow: false,
        write_next: false,
    };
    assert!(matches!(ask(request(&open)), ToClient::Reply(Ok(_))));
    let execute = Execute {
        file: Handle::from_id(2),
        arguments: Vec::new(),
        environment: Vec::new(),
        capabilities: Vec::new(),
        user: None,
        group: None,
        namespace: None,
    };
    for number in 0..16 {
        let reply = ask(request(&execute));
        assert!(matches!(reply, ToClient::Reply(Ok(_))), "{number}: {reply:?}");
    }
    match ask(request(&execute)) {
        ToClient::Reply(Err(failure)) => assert!(format!("{failure:?}").contains("programs run"), "{failure:?}"),
        other => panic!("{other:?}"),
    }
    // The first program's number: those of directory and file come before it.
    let again = raw_request(vec![3], Execute::NAME, encode(&execute).expect("a request"));
    assert!(matches!(ask(again), ToClient::Reply(Ok(_))));
}
