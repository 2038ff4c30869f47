//! `SysctlManager`: the kernel's settings, which are files below `/proc/sys`.

use crate::channel::Channel;
use crate::error::{Error, Result, Systeminfo, as_kind, errno_text};
use crate::script::dir::{Directory, How};
use crate::script::record::{self, Property};
use crate::script::walk::{self, Step, Walk, Way};
use crate::script::{Surface, execute, refuse};
use crate::text::path::{self, Place};
use crate::text::pattern;
use rex_protocol::failure::FailureKind;
use rex_protocol::fs::{EntryKind, Exit, OpenDir, Placement, Write};
use rex_protocol::path::AbsPath;
use rex_protocol::system::LoadSettings;
use rex_protocol::text::Chunk;
use rex_protocol::{Action, Failure};
use rhai::{Array, Dynamic};
use std::rc::Rc;

const ROOT: &str = "/proc/sys";
/// Files that do something when they are read, or that are there for old programs: they are not listed.
const UNLISTED: &[&[u8]] = &[b"base_reachable_time", b"retrans_time", b"stat_refresh"];

/// The way to the settings.
#[derive(Debug, Clone)]
struct SysctlManager(Rc<Channel>);

/// A setting.
#[derive(Debug, Clone)]
pub(in crate::script) struct Setting {
    key: String,
    value: String,
}

pub(in crate::script) const SETTING: &[Property<Setting>] =
    &[("key", |setting| setting.key.clone().into()), ("value", |setting| setting.value.clone().into())];

/// The value of a setting, without the space around it.
pub(in crate::script) fn read(channel: &Rc<Channel>, key: &str) -> Result<String> {
    let text = || {
        let Place { dir, name } = place(key)?;
        Directory::open(channel, dir, false)?.file(&name, How::READ)?.text()
    };
    text().map(|text| text.trim().to_owned()).map_err(|error| as_kind(error, Systeminfo::Other))
}

/// Gives a setting this value, as it is, at once.
pub(in crate::script) fn write(channel: &Rc<Channel>, key: &str, value: &str) -> Result<()> {
    let Place { dir, name } = place(key).map_err(|error| as_kind(error.into(), Systeminfo::Other))?;
    let path = dir.join(&name).map_err(|error| Error::new(Systeminfo::Other, error.to_string()))?;
    let content = Chunk::try_from(value.as_bytes().to_vec())
        .map_err(|_| Error::new(Systeminfo::Other, errno_text(libc::ENOMEM)))?;
    let put = || -> std::result::Result<(), Failure> {
        let dir = Directory::try_open(channel, &OpenDir { path: dir, follow: false, create: None })?;
        let file = dir.try_file(&name, How { read: false, write: true, ..How::READ })?;
        channel.call(&Write { file: file.handle(), placement: Placement::InPlace, content, more: false }).map(drop)
    };
    Ok(put().map_err(|failure| not_written(&failure, &path, key, value))?)
}

fn not_written(failure: &Failure, path: &AbsPath, key: &str, value: &str) -> Error {
    let (kind, message) = match failure.kind {
        FailureKind::Refused { errno: libc::ENOENT | libc::ENOTDIR } => {
            (Systeminfo::InvalidParameter, format!("Invalid sysctl parameter: {key}"))
        }
        FailureKind::Refused { errno: libc::EINVAL } => {
            (Systeminfo::InvalidValue, format!("Invalid sysctl value for {key}={value}: Invalid argument"))
        }
        FailureKind::Refused { errno: libc::EISDIR } => {
            (Systeminfo::Other, "Validation error: argument is not a file".to_owned())
        }
        _ => (Systeminfo::Other, refuse::general(failure, path).message().to_owned()),
    };
    Error::because(failure, kind, message)
}

/// The settings whose path matches a regular expression. What may not be looked at is left out.
pub(in crate::script) fn find(channel: &Rc<Channel>, expression: &str) -> Result<Vec<Setting>> {
    matching(channel, expression).map_err(|error| as_kind(error, Systeminfo::Other))
}

