//! What is done to files, and to which: by a session that asks for any operation on anything it holds, at any time.

use rex_client::fs::{
    AddToFile, BeginFile, CommitFile, CopyFile, DeleteFile, MoveDir, OpenEntry, OpenFile, OpenedFile, Placement,
    Properties, Way, Write,
};
use rex_client::{AbsPath, Broker, CallError, Chunk, Name, Policy, Session, Terms};
use rex_protocol::Handle;
use rex_protocol::handle::{Dir, File};
use rex_tests::{Daemon, Settings, is_root, skip};
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// A folder, and a session whose policy allows everything in it but these.
fn session(folder: &Path, forbids: &str) -> (Daemon, Session) {
    let policy = format!("permit(principal, action, resource in file_system::Dir::{folder:?});\n{forbids}");
    let daemon = Daemon::start(&Settings { policy, ..Settings::default() });
    let session = Broker::connect_to(daemon.socket()).expect("the broker listens").session().expect("a session");
    (daemon, session)
}

fn forbid(action: &str, resource: &str, path: &Path) -> String {
    format!(
        "forbid(principal, action == file_system::Action::\"{action}\", resource == file_system::{resource}::{path:?});\n"
    )
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

fn way(text: &str) -> Way {
    Way::try_from(vec![name(text)]).expect("a way")
}

fn open_for_all(session: &Session, dir: Handle<Dir>, file: &str) -> Handle<File> {
    let open =
        OpenFile { dir, name: name(file), read: true, write: true, create: None, follow: false, write_next: false };
    session.call(&open).expect("it is opened").file
}

fn write(
    session: &Session,
    file: Handle<File>,
    placement: Placement,
    content: &str,
) -> Result<Option<OpenedFile>, CallError> {
    let content = Chunk::try_from(content.as_bytes().to_vec()).expect("a chunk");
    session.call(&Write { file, placement, content, more: false }).map(|written| written.file)
}

const ATOMIC: Placement = Placement::Atomic { preserve_ownership: true };

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A small file system of its own; it goes with this value.
struct Small(PathBuf);

impl Small {
    fn at(path: &Path) -> Option<Self> {
        let flags = nix::mount::MsFlags::empty();
        let mounted = nix::mount::mount(Some("tmpfs"), path, Some("tmpfs"), flags, Some("size=64k"));
        mounted.ok().map(|()| Self(path.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(&self.0, nix::mount::MntFlags::MNT_DETACH);
    }
}

#[test]
fn no_write_that_fails_midway_leaves_set_id_bits_on_other_content() {
    let folder = folder();
    let Some(_small) = is_root().then(|| Small::at(folder.path())).flatten() else {
        return skip("only root can mount a file system that is full");
    };
    let program = folder.path().join("program");
    fs::write(&program, "\x7fELF").expect("a file");
    fs::set_permissions(&program, PermissionsExt::from_mode(0o4755)).expect("a mode");
    // What the kernel makes up tells no length beforehand, and is more than there is room for.
    let source = "permit(principal, action, resource in file_system::Dir::\"/proc\");\n";
    let forbids = forbid("set_id", "File", &program);
    let (_daemon, session) = session(folder.path(), &format!("{source}{forbids}"));
    let dir = session.open_dir(folder.path()).expect("it is opened");
    let from = session.open_file("/proc/kallsyms").expect("it is opened");
    let to = open_for_all(&session, dir.handle(), "program");
    let copy = CopyFile { from: from.handle(), to, force: true, preserve: false };
    let failed = session.call(&copy).expect_err("it does not fit");
    assert_eq!(failed.errno(), Some(libc::ENOSPC), "{failed}");
    let mode = fs::metadata(&program).expect("it is there").mode() & 0o7777;
    let content = fs::read(&program).expect("it is there");
    assert!(mode == 0o755 || content == b"\x7fELF", "{mode:o} with {} other bytes", content.len());
}

#[test]
fn what_was_put_in_place_is_out_of_hand() {
    let folder = folder();
    let forbids = forbid("chmod", "File", &folder.path().join("a"));
    let (_daemon, session) = session(folder.path(), &forbids);
    let dir = session.open_dir(folder.path()).expect("it is opened");
    let draft = session.call(&BeginFile { dir: dir.handle(), way: way("a") }).expect("it is begun");
    let commit = || session.call(&CommitFile { draft, properties: Properties::default() });
    commit().expect("it is put in place");
    // Its owner makes it private, and puts it away.
    fs::rename(folder.path().join("a"), folder.path().join("b")).expect("it is there");
    fs::set_permissions(folder.path().join("b"), PermissionsExt::from_mode(0o600)).expect("it is there");
    let content = Chunk::try_from(b"more".to_vec()).expect("a chunk");
    let added = session.call(&AddToFile { draft, content });
    let again = commit();
    assert!(added.is_err() && again.is_err(), "{added:?} {again:?}");
    assert_eq!(names(folder.path()), ["b"]);
    let after = fs::metadata(folder.path().join("b")).expect("it is there");
    assert_eq!((after.len(), after.mode() & 0o7777, after.nlink()), (0, 0o600, 1));
}

#[test]
fn a_file_that_is_gone_comes_back_only_where_it_may_be_created() {
    let folder = folder();
    let path = folder.path().join("a");
    fs::write(&path, "content").expect("a file");
    let (_daemon, session) = session(folder.path(), &forbid("create", "File", &path));
    let dir = session.open_dir(folder.path()).expect("it is opened");
    let file = open_for_all(&session, dir.handle(), "a");
    write(&session, file, ATOMIC, "new").expect("it is written");
    // The old handle still names a file that is there.
    write(&session, file, ATOMIC, "newer").expect("it is written");
    let last = open_for_all(&session, dir.handle(), "a");
    session.call(&DeleteFile { file: last }).expect("it may be deleted");
    for file in [file, last] {
        let denied = write(&session, file, ATOMIC, "again").expect_err("it may not be created");
        assert!(denied.is_denial() && denied.to_string().contains("\"create\""), "{denied}");
    }
    assert_eq!(names(folder.path()), Vec::<String>::new());
}

/// An access list (acl(5)) as the kernel stores it: the owner may all, a user and the group that, others nothing.
fn access_list(user: u32, permissions: u16) -> Vec<u8> {
    let none = u32::MAX;
    let entries =
        [(1, 7, none), (2, permissions, user), (4, permissions, none), (16, permissions, none), (32, 0, none)];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        let (tag, permissions): (u16, u16) = (tag, permissions);
        list.extend([tag.to_le_bytes(), permissions.to_le_bytes()].concat());
        list.extend(id.to_le_bytes());
    }
    list
}

fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let (path, name) = (CString::new(path.as_os_str().as_bytes()).ok()?, CString::new(name).ok()?);
    let mut value = vec![0_u8; 1024];
    // SAFETY: both texts end with NUL, and the kernel writes at most the buffer's length.
    let length = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    value.truncate(usize::try_from(length).ok()?);
    Some(value)
}

fn set_attribute(path: &Path, name: &str, value: &[u8]) -> bool {
    let path = CString::new(path.as_os_str().as_bytes()).expect("no NUL");
    let name = CString::new(name).expect("no NUL");
    // SAFETY: both texts end with NUL, and the kernel reads the value's length.
    unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) == 0 }
}

