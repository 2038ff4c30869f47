//! The daemon's policies: the files of one directory, which nobody but their owner may change.

use crate::authz::{PolicySource, PolicyStore};
use crate::config::Config;
use crate::rails;
use nix::fcntl::OFlag;
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::unistd::geteuid;
use std::fs::File;
use std::io::Read;

/// The largest policy file, in bytes.
const FILE: u64 = 16 * 1024 * 1024;

/// A store that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(String);

/// Loads every `*.cedar` file of the configured directory, in the order of their names. Directory and files must belong
/// to root (or the user the broker runs as) and be writable by nobody else, and be no links; each policy must
/// validate strictly. An empty directory is a store that allows nothing. Besides, the rails hold that the configuration leaves.
pub fn load(config: &Config) -> Result<PolicyStore, StoreError> {
    let directory = &config.policies;
    let fault = |step: &str, error: &dyn std::fmt::Display| {
        StoreError(format!("cannot {step} the policy store `{}`: {error}", directory.display()))
    };
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let dir = nix::fcntl::open(directory, flags, Mode::empty()).map_err(|error| fault("open", &error))?;
    confirm_owner(&fstat(&dir).map_err(|error| fault("look at", &error))?).map_err(|error| fault("trust", &error))?;
    let mut names = Vec::new();
    let copy = dir.try_clone().map_err(|error| fault("list", &error))?;
    for entry in nix::dir::Dir::from_fd(copy).map_err(|error| fault("list", &error))? {
        let entry = entry.map_err(|error| fault("list", &error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".cedar") && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort_unstable();
    let mut sources = Vec::new();
    for name in names {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let text = nix::fcntl::openat(&dir, name.as_str(), flags, Mode::empty())
            .map_err(|error| error.to_string())
            .and_then(|file| read_trusted(File::from(file)))
            .map_err(|error| StoreError(format!("cannot use the policy `{}/{name}`: {error}", directory.display())))?;
        sources.push(PolicySource { name, text });
    }
    let (store, warnings) =
        PolicyStore::load_with_rails(&sources, &rails::source(config)).map_err(|error| fault("use", &error))?;
    for warning in warnings {
        tracing::warn!("policy store: {warning}");
    }
    Ok(store)
}

fn read_trusted(file: File) -> Result<Vec<u8>, String> {
    let stat = fstat(&file).map_err(|error| error.to_string())?;
    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
        return Err("it is not a regular file".into());
    }
    confirm_owner(&stat)?;
    let mut text = Vec::new();
    file.take(FILE + 1).read_to_end(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > FILE {
        return Err(format!("it has more than {FILE} bytes"));
    }
    Ok(text)
}

fn confirm_owner(stat: &FileStat) -> Result<(), String> {
    let own = geteuid().as_raw();
    if stat.st_uid != 0 && stat.st_uid != own {
        return Err(format!("it belongs to uid {}, not to root", stat.st_uid));
    }
    if stat.st_mode & 0o022 != 0 {
        return Err(format!("its mode {:04o} lets others write to it", stat.st_mode & 0o7777));
    }
    Ok(())
}
