//! Symbolic links: handles of links themselves, what links say, and making links.

use super::dir::Directory;
use super::metadata::Metadata;
use super::options::{self, Options};
use super::{Surface, refuse};
use crate::channel::{Channel, Held};
use crate::error::{Error, Io, Result, errno_text};
use crate::text::path;
use rex_protocol::failure::FailureKind;
use rex_protocol::fs::{LinkText, MakeLink, Object, OpenLink, ReadLink, ReadOpenLink, Stat};
use rex_protocol::handle;
use rex_protocol::path::{AbsPath, Name, PATH_BYTES};
use serde::Deserialize;
use std::fmt;
use std::rc::Rc;

/// A symbolic link itself.
#[derive(Debug, Clone)]
pub struct Symlink(Rc<Open>);

#[derive(Debug)]
struct Open {
    held: Held<handle::Link>,
    path: AbsPath,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct CreateSymlinkOptions {
    force: bool,
}

impl Options for CreateSymlinkOptions {
    const NAME: &'static str = "CreateSymlinkOptions";
}

impl Symlink {
    /// Opens the link `name` in `dir`.
    pub(super) fn open(dir: &Directory, name: &Name) -> Result<Self> {
        let request = OpenLink { dir: dir.handle(), name: name.clone() };
        match dir.channel().call(&request) {
            Ok(opened) => Ok(Self(Rc::new(Open { held: Held::new(dir.channel(), opened.link), path: opened.path }))),
            Err(failure) => Err(refuse::general(&failure, &dir.join(name)?).into()),
        }
    }

    /// What it is like, and where it leads if that may be read.
    pub(super) fn metadata(&self) -> Result<Metadata> {
        let stat = self.channel().call(&Stat { object: Object::Link(self.handle()) });
        let metadata = Metadata::new(stat.map_err(|failure| refuse::general(&failure, self.path()))?)?;
        match self.channel().call(&ReadOpenLink { link: self.handle() }) {
            Ok(target) => Ok(metadata.leading_to(target.to_text())),
            Err(failure) if failure.is_denial() => Ok(metadata),
            Err(failure) => Err(refuse::general(&failure, self.path()).into()),
        }
    }

    /// Its handle.
    pub(super) fn handle(&self) -> rex_protocol::Handle<handle::Link> {
        self.0.held.handle()
    }

    /// Its path as policy judged it.
    pub(super) fn path(&self) -> &AbsPath {
        &self.0.path
    }

    pub(super) fn channel(&self) -> &Rc<Channel> {
        self.0.held.channel()
    }
}

/// What the link `name` in `dir` says.
fn read_target(dir: &Directory, name: &str) -> Result<String> {
    if name.starts_with('/') {
        return Err(Error::new(Io::IoError, path::OUTSIDE).into());
    }
    let request = ReadLink { dir: dir.handle(), name: path::name_in(dir.path(), name)? };
    match dir.channel().call(&request) {
        Ok(target) => Ok(target.to_text()),
        Err(failure) if failure.kind == FailureKind::NotALink => {
            Err(Error::because(&failure, Io::IoError, errno_text(libc::EINVAL)).into())
        }
        Err(failure) => Err(refuse::general(&failure, &dir.join(&request.name)?).into()),
    }
}

fn create(dir: &Directory, target: &str, name: &str, options: &CreateSymlinkOptions) -> Result<()> {
    let name = path::name_in(dir.path(), name)?;
    let target = LinkText::try_from(target.as_bytes().to_vec()).map_err(|_| {
        let errno = match target.len() {
            0 => libc::ENOENT,
            length if length > PATH_BYTES => libc::ENAMETOOLONG,
            _ => libc::EINVAL,
        };
        Error::new(Io::IoError, errno_text(errno))
    })?;
    let request = MakeLink { dir: dir.handle(), name, target, replace: options.force };
    match dir.channel().call(&request) {
        Ok(()) => Ok(()),
        Err(failure) => Err(refuse::general(&failure, &dir.join(&request.name)?).into()),
    }
}

impl fmt::Display for Symlink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SymlinkHandle({})", self.path())
    }
}

/// Registers links.
pub fn register(surface: &mut Surface) {
    options::register::<CreateSymlinkOptions>(surface);
    surface.shown::<Symlink>("SymlinkHandle");
    surface
        .function("open_symlink", |dir: Directory, name: &str| Symlink::open(&dir, &path::name_in(dir.path(), name)?));
    surface.function("read_link_target", |dir: Directory, name: &str| read_target(&dir, name));
    surface.function("create_symlink", |dir: Directory, target: &str, name: &str, options: CreateSymlinkOptions| {
        create(&dir, target, name, &options)
    });
    surface.function("metadata", |link: Symlink| link.metadata());
}
