//! Files and directories.
//!
//! Why this is safe given a hostile worker: paths come as validated [`AbsPath`]s and [`Name`]s, objects as
//! handles of this session. A path is judged as text before anything is looked at, then pinned once
//! (`openat2`, no magic links), and what the pin turns out to be is judged before it is used. From there on
//! only the descriptor counts; the path is never resolved again, except by its last name in the
//! pinned directory, where the object found is compared with the one that was judged.

mod act;
mod attributes;
mod content;
mod directory;
pub(in crate::perform) mod lead;
mod link;
mod list;
mod make;
mod moving;
mod named;
mod newfile;
mod open;
mod own;
mod planned;
mod put;
mod read;
mod redact;
mod remove;
mod stat;
mod transfer;
mod tree;
mod write;

pub(crate) use attributes::{group_id, user_id};
pub(crate) use link::OpenLinkItself;
pub(crate) use list::Pages;
pub(in crate::perform) use open::{open_program, open_table};
pub(crate) use put::Draft;
pub(crate) use read::read_at;
pub(crate) use redact::Dictionary;

use own::{confirm_not_our_own, not_our_own};

use super::Stop;
use crate::authz::{Demand, Resource};
use crate::plan::{self, Seen};
use crate::session::State;
use crate::sys::fs::{self, Links};
use nix::errno::Errno;
use nix::sys::stat::{FileStat, SFlag};
use nix::unistd::UnlinkatFlags;
use rex_protocol::failure::{Failure, FailureKind};
use rex_protocol::fs::EntryKind;
use rex_protocol::path::{AbsPath, Name};
use rex_protocol::{Action, text::Text};
use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// A directory, pinned.
pub(crate) struct OpenDirectory {
    /// `O_PATH`.
    pub(crate) pin: Rc<OwnedFd>,
    /// The path it was judged by.
    pub(crate) path: AbsPath,
}

impl OpenDirectory {
    /// What policy is asked about it.
    fn demand(&self, action: Action) -> Demand {
        dir_demand(action, &self.path).about(&self.pin)
    }
}

/// A regular file, open for use.
pub(crate) struct OpenRegularFile {
    pub(crate) fd: Rc<OwnedFd>,
    pub(crate) read: bool,
    pub(crate) write: bool,
    /// The path it was judged by: with a followed link the real one.
    pub(crate) path: AbsPath,
    /// Where its own name stands, to replace it.
    pub(crate) place: Place,
    /// Where the name stands that it was opened by, to remove it; for a followed link the link's.
    pub(crate) link: Place,
    /// The inode behind that name: the link's own.
    pub(crate) link_inode: (u64, u64),
    /// Content of a write that is not complete yet.
    pub(crate) staged: RefCell<Option<write::Staged>>,
    /// Where a redacted read stopped inside an overlong line.
    pub(crate) inside_line: RefCell<Option<u64>>,
    /// Whether it was made for a caller that writes next, who has not written yet.
    pub(crate) awaits_content: Cell<bool>,
}

impl OpenRegularFile {
    /// What policy is asked about it.
    pub(crate) fn demand(&self, action: Action) -> Demand {
        file_demand(action, &self.path).about(&self.fd)
    }

    /// Takes note of a write. Where it failed, a file that was made for it goes again, unless somebody else has
    /// written to it or taken its name.
    fn settle(&self, written: bool) {
        if !self.awaits_content.take() || written {
            return;
        }
        let Place { dir, name } = &self.place;
        let Ok(path) = self.place.path() else { return };
        let now = planned::entry(&dir.pin, name, &path).and_then(plan::stat);
        let (Ok(now), Ok(own)) = (now, plan::stat(&*self.fd)) else { return };
        if inode(&now) == inode(&own) && own.st_size == 0 {
            let _ = act::remove(act::At { dir: &dir.pin, name, path: &path }, UnlinkatFlags::NoRemoveDir);
        }
    }
}

/// A name in a pinned directory.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) dir: Rc<OpenDirectory>,
    pub(crate) name: Name,
}

impl Place {
    /// The path, from the directory's judged one.
    pub(crate) fn path(&self) -> Result<AbsPath, Failure> {
        join(&self.dir.path, &self.name)
    }
}

/// What policy is asked about a directory.
pub(crate) fn dir_demand(action: Action, path: &AbsPath) -> Demand {
    Demand::new(action, Resource::Dir(path.clone()))
}

/// What policy is asked about a file.
pub(crate) fn file_demand(action: Action, path: &AbsPath) -> Demand {
    Demand::new(action, Resource::File(path.clone()))
}

pub(in crate::perform) fn join(dir: &AbsPath, name: &Name) -> Result<AbsPath, Failure> {
    dir.join(name).map_err(|error| {
        Failure::new(
            FailureKind::Refused { errno: Errno::ENAMETOOLONG as i32 },
            format!("`{}`: {error}", name.to_text()),
        )
    })
}