#[test]
fn a_file_that_is_replaced_lets_in_nobody_new() {
    let folder = folder();
    let path = folder.path().join("a");
    fs::write(&path, "content").expect("a file");
    fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).expect("a mode");
    if !set_attribute(folder.path(), "system.posix_acl_default", &access_list(12345, 7)) {
        return skip("this file system has no access lists");
    }
    let (_daemon, session) = session(folder.path(), "");
    let dir = session.open_dir(folder.path()).expect("it is opened");
    let file = open_for_all(&session, dir.handle(), "a");
    write(&session, file, ATOMIC, "new").expect("it is written");
    assert_eq!(attribute(&path, "system.posix_acl_access"), None);
    assert_eq!(fs::metadata(&path).expect("it is there").mode() & 0o7777, 0o640);
    // One that it has is kept.
    assert!(set_attribute(&path, "system.posix_acl_access", &access_list(54321, 4)));
    let file = open_for_all(&session, dir.handle(), "a");
    write(&session, file, ATOMIC, "newer").expect("it is written");
    assert_eq!(attribute(&path, "system.posix_acl_access"), Some(access_list(54321, 4)));
}

#[test]
fn a_file_that_is_unpacked_is_what_a_new_one_is_there() {
    let folder = folder();
    if !set_attribute(folder.path(), "system.posix_acl_default", &access_list(12345, 7)) {
        return skip("this file system has no access lists");
    }
    let (_daemon, session) = session(folder.path(), "");
    let dir = session.open_dir(folder.path()).expect("it is opened");
    let draft = session.call(&BeginFile { dir: dir.handle(), way: way("a") }).expect("it is begun");
    session.call(&CommitFile { draft, properties: Properties::default() }).expect("it is put in place");
    fs::write(folder.path().join("ordinary"), "").expect("a file");
    let looks = |name: &str| {
        let path = folder.path().join(name);
        (fs::metadata(&path).expect("it is there").mode(), attribute(&path, "system.posix_acl_access"))
    };
    assert_eq!(looks("a"), looks("ordinary"));
}

