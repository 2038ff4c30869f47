//! The place of the race: what is allowed, what is forbidden and looks alike, and the proof that the latter was left alone.

use super::attackers;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What stands in every forbidden file, is in every forbidden directory, and nowhere else.
pub(super) const SECRET: &str = "SECRET";

/// What stands in every file that may be read.
pub(super) const PUBLIC: &str = "public\n";

/// How often it stands in a large file, one that a worker reads by a donated descriptor.
pub(super) const LARGE: usize = 40_000;

/// The directories of each part, the outer ones first, with the name of the next in them.
pub(super) const LEVELS: [(&str, Option<&str>); 3] = [("", Some("a")), ("a", Some("b")), ("a/b", None)];

/// The names in each directory that are swapped for links and back, besides the next level.
pub(super) const NAMES: [&str; 4] = ["file", "large", "program", "tree"];

/// A moment long ago: whoever reads a file or directory that was last read then moves its time of access (`relatime`).
const LONG_AGO: TimeSpec = TimeSpec::new(1_000_000_000, 0);

/// `open/`, where everything is allowed, `secret/`, which has the same names and is forbidden, and `far`, which is
/// allowed and mostly on another file system.
pub(super) struct Stage {
    folder: tempfile::TempDir,
    far: tempfile::TempDir,
    forbidden: BTreeMap<PathBuf, Canary>,
    inodes: BTreeSet<(u64, u64)>,
}

/// All that could change in something forbidden.
#[derive(Debug, PartialEq)]
struct Canary {
    identity: (u64, u64, u64),
    mode: u32,
    owner: (u32, u32),
    size: u64,
    accessed: i64,
    modified: (i64, i64),
    changed: (i64, i64),
    content: Option<Vec<u8>>,
}

impl Stage {
    pub(super) fn new() -> Self {
        let (folder, far) = (rex_tests::scratch(), tempfile::tempdir().expect("a temporary folder"));
        let secret = folder.path().join("secret");
        for (level, _) in LEVELS {
            let dir = secret.join(level);
            std::fs::create_dir_all(dir.join("tree/inner")).expect("a folder");
            for name in ["file", "tree/file", "tree/inner/file"] {
                std::fs::write(dir.join(name), SECRET).expect("a file");
            }
            for name in [SECRET, "tree/SECRET", "tree/inner/SECRET"] {
                std::fs::write(dir.join(name), "").expect("a file");
            }
            std::fs::write(dir.join("large"), SECRET.repeat(LARGE)).expect("a file");
            // Prints its environment, in which the clients put the word.
            std::fs::copy("/usr/bin/env", dir.join("program")).expect("a copy of a program");
        }
        std::fs::create_dir(folder.path().join("open")).expect("a folder");
        let mut paths = Vec::new();
        walk(&secret, &mut |path, _| paths.push(path.to_owned()));
        for path in &paths {
            utimensat(AT_FDCWD, path, &LONG_AGO, &LONG_AGO, UtimensatFlags::NoFollowSymlink).expect("its times");
        }
        let forbidden: BTreeMap<_, _> = paths.into_iter().map(|path| (path.clone(), Canary::of(&path))).collect();
        let inodes = forbidden.values().map(|canary| (canary.identity.0, canary.identity.1)).collect();
        // To have read the contents moved the times of access.
        for path in forbidden.keys() {
            utimensat(AT_FDCWD, path, &LONG_AGO, &LONG_AGO, UtimensatFlags::NoFollowSymlink).expect("its times");
        }
        let renew = |(path, canary): (PathBuf, Canary)| {
            let now = path.symlink_metadata().expect("it is there");
            let changed = (now.ctime(), now.ctime_nsec());
            (path, Canary { accessed: now.atime(), changed, ..canary })
        };
        let forbidden = forbidden.into_iter().map(renew).collect();
        Self { folder, far, forbidden, inodes }
    }

    /// Allows everything here but what is in `secret/`.
    pub(super) fn policy(&self) -> String {
        format!(
            "permit(principal, action, resource in file_system::Dir::{:?});\n\
             permit(principal, action, resource in file_system::Dir::{:?});\n\
             forbid(principal, action, resource in file_system::Dir::{:?});\n",
            self.folder.path(),
            self.far.path(),
            self.secret(),
        )
    }

    /// The directory of everything that is allowed.
    pub(super) fn open(&self) -> PathBuf {
        self.folder.path().join("open")
    }

    /// The directory of everything that is forbidden.
    pub(super) fn secret(&self) -> PathBuf {
        self.folder.path().join("secret")
    }

    /// A directory on another file system, where the machine has two.
    pub(super) fn far(&self) -> &Path {
        self.far.path()
    }

    /// Puts everything in its place again that was moved or removed.
    pub(super) fn mend(&self) {
        // From the outside in: a directory that is made is mended next.
        for _ in LEVELS {
            attackers::mend(self);
        }
    }

    /// Confirms that something which came to light is not forbidden.
    pub(super) fn confirm_inode(&self, device: Option<u64>, inode: u64) {
        let forbidden =
            self.inodes.iter().any(|known| known.1 == inode && device.is_none_or(|device| device == known.0));
        assert!(!forbidden, "inode {inode} is forbidden");
    }

    /// Confirms that everything forbidden is as it was, and that nothing of it is in the rest.
    pub(super) fn confirm_unharmed(&self) {
        let mut now = BTreeMap::new();
        walk(&self.secret(), &mut |path, metadata| drop(now.insert(path.to_owned(), Canary::with(path, metadata))));
        let names = |canaries: &BTreeMap<PathBuf, Canary>| canaries.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&now), names(&self.forbidden));
        for (path, canary) in &self.forbidden {
            assert_eq!(now.get(path), Some(canary), "{}", path.display());
        }
        for place in [&self.open(), self.far()] {
            walk(place, &mut |path, metadata| {
                self.confirm_inode(Some(metadata.dev()), metadata.ino());
                if metadata.is_file() {
                    let content = std::fs::read(path).expect("it is read");
                    let leaked = content.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
                    assert!(!leaked, "{} came to hold what is forbidden", path.display());
                }
            });
        }
    }
}

impl Canary {
    fn of(path: &Path) -> Self {
        Self::with(path, &path.symlink_metadata().expect("it is there"))
    }

    /// The times are those of `metadata`, taken before the content is read.
    fn with(path: &Path, metadata: &std::fs::Metadata) -> Self {
        Self {
            identity: (metadata.dev(), metadata.ino(), metadata.nlink()),
            mode: metadata.permissions().mode(),
            owner: (metadata.uid(), metadata.gid()),
            size: metadata.size(),
            accessed: metadata.atime(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            content: metadata.is_file().then(|| std::fs::read(path).expect("it is read")),
        }
    }
}

/// Visits `path` and all below it, no link followed; what a directory is like is looked at before it is listed.
fn walk(path: &Path, visit: &mut dyn FnMut(&Path, &std::fs::Metadata)) {
    let metadata = path.symlink_metadata().expect("it is there");
    visit(path, &metadata);
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path).expect("it is listed") {
            walk(&entry.expect("an entry").path(), visit);
        }
    }
}
