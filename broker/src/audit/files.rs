//! The log's files: how they are opened and read.

use super::AuditError;
use crate::sys::trust::confirm_owner;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, SFlag, fstat};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;

/// The longest line that is read, in bytes: no record is so long.
pub(super) const LINE: u64 = 16 * 1024 * 1024;

pub(super) fn refused(step: &'static str, path: &Path, reason: &dyn std::fmt::Display) -> AuditError {
    AuditError::Refused { step, path: path.display().to_string(), reason: reason.to_string() }
}

/// Opens a regular file that nobody else can write.
pub(super) fn open_file(path: &Path, flags: OFlag) -> Result<File, AuditError> {
    let flags = flags | OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = nix::fcntl::open(path, flags, Mode::from_bits_truncate(0o600))
        .map_err(|errno| refused("open", path, &errno.desc()))?;
    let stat = fstat(&file).map_err(|errno| refused("look at", path, &errno.desc()))?;
    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
        return Err(refused("open", path, &"it is not a regular file"));
    }
    confirm_owner(&stat).map_err(|reason| refused("trust", path, &reason))?;
    Ok(file.into())
}

pub(super) fn is_there(path: &Path) -> Result<bool, AuditError> {
    match nix::sys::stat::lstat(path) {
        Ok(_) => Ok(true),
        Err(Errno::ENOENT) => Ok(false),
        Err(errno) => Err(refused("look at", path, &errno.desc())),
    }
}

pub(super) fn read_from(file: &File, offset: u64) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len().saturating_sub(offset);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

/// The first line of a file, with its end if it has one.
pub(super) fn first_line(file: File) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    BufReader::new(file.take(LINE)).read_until(b'\n', &mut line)?;
    Ok(line)
}

/// Descriptors that are held for what the log opens later. So a run that holds all that it may have does not keep its own
/// records from being written: nothing else is opened between the release and the files that take their place.
#[derive(Debug)]
pub(super) struct Reserve {
    of: Rc<File>,
    held: Vec<OwnedFd>,
}

impl Reserve {
    /// A file that takes another's place, and one that is only looked at.
    const HELD: usize = 2;

    pub(super) fn new(of: &Rc<File>) -> io::Result<Self> {
        let mut reserve = Self { of: Rc::clone(of), held: Vec::new() };
        reserve.refill()?;
        Ok(reserve)
    }

    /// Makes room for what is about to be opened.
    pub(super) fn release(&mut self) {
        self.held.clear();
    }

    /// Holds them again, once what was opened has replaced what was open before, or is closed.
    pub(super) fn refill(&mut self) -> io::Result<()> {
        while self.held.len() < Self::HELD {
            self.held.push(self.of.try_clone()?.into());
        }
        Ok(())
    }
}
