//! Writing.

use super::*;
use crate::authz::Granted;
use crate::perform::{Demands, Perform};
use crate::sys::socket::retry;
use nix::fcntl::{AtFlags, OFlag, RenameFlags};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{Mode, fchmod, futimens};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fsync, ftruncate, linkat, unlinkat};
use rex_protocol::fs::{OpenedFile, Placement, Touch, Write, Written};
use std::hash::{BuildHasher, Hasher};

/// Content that has come so far, in memory that has no name.
pub(crate) struct Staged {
    content: OwnedFd,
    length: u64,
}

pub(crate) struct WriteTarget {
    file: Rc<OpenRegularFile>,
    request: Write,
}

impl Perform for Write {
    type Target = WriteTarget;

    fn target(self, state: &mut State) -> Result<WriteTarget, Stop> {
        Ok(WriteTarget { file: state.handles.file(self.file)?, request: self })
    }

    fn demands(target: &WriteTarget) -> Demands {
        Demands::all(vec![file_demand(Action::FileWrite, &target.file.path)])
    }

    fn perform(target: Granted<WriteTarget>, state: &mut State) -> Result<Written, Stop> {
        let WriteTarget { file, request } = target.into_inner();
        if !file.write {
            let message = format!("`{}` is not open for writing", file.path);
            return Err(Failure::new(FailureKind::NotOpenForWriting, message).into());
        }
        let staged = file.staged.take();
        if request.more || staged.is_some() {
            let staged = stage(staged, &request.content, &file.path, state)?;
            if request.more {
                file.staged.replace(Some(staged));
                return Ok(Written { file: None });
            }
            return place(&file, request.placement, &Content::Staged(staged), state);
        }
        place(&file, request.placement, &Content::Whole(&request.content), state)
    }
}

enum Content<'a> {
    Whole(&'a [u8]),
    Staged(Staged),
}

/// Adds to what has come so far. A script can stage no more than it may hold in memory.
fn stage(staged: Option<Staged>, content: &[u8], path: &AbsPath, state: &State) -> Result<Staged, Failure> {
    let mut staged = match staged {
        Some(staged) => staged,
        None => {
            let content = memfd_create(c"rex-staged", MFdFlags::MFD_CLOEXEC)
                .map_err(|errno| refused(errno, "stage the content of", path))?;
            Staged { content, length: 0 }
        }
    };
    let length = staged.length.saturating_add(content.len() as u64);
    if length > state.limits.memory {
        return Err(refused(Errno::EFBIG, "stage the content of", path));
    }
    write_all(&staged.content, content).map_err(|errno| refused(errno, "stage the content of", path))?;
    staged.length = length;
    Ok(staged)
}

fn place(
    file: &Rc<OpenRegularFile>,
    placement: Placement,
    content: &Content<'_>,
    state: &mut State,
) -> Result<Written, Stop> {
    match placement {
        Placement::Atomic { preserve_ownership } => {
            let new = replace(file, content, preserve_ownership)?;
            let path = new.path.clone();
            let file = OpenedFile { file: state.handles.add_file(new)?, path, created: true };
            Ok(Written { file: Some(file) })
        }
        Placement::InPlace => {
            overwrite(file, content).map_err(|errno| refused(errno, "write", &file.path))?;
            Ok(Written { file: None })
        }
        Placement::Append => {
            append(file, content).map_err(|errno| refused(errno, "append to", &file.path))?;
            Ok(Written { file: None })
        }
    }
}

/// From the start, then cut to the new length.
fn overwrite(file: &OpenRegularFile, content: &Content<'_>) -> nix::Result<()> {
    let fd = fs::reopen(&file.fd, OFlag::O_WRONLY)?;
    copy(content, &fd)?;
    let length = match content {
        Content::Whole(bytes) => bytes.len() as u64,
        Content::Staged(staged) => staged.length,
    };
    // Files of kernel file systems have no length to set; what they were given is written.
    match ftruncate(&fd, i64::try_from(length).map_err(|_| Errno::EFBIG)?) {
        Ok(()) | Err(Errno::EINVAL) => {}
        Err(errno) => return Err(errno),
    }
    sync(&fd)
}

