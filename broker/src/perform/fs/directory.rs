//! Opening directories, and making them on the way.

use super::*;
use crate::authz::Granted;
use crate::perform::{Demands, Perform};
use rex_protocol::fs::{CreateDir, OpenDir, OpenSubdir, OpenedDir};

impl Perform for OpenDir {
    type Target = OpenDir;

    fn target(self, _: &mut State) -> Result<OpenDir, Stop> {
        Ok(self)
    }

    fn demands(target: &OpenDir) -> Demands {
        let mut demands = vec![dir_demand(Action::FileOpen, &target.path)];
        if target.create.is_some() {
            demands.push(dir_demand(Action::FileCreate, &target.path));
        }
        Demands::all(demands)
    }

    fn perform(target: Granted<OpenDir>, state: &mut State) -> Result<OpenedDir, Stop> {
        let OpenDir { path, follow, create } = target.into_inner();
        let dir = if follow {
            follow_dir(&path, state)?
        } else {
            let is_new = match create {
                Some(create) => {
                    state.handles.has_room()?;
                    make(&path, create, state)?
                }
                None => false,
            };
            if create.is_some() && !is_new {
                state.changes_nothing();
            }
            let pin = Rc::new(pin_directory(&path, Links::Refuse)?);
            // A new one was judged as what is not there yet, as new files are.
            if !is_new {
                state.confirm(&[dir_demand(Action::FileOpen, &path)], &pin)?;
            }
            OpenDirectory { pin, path }
        };
        opened(dir, state)
    }

    // The acts on the way are planned, so that all else is the same.
    fn plan(target: Granted<Self::Target>, state: &mut State) -> Result<Self::Reply, Stop> {
        Self::perform(target, state)
    }
}

pub(super) fn opened(dir: OpenDirectory, state: &mut State) -> Result<OpenedDir, Stop> {
    let path = dir.path.clone();
    Ok(OpenedDir { dir: state.handles.add_dir(dir)?, path })
}

/// Makes a directory, nowhere through a link. Whether it was not there yet.
fn make(path: &AbsPath, create: CreateDir, state: &mut State) -> Result<bool, Failure> {
    let Some((parent, name)) = path.split() else {
        if create.recursive {
            return Ok(false);
        }
        return Err(Failure::new(FailureKind::InvalidPath, "cannot create `/`: it has no parent"));
    };
    if create.recursive {
        return make_below(path, state);
    }
    let pin =
        planned::pin(&parent, Links::Refuse).map_err(|errno| parent_refused(errno, "open the parent", &parent))?;
    let made = act::make_dir(act::At { dir: &pin, name: &name, path });
    made.map(|()| true).map_err(|errno| match errno {
        Errno::ENOTDIR => parent_refused(errno, "open the parent", &parent),
        errno => refused(errno, "create", path),
    })
}

/// Makes every missing directory of a path, one below the other, from the deepest that is there. Those on the way go with
/// the last, which was asked for, unless a `forbid` names one: then none is made.
fn make_below(path: &AbsPath, state: &mut State) -> Result<bool, Failure> {
    let mut chain: Vec<AbsPath> = std::iter::once(path.clone()).chain(path.ancestors()).collect();
    let mut missing = Vec::new();
    let mut dir = loop {
        // The chain ends at `/`, which is always there.
        let Some(candidate) = (!chain.is_empty()).then(|| chain.remove(0)) else {
            return Err(refused(Errno::ENOENT, "create", path));
        };
        match planned::pin(&candidate, Links::Refuse) {
            Ok(pin) => break pin,
            Err(Errno::ENOENT) => missing.push(candidate),
            Err(Errno::ELOOP) => return Err(link_not_followed(&candidate)),
            Err(errno) => return Err(refused(errno, "create", path)),
        }
    };
    for step in missing.iter().rev() {
        state.unless_forbidden(&dir_demand(Action::FileCreate, step))?;
    }
    let mut is_new = false;
    for step in missing.iter().rev() {
        let Some((_, name)) = step.split() else { break };
        is_new = match act::make_dir(act::At { dir: &dir, name: &name, path: step }) {
            Ok(()) => true,
            // Somebody else has made it just now; a link is refused by the pin that follows.
            Err(Errno::EEXIST) => false,
            Err(errno) => return Err(refused(errno, "create", step)),
        };
        dir = planned::entry(&dir, &name, step).map_err(|errno| refused(errno, "open", step))?;
        if look(&dir, step)?.0 != EntryKind::Dir {
            return Err(refused(Errno::ENOTDIR, "open", step));
        }
    }
    Ok(is_new)
}

pub(crate) struct SubdirTarget {
    place: Place,
    path: AbsPath,
    follow: bool,
}

impl Perform for OpenSubdir {
    type Target = SubdirTarget;

    fn target(self, state: &mut State) -> Result<SubdirTarget, Stop> {
        let place = Place { dir: state.handles.dir(self.dir)?, name: self.name };
        Ok(SubdirTarget { path: place.path()?, place, follow: self.follow })
    }

    fn demands(target: &SubdirTarget) -> Demands {
        Demands::all(vec![dir_demand(Action::FileOpen, &target.path)])
    }

    fn perform(target: Granted<SubdirTarget>, state: &mut State) -> Result<OpenedDir, Stop> {
        let SubdirTarget { place, path, follow } = target.into_inner();
        if follow {
            let dir = follow_subdir(&place, &path, state)?;
            return opened(dir, state);
        }
        let pin = planned::entry(&place.dir.pin, &place.name, &path).map_err(|errno| refused(errno, "open", &path))?;
        let pin = Rc::new(pin);
        match look(&pin, &path)?.0 {
            EntryKind::Dir => not_our_own(&path)?,
            EntryKind::Symlink => return Err(link_not_followed(&path).into()),
            _ => return Err(refused(Errno::ENOTDIR, "open", &path).into()),
        }
        state.confirm(&[dir_demand(Action::FileOpen, &path)], &pin)?;
        opened(OpenDirectory { pin, path }, state)
    }
}

/// As [`follow_dir`], from the directory that is open.
fn follow_subdir(place: &Place, path: &AbsPath, state: &mut State) -> Result<OpenDirectory, Stop> {
    let found = planned::target(&place.dir.pin, &place.name, path).map_err(|errno| refused(errno, "open", path));
    let is_dir = |pin: OwnedFd| match look(&pin, path)?.0 {
        EntryKind::Dir => Ok(pin),
        _ => Err(refused(Errno::ENOTDIR, "open", path)),
    };
    match found.and_then(is_dir) {
        Ok(pin) => judge_real_dir(pin, path, state),
        Err(failure) => {
            judge_detours(path, state)?;
            if let Some(end) = lead::end_of(path) {
                state.demand(&[dir_demand(Action::FileOpen, &end)])?;
            }
            Err(failure.into())
        }
    }
}
