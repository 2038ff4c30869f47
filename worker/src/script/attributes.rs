//! Modes, owners and extended attributes.

use super::dir::Directory;
use super::file::File;
use super::link::Symlink;
use super::options::{self, OUT_OF_RANGE, Options};
use super::recursive::{self, LeftOut};
use super::{Surface, refuse};
use crate::channel::Channel;
use crate::engine::line;
use crate::error::{Error, Io, Result, errno_text};
use crate::text::selinux::Change;
use rex_protocol::failure::FailureKind;
use rex_protocol::fs::{ATTRIBUTE, Object, ReadAttribute, SetMode, SetOwner, WriteAttribute};
use rex_protocol::path::AbsPath;
use rex_protocol::text::Text;
use rhai::NativeCallContext;
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
struct ChmodDirOptions {
    permissions: i64,
    #[serde(default)]
    recursive: bool,
}

impl Options for ChmodDirOptions {
    const NAME: &'static str = "ChmodDirOptions";

    fn missing(field: &str) -> String {
        must_be_initialized(field)
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct SetOwnershipOptions {
    user: Option<String>,
    group: Option<String>,
    recursive: bool,
}

impl Options for SetOwnershipOptions {
    const NAME: &'static str = "SetOwnershipOptions";
}

#[derive(Debug, Clone, Deserialize)]
struct SetXAttrOptions {
    name: String,
    selinux_user: Option<String>,
    selinux_role: Option<String>,
    selinux_type: Option<String>,
    selinux_level: Option<String>,
}

impl Options for SetXAttrOptions {
    const NAME: &'static str = "SetXAttrOptions";

    fn missing(field: &str) -> String {
        must_be_initialized(field)
    }
}

fn must_be_initialized(field: &str) -> String {
    format!("`{field}` must be initialized")
}

/// Sets the permission bits of an open object, whose path is `path`.
fn set_mode(channel: &Channel, object: Object, path: &AbsPath, mode: i64) -> Result<()> {
    match channel.call(&mode_of(object, mode)) {
        Err(failure) if u32::try_from(mode).is_err() && !failure.is_denial() => {
            Err(Error::new(Io::TryFromIntError, OUT_OF_RANGE).into())
        }
        result => Ok(result.map_err(|failure| refuse::general(&failure, path))?),
    }
}

/// What is no mode at all is asked for as one that the session refuses: policy has its say first.
fn mode_of(object: Object, mode: i64) -> SetMode {
    SetMode { object, mode: u32::try_from(mode).unwrap_or(u32::MAX) }
}

/// Sets owner and group of an open object, as far as they are given.
fn set_owner(channel: &Channel, object: Object, path: &AbsPath, options: &SetOwnershipOptions) -> Result<()> {
    Ok(channel.call(&owner_of(object, options)).map_err(|failure| refuse::general(&failure, path))?)
}

fn owner_of(object: Object, options: &SetOwnershipOptions) -> SetOwner {
    // No name is as long as that: one that is cut is not known either.
    let name = |name: &Option<String>| name.as_deref().map(Text::cut);
    SetOwner { object, user: name(&options.user), group: name(&options.group) }
}

/// Sets the permission bits of a directory, and of directories and files below it if that is asked for.
fn set_dir_mode(dir: &Directory, options: &ChmodDirOptions, line: u32) -> Result<()> {
    let (channel, mode) = (dir.channel(), options.permissions);
    if !options.recursive {
        return set_mode(channel, Object::Dir(dir.handle()), dir.path(), mode);
    }
    let mut left_out = LeftOut::new("chmod", line);
    recursive::change(dir, false, &mut left_out, |object| channel.call(&mode_of(object, mode)))
}

/// Sets owner and group of a directory, and of directories, files and links below it if that is asked for.
fn set_dir_owner(dir: &Directory, options: &SetOwnershipOptions, line: u32) -> Result<()> {
    let channel = dir.channel();
    if !options.recursive {
        return set_owner(channel, Object::Dir(dir.handle()), dir.path(), options);
    }
    let mut left_out = LeftOut::new("set_ownership", line);
    recursive::change(dir, true, &mut left_out, |object| channel.call(&owner_of(object, options)))
}

/// Changes parts of a file's SELinux context.
fn set_attribute(file: &File, options: &SetXAttrOptions) -> Result<()> {
    let refused = |failure| refuse::rustix(&failure, file.path());
    let (handle, name) = (file.handle(), Text::cut(&*options.name));
    let change = Change {
        user: options.selinux_user.as_deref(),
        role: options.selinux_role.as_deref(),
        kind: options.selinux_type.as_deref(),
        level: options.selinux_level.as_deref(),
    };
    let read = match file.channel().call(&ReadAttribute { file: handle, name: name.clone() }) {
        Err(failure) if failure.is_denial() || failure.kind == FailureKind::UnsupportedAttribute => {
            return Err(refused(failure).into());
        }
        read => read,
    };
    // Bad parts are told of before what the file has.
    change.check()?;
    let value = read.map_err(refused)?.into_vec();
    let value = String::from_utf8(value).map_err(|error| Error::new(Io::Utf8Error, error.utf8_error().to_string()))?;
    let value = change.apply(&options.name, &value)?;
    if value.len() > ATTRIBUTE {
        return Err(Error::new(Io::RustixError, errno_text(libc::E2BIG)).into());
    }
    let request = WriteAttribute { file: handle, name, value: value.into_bytes().into() };
    Ok(file.channel().call(&request).map_err(refused)?)
}

/// Registers the functions.
pub fn register(surface: &mut Surface) {
    options::register::<ChmodDirOptions>(surface);
    options::register::<SetOwnershipOptions>(surface);
    options::register::<SetXAttrOptions>(surface);
    surface.function("chmod", |file: File, mode: i64| {
        set_mode(file.channel(), Object::File(file.handle()), file.path(), mode)
    });
    surface.function("chmod", |context: NativeCallContext<'_>, dir: Directory, options: ChmodDirOptions| {
        set_dir_mode(&dir, &options, line(context.call_position()))
    });
    surface.function("set_ownership", |file: File, options: SetOwnershipOptions| {
        set_owner(file.channel(), Object::File(file.handle()), file.path(), &options)
    });
    surface.function(
        "set_ownership",
        |context: NativeCallContext<'_>, dir: Directory, options: SetOwnershipOptions| {
            set_dir_owner(&dir, &options, line(context.call_position()))
        },
    );
    surface.function("set_ownership", |link: Symlink, options: SetOwnershipOptions| {
        set_owner(link.channel(), Object::Link(link.handle()), link.path(), &options)
    });
    surface.function("set_extended_attr", |file: File, options: SetXAttrOptions| set_attribute(&file, &options));
}
