//! Moving files and directories.

use super::dir::Directory;
use super::file::File;
use super::options::{self, Options};
use super::{Surface, log, refuse};
use crate::channel::Channel;
use crate::engine::line;
use crate::error::{Error, Io, Result};
use crate::text::path;
use rex_protocol::Failure;
use rex_protocol::failure::FailureKind;
use rex_protocol::fs::{MoveDir, MoveFile};
use rex_protocol::path::{AbsPath, Name};
use rex_protocol::text::Text;
use rex_protocol::worker::{Level, Log};
use rhai::NativeCallContext;
use serde::Deserialize;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct MoveOptions {
    #[allow(
        dead_code,
        reason = "every move keeps the destination until the copy is whole, which is what this asks for"
    )]
    backup: bool,
    verbose: bool,
}

impl Options for MoveOptions {
    const NAME: &'static str = "MoveOptions";
}

/// Moves `file` to the name `name` in `to`, and gives it at its new place. `verbose` logs the move.
pub(super) fn file(
    context: &NativeCallContext<'_>,
    file: &File,
    to: &Directory,
    name: &Name,
    verbose: bool,
) -> Result<File> {
    let (from, destination) = (file.asked(), to.join(name)?);
    let request = MoveFile { file: file.handle(), to: to.handle(), name: name.clone() };
    let opened = to.channel().call(&request).map_err(|failure| match failure.kind {
        FailureKind::Refused { .. } => refuse::moving_file(&failure, from, &destination.to_string()),
        _ => refuse::general(&failure, from),
    })?;
    if verbose {
        tell(context, to.channel(), from, &destination);
    }
    Ok(File::new(to.channel(), opened, destination))
}

/// Moves `dir`, which `parent` holds, to the name `name` in `to`, and gives it at its new place.
fn directory(
    context: &NativeCallContext<'_>,
    parent: &Directory,
    dir: &Directory,
    to: &Directory,
    name: &Name,
    verbose: bool,
) -> Result<Directory> {
    let from = source(parent, dir)?;
    let destination = to.join(name)?;
    let request = MoveDir { dir: dir.handle(), from: parent.handle(), to: to.handle(), name: name.clone() };
    let opened = to.channel().call(&request).map_err(|failure| match &failure.kind {
        FailureKind::Refused { .. } => refuse::moving_dir(&failure, &from, &destination.to_string()),
        // Then it should have gone into that, under its own name.
        FailureKind::DirectoryNotEmpty => {
            let inside = from.split().and_then(|(_, own)| destination.join(&own).ok());
            refuse::general(&failure, inside.as_ref().unwrap_or(&destination))
        }
        _ => refuse::general(&failure, &from),
    })?;
    if verbose {
        tell(context, to.channel(), &from, &opened.path);
    }
    Ok(Directory::new(to.channel(), opened))
}

/// The path by which a directory is moved: its own name in the directory that is said to hold it.
fn source(parent: &Directory, dir: &Directory) -> Result<AbsPath> {
    match dir.path().split() {
        Some((_, name)) => parent.join(&name),
        None => Ok(AbsPath::root()),
    }
}

/// The name of a destination as scripts give it. `refused` tells of one that stands for a directory itself, or for nothing.
fn destination(to: &Directory, name: &str, refused: impl FnOnce(&Failure, &str) -> Error) -> Result<Name> {
    let errno = match name {
        "" => libc::ENOENT,
        "." => libc::EBUSY,
        _ if name.starts_with('/') => {
            return Err(Error::new(Io::InvalidPath, format!("Invalid path: {}", path::OUTSIDE)).into());
        }
        _ => return Ok(path::name_in(to.path(), name)?),
    };
    let failure = Failure::new(FailureKind::Refused { errno }, "not a name to move to");
    Err(refused(&failure, &format!("{}/{name}", to.path())).into())
}

fn tell(context: &NativeCallContext<'_>, channel: &Channel, from: &AbsPath, to: &AbsPath) {
    if channel.logs(Level::Info) {
        let message = Text::cut(log::message(&format!("Moved from '{from}' to '{to}'")));
        let function = Some(Text::cut(context.fn_name()));
        channel.log(Log { level: Level::Info, message, line: line(context.call_position()), function });
    }
}

/// Registers the functions.
pub fn register(surface: &mut Surface) {
    options::register::<MoveOptions>(surface);
    surface.function(
        "move",
        |context: NativeCallContext<'_>, moved: File, to: Directory, name: &str, options: MoveOptions| {
            let refused = |failure: &Failure, place: &str| refuse::moving_file(failure, moved.asked(), place);
            let name = destination(&to, name, refused)?;
            file(&context, &moved, &to, &name, options.verbose)
        },
    );
    surface.function(
        "move",
        |context: NativeCallContext<'_>,
         parent: Directory,
         dir: Directory,
         to: Directory,
         name: &str,
         options: MoveOptions| {
            let from = source(&parent, &dir)?;
            let name = destination(&to, name, |failure, place| refuse::moving_dir(failure, &from, place))?;
            directory(&context, &parent, &dir, &to, &name, options.verbose)
        },
    );
}
