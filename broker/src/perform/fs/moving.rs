//! Moving files and directories. Everything is asked before anything is moved.

use super::act::At;
use super::newfile::{Keep, NewFile, has_set_id};
use super::read::readable;
use super::transfer::{copy_content, sync};
use super::*;
use crate::authz::{Context, Granted};
use crate::perform::{Demands, Perform};
use nix::fcntl::{AtFlags, OFlag, RenameFlags, renameat2};
use nix::sys::stat::fstatat;
use nix::unistd::{UnlinkatFlags, symlinkat, unlinkat};
use rex_protocol::fs::{MoveDir, MoveFile, OpenedDir, OpenedFile};

pub(crate) struct FileTarget {
    file: Rc<OpenRegularFile>,
    /// The path of the name that moves.
    path: AbsPath,
    to: Place,
    destination: AbsPath,
}

impl Perform for MoveFile {
    type Target = FileTarget;

    fn target(self, state: &mut State) -> Result<FileTarget, Stop> {
        let file = state.handles.file(self.file)?;
        let to = Place { dir: state.handles.dir(self.to)?, name: self.name };
        Ok(FileTarget { path: file.link.path()?, file, destination: to.path()?, to })
    }

    fn demands(target: &FileTarget) -> Demands {
        Demands::all(vec![
            target.demand(),
            file_demand(Action::FileCreate, &target.destination),
            file_demand(Action::FileOpen, &target.destination),
        ])
    }

    fn perform(target: Granted<FileTarget>, state: &mut State) -> Result<OpenedFile, Stop> {
        let target = target.into_inner();
        state.handles.has_room()?;
        target.confirm(state)?;
        let moved = match target.rename() {
            Err(Errno::EXDEV) if target.is_link() => target.copy_link(state)?,
            Err(Errno::EXDEV) => target.copy_file(state)?,
            Err(errno) => return Err(refused(errno, "move", &target.path).into()),
            Ok(()) => target.moved(Rc::clone(&target.file.fd), target.file.link_inode),
        };
        let path = moved.path.clone();
        Ok(OpenedFile { file: state.handles.add_file(moved)?, path, created: false })
    }

    // The acts on the way are planned, so that all else is the same.
    fn plan(target: Granted<Self::Target>, state: &mut State) -> Result<Self::Reply, Stop> {
        Self::perform(target, state)
    }
}

impl FileTarget {
    /// Whether the file was opened by way of a link: then the link moves.
    fn is_link(&self) -> bool {
        self.path != self.file.path
    }

    /// What policy is asked about the name that moves.
    fn demand(&self) -> Demand {
        file_demand(Action::FileMove, &self.path).with(Context::Destination(self.destination.clone()))
    }

    /// Asks again about what moves, where that depends on what it is like: another may have had the name when it was judged.
    fn confirm(&self, state: &mut State) -> Result<(), Failure> {
        let fault = |errno| refused(errno, "move", &self.path);
        let Place { dir, name } = &self.file.link;
        let pin = planned::entry(&dir.pin, name, &self.path).map_err(fault)?;
        if inode(&look(&pin, &self.path)?.1) != self.file.link_inode {
            return Err(fault(Errno::ENOENT));
        }
        state.confirm(&[self.demand()], &Rc::new(pin))
    }

    /// Confirms that the name still is that of the object which was opened.
    fn confirm_name(&self) -> nix::Result<()> {
        let Place { dir, name } = &self.file.link;
        let now = plan::stat(planned::entry(&dir.pin, name, &self.path)?)?;
        if inode(&now) == self.file.link_inode { Ok(()) } else { Err(Errno::ENOENT) }
    }

    fn rename(&self) -> nix::Result<()> {
        self.confirm_name()?;
        act::rename(self.old(), self.destined())
    }

