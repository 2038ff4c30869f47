//! Directory entries.

use super::dir::{Directory, OpenDirOptions};
use super::file::{File, OpenFileOptions};
use super::kinds::EntryType;
use super::link::Symlink;
use super::metadata::Metadata;
use super::walk::Found;
use super::{Surface, item, number, refuse};
use crate::error::{Error, Io, Result, errno_text};
use rex_protocol::fs::{self, EntryKind, StatEntries};
use rhai::Map;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

/// An entry of a directory, which stays open with it.
#[derive(Debug, Clone)]
pub struct DirEntry(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: Directory,
    entry: fs::DirEntry,
    /// Whether it stands for what a link of its name leads to.
    followed: bool,
    /// An entry opens once; later calls give the same.
    opened: RefCell<Option<Opened>>,
}

#[derive(Debug, Clone)]
enum Opened {
    Dir(Directory),
    File(File),
}

impl DirEntry {
    pub(super) fn new(dir: &Directory, entry: fs::DirEntry) -> Self {
        Self(Rc::new(Inner { dir: dir.clone(), entry, followed: false, opened: RefCell::default() }))
    }

    /// What a walk has come to.
    pub(super) fn found(found: Found) -> Self {
        let Found { parent: dir, entry, followed, .. } = found;
        Self(Rc::new(Inner { dir, entry, followed, opened: RefCell::default() }))
    }

    fn kind(&self) -> EntryType {
        EntryType(self.0.entry.kind)
    }

    fn inode(&self) -> i64 {
        number(self.0.entry.inode)
    }

    fn open_as_file(&self, options: &OpenFileOptions) -> Result<File> {
        match self.opened() {
            Some(Opened::File(file)) => return Ok(file),
            Some(Opened::Dir(_)) => return Err(mismatch("a file")),
            None => {}
        }
        let follow_symlinks = options.follow_symlinks || self.0.followed;
        let options = OpenFileOptions { follow_symlinks, ..options.clone() };
        let file = self.0.dir.open_file(&self.0.entry.name, &options)?;
        self.0.opened.replace(Some(Opened::File(file.clone())));
        Ok(file)
    }

    fn open_as_dir(&self) -> Result<Directory> {
        match self.opened() {
            Some(Opened::Dir(dir)) => return Ok(dir),
            Some(Opened::File(_)) => return Err(mismatch("a dir")),
            None => {}
        }
        let follow = self.0.followed || self.0.entry.kind == EntryKind::Symlink;
        let dir = self.0.dir.subdir(&self.0.entry.name, follow)?;
        self.0.opened.replace(Some(Opened::Dir(dir.clone())));
        Ok(dir)
    }

    fn metadata(&self) -> Result<Metadata> {
        match self.0.entry.kind {
            EntryKind::File => {
                let read = OpenFileOptions { read: true, ..OpenFileOptions::default() };
                self.open_as_file(&read)?.metadata()
            }
            EntryKind::Dir => self.open_as_dir()?.metadata(),
            // Not kept: that the link itself was looked at does not keep it from being opened as what it leads to.
            EntryKind::Symlink => Symlink::open(&self.0.dir, &self.0.entry.name)?.metadata(),
            _ => self.looked_at(),
        }
    }

    /// The metadata of what is not opened for it: pipes, sockets, devices.
    fn looked_at(&self) -> Result<Metadata> {
        let Inner { dir, entry, .. } = &*self.0;
        let path = dir.join(&entry.name)?;
        let request = StatEntries { dir: dir.handle(), entries: vec![(entry.name.clone(), entry.kind)] };
        let answers = dir.channel().call(&request).map_err(|failure| refuse::general(&failure, &path))?;
        let answer = answers.into_iter().next().ok_or_else(|| Error::new(Io::IoError, errno_text(libc::ENOENT)))?;
        Metadata::new(answer.map_err(|failure| refuse::general(&failure, &path))?)
    }

    fn opened(&self) -> Option<Opened> {
        self.0.opened.borrow().clone()
    }
}

fn mismatch(wanted: &str) -> Box<rhai::EvalAltResult> {
    let message = format!("Entry type mismatch: DirEntry does not represent {wanted}");
    Error::new(Io::EntryTypeMismatchError, message).into()
}

impl fmt::Display for DirEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DirEntry({})", self.0.entry.name.to_text())
    }
}

/// Registers directory entries.
pub fn register(surface: &mut Surface) {
    surface.shown::<DirEntry>("DirEntry");
    surface.property("name", |entry: &mut DirEntry| entry.0.entry.name.to_text());
    surface.property("inode", |entry: &mut DirEntry| entry.inode());
    surface.function("type", |entry: DirEntry| entry.kind());
    surface.function("to_map", |entry: DirEntry| {
        Map::from_iter([
            item("inode", entry.inode()),
            item("name", entry.0.entry.name.to_text()),
            item("type", entry.kind().to_string()),
        ])
    });
    surface.function("open_as_file", |entry: DirEntry, options: OpenFileOptions| entry.open_as_file(&options));
    surface.function("open_as_dir", |entry: DirEntry, _: OpenDirOptions| entry.open_as_dir());
    surface.function("metadata", |entry: DirEntry| entry.metadata());
}