/// After the end as it is at this moment, whoever else writes (`O_APPEND`).
fn append(file: &OpenRegularFile, content: &Content<'_>) -> nix::Result<()> {
    let fd = fs::reopen(&file.fd, OFlag::O_WRONLY | OFlag::O_APPEND)?;
    copy(content, &fd)?;
    sync(&fd)
}

/// A new file with the content takes the place of the old one at once. It has the old one's mode from
/// before it has a name, and its owner where asked.
fn replace(file: &OpenRegularFile, content: &Content<'_>, keep_owner: bool) -> Result<OpenRegularFile, Failure> {
    let Place { dir, name } = &file.place;
    let fault = |step| move |errno| refused(errno, step, &file.path);
    let (_, old) = look(&file.fd, &file.path)?;
    let mut new = NewFile::beside(dir).map_err(fault("make a new file beside"))?;
    copy(content, &new.fd).map_err(fault("write a new"))?;
    if keep_owner {
        let (uid, gid) = (Uid::from_raw(old.st_uid), Gid::from_raw(old.st_gid));
        let (_, now) = look(&new.fd, &file.path)?;
        if (now.st_uid, now.st_gid) != (old.st_uid, old.st_gid) {
            fchown(&new.fd, Some(uid), Some(gid)).map_err(fault("keep the owner of"))?;
        }
    }
    // After the owner: changing it clears set-id bits (chown(2)).
    fchmod(&new.fd, Mode::from_bits_truncate(old.st_mode & 0o7777)).map_err(fault("keep the mode of"))?;
    fsync(&new.fd).map_err(fault("store a new"))?;
    new.take_the_place_of(name).map_err(fault("replace"))?;
    let flags = match (file.read, file.write) {
        (true, _) => OFlag::O_RDWR,
        _ => OFlag::O_WRONLY,
    };
    let fd = fs::reopen(&new.fd, flags).map_err(fault("open the new"))?;
    let (_, stat) = look(&fd, &file.path)?;
    Ok(OpenRegularFile {
        fd,
        read: file.read,
        write: file.write,
        path: file.path.clone(),
        place: file.place.clone(),
        // A link that was followed still stands where it stood.
        link: file.link.clone(),
        link_inode: if file.link.name == file.place.name && file.link.dir.path == file.place.dir.path {
            inode(&stat)
        } else {
            file.link_inode
        },
        staged: RefCell::default(),
        inside_line: RefCell::default(),
    })
}

/// A file that is being written beside the one it is to replace. It goes again if it does not come to that.
struct NewFile<'a> {
    dir: &'a OpenDirectory,
    fd: OwnedFd,
    /// Its name for the moment; until it is whole it needs none, where the file system can do without.
    name: Option<Name>,
}

impl<'a> NewFile<'a> {
    fn beside(dir: &'a OpenDirectory) -> nix::Result<Self> {
        let mode = Mode::from_bits_truncate(0o600);
        let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        match nix::fcntl::openat(&dir.pin, ".", flags, mode) {
            Ok(fd) => Ok(Self { dir, fd, name: None }),
            Err(Errno::EOPNOTSUPP | Errno::EISDIR) => {
                let (fd, name) = with_new_name(|name| fs::create_file(&dir.pin, name, OFlag::O_RDWR, mode))?;
                Ok(Self { dir, fd, name: Some(name) })
            }
            Err(errno) => Err(errno),
        }
    }

    fn take_the_place_of(&mut self, name: &Name) -> nix::Result<()> {
        use std::os::fd::AsRawFd;
        let own = match &self.name {
            Some(own) => own.clone(),
            None => {
                let source = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
                let (here, follow) = (nix::fcntl::AT_FDCWD, AtFlags::AT_SYMLINK_FOLLOW);
                let link = |own: &Name| linkat(here, source.as_str(), &self.dir.pin, own.as_os_str(), follow);
                let ((), own) = with_new_name(link)?;
                self.name.insert(own).clone()
            }
        };
        let dir = &self.dir.pin;
        nix::fcntl::renameat2(dir, own.as_os_str(), dir, name.as_os_str(), RenameFlags::empty())?;
        self.name = None;
        Ok(())
    }
}