#[test]
fn an_entry_behind_a_link_tells_nothing_of_its_kind() {
    let folder = folder();
    let (open, secret) = (folder.path().join("open"), folder.path().join("secret"));
    for path in [&open, &secret, &secret.join("x-folder")] {
        fs::create_dir(path).expect("a folder");
    }
    fs::write(secret.join("x-file"), "SECRET").expect("a file");
    symlink(&secret, open.join("link")).expect("a link");
    let forbids = format!("forbid(principal, action, resource in file_system::Dir::{secret:?});");
    let (_daemon, session) = session(folder.path(), &forbids);
    let told = |name: &str| {
        let path = open.join("link").join(name);
        let path = AbsPath::parse(path.as_os_str().as_bytes()).expect("a path");
        let denied = session.call(&OpenEntry { path }).expect_err("it is denied");
        assert!(denied.is_denial(), "{denied}");
        denied.to_string().replace(name, "NAME")
    };
    let missing = told("x-missing");
    assert_eq!(told("x-folder"), missing, "a folder");
    assert_eq!(told("x-file"), missing, "a file");
}

#[test]
fn a_link_that_goes_there_and_back_tells_nothing_of_what_lies_there() {
    let folder = folder();
    let (open, secret) = (folder.path().join("open"), folder.path().join("secret"));
    for path in [&open, &open.join("folder"), &secret, &secret.join("known")] {
        fs::create_dir(path).expect("a folder");
    }
    fs::write(open.join("data"), "public").expect("a file");
    let forbids = format!("forbid(principal, action, resource in file_system::Dir::{secret:?});");
    let (_daemon, session) = session(folder.path(), &forbids);
    let told = |name: &str, target: &str| {
        let link = open.join(format!("to-{name}-{target}"));
        symlink(secret.join(name).join("../../open").join(target), &link).expect("a link");
        let dir = session.open_dir(&open).expect("it is opened");
        let open_file = OpenFile {
            dir: dir.handle(),
            name: Name::parse(link.file_name().expect("a name").as_bytes()).expect("a name"),
            read: true,
            write: false,
            create: None,
            follow: true,
            write_next: false,
        };
        let path = AbsPath::parse(link.as_os_str().as_bytes()).expect("a path");
        let denied = match target {
            "data" => session.call(&open_file).map(drop),
            _ => session.call(&rex_client::fs::OpenDir { path, follow: true, create: None }).map(drop),
        };
        denied.expect_err("it is denied").to_string().replace(name, "NAME")
    };
    for target in ["data", "folder"] {
        assert_eq!(told("known", target), told("hidden", target), "{target}");
    }
}

#[test]
fn no_name_for_the_moment_comes_twice() {
    let folder = folder();
    fs::write(folder.path().join("a"), "content").expect("a file");
    // SAFETY: no memory is passed; the path ends with NUL and the buffer has its length.
    let watch = unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) };
    let path = CString::new(folder.path().as_os_str().as_bytes()).expect("no NUL");
    // SAFETY: as above.
    assert!(unsafe { libc::inotify_add_watch(watch, path.as_ptr(), libc::IN_CREATE) } >= 0);
    let (daemon, first) = session(folder.path(), "");
    let second = Broker::connect_to(daemon.socket()).expect("the broker listens").session().expect("a session");
    for session in [first, second] {
        let dir = session.open_dir(folder.path()).expect("it is opened");
        let file = open_for_all(&session, dir.handle(), "a");
        write(&session, file, ATOMIC, "new").expect("it is written");
    }
    let mut buffer = vec![0_u8; 4096];
    // SAFETY: as above.
    let length = unsafe { libc::read(watch, buffer.as_mut_ptr().cast(), buffer.len()) };
    buffer.truncate(usize::try_from(length).expect("names were made"));
    let text = String::from_utf8_lossy(&buffer).into_owned();
    let mut made: Vec<&str> = text.split('\0').filter(|part| part.starts_with(".rex-")).collect();
    assert_eq!(made.len(), 2, "{made:?}");
    made.dedup();
    assert_eq!(made.len(), 2, "{made:?}");
    // SAFETY: nothing uses it any more.
    unsafe { libc::close(watch) };
}

