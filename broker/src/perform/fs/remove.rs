//! Removing.

use super::*;
use crate::authz::Granted;
use crate::perform::{Demands, Perform};
use nix::dir::Dir;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};
use rex_protocol::fs::{DeleteDir, DeleteFile};

/// How deep a tree may be that is removed: each level keeps a descriptor open.
const DEPTH: usize = 512;

impl Perform for DeleteFile {
    type Target = (Rc<OpenRegularFile>, AbsPath);

    fn target(self, state: &mut State) -> Result<Self::Target, Stop> {
        let file = state.handles.file(self.file)?;
        let path = file.link.path()?;
        Ok((file, path))
    }

    fn demands((_, path): &Self::Target) -> Demands {
        Demands::all(vec![file_demand(Action::FileDelete, path)])
    }

    fn perform(target: Granted<Self::Target>, state: &mut State) -> Result<(), Stop> {
        let (file, path) = target.into_inner();
        let Place { dir, name } = &file.link;
        // The kernel removes by name only: between this look and the removal somebody who may write to the
        // directory could put another object there, which they could have removed themselves.
        let now = planned::entry(&dir.pin, name, &path).map_err(|errno| refused(errno, "remove", &path))?;
        if inode(&look(&now, &path)?.1) != file.link_inode {
            return Err(gone(&path).into());
        }
        state.confirm(&[file_demand(Action::FileDelete, &path)], &Rc::new(now))?;
        act::remove(act::At { dir: &dir.pin, name, path: &path }, UnlinkatFlags::NoRemoveDir)
            .map_err(|errno| refused(errno, "remove", &path))?;
        state.spent().deleted += 1;
        Ok(())
    }

    // The acts on the way are planned, so that all else is the same.
    fn plan(target: Granted<Self::Target>, state: &mut State) -> Result<Self::Reply, Stop> {
        Self::perform(target, state)
    }
}

pub(crate) struct DirTarget {
    dir: Rc<OpenDirectory>,
    recursive: bool,
}

impl Perform for DeleteDir {
    type Target = DirTarget;

    fn target(self, state: &mut State) -> Result<DirTarget, Stop> {
        Ok(DirTarget { dir: state.handles.dir(self.dir)?, recursive: self.recursive })
    }

    fn demands(target: &DirTarget) -> Demands {
        Demands::all(vec![target.dir.demand(Action::FileDelete)])
    }

    fn perform(target: Granted<DirTarget>, state: &mut State) -> Result<(), Stop> {
        let DirTarget { dir, recursive } = target.into_inner();
        let path = &dir.path;
        let Some((parent_path, name)) = path.split() else { return Err(refused(Errno::EBUSY, "remove", path).into()) };
        let parent = pin_directory(&parent_path, Links::Refuse)?;
        let now = planned::entry(&parent, &name, path).map_err(|errno| refused(errno, "remove", path))?;
        if inode(&look(&now, path)?.1) != inode(&look(&dir.pin, path)?.1) {
            return Err(gone(path).into());
        }
        if recursive {
            walk(&dir.pin, path, 0, &mut |found| {
                in_time(state, &found.path)?;
                state.unless_forbidden(&found.demand())
            })?;
            if plan::is_on() {
                return plan_tree(&dir, &parent, &name, state);
            }
            // Asked again when it is its turn: what a `forbid` names may have come in between.
            walk(&dir.pin, path, 0, &mut |found| {
                in_time(state, &found.path)?;
                state.unless_forbidden(&found.demand())?;
                found.remove()?;
                state.spent().deleted += 1;
                Ok(())
            })?;
        }
        match act::remove(act::At { dir: &parent, name: &name, path }, UnlinkatFlags::RemoveDir) {
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => {
                Err(Failure::new(FailureKind::DirectoryNotEmpty, format!("`{path}` is not empty")).into())
            }
            removed => {
                removed.map_err(|errno| refused(errno, "remove", path))?;
                state.spent().deleted += 1;
                Ok(())
            }
        }
    }