fn matching(channel: &Rc<Channel>, expression: &str) -> Result<Vec<Setting>> {
    let regex = pattern::regex(expression, expression)?;
    let root = Directory::open(channel, path::absolute(ROOT)?, false)?;
    let fault = |failure| refuse::general(&failure, root.path());
    let mut walk = match Walk::begin(&root, Way::THROUGH) {
        Ok(walk) => walk,
        Err(failure) => {
            walk::unless_limit(failure).map_err(fault)?;
            return Ok(Vec::new());
        }
    };
    let mut settings = Vec::new();
    while let Some(step) = walk.next().map_err(fault)? {
        let Step::Entry(found) = step else { continue };
        let Ok(path) = found.path() else { continue };
        let name = found.entry.name.as_bytes();
        if found.entry.kind != EntryKind::File || UNLISTED.contains(&name) || !regex.is_match(&path.to_string()) {
            continue;
        }
        let file = match found.parent.try_file(&found.entry.name, How::READ) {
            Ok(file) => file,
            Err(failure) => {
                walk::unless_limit(failure).map_err(fault)?;
                continue;
            }
        };
        if let Ok(text) = file.text() {
            settings.push(Setting { key: key_of(&path), value: text.trim().to_owned() });
        }
    }
    Ok(settings)
}

/// Has the system's own program load all settings from its files.
fn load_system(channel: &Rc<Channel>) -> Result<()> {
    let ran = channel.call(&LoadSettings {}).and_then(|program| execute::follow(channel, program));
    let ran = ran.map_err(|failure| {
        let path = AbsPath::parse(LoadSettings::PROGRAM).unwrap_or_else(|_| AbsPath::root());
        // A denial of one of its files is one of these, as everywhere here.
        let denied = match &failure.kind {
            FailureKind::Denied(denial) if *denial.action == Action::SysctlLoad.to_string() => {
                Systeminfo::PermissionDenied
            }
            _ => Systeminfo::Other,
        };
        super::refused(&failure, &path, denied, Systeminfo::Other)
    })?;
    let code = match ran.exit {
        Exit::Code(0) => return Ok(()),
        Exit::Code(code) => code,
        Exit::Signal(signal) => -signal,
    };
    let said = String::from_utf8_lossy(&ran.stderr);
    let message = format!("sysctl --system failed with exit code {code}: {}", said.trim_end());
    Err(Error::new(Systeminfo::IoError, message).into())
}

/// Dots of a key are slashes, and slashes stay. Its empty parts go: policy is asked about the path that is opened.
fn place(key: &str) -> std::result::Result<Place, Error> {
    path::place(&format!("{ROOT}/{}", key.replace('.', "/")), "file")
}

fn key_of(path: &AbsPath) -> String {
    path.to_string().trim_start_matches(ROOT).trim_start_matches('/').replace('/', ".")
}

/// Registers the object and what it gives.
pub(super) fn register(surface: &mut Surface) {
    surface.named::<SysctlManager>("SysctlManager");
    surface.named::<Setting>("SysctlEntry");
    record::register(surface, SETTING);
    let channel = surface.channel();
    surface.function("SysctlManager", move || SysctlManager(Rc::clone(&channel)));
    surface.function("read", |manager: &mut SysctlManager, key: &str| read(&manager.0, key));
    surface.function("write", |manager: &mut SysctlManager, key: &str, value: &str| write(&manager.0, key, value));
    surface.function("load_system", |manager: &mut SysctlManager| load_system(&manager.0));
    surface.function("find", |manager: &mut SysctlManager, expression: &str| -> Result<Array> {
        Ok(find(&manager.0, expression)?.into_iter().map(Dynamic::from).collect())
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_paths_without_empty_parts() {
        for key in ["kernel.ostype", "kernel/ostype", ".kernel..ostype", "//kernel/ostype."] {
            let Place { dir, name } = place(key).unwrap();
            let path = dir.join(&name).unwrap();
            assert_eq!(
                (path.to_string().as_str(), key_of(&path).as_str()),
                ("/proc/sys/kernel/ostype", "kernel.ostype")
            );
        }
    }
}