/// A folder on another file system than the temporary one.
fn elsewhere(folder: &Path) -> Option<tempfile::TempDir> {
    let other = tempfile::tempdir_in("/dev/shm").ok()?;
    (fs::metadata(other.path()).ok()?.dev() != fs::metadata(folder).ok()?.dev()).then_some(other)
}

#[test]
fn a_directory_that_may_not_be_deleted_is_not_moved_to_another_file_system() {
    let folder = folder();
    let Some(other) = elsewhere(folder.path()) else { return skip("there is one file system") };
    fs::create_dir_all(folder.path().join("tree/keep")).expect("folders");
    let keep = forbid("delete", "Dir", &folder.path().join("tree/keep"));
    let there = format!("permit(principal, action, resource in file_system::Dir::{:?});\n", other.path());
    let (_daemon, session) = session(folder.path(), &format!("{there}{keep}"));
    let open = |path: &Path| session.open_dir(path).expect("it is opened");
    let (from, tree, to) = (open(folder.path()), open(&folder.path().join("tree")), open(other.path()));
    let request = MoveDir { dir: tree.handle(), from: from.handle(), to: to.handle(), name: name("tree") };
    let denied = session.call(&request).expect_err("it may not go");
    assert!(denied.is_denial(), "{denied}");
    assert!(folder.path().join("tree/keep").is_dir());
    assert_eq!(names(other.path()), Vec::<String>::new());
}

#[test]
fn what_a_sessions_own_policy_forbids_is_not_removed_with_what_holds_it() {
    let folder = folder();
    let tree = folder.path().join("tree");
    fs::create_dir(&tree).expect("a folder");
    fs::write(tree.join("keep"), "content").expect("a file");
    // The broker's policy names the tree alone, and nothing in it.
    let policy = format!(
        "permit(principal, action in [file_system::Action::\"open\", file_system::Action::\"delete\"], resource == file_system::Dir::{tree:?});"
    );
    let daemon = Daemon::start(&Settings { policy, ..Settings::default() });
    let own = format!("permit(principal, action, resource);\n{}", forbid("delete", "File", &tree.join("keep")));
    let terms = Terms::new().policy(Policy::new("own", own));
    let session = Broker::connect_to(daemon.socket()).expect("a broker").operate(terms).expect("a session");
    let dir = session.open_dir(&tree).expect("it is opened");
    let removed = session.call(&rex_client::fs::DeleteDir { dir: dir.handle(), recursive: true });
    let denied = removed.expect_err("its own policy says no");
    assert!(denied.is_denial(), "{denied}");
    assert_eq!(names(&tree), ["keep"]);
}

#[test]
fn what_fails_for_want_of_a_handle_has_done_nothing() {
    let folder = folder();
    fs::write(folder.path().join("a"), "content").expect("a file");
    let policy = format!("permit(principal, action, resource in file_system::Dir::{:?});", folder.path());
    let config = "[limits]\nhandles = 2\n".into();
    let daemon = Daemon::start(&Settings { policy, config, ..Settings::default() });
    let session = Broker::connect_to(daemon.socket()).expect("the broker listens").session().expect("a session");
    let dir = session.open_dir(folder.path()).expect("it is opened");
    let file = open_for_all(&session, dir.handle(), "a");
    let moved = rex_client::fs::MoveFile { file, to: dir.handle(), name: name("b") };
    let create = OpenFile {
        dir: dir.handle(),
        name: name("new"),
        read: true,
        write: false,
        create: Some(0o644),
        follow: false,
        write_next: false,
    };
    let path = AbsPath::parse(folder.path().join("made").as_os_str().as_bytes()).expect("a path");
    let make =
        rex_client::fs::OpenDir { path, follow: false, create: Some(rex_client::fs::CreateDir { recursive: false }) };
    let begin = BeginFile { dir: dir.handle(), way: Way::try_from(vec![name("on"), name("way")]).expect("a way") };
    let failures = [
        session.call(&moved).map(drop).expect_err("no room"),
        session.call(&create).map(drop).expect_err("no room"),
        session.call(&make).map(drop).expect_err("no room"),
        session.call(&begin).map(drop).expect_err("no room"),
        write(&session, file, ATOMIC, "new").map(drop).expect_err("no room"),
    ];
    for failure in failures {
        assert!(failure.to_string().contains("2 objects are open"), "{failure}");
    }
    assert_eq!(names(folder.path()), ["a"]);
    assert_eq!(fs::read(folder.path().join("a")).expect("it is there"), b"content");
}
