//! Commands on directories: `ls`, `mkdir`, `rm`.

use super::flags::{Flag, Flags, read};
use crate::channel::Channel;
use crate::error::{Error, Io, Result};
use crate::script::dir::{Directory, How};
use crate::script::entry::DirEntry;
use crate::script::{Surface, refuse};
use crate::text::path;
use rex_protocol::Failure;
use rex_protocol::fs::{self, Entry, EntryKind, MakeDir, OpenEntry};
use rhai::{Array, Dynamic, Map, NativeCallContext};
use std::rc::Rc;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Ls {
    All,
    Long,
    Recursive,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Mkdir {
    Parents,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Rm {
    Force,
    Recursive,
}

impl Flag for Ls {
    const COMMAND: &'static str = "ls";
    const TYPE: &'static str = "LsFlag";
}
impl Flag for Mkdir {
    const COMMAND: &'static str = "mkdir";
    const TYPE: &'static str = "MkdirFlag";
}
impl Flag for Rm {
    const COMMAND: &'static str = "rm";
    const TYPE: &'static str = "RmFlag";
}

/// Registers the commands and their flags.
pub(super) fn register(surface: &mut Surface) {
    Flags::new()
        .flag(&["all", "a"], Ls::All)
        .flag(&["long", "l"], Ls::Long)
        .flag(&["recursive", "R"], Ls::Recursive)
        .register(surface);
    Flags::new().flag(&["parents", "p"], Mkdir::Parents).register(surface);
    Flags::new().flag(&["force", "f"], Rm::Force).flag(&["recursive", "r"], Rm::Recursive).register(surface);

    let channel = surface.channel();
    surface.function("ls", move |path: &str| ls(&channel, &[], path));
    let channel = surface.channel();
    surface.function("ls", move |context: NativeCallContext<'_>, flags: Array, path: &str| {
        ls(&channel, &read(&context, &flags)?, path)
    });
    let channel = surface.channel();
    surface.function("mkdir", move |path: &str| mkdir(&channel, &[], path));
    let channel = surface.channel();
    surface.function("mkdir", move |context: NativeCallContext<'_>, flags: Array, path: &str| {
        mkdir(&channel, &read(&context, &flags)?, path)
    });
    let channel = surface.channel();
    surface.function("rm", move |path: &str| rm(&channel, &[], path));
    let channel = surface.channel();
    surface.function("rm", move |context: NativeCallContext<'_>, flags: Array, path: &str| {
        rm(&channel, &read(&context, &flags)?, path)
    });
}

fn ls(channel: &Rc<Channel>, flags: &[Ls], path: &str) -> Result<Map> {
    let all = flags.contains(&Ls::All);
    let list = |dir: &Directory| dir.entries(|name| all || !name.starts_with(b"."));
    let place = path::entry(path)?;
    if path.ends_with('/') {
        // Only a directory is meant, also behind a link.
        return list(&Directory::open(channel, place, true)?);
    }
    match channel.call(&OpenEntry { path: place.clone() }).map_err(|failure| refuse::general(&failure, &place))? {
        Entry::Dir(opened) => list(&Directory::new(channel, opened)),
        Entry::Other { parent, entry } => {
            let parent = Directory::new(channel, parent);
            if entry.kind != EntryKind::Symlink {
                let message = format!("Invalid arguments: ls: {path}: Not a directory or symlink");
                return Err(Error::new(Io::InvalidArguments, message).into());
            }
            let key = entry.name.to_text();
            Ok(Map::from_iter([(key.into(), Dynamic::from(DirEntry::new(&parent, entry)))]))
        }
    }
}

fn mkdir(channel: &Rc<Channel>, flags: &[Mkdir], path: &str) -> Result<()> {
    let parents = flags.contains(&Mkdir::Parents);
    let place = path::place(path, "directory")?;
    let path = place.dir.join(&place.name).map_err(|error| Error::new(Io::Other, error.to_string()))?;
    let request = MakeDir { path, parents };
    Ok(channel.call(&request).map_err(|failure| match failure.errno() {
        Some(errno) => Error::because(&failure, Io::IoError, crate::error::errno_text(errno)),
        None => refuse::general(&failure, &request.path),
    })?)
}

fn rm(channel: &Rc<Channel>, flags: &[Rm], path: &str) -> Result<()> {
    let (force, recursive) = (flags.contains(&Rm::Force), flags.contains(&Rm::Recursive));
    let place = path::place(path, "file")?;
    let path = place.dir.join(&place.name).map_err(|error| Error::new(Io::Other, error.to_string()))?;
    let opened = match channel.call(&OpenEntry { path: path.clone() }) {
        Err(failure) if force && refuse::is_gone(&failure) => return Ok(()),
        opened => opened.map_err(|failure| refuse::general(&failure, &path))?,
    };
    match opened {
        Entry::Dir(opened) => Directory::new(channel, opened).delete(recursive, force),
        Entry::Other { parent, entry } => remove_file(&Directory::new(channel, parent), &entry, force),
    }
}

fn remove_file(parent: &Directory, entry: &fs::DirEntry, force: bool) -> Result<()> {
    let file = match parent.try_file(&entry.name, How::READ) {
        Err(failure) if force && refuse::is_gone(&failure) => return Ok(()),
        file => file.map_err(|failure: Failure| match parent.join(&entry.name) {
            Ok(path) => refuse::open_file(&failure, &path, false).into(),
            Err(error) => error,
        })?,
    };
    file.delete(force)
}
