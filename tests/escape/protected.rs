//! What a `forbid` names is left alone also where it would go along with something that is allowed as a whole.

use rex_client::fs::{CreateDir, DeleteDir, MakeDir, MoveDir, OpenDir};
use rex_client::{AbsPath, Broker, CallError, Name, Session};
use rex_tests::{Daemon, Settings, skip};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// A broker that allows everything but an action on a resource, and a session with it.
fn forbidding(action: &str, resource: &str) -> (Daemon, Session) {
    let policy = format!(
        "permit(principal, action, resource);\n\
         forbid(principal, action == file_system::Action::{action:?}, resource {resource});"
    );
    let daemon = Daemon::start(&Settings { policy, ..Settings::default() });
    let session = Broker::connect_to(daemon.socket()).expect("the broker listens").session().expect("a session");
    (daemon, session)
}

fn absolute(path: &Path) -> AbsPath {
    AbsPath::parse(path.as_os_str().as_bytes()).expect("an absolute path")
}

fn is_denied<T>(result: Result<T, CallError>) -> bool {
    result.err().is_some_and(|error| error.is_denial())
}

#[test]
fn directories_on_the_way_to_a_new_one() {
    let folder = rex_tests::scratch();
    let kept = folder.path().join("a/kept");
    let (_daemon, session) = forbidding("create", &format!("== file_system::Dir::{kept:?}"));
    let create = Some(CreateDir { recursive: true });
    let request = |name: &str| OpenDir { path: absolute(&folder.path().join(name)), follow: false, create };
    assert!(is_denied(session.call(&request("a/kept/below"))));
    assert!(!folder.path().join("a").exists(), "all is judged before anything is made");
    assert!(session.call(&request("a/other/below")).is_ok());
}

#[test]
fn a_directory_in_one_that_is_moved_to_another_file_system() {
    let (near, far) = (rex_tests::scratch(), tempfile::tempdir().expect("a temporary folder"));
    let device = |path: &Path| path.metadata().expect("it is there").dev();
    if device(near.path()) == device(far.path()) {
        return skip("there is only one file system");
    }
    let (tree, kept) = (near.path().join("tree"), near.path().join("tree/kept"));
    std::fs::create_dir_all(&kept).expect("a folder");
    let (_daemon, session) = forbidding("delete", &format!("in file_system::Dir::{kept:?}"));
    let (dir, from) =
        (session.open_dir(&tree).expect("it is opened"), session.open_dir(near.path()).expect("it is opened"));
    let to = session.open_dir(far.path()).expect("it is opened");
    let name = Name::parse("moved").expect("a name");
    let request = MoveDir { dir: dir.handle(), from: from.handle(), to: to.handle(), name };
    assert!(is_denied(session.call(&request)));
    assert!(kept.is_dir() && !far.path().join("moved").exists());
}

#[test]
fn a_place_in_a_directory_that_gets_another_name() {
    let folder = rex_tests::scratch();
    let secret = folder.path().join("app/secret");
    std::fs::create_dir_all(&secret).expect("a folder");
    std::fs::create_dir(folder.path().join("other")).expect("a folder");
    let (_daemon, session) = forbidding("read", &format!("in file_system::Dir::{secret:?}"));
    let parent = session.open_dir(folder.path()).expect("it is opened");
    let move_dir = |name: &str| {
        let dir = session.open_dir(folder.path().join(name)).expect("it is opened");
        let name = Name::parse("moved").expect("a name");
        session.call(&MoveDir { dir: dir.handle(), from: parent.handle(), to: parent.handle(), name })
    };
    assert!(is_denied(move_dir("app")));
    assert!(secret.is_dir());
    assert!(move_dir("other").is_ok(), "nothing is forbidden in it");
}

/// Moves `folder/from` to `folder/to`.
fn move_within(session: &Session, folder: &Path, from: &str, to: &str) -> Result<(), CallError> {
    let parent = |path: &str| folder.join(path).parent().expect("a parent").to_owned();
    let dir = session.open_dir(folder.join(from)).expect("it is opened");
    let (from, above) = (session.open_dir(parent(from)).expect("it is opened"), parent(to));
    let name = Name::parse(folder.join(to).file_name().expect("a name").as_bytes()).expect("a name");
    let to = session.open_dir(above).expect("it is opened");
    session.call(&MoveDir { dir: dir.handle(), from: from.handle(), to: to.handle(), name }).map(drop)
}

/// A broker that allows everything but what `forbid` says, with a folder in which these files are, and a session.
fn stage(forbid: &str, files: &[&str]) -> (Daemon, Session, tempfile::TempDir) {
    let folder = rex_tests::scratch();
    for file in files {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, "content").expect("a file");
    }
    let forbid = forbid.replace("ROOT", &folder.path().display().to_string());
    let policy = format!("permit(principal, action, resource);\nforbid(principal, {forbid};");
    let daemon = Daemon::start(&Settings { policy, ..Settings::default() });
    let session = Broker::connect_to(daemon.socket()).expect("the broker listens").session().expect("a session");
    (daemon, session, folder)
}