/// Opens a directory with its links followed: pins it, finds out where it really is, and asks for that
/// before it is used. That `path` itself may be opened has been asked already.
fn follow_dir(path: &AbsPath, state: &mut State) -> Result<OpenDirectory, Stop> {
    let pin = match pin_directory(path, Links::Follow) {
        Ok(pin) => pin,
        Err(failure) => {
            // Whether there is something at the end of a link is told only to whom policy lets go there.
            judge_detours(path, state)?;
            if let Some(end) = lead::end_of(path) {
                state.demand(&[dir_demand(Action::FileOpen, &end)])?;
            }
            return Err(failure.into());
        }
    };
    judge_real_dir(pin, path, state)
}

/// Asks for the directory that a pin turned out to be.
fn judge_real_dir(pin: OwnedFd, path: &AbsPath, state: &mut State) -> Result<OpenDirectory, Stop> {
    let dir = OpenDirectory { path: real_path(&pin, path)?, pin: Rc::new(pin) };
    if dir.path != *path {
        judge_detours(path, state)?;
    }
    state.demand(&[dir.demand(Action::FileOpen)])?;
    Ok(dir)
}

/// Asks for the directories that a link on the way goes into only to leave them by `..`: that one could be passed tells
/// that it is there.
fn judge_detours(path: &AbsPath, state: &mut State) -> Result<(), Failure> {
    lead::detours(path).iter().try_for_each(|dir| state.demand(&[dir_demand(Action::FileOpen, dir)]))
}

/// Pins a directory.
fn pin_directory(path: &AbsPath, links: Links) -> Result<OwnedFd, Failure> {
    let pin = planned::pin(path, links).map_err(|errno| match (errno, links) {
        (Errno::ELOOP, Links::Refuse) => link_not_followed(path),
        _ => refused(errno, "open", path),
    })?;
    match look(&pin, path)?.0 {
        // Without links the path is the real one; with them it is looked for before anything is used.
        EntryKind::Dir if links == Links::Refuse => not_our_own(path).map(|()| pin),
        EntryKind::Dir => Ok(pin),
        _ => Err(refused(Errno::ENOTDIR, "open", path)),
    }
}

/// Where a pinned object really is.
pub(in crate::perform) fn real_path(pin: &OwnedFd, asked: &AbsPath) -> Result<AbsPath, Failure> {
    let real = match planned::place_of(pin) {
        Some(place) => place,
        None => fs::real_path(pin).map_err(|errno| refused(errno, "find the real path of", asked))?,
    };
    not_our_own(&real).map(|()| real)
}

/// Kind and status of a pinned object.
fn look(pin: &OwnedFd, path: &AbsPath) -> Result<(EntryKind, FileStat), Failure> {
    let stat = plan::stat(pin).map_err(|errno| refused(errno, "look at", path))?;
    confirm_not_our_own(pin, path)?;
    Ok((entry_kind(fs::kind(&stat)), stat))
}

fn entry_kind(kind: SFlag) -> EntryKind {
    match kind {
        SFlag::S_IFREG => EntryKind::File,
        SFlag::S_IFDIR => EntryKind::Dir,
        SFlag::S_IFLNK => EntryKind::Symlink,
        SFlag::S_IFIFO => EntryKind::Fifo,
        SFlag::S_IFSOCK => EntryKind::Socket,
        SFlag::S_IFCHR => EntryKind::CharDevice,
        SFlag::S_IFBLK => EntryKind::BlockDevice,
        _ => EntryKind::Unknown,
    }
}

fn inode(stat: &FileStat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

/// The kernel said no.
pub(in crate::perform) fn refused(errno: Errno, step: &str, path: &AbsPath) -> Failure {
    if errno == plan::NOT_KNOWN {
        return not_known(step, path);
    }
    Failure { kind: FailureKind::Refused { errno: errno as i32 }, message: told(errno, step, path) }
}

/// The kernel said no to the directory that should hold the object.
fn parent_refused(errno: Errno, step: &str, path: &AbsPath) -> Failure {
    if errno == plan::NOT_KNOWN {
        return not_known(step, path);
    }
    Failure { kind: FailureKind::ParentRefused { errno: errno as i32 }, message: told(errno, step, path) }
}

fn not_known(step: &str, path: &AbsPath) -> Failure {
    plan::not_known(format_args!("what comes of it to {step} `{path}` after what it would have changed"))
}

fn told(errno: Errno, step: &str, path: &AbsPath) -> Text<8192> {
    Text::cut(format!("cannot {step} `{path}`: {}", errno.desc()))
}

/// Fails where the run's time is up: what goes through whole trees asks at each step.
fn in_time(state: &State, path: &AbsPath) -> Result<(), Failure> {
    if state.is_out_of_time() { Err(refused(Errno::ETIME, "go on with", path)) } else { Ok(()) }
}

fn link_not_followed(path: &AbsPath) -> Failure {
    Failure::new(
        FailureKind::LinkNotFollowed,
        format!("cannot open `{path}`: a symbolic link stands there or on the way"),
    )
}

fn not_regular(path: &AbsPath) -> Failure {
    Failure::new(FailureKind::NotRegularFile, format!("cannot open `{path}`: it is not a regular file"))
}