impl Drop for NewFile<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            let _ = unlinkat(&self.dir.pin, name.as_os_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}

/// Tries names that nobody can foresee until one is free.
fn with_new_name<T>(mut make: impl FnMut(&Name) -> nix::Result<T>) -> nix::Result<(T, Name)> {
    for _ in 0..64 {
        let random = std::hash::RandomState::new().build_hasher().finish();
        let name = Name::parse(format!(".rex-{random:016x}")).map_err(|_| Errno::EINVAL)?;
        match make(&name) {
            Ok(made) => return Ok((made, name)),
            Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::EEXIST)
}

fn copy(content: &Content<'_>, to: &OwnedFd) -> nix::Result<()> {
    match content {
        Content::Whole(bytes) => write_all(to, bytes),
        Content::Staged(staged) => {
            let mut done = 0;
            while done < staged.length {
                let piece = super::read::read_at(&staged.content, done, 1024 * 1024)?;
                if piece.is_empty() {
                    return Err(Errno::EIO);
                }
                write_all(to, &piece)?;
                done += piece.len() as u64;
            }
            Ok(())
        }
    }
}

fn write_all(fd: &OwnedFd, mut bytes: &[u8]) -> nix::Result<()> {
    while !bytes.is_empty() {
        let count = retry(|| nix::unistd::write(fd, bytes))?;
        bytes = bytes.get(count..).filter(|_| count > 0).ok_or(Errno::EIO)?;
    }
    Ok(())
}

/// To the disk; files of kernel file systems have none.
fn sync(fd: &OwnedFd) -> nix::Result<()> {
    match fsync(fd) {
        Ok(()) | Err(Errno::EINVAL | Errno::EROFS) => Ok(()),
        Err(errno) => Err(errno),
    }
}

pub(crate) struct TouchTarget {
    place: Place,
    path: AbsPath,
}

impl Perform for Touch {
    type Target = TouchTarget;

    fn target(self, state: &mut State) -> Result<TouchTarget, Stop> {
        let place = Place { dir: state.handles.dir(self.dir)?, name: self.name };
        Ok(TouchTarget { path: place.path()?, place })
    }

    fn demands(target: &TouchTarget) -> Demands {
        Demands::all(vec![file_demand(Action::FileOpen, &target.path), file_demand(Action::FileCreate, &target.path)])
    }

    fn perform(target: Granted<TouchTarget>, _: &mut State) -> Result<(), Stop> {
        let TouchTarget { place, path } = target.into_inner();
        let mode = Mode::from_bits_truncate(0o666);
        match fs::create_file(&place.dir.pin, &place.name, OFlag::O_WRONLY | OFlag::O_NONBLOCK, mode) {
            Ok(_) => return Ok(()),
            Err(Errno::EEXIST) => {}
            Err(errno) => return Err(refused(errno, "create", &path).into()),
        }
        let pin = fs::pin_entry(&place.dir.pin, &place.name).map_err(|errno| refused(errno, "open", &path))?;
        match look(&pin, &path)?.0 {
            EntryKind::File => {}
            EntryKind::Symlink => return Err(link_not_followed(&path).into()),
            EntryKind::Dir => return Err(refused(Errno::EISDIR, "open", &path).into()),
            _ => return Err(not_regular(&path).into()),
        }
        let fd = fs::reopen(&pin, OFlag::O_WRONLY).map_err(|errno| refused(errno, "open", &path))?;
        futimens(&fd, &TimeSpec::UTIME_NOW, &TimeSpec::UTIME_NOW)
            .map_err(|errno| refused(errno, "set the times of", &path).into())
    }
}
