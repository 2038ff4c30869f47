//! Directories: `DirConfig` and the handles that it opens.

use super::entry::DirEntry;
use super::file::{File, OpenFileOptions};
use super::metadata::{Metadata, Ownership};
use super::options::{self, Options};
use super::{Surface, refuse};
use crate::channel::{Channel, Held};
use crate::error::{Error, Io, Result, errno_text};
use crate::text::path;
use rex_protocol::Failure;
use rex_protocol::fs::{self, CreateDir, DeleteDir, ListDir, Object, OpenDir, OpenFile, OpenSubdir, OpenedDir, Stat};
use rex_protocol::handle::{Dir, Listing};
use rex_protocol::path::{AbsPath, Name};
use rhai::{Dynamic, Map};
use serde::Deserialize;
use std::fmt;
use std::rc::Rc;

/// What `create` gives to new files, less the umask; where links are followed and where not.
pub(super) const NEW_FILE: u32 = 0o666;
const NEW_FILE_FOLLOWED: u32 = 0o644;

/// An open directory.
#[derive(Debug, Clone)]
pub struct Directory(Rc<Open>);

#[derive(Debug)]
struct Open {
    held: Held<Dir>,
    path: AbsPath,
}

/// How to open a file. `create` is a new one's permissions.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    pub(super) read: bool,
    pub(super) write: bool,
    pub(super) create: Option<u32>,
    pub(super) follow: bool,
    /// Policy must allow `write` before anything is made.
    pub(super) write_next: bool,
}

impl How {
    /// For reading, no link followed.
    pub(super) const READ: How = How { read: true, write: false, create: None, follow: false, write_next: false };
}

#[derive(Debug, Clone, Deserialize)]
struct DirConfig {
    path: String,
}

impl Options for DirConfig {
    const NAME: &'static str = "DirConfig";
}

/// How to open a directory.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct OpenDirOptions {
    create: bool,
    recursive: bool,
    follow_symlinks: bool,
}

impl Options for OpenDirOptions {
    const NAME: &'static str = "OpenDirOptions";
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct DeleteDirOptions {
    force: bool,
    recursive: bool,
}

impl Options for DeleteDirOptions {
    const NAME: &'static str = "DeleteDirOptions";
}

impl Directory {
    /// Takes over a directory that the session just opened.
    pub(super) fn new(channel: &Rc<Channel>, opened: OpenedDir) -> Self {
        Self(Rc::new(Open { held: Held::new(channel, opened.dir), path: opened.path }))
    }

    /// Opens the directory at `path`, its links followed or not.
    pub(super) fn open(channel: &Rc<Channel>, path: AbsPath, follow: bool) -> Result<Self> {
        Self::open_or_make(channel, path, follow, None)
    }

    fn open_or_make(channel: &Rc<Channel>, path: AbsPath, follow: bool, create: Option<CreateDir>) -> Result<Self> {
        let request = OpenDir { path, follow, create };
        Self::try_open(channel, &request).map_err(|failure| {
            let recursive = create.map(|create| create.recursive);
            refuse::open_dir(&failure, &request.path, follow, recursive).into()
        })
    }

    /// As [`Self::open`], with the session's own answer.
    pub(super) fn try_open(channel: &Rc<Channel>, request: &OpenDir) -> std::result::Result<Self, Failure> {
        channel.call(request).map(|opened| Self::new(channel, opened))
    }

    /// Opens the file `name` in it.
    pub(super) fn file(&self, name: &Name, how: How) -> Result<File> {
        self.try_file(name, how)
            .or_else(|failure| Err(refuse::open_file(&failure, &self.join(name)?, how.follow).into()))
    }

    /// As [`Self::file`], with the session's own answer.
    pub(super) fn try_file(&self, name: &Name, how: How) -> std::result::Result<File, Failure> {
        let How { read, write, create, follow, write_next } = how;
        let dir = self.0.held.handle();
        let request = OpenFile { dir, name: name.clone(), read, write, create, follow, write_next };
        let opened = self.channel().call(&request)?;
        let asked = self.0.path.join(name).unwrap_or_else(|_| opened.path.clone());
        Ok(File::new(self.channel(), opened, asked))
    }

    /// Opens the file `name` in it as a script asks for it.
    pub(super) fn open_file(&self, name: &Name, options: &OpenFileOptions) -> Result<File> {
        if options.create && options.read && !options.write {
            return Err(Error::new(Io::IoError, errno_text(libc::EINVAL)).into());
        }
        let default = if options.follow_symlinks { NEW_FILE_FOLLOWED } else { NEW_FILE };
        let mode = options.permissions.map_or(default, |mode| u32::try_from(mode & 0o777).unwrap_or(default));
        // Without write there is nothing to create for; the session refuses it.
        let create = (options.create && options.write).then_some(mode);
        let OpenFileOptions { read, write, follow_symlinks: follow, .. } = *options;
        self.file(name, How { read, write, create, follow, write_next: false })
    }

