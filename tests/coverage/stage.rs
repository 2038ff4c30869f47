//! What a call finds.

use flate2::Compression;
use flate2::write::GzEncoder;
use nix::unistd::User;
use rex_client::fs::{EntryKind, OpenFile, OpenSubdir};
use rex_client::handle::{Dir, File};
use rex_client::{AbsPath, Action, Broker, CallError, Handle, Held, Name, Policy, Session, Terms, Text};
use rex_protocol::process::Trace;
use rex_protocol::system::{LoadSettings, Uname};
use rex_tests::{Closely, Disk, Ran, Tree, programs};
use std::any::Any;
use std::cell::RefCell;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use tempfile::TempDir;

/// The mode of everything that is closed, by which policies know it: no other has it.
const CLOSED: u32 = 0o5700;
/// Root's folder for the redaction dictionary.
const DICTIONARY: &str = "/etc/opt/rex";
/// The program that loads settings.
const SETTINGS: &str = LoadSettings::PROGRAM;
/// What policy knows the debugger's way into a process by.
const TRACER: &str = Trace::NAMED;

/// A folder with
///
/// * `file`, `dir/inner`, `tool`, a program, `packed`, a compressed text, and `new-link`, which leads to `file`;
/// * `elsewhere/` and `new-mount/`, other file systems;
///
/// and a session in which one action is forbidden, once the stage is [closed](Stage::close), on what is there then, and
/// in any case on everything called `new...` and on what belongs to the system; on units and on the network with all but the session's first operation. So a call is prepared by means of the same action that it is denied.
pub(crate) struct Stage {
    session: Session,
    policy: String,
    denied: Option<Action>,
    held: RefCell<Vec<Box<dyn Any>>>,
    sleepers: RefCell<Vec<Child>>,
    _disks: [Disk; 3],
    folder: TempDir,
}

impl Stage {
    pub(crate) fn new(denied: Option<Action>) -> Self {
        Self::with(denied, Terms::new())
    }

    /// The same, with a session that is a dry run.
    pub(crate) fn in_a_dry_run(denied: Option<Action>) -> Self {
        Self::with(denied, Terms::new().dry_run())
    }

