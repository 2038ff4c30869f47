//! Operations that a program performs itself: what they do, and what policy says to them.

use rex_client::fs::{Donate, EntryKind, MakeDir, Read};
use rex_client::{AbsPath, Broker, CHUNK, CallError, Chunk, FailureKind, Name, Policy, Session, Terms};
use rex_tests::{Daemon, Settings, programs};
use std::path::Path;

fn session(daemon: &Daemon) -> Session {
    Broker::connect_to(daemon.socket()).expect("the broker listens").session().expect("a session")
}

fn permit(actions: &str, folder: &Path) -> String {
    format!("permit(principal, action in [{actions}], resource in file_system::Dir::{folder:?});\n")
}

const OPEN_AND_READ: &str = r#"file_system::Action::"open", file_system::Action::"read""#;

#[test]
fn files_are_written_read_listed_and_looked_at() {
    let daemon = Daemon::start(&Settings::default());
    let folder = daemon.folder().join("files");
    std::fs::create_dir(&folder).expect("a folder");
    let session = session(&daemon);
    // Several chunks, and one that is no whole one.
    let content: Vec<u8> = (0..300_001_u32).map(|n| (n % 251) as u8).collect();
    for content in [&content[..], b"short", b""] {
        session.write_file(folder.join("a"), content).expect("it is written");
        assert_eq!(std::fs::read(folder.join("a")).expect("it is there"), content);
        assert_eq!(session.read_file(folder.join("a")).expect("it is read"), content);
        assert_eq!(session.stat(folder.join("a")).expect("it is there").size, content.len() as u64);
    }
    std::os::unix::fs::symlink("a", folder.join("link")).expect("a link");
    session.write_file(folder.join("a"), "through").expect("it is written");
    assert_eq!(session.read_file(folder.join("link")).expect("a link is followed"), b"through");
    assert_eq!(session.stat(folder.join("link")).expect("a link is followed").kind, EntryKind::File);
    let refused = session.write_file(folder.join("link"), "x").expect_err("no link is written through");
    assert_eq!(refused.failure().map(|failure| &failure.kind), Some(&FailureKind::LinkNotFollowed));
    assert_eq!(session.stat(&folder).expect("it is there").kind, EntryKind::Dir);
    assert_eq!(session.stat("/dev/null").expect("it is there").kind, EntryKind::CharDevice);
    assert_eq!(session.stat("/").expect("it is there").kind, EntryKind::Dir);
    let mut names: Vec<String> =
        session.list_dir(&folder).expect("it is listed").iter().map(|entry| entry.name.to_text()).collect();
    names.sort();
    assert_eq!(names, ["a", "link"]);
    let missing = session.read_file(folder.join("none")).expect_err("there is none");
    assert_eq!((missing.errno(), missing.is_denial()), (Some(libc::ENOENT), false));
    for path in ["relative", "/a/../b"] {
        let refused = session.read_file(path).expect_err("no path to use");
        assert_eq!(refused.failure().map(|failure| &failure.kind), Some(&FailureKind::InvalidPath));
    }
}

#[test]
fn a_directory_of_many_pages_is_listed_whole() {
    let daemon = Daemon::start(&Settings { config: "[limits]\nhandles = 2\n".into(), ..Settings::default() });
    let folder = daemon.folder().join("many");
    std::fs::create_dir(&folder).expect("a folder");
    for number in 0..5000 {
        std::fs::write(folder.join(format!("file-{number:050}")), "").expect("a file");
    }
    let session = session(&daemon);
    for _ in 0..3 {
        assert_eq!(session.list_dir(&folder).expect("it is listed").len(), 5000);
    }
    let outcome = session.end().expect("an outcome");
    assert!(outcome.usage.operations >= 12, "it takes several pages: {outcome:?}");
    let ran = daemon.run(&format!("ls({folder:?}).len() + ls({folder:?}).len()"));
    assert_eq!(ran.output(), "10000", "{ran:?}");
}

#[test]
fn what_policy_does_not_allow_is_denied_and_the_session_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a"), "content").expect("a file");
    let daemon = Daemon::start(&Settings { policy: permit(OPEN_AND_READ, folder.path()), ..Settings::default() });
    let session = session(&daemon);
    let path = folder.path().join("new");
    let denied = session.write_file(&path, "x").expect_err("policy says no");
    assert!(denied.is_denial() && denied.to_string().contains("file_system::Action::\"create\""), "{denied}");
    let denied = session
        .call(&MakeDir { path: AbsPath::parse(path.as_os_str().as_encoded_bytes()).expect("a path"), parents: false })
        .expect_err("policy says no");
    assert!(denied.is_denial(), "{denied}");
    assert!(!path.exists());
    let denied = session.read_file("/etc/passwd").expect_err("policy says no");
    assert!(denied.is_denial() && denied.to_string().contains("/etc"), "{denied}");
    assert_eq!(session.read_file(folder.path().join("a")).expect("policy says yes"), b"content");
    let outcome = session.end().expect("an outcome");
    assert_eq!(outcome.usage.operations, 8);
}