    fn old(&self) -> At<'_> {
        At { dir: &self.file.link.dir.pin, name: &self.file.link.name, path: &self.path }
    }

    fn destined(&self) -> At<'_> {
        At { dir: &self.to.dir.pin, name: &self.to.name, path: &self.destination }
    }

    /// In a dry run moves what moves to another file system.
    fn plan_across(&self) -> Result<OpenRegularFile, Stop> {
        let planned = self.confirm_name().and_then(|()| {
            planned::confirm_place(&self.file.link.dir.pin, &self.path)?;
            planned::confirm_place(&self.to.dir.pin, &self.destination)?;
            let Place { dir, name } = &self.file.link;
            act::plan_moved(self.old(), self.destined(), &planned::entry(&dir.pin, name, &self.path)?)
        });
        planned.map_err(|errno| refused(errno, "move to", &self.destination))?;
        Ok(self.moved(Rc::clone(&self.file.fd), self.file.link_inode))
    }

    /// The file at its new place.
    fn moved(&self, fd: Rc<OwnedFd>, link_inode: (u64, u64)) -> OpenRegularFile {
        let followed = self.is_link();
        let file = &self.file;
        OpenRegularFile {
            fd,
            read: file.read,
            write: file.write,
            path: if followed { file.path.clone() } else { self.destination.clone() },
            place: if followed { file.place.clone() } else { self.to.clone() },
            link: self.to.clone(),
            link_inode,
            staged: RefCell::default(),
            inside_line: RefCell::default(),
            awaits_content: Cell::default(),
        }
    }

    /// To another file system: a whole copy takes the destination's name, then the source goes.
    fn copy_file(&self, state: &mut State) -> Result<OpenRegularFile, Stop> {
        let file = &self.file;
        state.demand(&[
            file.demand(Action::FileRead),
            file_demand(Action::FileWrite, &self.destination),
            file_demand(Action::FileDelete, &self.path),
        ])?;
        readable(file)?;
        let (_, stat) = look(&file.fd, &file.path)?;
        let set_id = has_set_id(&stat) && state.demand(&[file_demand(Action::FileSetId, &self.destination)]).is_ok();
        if plan::is_on() {
            return self.plan_across();
        }
        let fault = |errno| refused(errno, "move to", &self.destination);
        let mut new = NewFile::beside(&self.to.dir).map_err(fault)?;
        copy_content(&file.fd, &new.fd, state).map_err(fault)?;
        keep_all(&file.fd, &new.fd, set_id).map_err(fault)?;
        sync(&new.fd).map_err(fault)?;
        new.take_the_place_of(&self.to.name).map_err(fault)?;
        self.remove_source()?;
        let flags = if file.write { OFlag::O_RDWR } else { OFlag::O_RDONLY };
        let fd = fs::reopen(&new.fd, flags).map_err(fault)?;
        let (_, stat) = look(&fd, &self.destination)?;
        Ok(self.moved(Rc::new(fd), inode(&stat)))
    }

    /// A link to another file system: another that says the same.
    #[allow(clippy::disallowed_methods, reason = "a dry run has gone another way before")]
    fn copy_link(&self, state: &mut State) -> Result<OpenRegularFile, Stop> {
        state.demand(&[file_demand(Action::FileRead, &self.path), file_demand(Action::FileDelete, &self.path)])?;
        if plan::is_on() {
            return self.plan_across();
        }
        let fault = |errno| refused(errno, "move to", &self.destination);
        let from = &self.file.link;
        let text = nix::fcntl::readlinkat(&*from.dir.pin, from.name.as_os_str()).map_err(fault)?;
        let to = &*self.to.dir.pin;
        let ((), own) =
            newfile::with_new_name(|name| symlinkat(text.as_os_str(), to, name.as_os_str())).map_err(fault)?;
        if let Err(errno) = renameat2(to, own.as_os_str(), to, self.to.name.as_os_str(), RenameFlags::empty()) {
            let _ = unlinkat(to, own.as_os_str(), UnlinkatFlags::NoRemoveDir);
            return Err(fault(errno).into());
        }
        self.remove_source()?;
        let now = fstatat(to, self.to.name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW).map_err(fault)?;
        Ok(self.moved(Rc::clone(&self.file.fd), inode(&now)))
    }

    #[allow(clippy::disallowed_methods, reason = "it refuses in a dry run")]
    fn remove_source(&self) -> Result<(), Failure> {
        let Place { dir, name } = &self.file.link;
        let removed = plan::confirm_real()
            .and_then(|()| self.confirm_name())
            .and_then(|()| unlinkat(&*dir.pin, name.as_os_str(), UnlinkatFlags::NoRemoveDir));
        removed.map_err(|errno| refused(errno, "remove the copied", &self.path))
    }
}

/// Everything that a copy can have of its original. An owner that only root could give it is left out, and then set-id
/// bits too.
pub(super) fn keep_all(old: &OwnedFd, new: &OwnedFd, set_id: bool) -> nix::Result<()> {
    let keep = Keep { owner: true, set_id, times: true };
    match keep.apply(old, new) {
        Err(Errno::EPERM) => Keep { owner: false, set_id: false, times: true }.apply(old, new),
        result => result,
    }
}

pub(crate) struct DirTarget {
    dir: Rc<OpenDirectory>,
    from: Place,
    path: AbsPath,
    to: Place,
    destination: AbsPath,
}

impl Perform for MoveDir {
    type Target = DirTarget;

    fn target(self, state: &mut State) -> Result<DirTarget, Stop> {
        let dir = state.handles.dir(self.dir)?;
        let Some((_, name)) = dir.path.split() else { return Err(refused(Errno::EBUSY, "move", &dir.path).into()) };
        let from = Place { dir: state.handles.dir(self.from)?, name };
        let to = Place { dir: state.handles.dir(self.to)?, name: self.name };
        Ok(DirTarget { dir, path: from.path()?, from, destination: to.path()?, to })
    }

    fn demands(target: &DirTarget) -> Demands {
        Demands::all(vec![
            target.demand(),
            dir_demand(Action::FileCreate, &target.destination),
            dir_demand(Action::FileOpen, &target.destination),
        ])
    }

