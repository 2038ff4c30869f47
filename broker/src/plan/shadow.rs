//! An object as a dry run would have left it.

use super::{NOT_KNOWN, keep};
use crate::sys::fs;
use crate::sys::socket::retry;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{FileStat, SFlag};
use nix::unistd::{ftruncate, getegid, geteuid};
use rex_protocol::path::AbsPath;
use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The largest file that is kept whole because a part of it would be another, in bytes.
const WHOLE: u64 = 64 * 1024 * 1024;
/// What marks the inode numbers of objects that are not there.
const NEW: u64 = 1 << 62;

/// Bytes that count against what a run may keep.
#[derive(Debug)]
pub(crate) struct Bytes {
    bytes: Vec<u8>,
    together: Rc<Cell<u64>>,
}

impl Bytes {
    pub(super) fn new(bytes: Vec<u8>, together: Rc<Cell<u64>>) -> Self {
        Self { bytes, together }
    }
}

impl std::ops::Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        self.together.set(self.together.get().saturating_sub(self.bytes.len() as u64));
    }
}

/// An object that is really there and would be another, or one that would be there.
#[derive(Debug)]
pub(crate) struct Shadow {
    number: u64,
    /// The real one.
    real: Option<OwnedFd>,
    kind: SFlag,
    device: u64,
    inode: u64,
    now: RefCell<Now>,
}

#[derive(Debug)]
struct Now {
    /// Where it would be, if not where it really is.
    place: Option<AbsPath>,
    mode: Option<u32>,
    uid: Option<u32>,
    gid: Option<u32>,
    modified: Option<(i64, i64)>,
    attribute: Option<Vec<u8>>,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    /// As it really is.
    Real,
    /// This; for a link its text.
    Kept(Rc<Bytes>),
    /// Of this length at least.
    NotKnown(u64),
}

impl Shadow {
    pub(super) fn of_real(real: OwnedFd, stat: &FileStat) -> Self {
        let (place, mode, uid, gid, modified, attribute) = (None, None, None, None, None, None);
        let now = Now { place, mode, uid, gid, modified, attribute, content: Content::Real };
        let (kind, device, inode) = (fs::kind(stat), stat.st_dev, stat.st_ino);
        Self { number: 0, real: Some(real), kind, device, inode, now: RefCell::new(now) }
    }

    pub(super) fn new(number: u64, kind: SFlag, mode: u32, device: u64) -> Self {
        let now = Now {
            place: None,
            mode: Some(mode),
            uid: Some(geteuid().as_raw()),
            gid: Some(getegid().as_raw()),
            modified: Some(clock()),
            attribute: None,
            content: Content::NotKnown(0),
        };
        Self { number, real: None, kind, device, inode: NEW | number, now: RefCell::new(now) }
    }

    /// Whether nothing of it is there.
    pub(crate) fn is_new(&self) -> bool {
        self.real.is_none()
    }

    /// The bits of its type.
    pub(crate) fn kind(&self) -> SFlag {
        self.kind
    }

    /// Where it would be; nothing where that is where it really is.
    pub(crate) fn place(&self) -> Option<AbsPath> {
        self.now.borrow().place.clone()
    }

    pub(super) fn moved_to(&self, path: &AbsPath) {
        self.now.borrow_mut().place = Some(path.clone());
    }

    /// A descriptor that is known again as this object. Of one that is not there it is good for nothing else: an empty file in
    /// memory, whose length is the object's number.
    #[allow(clippy::disallowed_methods, reason = "of a file in memory that has no name")]
    pub(crate) fn pin(&self) -> nix::Result<OwnedFd> {
        if let Some(real) = &self.real {
            return real.try_clone().map_err(|_| Errno::EMFILE);
        }
        let pin = memfd_create(c"rex-planned", MFdFlags::MFD_CLOEXEC)?;
        ftruncate(&pin, i64::try_from(self.number).map_err(|_| Errno::EOVERFLOW)?)?;
        Ok(pin)
    }

