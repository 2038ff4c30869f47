//! What is in a folder, to tell what a run changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A folder and everything below it at one time.
#[derive(Debug)]
pub struct Tree {
    objects: BTreeMap<PathBuf, Object>,
}

/// How closely two trees are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Closely {
    /// Names, objects and what is in them.
    Content,
    /// Modes and owners too.
    Rights,
    /// And times of modification.
    Times,
}

/// Device, number and time of birth: it stays when the object is moved, and no other object ever has it.
type Identity = (u64, u64, Option<SystemTime>);

#[derive(Debug)]
struct Object {
    identity: Identity,
    /// Kind and permission bits.
    mode: u32,
    /// Owner and group.
    owner: (u32, u32),
    modified: (i64, i64),
    /// Of a regular file its bytes, of a link where it leads.
    content: Vec<u8>,
}

impl Tree {
    /// Looks at a folder. Reading changes no attribute that is looked at.
    pub fn of(root: &Path) -> Self {
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

    /// Objects that came, went or changed.
    pub fn differences(&self, before: &Tree, closely: Closely) -> Vec<String> {
        let paths: BTreeSet<&PathBuf> = before.objects.keys().chain(self.objects.keys()).collect();
        let changed = paths.into_iter().filter_map(|path| {
            let what = match (before.objects.get(path), self.objects.get(path)) {
                (Some(_), None) => "went",
                (None, Some(_)) => "came",
                (Some(old), Some(new)) => old.change(new, closely)?,
                (None, None) => return None,
            };
            Some(told(path, what))
        });
        changed.collect()
    }

    /// Regular files that hold something else than the same object did before, or are new and hold anything.
    pub fn written(&self, before: &Tree) -> Vec<String> {
        let old = before.by_identity();
        let is_written = |object: &Object| match old.get(&object.identity) {
            Some(old) => old.content != object.content,
            None => !object.content.is_empty(),
        };
        let files = self.objects.iter().filter(|(_, object)| object.is_file());
        files.filter(|(_, object)| is_written(object)).map(|(path, _)| told(path, "was written")).collect()
    }

    /// Names that were not there, of objects that were not there.
    pub fn created(&self, before: &Tree) -> Vec<String> {
        let old = before.by_identity();
        let new = self.objects.iter().filter(|(path, _)| !before.objects.contains_key(*path));
        new.filter(|(_, object)| !old.contains_key(&object.identity))
            .map(|(path, _)| told(path, "was created"))
            .collect()
    }

    /// Names that are gone, of objects that are gone.
    pub fn deleted(&self, before: &Tree) -> Vec<String> {
        let new = self.by_identity();
        let gone = before.objects.iter().filter(|(path, _)| !self.objects.contains_key(*path));
        gone.filter(|(_, object)| !new.contains_key(&object.identity))
            .map(|(path, _)| told(path, "was deleted"))
            .collect()
    }

    /// Objects whose permission bits are others.
    pub fn modes_changed(&self, before: &Tree) -> Vec<String> {
        self.changed(before, "has another mode", |old, new| old.mode & 0o777 != new.mode & 0o777)
    }

    /// Objects whose owner or group is another.
    pub fn owners_changed(&self, before: &Tree) -> Vec<String> {
        self.changed(before, "has another owner", |old, new| old.owner != new.owner)
    }

    /// Objects that have set-id bits and did not have them, or that have them with another content.
    pub fn set_ids(&self, before: &Tree) -> Vec<String> {
        let old = before.by_identity();
        let is_set_id = |object: &Object| object.is_file() && object.mode & (libc::S_ISUID | libc::S_ISGID) != 0;
        let is_new = |object: &Object| {
            old.get(&object.identity).is_none_or(|old| old.mode != object.mode || old.content != object.content)
        };
        let found = self.objects.iter().filter(|(_, object)| is_set_id(object) && is_new(object));
        found.map(|(path, _)| told(path, "has set-id bits")).collect()
    }

    /// Objects whose name is gone and that have another now.
    pub fn moved(&self, before: &Tree) -> Vec<String> {
        let new = self.by_identity();
        let gone = before.objects.iter().filter(|(path, _)| !self.objects.contains_key(*path));
        gone.filter(|(_, object)| new.contains_key(&object.identity)).map(|(path, _)| told(path, "was moved")).collect()
    }

    fn changed(&self, before: &Tree, what: &str, is_changed: impl Fn(&Object, &Object) -> bool) -> Vec<String> {
        let old = before.by_identity();
        let is_changed = |object: &Object| old.get(&object.identity).is_some_and(|old| is_changed(old, object));
        self.objects.iter().filter(|(_, object)| is_changed(object)).map(|(path, _)| told(path, what)).collect()
    }

    fn by_identity(&self) -> BTreeMap<Identity, &Object> {
        self.objects.values().map(|object| (object.identity, object)).collect()
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
            identity: (metadata.dev(), metadata.ino(), metadata.created().ok()),
            mode: metadata.mode(),
            owner: (metadata.uid(), metadata.gid()),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            content,
        }
    }

    /// What became of an object, if anything.
    fn change(&self, new: &Object, closely: Closely) -> Option<&'static str> {
        if self.identity != new.identity {
            Some("was replaced")
        } else if self.content != new.content {
            Some("was written")
        } else if closely >= Closely::Rights && (self.mode, self.owner) != (new.mode, new.owner) {
            Some("has another mode or owner")
        } else if closely >= Closely::Times && self.modified != new.modified {
            Some("has another time")
        } else {
            None
        }
    }

    fn is_file(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFREG
    }
}

fn told(path: &Path, what: &str) -> String {
    format!("`{}` {what}", path.display())
}