    fn perform(target: Granted<DirTarget>, state: &mut State) -> Result<OpenedDir, Stop> {
        let target = target.into_inner();
        state.handles.has_room()?;
        state.confirm_nothing_forbidden_in(&target.path, &target.demand())?;
        let moved = match target.rename(&target.to) {
            Ok(()) => OpenDirectory { pin: Rc::clone(&target.dir.pin), path: target.destination.clone() },
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => target.move_into(state)?,
            Err(Errno::EXDEV) => target.move_across(state)?,
            Err(errno) => return Err(refused(errno, "move", &target.path).into()),
        };
        directory::opened(moved, state)
    }

    // The acts on the way are planned, so that all else is the same.
    fn plan(target: Granted<Self::Target>, state: &mut State) -> Result<Self::Reply, Stop> {
        Self::perform(target, state)
    }
}

impl DirTarget {
    fn demand(&self) -> Demand {
        let context = Context::Destination(self.destination.clone());
        dir_demand(Action::FileMove, &self.path).about(&self.dir.pin).with(context)
    }

    fn rename(&self, to: &Place) -> nix::Result<()> {
        self.confirm_name()?;
        let path = to.path().map_err(|_| Errno::ENAMETOOLONG)?;
        act::rename(self.old(), At { dir: &to.dir.pin, name: &to.name, path: &path })
    }

    fn confirm_name(&self) -> nix::Result<()> {
        let now = plan::stat(planned::entry(&self.from.dir.pin, &self.from.name, &self.path)?)?;
        if inode(&now) == inode(&plan::stat(&*self.dir.pin)?) { Ok(()) } else { Err(Errno::ENOENT) }
    }

    fn old(&self) -> At<'_> {
        At { dir: &self.from.dir.pin, name: &self.from.name, path: &self.path }
    }

    /// The place inside the destination, which has content, under the directory's own name.
    fn inside(&self, state: &mut State) -> Result<(Place, AbsPath), Stop> {
        let path = join(&self.destination, &self.from.name)?;
        state.demand(&[dir_demand(Action::FileOpen, &path)])?;
        let pin = planned::entry(&self.to.dir.pin, &self.to.name, &self.destination)
            .map_err(|errno| refused(errno, "open", &self.destination))?;
        match look(&pin, &self.destination)?.0 {
            EntryKind::Dir => {}
            _ => return Err(refused(Errno::ENOTDIR, "move to", &self.destination).into()),
        }
        let dir = Rc::new(OpenDirectory { pin: Rc::new(pin), path: self.destination.clone() });
        Ok((Place { dir, name: self.from.name.clone() }, path))
    }

    fn move_into(&self, state: &mut State) -> Result<OpenDirectory, Stop> {
        let (place, path) = self.inside(state)?;
        match self.rename(&place) {
            Ok(()) => Ok(OpenDirectory { pin: Rc::clone(&self.dir.pin), path }),
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => Err(not_empty(&path).into()),
            Err(errno) => Err(refused(errno, "move", &self.path).into()),
        }
    }

    /// To another file system: a whole copy takes the destination's name, then the source goes.
    #[allow(clippy::disallowed_methods, reason = "a dry run has gone another way before")]
    fn move_across(&self, state: &mut State) -> Result<OpenDirectory, Stop> {
        let (mut place, mut path) = (self.to.clone(), self.destination.clone());
        if tree::has_entries(&place, &path)? {
            (place, path) = self.inside(state)?;
            if tree::has_entries(&place, &path)? {
                return Err(not_empty(&path).into());
            }
        }
        state.demand(&[dir_demand(Action::FileDelete, &self.path)])?;
        if plan::is_on() {
            tree::judge(&self.dir.pin, &self.dir.path, &path, 0, state)?;
            let at = At { dir: &place.dir.pin, name: &place.name, path: &path };
            let planned = planned::confirm_place(at.dir, at.path)
                .and_then(|()| self.confirm_name())
                .and_then(|()| act::plan_moved(self.old(), at, &self.dir.pin));
            planned.map_err(|errno| refused(errno, "move to", &path))?;
            return Ok(OpenDirectory { pin: Rc::clone(&self.dir.pin), path });
        }
        let pin = tree::copy_to(&self.dir, &place, &path, state)?;
        let left = tree::remove_copied(&self.dir.pin, &pin, &self.path)?;
        let (dir, name) = (&*self.from.dir.pin, self.from.name.as_os_str());
        if left {
            return Err(refused(Errno::ENOTEMPTY, "remove what came after the copy of", &self.path).into());
        }
        unlinkat(dir, name, UnlinkatFlags::RemoveDir)
            .map_err(|errno| refused(errno, "remove the copied", &self.path))?;
        Ok(OpenDirectory { pin: Rc::new(pin), path })
    }
}

fn not_empty(path: &AbsPath) -> Failure {
    Failure::new(FailureKind::DirectoryNotEmpty, format!("`{path}` is not empty"))
}