    /// Calls `each` with every entry, in the order of the file system.
    pub(super) fn list(&self, mut each: impl FnMut(fs::DirEntry)) -> Result<()> {
        let mut listing = None;
        loop {
            let page = self.page(&mut listing).map_err(|failure| refuse::general(&failure, &self.0.path))?;
            page.into_iter().for_each(&mut each);
            if listing.is_none() {
                return Ok(());
            }
        }
    }

    /// The next entries of a listing, the first ones without. There are more while there is a listing afterwards.
    pub(super) fn page(&self, listing: &mut Option<Held<Listing>>) -> std::result::Result<Vec<fs::DirEntry>, Failure> {
        let request = ListDir { dir: self.0.held.handle(), listing: listing.as_ref().map(Held::handle) };
        let page = self.channel().call(&request)?;
        match page.more {
            None => *listing = None,
            // It goes on with the one that it has.
            Some(_) if listing.is_some() => {}
            Some(more) => *listing = Some(Held::new(self.channel(), more)),
        }
        Ok(page.entries)
    }

    /// Opens the directory `name` in it, a link of that name followed or not.
    pub(super) fn subdir(&self, name: &Name, follow: bool) -> Result<Self> {
        self.try_subdir(name, follow)
            .or_else(|failure| Err(refuse::open_dir(&failure, &self.join(name)?, follow, None).into()))
    }

    /// As [`Self::subdir`], with the session's own answer.
    pub(super) fn try_subdir(&self, name: &Name, follow: bool) -> std::result::Result<Self, Failure> {
        let request = OpenSubdir { dir: self.0.held.handle(), name: name.clone(), follow };
        self.channel().call(&request).map(|opened| Self::new(self.channel(), opened))
    }

    /// The entries by name, those that `wanted` lets pass.
    pub(super) fn entries(&self, wanted: impl Fn(&[u8]) -> bool) -> Result<Map> {
        let mut entries = Map::new();
        self.list(|entry| {
            if wanted(entry.name.as_bytes()) {
                let key = entry.name.to_text();
                entries.insert(key.into(), Dynamic::from(DirEntry::new(self, entry)));
            }
        })?;
        Ok(entries)
    }

    /// Removes it.
    pub(super) fn delete(&self, recursive: bool, force: bool) -> Result<()> {
        match self.channel().call(&DeleteDir { dir: self.0.held.handle(), recursive }) {
            Ok(()) => Ok(()),
            Err(failure) if force && refuse::is_gone(&failure) => Ok(()),
            Err(failure) => Err(refuse::remove(&failure, &self.0.path, true).into()),
        }
    }

    /// What it is like.
    pub(super) fn metadata(&self) -> Result<Metadata> {
        Metadata::new(self.stat()?)
    }

    /// Its path as policy judged it.
    pub(super) fn path(&self) -> &AbsPath {
        &self.0.path
    }

    /// The path of `name` in it.
    pub(super) fn join(&self, name: &Name) -> Result<AbsPath> {
        let join = self.0.path.join(name);
        Ok(join.map_err(|_| Error::new(Io::IoError, errno_text(libc::ENAMETOOLONG)))?)
    }

    /// Its handle.
    pub(super) fn handle(&self) -> rex_protocol::Handle<Dir> {
        self.0.held.handle()
    }

    pub(super) fn channel(&self) -> &Rc<Channel> {
        self.0.held.channel()
    }

    /// What it is like, with the session's own answer.
    pub(super) fn try_stat(&self) -> std::result::Result<fs::Metadata, Failure> {
        self.channel().call(&Stat { object: Object::Dir(self.0.held.handle()) })
    }

    fn stat(&self) -> Result<fs::Metadata> {
        Ok(self.try_stat().map_err(|failure| refuse::general(&failure, &self.0.path))?)
    }
}

impl fmt::Display for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DirHandle({})", self.0.path)
    }
}

/// Registers directories.
pub fn register(surface: &mut Surface) {
    options::register::<DirConfig>(surface);
    options::register::<OpenDirOptions>(surface);
    options::register::<DeleteDirOptions>(surface);
    surface.shown::<Directory>("DirHandle");
    let channel = surface.channel();
    surface.function("open", move |config: DirConfig, options: OpenDirOptions| {
        let create = options.create.then_some(CreateDir { recursive: options.recursive });
        Directory::open_or_make(&channel, path::absolute(&config.path)?, options.follow_symlinks, create)
    });
    surface.function("open_file", |dir: Directory, name: &str, options: OpenFileOptions| {
        dir.open_file(&path::name_in(dir.path(), name)?, &options)
    });
    surface.function("list_entries", |dir: Directory| dir.entries(|_| true));
    surface.function("metadata", |dir: Directory| dir.metadata());
    surface.function("get_ownership", |dir: Directory| Ownership::new(&dir.stat()?));
    surface
        .function("delete", |dir: Directory, options: DeleteDirOptions| dir.delete(options.recursive, options.force));
}
