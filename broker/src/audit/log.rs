//! The log's file: appended to under a lock, chained, and put right after a crash.
//!
//! Each record is a line of JSON that ends with the SHA-256 of the line before it. Records are written first and the head
//! after them. So after a sudden end the file may go on behind the head: whole records that continue the chain are
//! taken over, and a torn one, which nothing was ever done upon, is cut off. It may end before the head only where the
//! machine went down, and then not before what the disk had confirmed. Everything else is no accident: nothing is written to
//! such a log, and so nothing is done.
#![allow(clippy::disallowed_methods, reason = "the record of a dry run is a real one")]

use super::head::{Head, Position};
use super::record::Entry;
use super::{Audit, Sync, chain};
use crate::sys::clock;
use crate::sys::trust::confirm_owner;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::sys::stat::{Mode, SFlag, fstat};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The file that is written to.
pub(super) const CURRENT: &str = "audit.jsonl";
/// Its head.
pub(super) const HEAD: &str = "audit.head";
/// How long another process may hold the log: its writes take microseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The log cannot be written, or is not what it was left as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// The system says no.
    #[error("cannot {step} the audit log `{path}`: {reason}")]
    Refused {
        /// What was tried.
        step: &'static str,
        /// The file.
        path: String,
        /// Why not.
        reason: String,
    },
    /// Something else than this program has changed it.
    #[error("the audit log `{path}` was changed: {reason}")]
    Changed {
        /// The file.
        path: String,
        /// What shows it.
        reason: String,
    },
}

/// The log, open for one process. A process that was forked opens its own.
#[derive(Debug)]
pub struct Log {
    settings: Audit,
    head: File,
    current: File,
    boot: String,
}

impl Log {
    /// Opens the log in the configured directory, and begins one where there is none. The directory must belong to root, or the
    /// user this process runs as, and be writable by nobody else.
    pub fn open(settings: &Audit) -> Result<Self, AuditError> {
        let directory = &settings.directory;
        let refused = |step, error: &dyn std::fmt::Display| refused(step, directory, error);
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let opened =
            nix::fcntl::open(directory, flags, Mode::empty()).map_err(|errno| refused("open", &errno.desc()))?;
        let stat = fstat(&opened).map_err(|errno| refused("look at", &errno.desc()))?;
        confirm_owner(&stat).map_err(|reason| refused("trust", &reason))?;
        let boot = clock::boot_id().map_err(|error| refused("tell this boot for", &error))?;
        let head = open_file(&directory.join(HEAD), OFlag::O_CREAT)?;
        let log = Self {
            settings: settings.clone(),
            current: head.try_clone().map_err(|e| refused("open", &e))?,
            head,
            boot,
        };
        log.begin()
    }

