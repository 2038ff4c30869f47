//! The tree that operations act on, and what changed in it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Component, Path, PathBuf};

/// Directories, by paths of which some lead through links, and some are missing.
pub(crate) const DIRS: &[&str] =
    &["", "a", "a/b", "a/b/c", "d", "to-a", "to-a/b", "d/to-b", "d/to-b/c", "a/new", "a/x", "round"];

/// Names, of which most stand somewhere.
pub(crate) const NAMES: &[&str] =
    &["a", "b", "c", "d", "x", "y.txt", "z.log", "to-a", "to-b", "to-x", "dangling", "round", "new", "n"];

const FILES: &[&str] = &["x", "a/x", "a/y.txt", "a/b/x", "a/b/z.log", "a/b/c/x", "d/x", "d/y.txt"];

const LINKS: &[(&str, &str)] = &[
    ("to-a", "a"),
    ("a/to-x", "../d/x"),
    ("a/b/to-x", "../../a/./x"),
    ("d/to-b", "../a/b"),
    ("a/b/to-b", "../../a/new"),
    ("d/dangling", "../a/new/none"),
    ("dangling", "d/new"),
    ("round", "round"),
];

/// A scratch tree.
pub(crate) struct Tree {
    folder: tempfile::TempDir,
}

/// What one thing is like: all but what a change in a directory does to the directory itself.
#[derive(Debug, PartialEq)]
pub(crate) struct State {
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    pub(crate) content: Content,
}

/// What is in it.
#[derive(Debug, PartialEq)]
pub(crate) enum Content {
    Dir,
    File { modified: (i64, i64), bytes: Vec<u8> },
    Link(PathBuf),
}

impl Tree {
    pub(crate) fn new() -> Self {
        Self { folder: rex_tests::scratch() }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// Makes everything anew.
    pub(crate) fn renew(&self) {
        let root = self.root();
        let _ = std::fs::remove_dir_all(&root);
        for dir in ["a/b/c", "d"] {
            std::fs::create_dir_all(root.join(dir)).expect("a folder");
        }
        for (size, file) in FILES.iter().enumerate() {
            std::fs::write(root.join(file), vec![b'x'; size * 10]).expect("a file");
        }
        for (link, target) in LINKS {
            symlink(target, root.join(link)).expect("a link");
        }
    }

    pub(crate) fn states(&self) -> BTreeMap<PathBuf, State> {
        let mut states = BTreeMap::new();
        collect(&self.root(), &mut states);
        states
    }
}

fn collect(path: &Path, states: &mut BTreeMap<PathBuf, State>) {
    let metadata = path.symlink_metadata().expect("it is there");
    let content = if metadata.is_dir() {
        for entry in std::fs::read_dir(path).expect("it is listed") {
            collect(&entry.expect("an entry").path(), states);
        }
        Content::Dir
    } else if metadata.is_symlink() {
        Content::Link(path.read_link().expect("it is read"))
    } else {
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        Content::File { modified, bytes: std::fs::read(path).expect("it is read") }
    };
    states.insert(path.to_owned(), State { mode: metadata.mode(), owner: (metadata.uid(), metadata.gid()), content });
}

/// Where a path leads when all links are followed, with what is missing as it stands; nothing where they lead in circles.
pub(crate) fn resolve(path: &Path) -> Option<PathBuf> {
    let names =
        |path: &Path| path.components().rev().map(|part| part.as_os_str().to_owned()).collect::<Vec<OsString>>();
    let (mut rest, mut at, mut links) = (names(path), PathBuf::from("/"), 0);
    while let Some(name) = rest.pop() {
        match Path::new(&name).components().next() {
            Some(Component::Normal(_)) => {}
            Some(Component::ParentDir) => drop(at.pop()),
            Some(Component::RootDir) => at = PathBuf::from("/"),
            _ => continue,
        }
        if !matches!(Path::new(&name).components().next(), Some(Component::Normal(_))) {
            continue;
        }
        match at.join(&name).read_link() {
            Ok(target) => {
                links += 1;
                rest.extend(names(&target));
            }
            Err(_) => at.push(name),
        }
        if links > 40 {
            return None;
        }
    }
    Some(at)
}

/// Whether a directory stands at this very path.
pub(crate) fn is_dir(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
}

/// Whether a link stands at this very path.
pub(crate) fn is_link(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink())
}