    fn with(denied: Option<Action>, terms: Terms) -> Self {
        let folder = tempfile::Builder::new().prefix("rex-test-").tempdir().expect("a temporary folder");
        let root = folder.path();
        for name in ["dir", "elsewhere", "new-mount"] {
            fs::create_dir(root.join(name)).expect("a folder");
        }
        let disks = [&root.join("elsewhere"), &root.join("new-mount"), Path::new("/etc/opt")];
        let disks = disks.map(|path| Disk::on(path, "size=1m"));
        fs::create_dir(DICTIONARY).expect("a folder");
        fs::write(format!("{DICTIONARY}/rex_redaction.config"), "content\n").expect("a dictionary");
        for name in ["file", "dir/inner"] {
            fs::write(root.join(name), "content").expect("a file");
        }
        fs::copy("/usr/bin/true", root.join("tool")).expect("a program");
        std::os::unix::fs::symlink("file", root.join("new-link")).expect("a link");
        let mut packed = GzEncoder::new(fs::File::create(root.join("packed")).expect("a file"), Compression::fast());
        packed.write_all(b"content\n").and_then(|()| packed.finish()).expect("a compressed file");
        let policy = policy(denied);
        let broker = Broker::standalone_by(programs().join("rex-broker")).expect("a session");
        let terms = terms.policy(Policy::new("coverage.cedar", policy.clone()));
        let session = broker.operate(terms).expect("a session");
        Self { session, policy, denied, held: RefCell::default(), sleepers: RefCell::default(), _disks: disks, folder }
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Runs a script, in which `ROOT` is the folder, under the same policy.
    pub(crate) fn run(&self, script: &str) -> Ran {
        let write = |name, text: &str| {
            let path = self.path(name);
            fs::write(&path, text).expect("a file");
            path.display().to_string()
        };
        let script = write("script.rhai", &script.replace("ROOT", &self.folder.path().display().to_string()));
        let policy = write("policy.cedar", &self.policy);
        let files = ["--script-file", &script, "--policy-file", &policy];
        rex_tests::run(&[&["--standalone", "--output-format", "json"], &files[..]].concat(), self.folder.path())
    }

    /// The action that is forbidden.
    pub(crate) fn denied(&self) -> Option<Action> {
        self.denied
    }

    /// What there is that a call could change.
    pub(crate) fn look(&self) -> Looked {
        let sleepers = self.sleepers.borrow();
        let state = |sleeper: &Child| {
            let stat = fs::read_to_string(format!("/proc/{}/stat", sleeper.id())).unwrap_or_default();
            stat.rsplit(')').next().unwrap_or_default().split_whitespace().next().unwrap_or_default().to_owned()
        };
        Looked {
            tree: Tree::of(self.folder.path()),
            mounts: fs::read_to_string("/proc/thread-self/mounts").expect("the mounts"),
            sleepers: sleepers.iter().map(state).collect(),
        }
    }

    /// From now on policy forbids something here.
    pub(crate) fn close(&self) {
        self.session
            .call(&Uname {})
            .map(drop)
            .or_else(|error| if error.is_denial() { Ok(()) } else { Err(error) })
            .expect("an operation");
        for name in ["file", "dir/inner", "dir", "tool", "packed", "later"] {
            let path = self.path(name);
            if path.exists() {
                fs::set_permissions(path, fs::Permissions::from_mode(CLOSED)).expect("a mode");
            }
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn abs(&self, name: &str) -> AbsPath {
        AbsPath::parse(self.path(name).as_os_str().as_encoded_bytes()).expect("a path")
    }

    /// Whether a file has set-user-id and set-group-id bits.
    pub(crate) fn has_set_id(&self, name: &str) -> bool {
        fs::metadata(self.path(name)).is_ok_and(|metadata| metadata.mode() & 0o4000 != 0)
    }

    /// Whether an object has the mode and the owner that [`Stage::nobody`] names.
    pub(crate) fn has(&self, name: &str, mode: u32) -> bool {
        let nobody = User::from_name(&self.nobody()).ok().flatten().expect("nobody").uid.as_raw();
        fs::metadata(self.path(name)).is_ok_and(|metadata| (metadata.mode() & 0o7777, metadata.uid()) == (mode, nobody))
    }

    /// A user that owns nothing.
    pub(crate) fn nobody(&self) -> Text<256> {
        Text::cut("nobody")
    }

    /// The folder.
    pub(crate) fn root(&self) -> Handle<Dir> {
        self.keep(self.session.open_dir(self.folder.path()).expect("it is opened"))
    }

    pub(crate) fn dir(&self, name: &str) -> Handle<Dir> {
        let request = OpenSubdir { dir: self.root(), name: self::name(name), follow: false };
        self.hold(self.session.call(&request).map(|opened| opened.dir))
    }

    /// A file of the folder, open for reading.
    pub(crate) fn file(&self, name: &str) -> Handle<File> {
        self.open(self.root(), name, false)
    }

    /// And for writing.
    pub(crate) fn writable(&self, name: &str) -> Handle<File> {
        self.open(self.root(), name, true)
    }

    /// `dir/inner`.
    pub(crate) fn inner(&self, write: bool) -> Handle<File> {
        self.open(self.dir("dir"), "inner", write)
    }

    fn open(&self, dir: Handle<Dir>, name: &str, write: bool) -> Handle<File> {
        let name = self::name(name);
        let request = OpenFile { dir, name, read: true, write, create: None, follow: false, write_next: false };
        self.hold(self.session.call(&request).map(|opened| opened.file))
    }

    /// A process that does nothing, by its number. It is ended with the stage.
    pub(crate) fn sleeper(&self) -> u32 {
        let sleeper = Command::new("sleep").arg("60").spawn().expect("a process");
        let pid = sleeper.id();
        self.sleepers.borrow_mut().push(sleeper);
        pid
    }

    /// Keeps what was opened to the end.
    pub(crate) fn hold<K: 'static>(&self, opened: Result<Handle<K>, CallError>) -> Handle<K> {
        self.keep(self.session.hold(opened.expect("it is opened")))
    }

    /// Puts this process's own network namespace at a path below `/run`, which is empty but for that here.
    pub(crate) fn put_network(&self, path: &Path) {
        let disk = Disk::on(Path::new("/run"), "size=1m");
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, "").expect("a file");
        rex_tests::put_in_place_of(path, Path::new("/proc/self/ns/net"));
        self.held.borrow_mut().push(Box::new(disk));
    }

    /// A server that answers one request with a few bytes, whatever it is. Gives its port.
    pub(crate) fn serve_once(&self) -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        std::thread::spawn(move || {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody");
        });
        port
    }

    fn keep<K: 'static>(&self, held: Held<K>) -> Handle<K> {
        let handle = held.handle();
        self.held.borrow_mut().push(Box::new(held));
        handle
    }
}

/// Forbids `denied` as [`Stage`] says.
fn policy(denied: Option<Action>) -> String {
    let forbid = denied.map(|action| {
        if ["systemd", "network"].contains(&action.namespace()) {
            return format!(
                "forbid(principal, action == {action}, resource) when {{ context.session.operations > 1 }};"
            );
        }
        if action.namespace() != "file_system" {
            return format!("forbid(principal, action == {action}, resource);");
        }
        format!(
            "forbid(principal, action == {action}, resource) when {{
               resource.path like \"*/new*\" || resource.path like \"{DICTIONARY}*\" ||
               resource.path like \"/proc*\" || [\"/dev/kmsg\", \"{SETTINGS}\", \"{TRACER}\"].contains(resource.path) ||
               (resource has mode && resource.mode == {CLOSED})
             }};"
        )
    });
    format!("permit(principal, action, resource);\n{}", forbid.unwrap_or_default())
}

/// What there was at one time.
pub(crate) struct Looked {
    tree: Tree,
    mounts: String,
    sleepers: Vec<String>,
}

impl Looked {
    /// What is another than it was before.
    pub(crate) fn differences(&self, before: &Looked) -> Vec<String> {
        let mut differences = self.tree.differences(&before.tree, Closely::Times);
        if self.mounts != before.mounts {
            differences.push("the mounts are others".to_owned());
        }
        if self.sleepers != before.sleepers {
            differences.push(format!("processes were {:?} and are {:?}", before.sleepers, self.sleepers));
        }
        differences
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for sleeper in self.sleepers.get_mut() {
            let _ = sleeper.kill();
            let _ = sleeper.wait();
        }
    }
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

/// What a listing says of `file`.
pub(crate) fn listed() -> (Name, EntryKind) {
    (name("file"), EntryKind::File)
}
