//! The log's file: appended to under a lock, chained, and put right after a crash.
//!
//! Each record is a line of JSON that ends with the SHA-256 of the line before it. Records are written first and the head
//! after them. So after a sudden end the file may go on behind the head: whole records that continue the chain are
//! taken over, and a torn one, which nothing was ever done upon, is cut off. It may end before the head only where the
//! machine went down, and then not before what the disk had confirmed. Everything else is no accident: nothing is written to
//! such a log, and so nothing is done.
#![allow(clippy::disallowed_methods, reason = "the record of a dry run is a real one")]

use super::error::AuditError;
use super::files::{Reserve, is_there, open_file, read_from, refused};
use super::head::{Head, Position};
use super::ledger::{LEDGER, Ledger};
use super::record::Entry;
use super::retention::Retiring;
use super::{Audit, Sync, chain};
use crate::sys::clock;
use crate::sys::lock::Lock;
use crate::sys::trust::confirm_owner;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, fstat};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The file that is written to.
pub(super) const CURRENT: &str = "audit.jsonl";
/// Its head.
pub(super) const HEAD: &str = "audit.head";
/// How long another process may hold the log. Its writes take microseconds; only while it puts a full file aside it may have to
/// wait for the disk.
const PATIENCE: Duration = Duration::from_secs(30);

/// The log, open for one process. A process that was forked opens its own.
#[derive(Debug)]
pub struct Log {
    settings: Audit,
    /// The directory, held to confirm what is in it.
    directory: OwnedFd,
    head: Rc<File>,
    /// The same, to lock it.
    lock: Rc<OwnedFd>,
    current: File,
    boot: String,
    reserve: Reserve,
    /// Who it is written for, where that is limited, and what counts against it, in bytes.
    ledger: Option<Ledger>,
    filled: u64,
    /// What it has written itself.
    written: Written,
}