#[test]
fn a_policy_that_comes_with_the_session_narrows() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["a", "b"] {
        std::fs::write(folder.path().join(name), name).expect("a file");
    }
    let daemon = Daemon::start(&Settings { policy: permit(OPEN_AND_READ, folder.path()), ..Settings::default() });
    let own = format!(
        "{}permit(principal, action, resource == file_system::File::{:?});\npermit(principal, action, resource in file_system::Dir::\"/etc\");",
        permit(r#"file_system::Action::"open""#, folder.path()),
        folder.path().join("a"),
    );
    let terms = Terms::new().policy(Policy::new("own", own));
    let session = Broker::connect_to(daemon.socket()).expect("a broker").operate(terms).expect("a session");
    assert_eq!(session.read_file(folder.path().join("a")).expect("both allow it"), b"a");
    assert!(session.read_file(folder.path().join("b")).expect_err("its own does not").is_denial());
    assert!(session.read_file("/etc/passwd").expect_err("the daemon's does not").is_denial());
}

#[test]
fn a_standalone_session_has_only_the_policy_that_it_brings() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a"), "content").expect("a file");
    let broker = || Broker::standalone_by(programs().join("rex-broker")).expect("a session");
    let refused = broker().session().expect_err("nothing could be allowed");
    assert!(refused.to_string().contains("needs a policy"), "{refused}");
    let terms = Terms::new().policy(Policy::new("own", permit(OPEN_AND_READ, folder.path())));
    let session = broker().operate(terms).expect("a session");
    assert_eq!(session.read_file(folder.path().join("a")).expect("policy says yes"), b"content");
    assert!(session.read_file("/etc/passwd").expect_err("policy says no").is_denial());
    assert_eq!(session.end().expect("an outcome").usage.operations, 5);
}

#[test]
fn no_descriptor_is_donated_to_a_client() {
    let daemon = Daemon::start(&Settings::default());
    std::fs::write(daemon.folder().join("a"), "content").expect("a file");
    let session = session(&daemon);
    let file = session.open_file(daemon.folder().join("a")).expect("it is opened");
    let failed = session.call(&Donate { file: file.handle() }).expect_err("there is no way for it");
    assert_eq!(failed.failure().map(|failure| &failure.kind), Some(&FailureKind::OnlyForWorkers));
    assert!(failed.to_string().contains("only in the conversation of a worker"), "{failed}");
    let read = session.call(&Read { file: file.handle(), offset: 0, length: 100 }).expect("it goes on");
    assert_eq!(&*read, b"content");
}

#[test]
fn what_is_staged_for_all_files_together_is_limited() {
    use rex_client::fs::{OpenFile, Placement, Write};
    let daemon = Daemon::start(&Settings { config: "[limits]\nmemory_mib = 32\n".into(), ..Settings::default() });
    let session = session(&daemon);
    let dir = session.open_dir(daemon.folder()).expect("it is opened");
    let content = Chunk::try_from(vec![b'x'; CHUNK]).expect("a chunk");
    let stage = |name: &str| {
        let name = Name::parse(name).expect("a name");
        let (read, write, create) = (false, true, Some(0o600));
        let request = OpenFile { dir: dir.handle(), name, read, write, create, follow: false, write_next: true };
        let file = session.hold(session.call(&request).expect("it is opened").file);
        let placement = Placement::InPlace;
        let request = Write { file: file.handle(), placement, content: content.clone(), more: true };
        let parts = 1 + (0..200).take_while(|_| session.call(&request).is_ok()).count();
        (file, parts)
    };
    let (first, whole) = stage("a");
    assert!(whole > 200, "25 MiB fit");
    let (second, rest) = stage("b");
    assert!(rest < 64, "of 32 MiB at most 7 are left, not {rest} parts");
    // What was staged goes with its file.
    drop((first, second));
    assert!(stage("c").1 > 200);
}

#[test]
fn a_request_that_is_too_large_is_not_sent() {
    use rex_client::fs::WriteAttribute;
    let daemon = Daemon::start(&Settings::default());
    std::fs::write(daemon.folder().join("a"), "content").expect("a file");
    let session = session(&daemon);
    let file = session.open_file(daemon.folder().join("a")).expect("it is opened");
    let value = serde_bytes::ByteBuf::from(vec![0; 1 << 20]);
    let request = WriteAttribute { file: file.handle(), name: rex_client::Text::cut("user.x"), value };
    let refused = session.call(&request).expect_err("it is too large");
    assert!(matches!(refused, CallError::Unsendable(_)), "{refused}");
    assert_eq!(session.read_file(daemon.folder().join("a")).expect("it goes on"), b"content");
}
