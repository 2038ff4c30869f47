//! What is in a folder, to tell what a run changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A folder and everything below it at one time.
pub(crate) struct Tree {
    objects: BTreeMap<PathBuf, Object>,
}

struct Object {
    /// Device and number: it stays when the object is moved.
    inode: (u64, u64),
    kind: u32,
    /// Modification time, mode, owner and group.
    attributes: (i64, i64, u32, u32, u32),
    /// Of a regular file its bytes, of a link where it leads.
    content: Vec<u8>,
}

impl Tree {
    /// Looks at a folder. Reading changes no attribute that is looked at.
    pub(crate) fn of(root: &Path) -> Self {
        let mut tree = Self { objects: BTreeMap::new() };
        tree.add(root);
        tree
    }

    fn add(&mut self, path: &Path) {
        let Ok(metadata) = fs::symlink_metadata(path) else { return };
        self.objects.insert(path.to_owned(), Object::new(path, &metadata));
        if metadata.is_dir() {
            for entry in fs::read_dir(path).into_iter().flatten().flatten() {
                self.add(&entry.path());
            }
        }
    }

    /// Objects that came, went or changed; with `attributes` also in times, mode or owner.
    pub(crate) fn differences(&self, before: &Tree, attributes: bool) -> Vec<String> {
        let paths: BTreeSet<&PathBuf> = before.objects.keys().chain(self.objects.keys()).collect();
        let changed = paths.into_iter().filter_map(|path| match (before.objects.get(path), self.objects.get(path)) {
            (Some(_), None) => Some(told(path, "went")),
            (None, Some(_)) => Some(told(path, "came")),
            (Some(old), Some(new)) if old.inode != new.inode => Some(told(path, "was replaced")),
            (Some(old), Some(new)) if old.content != new.content => Some(told(path, "was written")),
            (Some(old), Some(new)) if attributes && old.attributes != new.attributes => {
                Some(told(path, "has other attributes"))
            }
            _ => None,
        });
        changed.collect()
    }

    /// Regular files that hold something else than the same object did before, or are new and hold anything.
    pub(crate) fn written(&self, before: &Tree) -> Vec<String> {
        let old = before.by_inode();
        let is_written = |object: &Object| match old.get(&object.inode) {
            Some(old) => old.content != object.content,
            None => !object.content.is_empty(),
        };
        let files = self.objects.iter().filter(|(_, object)| object.is_file());
        files.filter(|(_, object)| is_written(object)).map(|(path, _)| told(path, "was written")).collect()
    }

    /// Names that were not there, of objects that were not there.
    pub(crate) fn created(&self, before: &Tree) -> Vec<String> {
        let old = before.by_inode();
        let new = self.objects.iter().filter(|(path, _)| !before.objects.contains_key(*path));
        new.filter(|(_, object)| !old.contains_key(&object.inode)).map(|(path, _)| told(path, "was created")).collect()
    }

    /// Names that are gone, of objects that are gone.
    pub(crate) fn deleted(&self, before: &Tree) -> Vec<String> {
        let new = self.by_inode();
        let gone = before.objects.iter().filter(|(path, _)| !self.objects.contains_key(*path));
        gone.filter(|(_, object)| !new.contains_key(&object.inode)).map(|(path, _)| told(path, "was deleted")).collect()
    }

    fn by_inode(&self) -> BTreeMap<(u64, u64), &Object> {
        self.objects.values().map(|object| (object.inode, object)).collect()
    }
}

impl Object {
    fn new(path: &Path, metadata: &Metadata) -> Self {
        let content = match metadata {
            metadata if metadata.is_file() => fs::read(path).unwrap_or_default(),
            metadata if metadata.is_symlink() => {
                fs::read_link(path).map(|target| target.into_os_string().into_encoded_bytes()).unwrap_or_default()
            }
            _ => Vec::new(),
        };
        Self {
            inode: (metadata.dev(), metadata.ino()),
            kind: metadata.mode() & nix::libc::S_IFMT,
            attributes: (metadata.mtime(), metadata.mtime_nsec(), metadata.mode(), metadata.uid(), metadata.gid()),
            content,
        }
    }

    fn is_file(&self) -> bool {
        self.kind == nix::libc::S_IFREG
    }
}

fn told(path: &Path, what: &str) -> String {
    format!("`{}` {what}", path.display())
}
