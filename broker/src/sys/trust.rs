//! Which files the broker believes: those that nobody but root, or the user it runs as, can have written.

use super::fs;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::unistd::geteuid;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;

/// The largest file that is read, in bytes.
const FILE: u64 = 16 * 1024 * 1024;

/// The bytes of a file in `directory`, or of one by its absolute path; nothing if there is none. It must be a regular file and no
/// link, as [`confirm_owner`] demands, and nobody may be writing to it: what is half written says something else than is meant.
pub(crate) fn read(directory: impl AsFd, path: &Path) -> Result<Option<Vec<u8>>, String> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = match openat(directory, path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::ENOENT) => return Ok(None),
        Err(Errno::ELOOP) => return Err("it is a link".into()),
        Err(errno) => return Err(errno.desc().into()),
    };
    let stat = fstat(&file).map_err(|errno| errno.desc().to_owned())?;
    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
        return Err("it is not a regular file".into());
    }
    confirm_owner(&stat)?;
    fs::hold_off_writers(&file).map_err(|_| "somebody has it open to write to it".to_owned())?;
    let mut text = Vec::new();
    file.take(FILE + 1).read_to_end(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > FILE {
        return Err(format!("it has more than {FILE} bytes"));
    }
    Ok(Some(text))
}

/// Confirms that what this tells of belongs to root, or the user this process runs as, and that nobody else may write to it.
pub(crate) fn confirm_owner(stat: &FileStat) -> Result<(), String> {
    let own = geteuid().as_raw();
    if stat.st_uid != 0 && stat.st_uid != own {
        return Err(format!("it belongs to uid {}, not to root; `chown root` it", stat.st_uid));
    }
    if stat.st_mode & 0o022 != 0 {
        return Err(format!("its mode {:04o} lets others write to it; `chmod go-w` it", stat.st_mode & 0o7777));
    }
    Ok(())
}