    // The acts on the way are planned, so that all else is the same.
    fn plan(target: Granted<Self::Target>, state: &mut State) -> Result<Self::Reply, Stop> {
        Self::perform(target, state)
    }
}

/// In a dry run removes a directory with all that is in it, which was asked for one by one.
fn plan_tree(dir: &OpenDirectory, parent: &OwnedFd, name: &Name, state: &mut State) -> Result<(), Stop> {
    let path = &dir.path;
    let mut removed = 1;
    walk(&dir.pin, path, 0, &mut |_| {
        removed += 1;
        Ok(())
    })?;
    state.spent().deleted += removed;
    let at = act::At { dir: parent, name, path };
    let planned = planned::confirm_place(parent, path).and_then(|()| act::plan_removed(at, &dir.pin));
    planned.map_err(|errno| refused(errno, "remove", path).into())
}

/// Something below a directory that is to be removed.
pub(super) struct Found<'a> {
    dir: &'a OwnedFd,
    name: &'a Name,
    path: AbsPath,
    is_dir: bool,
}

impl Found<'_> {
    fn demand(&self) -> Demand {
        match self.is_dir {
            true => dir_demand(Action::FileDelete, &self.path),
            false => file_demand(Action::FileDelete, &self.path),
        }
    }

    #[allow(clippy::disallowed_methods, reason = "it refuses in a dry run")]
    pub(super) fn remove(&self) -> Result<(), Failure> {
        plan::confirm_real().map_err(|errno| refused(errno, "remove", &self.path))?;
        let flag = if self.is_dir { UnlinkatFlags::RemoveDir } else { UnlinkatFlags::NoRemoveDir };
        match unlinkat(self.dir, self.name.as_os_str(), flag) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(refused(errno, "remove", &self.path)),
        }
    }
}

/// Visits everything below a directory, what is in a directory before the directory itself. Links are
/// visited, not followed.
pub(super) fn walk(
    dir: &OwnedFd,
    path: &AbsPath,
    depth: usize,
    visit: &mut impl FnMut(&Found<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if depth > DEPTH {
        return Err(refused(Errno::ELOOP, "remove a tree as deep as", path));
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    if plan::is_on() {
        return walk_planned(dir, path, depth, visit);
    }
    let fault = |errno| refused(errno, "list", path);
    let list = nix::fcntl::openat(dir, ".", flags, Mode::empty()).and_then(Dir::from_fd).map_err(fault)?;
    for entry in list {
        let entry = entry.map_err(fault)?;
        let Ok(name) = Name::parse(entry.file_name().to_bytes()) else { continue };
        let path = join(path, &name)?;
        let below = match nix::fcntl::openat(dir, name.as_os_str(), flags | OFlag::O_PATH, Mode::empty()) {
            Ok(below) => Some(below),
            Err(Errno::ENOTDIR | Errno::ELOOP) => None,
            Err(Errno::ENOENT) => continue,
            Err(errno) => return Err(refused(errno, "open", &path)),
        };
        if let Some(below) = &below {
            walk(below, &path, depth + 1, visit)?;
        }
        visit(&Found { dir, name: &name, path, is_dir: below.is_some() })?;
    }
    Ok(())
}

/// The same of what would be there in a dry run.
fn walk_planned(
    dir: &OwnedFd,
    path: &AbsPath,
    depth: usize,
    visit: &mut impl FnMut(&Found<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for name in planned::names(dir, path).map_err(|errno| refused(errno, "list", path))? {
        let path = join(path, &name)?;
        let below = match planned::entry(dir, &name, &path) {
            Ok(below) => below,
            Err(Errno::ENOENT) => continue,
            Err(errno) => return Err(refused(errno, "open", &path)),
        };
        let is_dir = look(&below, &path)?.0 == EntryKind::Dir;
        if is_dir {
            walk(&below, &path, depth + 1, visit)?;
        }
        visit(&Found { dir, name: &name, path, is_dir })?;
    }
    Ok(())
}

fn gone(path: &AbsPath) -> Failure {
    Failure::new(FailureKind::Gone, format!("`{path}` is another object by now"))
}