    /// What it would be like, given what the kernel says of its descriptor.
    pub(crate) fn stat(&self, real: FileStat) -> FileStat {
        let now = self.now.borrow();
        let mut stat = real;
        stat.st_mode = self.kind.bits() | now.mode.unwrap_or(real.st_mode & 0o7777);
        stat.st_uid = now.uid.unwrap_or(real.st_uid);
        stat.st_gid = now.gid.unwrap_or(real.st_gid);
        (stat.st_dev, stat.st_ino) = (self.device, self.inode);
        if self.real.is_none() {
            stat.st_nlink = if self.kind == SFlag::S_IFDIR { 2 } else { 1 };
            stat.st_blocks = 0;
        }
        let length = match &now.content {
            Content::Real => None,
            Content::Kept(bytes) => Some(bytes.len() as u64),
            Content::NotKnown(length) => Some(*length),
        };
        if let Some(length) = length {
            stat.st_size = i64::try_from(length).unwrap_or(i64::MAX);
        }
        if let Some((seconds, nanoseconds)) = now.modified {
            (stat.st_mtime, stat.st_mtime_nsec) = (seconds, nanoseconds);
            (stat.st_ctime, stat.st_ctime_nsec) = (seconds, nanoseconds);
        }
        stat
    }

    /// The content that it would have; nothing where it is what really is there.
    pub(crate) fn content(&self) -> nix::Result<Option<Rc<Bytes>>> {
        match &self.now.borrow().content {
            Content::Real => Ok(None),
            Content::Kept(bytes) => Ok(Some(Rc::clone(bytes))),
            Content::NotKnown(_) => Err(NOT_KNOWN),
        }
    }

    /// All that it would hold; [`NOT_KNOWN`] where that cannot be kept.
    pub(crate) fn whole(&self) -> nix::Result<Vec<u8>> {
        match (self.content()?, &self.real) {
            (Some(bytes), _) => Ok(bytes.to_vec()),
            (None, Some(real)) => read_whole(real),
            (None, None) => Err(NOT_KNOWN),
        }
    }

    /// Gives it other content, as a write does.
    pub(crate) fn set_content(&self, bytes: Vec<u8>) {
        let length = bytes.len() as u64;
        let content = keep(bytes).map_or(Content::NotKnown(length), Content::Kept);
        self.change(|now| now.content = content);
    }

    /// Gives it content that is not known but for its length.
    pub(crate) fn set_length(&self, length: u64) {
        self.change(|now| now.content = Content::NotKnown(length));
    }

    /// Gives it permission bits.
    pub(crate) fn set_mode(&self, mode: u32) {
        self.now.borrow_mut().mode = Some(mode);
    }

    /// Gives it an owner, a group, or both. Set-id bits go (chown(2)).
    pub(crate) fn set_owner(&self, uid: Option<u32>, gid: Option<u32>) {
        let mut now = self.now.borrow_mut();
        now.uid = uid.or(now.uid);
        now.gid = gid.or(now.gid);
    }

    /// Gives it a time of last modification, or the time that it is now.
    pub(crate) fn set_modified(&self, seconds: Option<i64>) {
        self.now.borrow_mut().modified = Some(seconds.map_or_else(clock, |seconds| (seconds, 0)));
    }

    /// The extended attribute that it would have; nothing where it is the real one.
    pub(crate) fn attribute(&self) -> Option<Vec<u8>> {
        self.now.borrow().attribute.clone()
    }

    /// Gives it another.
    pub(crate) fn set_attribute(&self, value: &[u8]) {
        self.now.borrow_mut().attribute = Some(value.to_vec());
    }

    fn change(&self, change: impl FnOnce(&mut Now)) {
        let mut now = self.now.borrow_mut();
        change(&mut now);
        now.modified = Some(clock());
    }
}

/// All that a real file holds, if that can be kept.
pub(crate) fn read_whole(file: &OwnedFd) -> nix::Result<Vec<u8>> {
    let fd = fs::reopen(file, OFlag::O_RDONLY).map_err(|_| NOT_KNOWN)?;
    let mut whole = Vec::new();
    let mut piece = vec![0; 256 * 1024];
    loop {
        let count = retry(|| nix::unistd::read(&fd, &mut piece)).map_err(|_| NOT_KNOWN)?;
        whole.extend_from_slice(piece.get(..count).unwrap_or_default());
        if count == 0 {
            return Ok(whole);
        }
        if whole.len() as u64 > WHOLE {
            return Err(NOT_KNOWN);
        }
    }
}

fn clock() -> (i64, i64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (i64::try_from(now.as_secs()).unwrap_or(i64::MAX), i64::from(now.subsec_nanos()))
}