/// How much a process has written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written {
    pub(super) records: u64,
    pub(super) bytes: u64,
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
        let head = Rc::new(open_file(&directory.join(HEAD), OFlag::O_CREAT)?);
        let log = Self {
            settings: settings.clone(),
            directory: opened,
            current: head.try_clone().map_err(|e| refused("open", &e))?,
            reserve: Reserve::new(&head).map_err(|e| refused("open", &e))?,
            lock: Rc::new(head.try_clone().map_err(|e| refused("open", &e))?.into()),
            head,
            boot,
            ledger: None,
            filled: 0,
            written: Written::default(),
        };
        log.begin()
    }

    /// As [`Self::open`], for a run: what it writes counts against what this user's runs may fill.
    pub(crate) fn open_for(settings: &Audit, user: u32) -> Result<Self, AuditError> {
        let mut log = Self::open(settings)?;
        let most = settings.user_bytes();
        if most > 0 {
            let path = log.path(LEDGER);
            let file = open_file(&path, OFlag::O_CREAT)?;
            let _lock = log.lock()?;
            let opened = Ledger::new(file, user, most, settings.reach());
            log.ledger = Some(opened.map_err(|error| refused("open", &path, &error))?);
            log.count(0)?;
        }
        Ok(log)
    }

    /// Why nothing more of this run should be written but its end.
    pub(crate) fn confirm_room(&self) -> Result<(), AuditError> {
        let mib = |bytes: u64| bytes / (1024 * 1024);
        if self.settings.run_bytes().is_some_and(|most| self.written.bytes >= most) {
            let (whose, remedy) = ("the records of this run", "do less in one run");
            return Err(AuditError::Full { whose, mib: self.settings.run_mib, remedy });
        }
        match &self.ledger {
            Some(ledger) if self.filled >= ledger.most() => {
                let (whose, remedy) = ("the records of this user's runs", "it is regained with time");
                Err(AuditError::Full { whose, mib: mib(ledger.most()), remedy })
            }
            _ => Ok(()),
        }
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

    /// The number of the last record, and the hash of its line.
    pub(crate) fn last(&self) -> Result<(u64, String), AuditError> {
        let head = self.read_head()?.ok_or_else(|| self.changed("its head is empty"))?;
        Ok((head.last.seq, head.last.hash))
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
                self.sync_directory()?;
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
        if self.current.metadata().is_ok_and(|current| current.len() >= self.settings.rotate_bytes()) {
            // It is about to be put aside, for which the disk has to confirm it: while others wait, as little of it as possible.
            let _ = self.current.sync_data();
        }
        let written = self.append_at_once(entries);
        let refilled = self.reserve.refill();
        let retiring = written?;
        refilled.map_err(|error| refused("hold descriptors for", &self.settings.directory, &error))?;
        if self.settings.sync == Sync::Record {
            self.sync()?;
        }
        if !retiring.is_empty()
            && let Err(error) = self.retire(&retiring)
        {
            tracing::error!("{error}");
        }
        Ok(())
    }

    fn append_at_once(&mut self, entries: &[Entry]) -> Result<Retiring, AuditError> {
        let _lock = self.lock()?;
        let (mut head, mut own) = self.head_now()?;
        let mut retiring = Retiring::default();
        if head.last.length >= self.settings.rotate_bytes() && head.last.seq >= head.first {
            own.push(self.rotate(&mut head)?);
            // Too much of the log is kept where this fails: that is no reason to do nothing.
            retiring = Retiring::of(&self.settings, &head.last).unwrap_or_else(|error| {
                tracing::error!("{error}");
                Retiring::default()
            });
            own.extend(retiring.entry(&self.settings));
        }
        if own.is_empty() && entries.is_empty() {
            return Ok(retiring);
        }
        let before = head.last.clone();
        let mut text = Vec::with_capacity(entries.len() * 512);
        for (entry, is_own) in own.iter().map(|entry| (entry, true)).chain(entries.iter().map(|entry| (entry, false))) {
            let seq = head.last.seq + 1;
            let line = entry.line(seq, &head.last.hash);
            let length = line.len() as u64 + 1;
            head.last = Position { seq, length: head.last.length + length, hash: chain::hash(line.as_bytes()) };
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
            if !is_own {
                self.written.records += 1;
                self.written.bytes += length;
            }
        }
        if let Err(error) = self.current.write_all_at(&text, before.length) {
            // What is there of it would be taken over otherwise: nothing of it was done.
            let _ = self.current.set_len(before.length);
            return Err(refused("write", &self.path(CURRENT), &error));
        }
        self.store(&mut head)?;
        self.count(text.len() as u64)?;
        Ok(retiring)
    }

    /// What it has written of its own.
    pub(super) fn written(&self) -> Written {
        self.written
    }

    /// Counts what was written against what the user may fill. The lock is held.
    fn count(&mut self, bytes: u64) -> Result<(), AuditError> {
        if let Some(ledger) = &mut self.ledger {
            let filled = ledger.add(bytes);
            self.filled = filled.map_err(|error| refused("write", &self.settings.directory.join(LEDGER), &error))?;
        }
        Ok(())
    }

    /// Waits until all that is written is on the disk. Nobody else waits for that meanwhile.
    pub fn sync(&mut self) -> Result<(), AuditError> {
        // What the head tells is written before it.
        let seen = {
            let _lock = self.lock()?;
            self.read_head()?
        };
        self.sync_current()?;
        let Some(seen) = seen.filter(|seen| self.inode().is_ok_and(|inode| inode == seen.inode)) else {
            // It was put aside, for which the disk had confirmed it.
            return Ok(());
        };
        let _lock = self.lock()?;
        let Some(mut head) = self.read_head()? else { return Err(self.changed("its head is empty")) };
        let is_the_same = (head.inode, head.first, &head.boot) == (seen.inode, seen.first, &self.boot);
        if seen.boot == self.boot && is_the_same && head.synced.seq < seen.last.seq {
            head.synced = seen.last;
            self.store(&mut head)?;
        }
        Ok(())
    }

    fn sync_current(&self) -> Result<(), AuditError> {
        self.current.sync_data().map_err(|error| refused("sync", &self.path(CURRENT), &error))
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
            self.reserve.release();
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

    /// Puts the full file aside under the number of its first record, and begins a new one. The record tells of it.
    fn rotate(&mut self, head: &mut Head) -> Result<Entry, AuditError> {
        let file = archive(head.first);
        let (current, full) = (self.path(CURRENT), self.path(&file));
        self.sync_current()?;
        head.synced = head.last.clone();
        self.store(head)?;
        self.head.sync_data().map_err(|error| refused("sync", &self.path(HEAD), &error))?;
        let flags = nix::fcntl::RenameFlags::RENAME_NOREPLACE;
        let here = nix::fcntl::AT_FDCWD;
        nix::fcntl::renameat2(here, &current, here, &full, flags)
            .map_err(|errno| refused("rotate", &current, &errno.desc()))?;
        *head = self.finish_rotation(head.clone())?;
        Ok(Entry::rotated(&file))
    }

    /// Begins a new file where the full one was put aside. Its name and inode show that it is that.
    fn finish_rotation(&mut self, mut head: Head) -> Result<Head, AuditError> {
        let current = self.path(CURRENT);
        match nix::sys::stat::lstat(&self.path(&archive(head.first))) {
            Ok(stat) if stat.st_ino == head.inode && u64::try_from(stat.st_size) == Ok(head.last.length) => {}
            _ if is_there(&current)? => return Err(self.changed("another file stands in its place")),
            _ => return Err(self.changed("it is missing")),
        }
        self.reserve.release();
        self.current = open_file(&current, OFlag::O_CREAT)?;
        if self.current.metadata().map_err(|error| refused("look at", &current, &error))?.len() > 0 {
            return Err(self.changed("another file stands in its place"));
        }
        head.inode = self.inode()?;
        head.first = head.last.seq + 1;
        head.last.length = 0;
        head.synced = head.last.clone();
        self.store(&mut head)?;
        self.sync_directory()?;
        Ok(head)
    }

    /// Removes full files, once the disk has the record that tells of it.
    fn retire(&self, retiring: &Retiring) -> Result<(), AuditError> {
        self.sync_current()?;
        // Whoever verifies it does not find files that go meanwhile.
        let _lock = self.lock()?;
        retiring.remove()
    }

    /// That files have these names is on the disk too.
    fn sync_directory(&self) -> Result<(), AuditError> {
        nix::unistd::fsync(&self.directory).map_err(|errno| refused("sync", &self.settings.directory, &errno.desc()))
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

    fn lock(&self) -> Result<Lock, AuditError> {
        let end = Instant::now() + PATIENCE;
        loop {
            match Lock::try_take(&self.lock) {
                Ok(lock) => return Ok(lock),
                Err(Errno::EAGAIN | Errno::EINTR) if Instant::now() < end => {}
                Err(Errno::EAGAIN) => return Err(refused("lock", &self.path(HEAD), &"another process holds it")),
                Err(errno) => return Err(refused("lock", &self.path(HEAD), &errno.desc())),
            }
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