    /// As [`Self::open`], but where it was changed, what is left is put aside and a new chain begun, which says so in its first
    /// record. Nothing is lost, and it never verifies as if nothing had happened.
    pub fn open_or_begin_anew(settings: &Audit) -> Result<Self, AuditError> {
        let tried = Self::open(settings).and_then(|mut log| log.append(&[]).map(|()| log));
        let Err(AuditError::Changed { reason, .. }) = tried else { return tried };
        let aside = format!("audit-damaged-{}.jsonl", jiff::Timestamp::now().as_microsecond());
        let at = |name: &str| settings.directory.join(name);
        match nix::fcntl::renameat(nix::fcntl::AT_FDCWD, &at(CURRENT), nix::fcntl::AT_FDCWD, &at(&aside)) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(refused("put aside", &at(CURRENT), &errno.desc())),
        }
        match nix::unistd::unlink(&at(HEAD)) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(refused("begin anew", &at(HEAD), &errno.desc())),
        }
        let mut log = Self::open(settings)?;
        log.append(&[Entry::gap(&reason, &aside)])?;
        tracing::error!("the audit log was changed: {reason}; what is left of it is `{aside}`, and a new one begins");
        Ok(log)
    }

    /// How it is kept.
    pub(super) fn settings(&self) -> &Audit {
        &self.settings
    }

    /// Takes the current file in, and makes what a new log needs.
    fn begin(mut self) -> Result<Self, AuditError> {
        let _lock = self.lock()?;
        let known = self.read_head()?;
        let path = self.path(CURRENT);
        match (known, is_there(&path)?) {
            (None, false) => {
                self.current = open_file(&path, OFlag::O_CREAT | OFlag::O_EXCL)?;
                let mut head = Head::beginning(self.inode()?, &self.boot);
                self.store(&mut head)?;
                sync_directory(&self.settings.directory)?;
            }
            (None, true) => return Err(self.changed("its head is missing")),
            // The full one was put aside and no new one begun: the next record is preceded by that.
            (Some(_), false) => {}
            (Some(_), true) => self.current = open_file(&path, OFlag::empty())?,
        }
        Ok(self)
    }

    /// Appends records, all of them or none. When it returns, they are with the kernel, and as the settings say with the disk.
    pub fn append(&mut self, entries: &[Entry]) -> Result<(), AuditError> {
        let _lock = self.lock()?;
        let (mut head, mut own) = self.head_now()?;
        if head.last.length >= self.settings.rotate_bytes() && head.last.seq >= head.first {
            own.extend(self.rotate(&mut head)?);
        }
        if own.is_empty() && entries.is_empty() {
            return Ok(());
        }
        let before = head.last.clone();
        let mut text = Vec::with_capacity(entries.len() * 512);
        for entry in own.iter().chain(entries) {
            let seq = head.last.seq + 1;
            let line = entry.line(seq, &head.last.hash);
            head.last =
                Position { seq, length: head.last.length + line.len() as u64 + 1, hash: chain::hash(line.as_bytes()) };
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
        }
        if let Err(error) = self.current.write_all_at(&text, before.length) {
            // What is there of it would be taken over otherwise: nothing of it was done.
            let _ = self.current.set_len(before.length);
            return Err(refused("write", &self.path(CURRENT), &error));
        }
        if self.settings.sync == Sync::Record {
            self.confirm(&mut head)?;
        }
        self.store(&mut head)
    }

    /// Waits until all that is written is on the disk.
    pub fn sync(&mut self) -> Result<(), AuditError> {
        // The log first and then its head: a head on the disk never tells of what is not there.
        self.current.sync_data().map_err(|error| refused("sync", &self.path(CURRENT), &error))?;
        let _lock = self.lock()?;
        let (mut head, own) = self.head_now()?;
        if !own.is_empty() {
            // Another process came to its end in between: the next record tells of it.
            return Ok(());
        }
        self.confirm(&mut head)?;
        self.store(&mut head)
    }

    fn confirm(&self, head: &mut Head) -> Result<(), AuditError> {
        self.current.sync_data().map_err(|error| refused("sync", &self.path(CURRENT), &error))?;
        head.synced = head.last.clone();
        Ok(())
    }

    /// The head as it should be: with what was written behind it, in the file that is written to now. What had to be done for
    /// that is told by records, which are to be written first.
    fn head_now(&mut self) -> Result<(Head, Vec<Entry>), AuditError> {
        let Some(head) = self.read_head()? else { return Err(self.changed("its head is empty")) };
        let path = self.path(CURRENT);
        let stat = match nix::sys::stat::lstat(&path) {
            Ok(stat) => Some(stat),
            Err(Errno::ENOENT) => None,
            Err(errno) => return Err(refused("look at", &path, &errno.desc())),
        };
        let Some(stat) = stat.filter(|stat| stat.st_ino == head.inode) else {
            let full = archive(head.first);
            return Ok((self.finish_rotation(head)?, vec![Entry::rotated(&full)]));
        };
        if stat.st_ino != self.inode()? {
            self.current = open_file(&path, OFlag::empty())?;
        }
        if head.boot == self.boot && u64::try_from(stat.st_size) == Ok(head.last.length) {
            return Ok((head, Vec::new()));
        }
        self.recover(head)
    }

    /// Puts right what a sudden end has left.
    fn recover(&self, mut head: Head) -> Result<(Head, Vec<Entry>), AuditError> {
        let path = self.path(CURRENT);
        let length = self.current.metadata().map_err(|error| refused("look at", &path, &error))?.len();
        let before = head.last.clone();
        // The machine went down, or was: what the disk had not confirmed may be gone, or be anything.
        let rebooted = head.boot != self.boot;
        if rebooted {
            head.last = head.synced.clone();
        }
        if length < head.last.length {
            let known = if rebooted { "the disk had confirmed" } else { "its head tells of" };
            return Err(self.changed(&format!("it has {length} bytes, {known} {}", head.last.length)));
        }
        let tail = read_from(&self.current, head.last.length).map_err(|error| refused("read", &path, &error))?;
        match chain::follow(&mut head.last, &tail) {
            Ok(()) => {}
            Err(_) if rebooted => {}
            Err(reason) => return Err(self.changed(&reason)),
        }
        let torn = length.saturating_sub(head.last.length);
        if torn > 0 {
            self.current.set_len(head.last.length).map_err(|error| refused("cut", &path, &error))?;
        }
        let all_is_well = torn == 0 && head.last == before;
        let told = (!all_is_well).then(|| Entry::recovered(before.seq, head.last.seq, torn));
        Ok((head, told.into_iter().collect()))
    }

    /// Puts the full file aside under the number of its first record, and begins a new one.
    fn rotate(&mut self, head: &mut Head) -> Result<Vec<Entry>, AuditError> {
        let (current, full) = (self.path(CURRENT), self.path(&archive(head.first)));
        self.confirm(head)?;
        self.store(head)?;
        self.head.sync_data().map_err(|error| refused("sync", &self.path(HEAD), &error))?;
        let flags = nix::fcntl::RenameFlags::RENAME_NOREPLACE;
        let here = nix::fcntl::AT_FDCWD;
        nix::fcntl::renameat2(here, &current, here, &full, flags)
            .map_err(|errno| refused("rotate", &current, &errno.desc()))?;
        let file = archive(head.first);
        *head = self.finish_rotation(head.clone())?;
        let mut entries = vec![Entry::rotated(&file)];
        entries.extend(self.retire()?);
        Ok(entries)
    }

    /// Begins a new file where the full one was put aside. Its name and inode show that it is that.
    fn finish_rotation(&mut self, mut head: Head) -> Result<Head, AuditError> {
        let current = self.path(CURRENT);
        match nix::sys::stat::lstat(&self.path(&archive(head.first))) {
            Ok(stat) if stat.st_ino == head.inode && u64::try_from(stat.st_size) == Ok(head.last.length) => {}
            _ if is_there(&current)? => return Err(self.changed("another file stands in its place")),
            _ => return Err(self.changed("it is missing")),
        }
        self.current = open_file(&current, OFlag::O_CREAT)?;
        if self.current.metadata().map_err(|error| refused("look at", &current, &error))?.len() > 0 {
            return Err(self.changed("another file stands in its place"));
        }
        head.inode = self.inode()?;
        head.first = head.last.seq + 1;
        head.last.length = 0;
        head.synced = head.last.clone();
        self.store(&mut head)?;
        sync_directory(&self.settings.directory)?;
        Ok(head)
    }

    /// Removes the oldest files beyond those that are kept. Their last record's number and hash go into the log before.
    fn retire(&self) -> Result<Option<Entry>, AuditError> {
        let directory = &self.settings.directory;
        let archives = chain::archives(directory).map_err(|error| refused("list", directory, &error))?;
        let extra = archives.len().saturating_sub(self.settings.keep);
        let Some((kept, gone)) = archives.get(extra).zip(archives.get(..extra)).filter(|_| extra > 0) else {
            return Ok(None);
        };
        let path = self.path(&archive(*kept));
        let file = open_file(&path, OFlag::empty())?;
        let first = read_from(&file, 0).map_err(|error| refused("read", &path, &error))?;
        let Some(before) = chain::predecessor(&first) else { return Ok(None) };
        for first in gone {
            let path = self.path(&archive(*first));
            nix::unistd::unlink(&path).map_err(|errno| refused("remove", &path, &errno.desc()))?;
        }
        Ok(Some(Entry::retired(&before)))
    }

    fn store(&self, head: &mut Head) -> Result<(), AuditError> {
        head.boot.clone_from(&self.boot);
        head.write(&self.head).map_err(|error| refused("write", &self.path(HEAD), &error))
    }

    fn read_head(&self) -> Result<Option<Head>, AuditError> {
        let path = self.path(HEAD);
        // Another one of that name is not what the others write to.
        let stat = nix::sys::stat::lstat(&path).map_err(|errno| refused("look at", &path, &errno.desc()))?;
        let own = fstat(&self.head).map_err(|errno| refused("look at", &path, &errno.desc()))?;
        if stat.st_ino != own.st_ino {
            return Err(self.changed("its head was replaced"));
        }
        Head::read(&self.head).map_err(|error| refused("read", &path, &error))
    }

    fn lock(&self) -> Result<Flock<OwnedFd>, AuditError> {
        let path = self.path(HEAD);
        let end = Instant::now() + PATIENCE;
        let mut file: OwnedFd = self.head.try_clone().map_err(|error| refused("lock", &path, &error))?.into();
        loop {
            file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => return Ok(lock),
                Err((file, Errno::EAGAIN | Errno::EINTR)) if Instant::now() < end => file,
                Err((_, Errno::EAGAIN)) => return Err(refused("lock", &path, &"another process holds it")),
                Err((_, errno)) => return Err(refused("lock", &path, &errno.desc())),
            };
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    fn inode(&self) -> Result<u64, AuditError> {
        let stat = fstat(&self.current).map_err(|errno| refused("look at", &self.path(CURRENT), &errno.desc()))?;
        Ok(stat.st_ino)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.settings.directory.join(name)
    }

    fn changed(&self, reason: &str) -> AuditError {
        AuditError::Changed { path: self.path(CURRENT).display().to_string(), reason: reason.to_owned() }
    }
}

/// The name of a full file, by its first record.
pub(super) fn archive(first: u64) -> String {
    format!("audit-{first:020}.jsonl")
}

fn refused(step: &'static str, path: &Path, reason: &dyn std::fmt::Display) -> AuditError {
    AuditError::Refused { step, path: path.display().to_string(), reason: reason.to_string() }
}

fn open_file(path: &Path, flags: OFlag) -> Result<File, AuditError> {
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

fn is_there(path: &Path) -> Result<bool, AuditError> {
    match nix::sys::stat::lstat(path) {
        Ok(_) => Ok(true),
        Err(Errno::ENOENT) => Ok(false),
        Err(errno) => Err(refused("look at", path, &errno.desc())),
    }
}

fn read_from(file: &File, offset: u64) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len().saturating_sub(offset);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

/// That a file has this name is on the disk too.
fn sync_directory(directory: &Path) -> Result<(), AuditError> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    nix::fcntl::open(directory, flags, Mode::empty())
        .and_then(|directory| nix::unistd::fsync(&directory))
        .map_err(|errno| refused("sync", directory, &errno.desc()))
}
