//! Clients in the race: whatever they are told is looked at for what is forbidden.

use super::stage::{SECRET, Stage};
use rex_client::fs::{Entry, OpenDir, OpenEntry, OpenFile};
use rex_client::handle::{Dir, File};
use rex_client::{AbsPath, CallError, Failure, Held, Listed, Name, Session};
use rex_tests::Daemon;
use std::cell::Cell;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A session, and how far it has come.
pub(super) struct Client<'a> {
    session: Session,
    pub(super) stage: &'a Stage,
    requests: Cell<u64>,
    round: usize,
}

impl<'a> Client<'a> {
    pub(super) fn new(session: Session, stage: &'a Stage) -> Self {
        Self { session, stage, requests: Cell::new(0), round: 0 }
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.get()
    }

    /// Goes on to another level.
    pub(super) fn next_round(&mut self) {
        self.round += 1;
    }

    /// Whether this is one of the few rounds for what takes long.
    pub(super) fn is_nth(&self, n: usize) -> bool {
        self.round.is_multiple_of(n)
    }

    /// Ends the session, and tells how many requests the broker served in it.
    pub(super) fn end(self) -> u64 {
        self.session.end().expect("an outcome").usage.operations
    }

    /// Performs an operation. A session that ends, in whatever way, fails the test.
    pub(super) fn call<O: Listed>(&self, operation: &O) -> Result<O::Reply, Failure> {
        self.requests.set(self.requests.get() + 1);
        self.session.call(operation).map_err(|error| match error {
            CallError::Failed(failure) => {
                confirm_text(failure.to_string());
                failure
            }
            other => panic!("{}: {other}", O::NAME),
        })
    }

    /// The directory of this round.
    pub(super) fn level(&self) -> PathBuf {
        self.stage.open().join(["", "a", "a/b"][self.round % 3])
    }

    /// A path in the directory of this round.
    pub(super) fn path(&self, name: &str) -> AbsPath {
        absolute(&self.level().join(name))
    }

    /// The directory of this round, open; its links are followed in two rounds of three.
    pub(super) fn dir(&self) -> Result<Held<Dir>, Failure> {
        self.dir_at(&self.level(), !self.is_nth(3))
    }

    pub(super) fn dir_at(&self, path: &Path, follow: bool) -> Result<Held<Dir>, Failure> {
        let opened = self.call(&OpenDir { path: absolute(path), follow, create: None })?;
        self.confirm_path(&opened.path);
        Ok(self.session.hold(opened.dir))
    }

    pub(super) fn hold<K>(&self, handle: rex_client::Handle<K>) -> Held<K> {
        self.session.hold(handle)
    }

    /// A file for reading, links followed in every second round.
    pub(super) fn file(&self, dir: &Held<Dir>, name: &str) -> Result<Held<File>, Failure> {
        self.open_file(dir, name, false)
    }

    /// A file for reading and writing, made where it is missing.
    pub(super) fn new_file(&self, dir: &Held<Dir>, name: &str) -> Result<Held<File>, Failure> {
        self.open_file(dir, name, true)
    }

    fn open_file(&self, dir: &Held<Dir>, name: &str, write: bool) -> Result<Held<File>, Failure> {
        let opened = self.call(&OpenFile {
            dir: dir.handle(),
            name: self::name(name),
            read: true,
            write,
            create: write.then_some(0o644),
            follow: self.is_nth(2),
            write_next: write,
        })?;
        self.confirm_path(&opened.path);
        Ok(self.session.hold(opened.file))
    }

    /// What a path names, without its handles.
    pub(super) fn entry(&self, path: &AbsPath) -> Result<(), Failure> {
        match self.call(&OpenEntry { path: path.clone() })? {
            Entry::Dir(opened) => {
                self.confirm_path(&opened.path);
                drop(self.session.hold(opened.dir));
            }
            Entry::Other { parent, entry } => {
                self.confirm_path(&parent.path);
                self.stage.confirm_inode(None, entry.inode);
                drop(self.session.hold(parent.dir));
            }
        }
        Ok(())
    }

    /// Confirms that what was opened is not forbidden.
    pub(super) fn confirm_path(&self, path: &AbsPath) {
        assert!(!path.as_path().starts_with(self.stage.secret()), "{path} is forbidden");
    }
}

/// Confirms that what was read is not forbidden.
pub(super) fn confirm_text(text: impl AsRef<[u8]>) {
    let text = text.as_ref();
    let leaked = text.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
    assert!(!leaked, "{} is forbidden", String::from_utf8_lossy(text));
}

pub(super) fn absolute(path: &Path) -> AbsPath {
    let path = path.as_os_str().as_bytes();
    AbsPath::parse(path.strip_suffix(b"/").unwrap_or(path)).expect("an absolute path")
}

pub(super) fn name(name: &str) -> Name {
    Name::parse(name).expect("a name")
}

/// Runs scripts that use what only a worker has, such as donated descriptors, and looks at what they give.
pub(super) fn run_scripts(daemon: &Daemon, stage: &Stage) {
    let acts = [
        "cat(\"ROOT/a/large\")",
        "cat(\"ROOT/a/b/file\")",
        "grep(\"S\", \"ROOT/large\")",
        "tail(\"ROOT/a/b/large\")",
        "wc(\"ROOT/a/file\")",
        "ls(\"ROOT/a/b\")",
        "write(\"ROOT/a/b/written\", \"x\")",
        "touch(\"ROOT/a/touched\")",
        "cp(\"ROOT/a/large\", \"ROOT/copied\")",
        "mv(\"ROOT/a/b/written\", \"ROOT/a/moved\")",
        "mkdir([mkdir::p], \"ROOT/a/made/below\")",
        "rm([rm::r], \"ROOT/a/tree\")",
        "rm([rm::r], \"ROOT/a/b/tree/inner\")",
    ];
    let tries: String = acts
        .iter()
        .map(|act| format!("try {{ said.push(`${{{act}}}`); done += 1; }} catch (e) {{ said.push(e.message); }}\n"))
        .collect();
    let script = format!(
        "let done = 0;\nfor i in 0..100 {{\nlet said = [];\n{tries}\
         for text in said {{ if text.contains(\"{SECRET}\") {{ throw text; }} }}\n}}\ndone"
    );
    let ran = daemon.run(&script.replace("ROOT", &stage.open().display().to_string()));
    assert_eq!(ran.code, 0, "{ran:?}");
    confirm_text(ran.stdout);
}