#[test]
fn what_a_pattern_forbids_is_not_carried_out_of_it_by_its_directory() {
    for forbid in [
        r#"action, resource) when { resource is file_system::File && resource.path like "ROOT/dst/*.key" }"#,
        r#"action, resource) when { resource is file_system::File && resource.path like "*/dst/*.key" }"#,
        r#"action == file_system::Action::"read", resource) when { resource is file_system::File && resource.path like "ROOT/dst/*.key" }"#,
        r#"action == file_system::Action::"read", resource is file_system::File in file_system::Dir::"ROOT/dst")
           unless { resource.path like "*.txt" }"#,
    ] {
        let (_daemon, session, folder) = stage(forbid, &["dst/a/b/x.key", "dst/free/b/x.txt", "out/x"]);
        let folder = folder.path();
        assert!(is_denied(move_within(&session, folder, "dst/a", "out/a")), "{forbid}");
        assert!(is_denied(move_within(&session, folder, "dst/a", "out")), "{forbid}: into what has content");
        assert!(folder.join("dst/a/b/x.key").is_file() && !folder.join("out/a").exists(), "{forbid}");
        assert!(move_within(&session, folder, "dst/free", "out/free").is_ok(), "{forbid}: nothing is forbidden in it");
    }
}

#[test]
fn what_may_not_be_made_at_a_place_is_not_brought_there_by_its_directory() {
    for forbid in [
        r#"action, resource in file_system::Dir::"ROOT/app/conf.d")"#,
        r#"action == file_system::Action::"create", resource == file_system::File::"ROOT/app/conf.d/evil")"#,
        r#"action, resource) when { resource == file_system::File::"ROOT/x" || resource in file_system::Dir::"ROOT/app/conf.d" }"#,
        r#"action == file_system::Action::"create", resource) when { resource is file_system::File && resource.path like "ROOT/app/*/evil" }"#,
        r#"action == file_system::Action::"open", resource is file_system::File) unless { !(resource.path like "*/app/*/evil") }"#,
    ] {
        // It has the name already, and the kernel replaces an empty directory.
        for app in [None, Some("app")] {
            let (_daemon, session, folder) = stage(forbid, &["t/conf.d/evil", "full/x", "free/x"]);
            let folder = folder.path();
            if let Some(app) = app {
                std::fs::create_dir(folder.join(app)).expect("a folder");
            }
            assert!(is_denied(move_within(&session, folder, "t", "app")), "{forbid}");
            assert!(!folder.join("app/conf.d").exists() && folder.join("t/conf.d/evil").is_file(), "{forbid}");
            assert!(move_within(&session, folder, "free", "full/free").is_ok(), "{forbid}");
        }
        // Inside of a directory with content, by the name it has.
        let (_daemon, session, folder) = stage(
            &forbid.replace("ROOT/app", "ROOT/full/app").replace("*/app", "*/full/app"),
            &["full/x", "app/conf.d/evil"],
        );
        assert!(is_denied(move_within(&session, folder.path(), "app", "full")), "{forbid}");
        assert!(!folder.path().join("full/app").exists(), "{forbid}");
    }
}

#[test]
fn a_handle_from_before_a_move_leads_to_no_place_that_a_forbid_names() {
    // What is empty holds nothing that could be judged.
    let (_daemon, session, folder) = stage(r#"action, resource in file_system::Dir::"ROOT/system/x.d")"#, &["t/x"]);
    let folder = folder.path();
    std::fs::remove_file(folder.join("t/x")).expect("it is there");
    std::fs::create_dir(folder.join("system")).expect("a folder");
    let _before = session.open_dir(folder.join("t")).expect("it is opened");
    assert!(is_denied(move_within(&session, folder, "t", "system")));
    assert!(folder.join("t").is_dir());
}

#[test]
fn what_comes_into_a_tree_while_it_is_removed() {
    let folder = rex_tests::scratch();
    let (outside, tree) = (folder.path().join("kept"), folder.path().join("tree"));
    let inside = tree.join("kept");
    std::fs::create_dir(&outside).expect("a folder");
    let (_daemon, session) = forbidding("delete", &format!("in file_system::Dir::{inside:?}"));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let _ = std::fs::rename(&outside, &inside);
                let _ = std::fs::rename(&inside, &outside);
            }
        });
        for _ in 0..500 {
            let _ = session.call(&MakeDir { path: absolute(&tree.join("below")), parents: true });
            for number in 0..20 {
                let _ = std::fs::write(tree.join(format!("below/{number}")), "");
            }
            if let Ok(dir) = session.open_dir(&tree) {
                let _ = session.call(&DeleteDir { dir: dir.handle(), recursive: true });
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(outside.is_dir() || inside.is_dir(), "it was removed though a `forbid` names it");
}
