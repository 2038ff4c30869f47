//! Putting files and directories in place with their properties, as unpacking does.
//!
//! The way below the open directory is gone step by step from its descriptor, no link followed. What cannot be allowed as
//! a whole is denied before anything is made; properties that are denied are left out.

use super::act::At;
use super::attributes::{group_id, user_id};
use super::newfile::NewFile;
use super::transfer::{sync, write_all};
use super::*;
use crate::authz::Granted;
use crate::perform::{Demands, Perform};
use nix::fcntl::OFlag;
use nix::sys::stat::futimens;
use nix::sys::time::TimeSpec;
use rex_protocol::Handle;
use rex_protocol::fs::{AddToFile, BeginFile, CommitFile, Properties, PutDir, Way};

/// A file that is being put together.
pub(crate) struct Draft {
    /// Until it is put in place: from then on it belongs to whoever its name is for.
    file: RefCell<Option<Whole>>,
    dir: Rc<OpenDirectory>,
    name: Name,
    path: AbsPath,
}

enum Whole {
    File(NewFile),
    /// In a dry run.
    Planned(Vec<u8>),
}

impl Draft {
    fn is_over(&self) -> Failure {
        Failure::new(FailureKind::Gone, format!("`{}` is not being put together any more", self.path))
    }
}

/// Something that is to stand below an open directory.
pub(crate) struct Spot {
    below: Rc<OpenDirectory>,
    /// Every directory on the way, from the top, with its name.
    parents: Vec<(Name, AbsPath)>,
    name: Name,
    path: AbsPath,
}

impl Spot {
    fn of(below: Rc<OpenDirectory>, way: &Way) -> Result<Self, Failure> {
        let mut steps = Vec::new();
        let mut path = below.path.clone();
        for name in way.names() {
            path = join(&path, name)?;
            steps.push((name.clone(), path.clone()));
        }
        let last = steps.pop();
        let (name, path) = last.ok_or_else(|| Failure::new(FailureKind::InvalidPath, "a way without a step"))?;
        Ok(Self { below, parents: steps, name, path })
    }

    /// Goes to the directory that holds it, making those that are missing.
    fn parent(&self) -> Result<Rc<OpenDirectory>, Failure> {
        let mut dir = Rc::clone(&self.below);
        for (name, path) in &self.parents {
            dir = Rc::new(enter(&dir, name, path)?);
        }
        Ok(dir)
    }
}

/// Opens a directory in a directory; one that is missing is made.
fn enter(dir: &OpenDirectory, name: &Name, path: &AbsPath) -> Result<OpenDirectory, Failure> {
    match act::make_dir(At { dir: &dir.pin, name, path }) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(refused(errno, "create", path)),
    }
    let pin = planned::entry(&dir.pin, name, path).map_err(|errno| refused(errno, "open", path))?;
    match look(&pin, path)?.0 {
        EntryKind::Dir => Ok(OpenDirectory { pin: Rc::new(pin), path: path.clone() }),
        EntryKind::Symlink => Err(link_not_followed(path)),
        _ => Err(refused(Errno::ENOTDIR, "open", path)),
    }
}

impl Perform for BeginFile {
    type Target = Spot;

    fn target(self, state: &mut State) -> Result<Spot, Stop> {
        Ok(Spot::of(state.handles.dir(self.dir)?, &self.way)?)
    }

    fn demands(spot: &Spot) -> Demands {
        let file = [Action::FileCreate, Action::FileWrite].map(|action| file_demand(action, &spot.path));
        let parents = spot.parents.iter().map(|(_, path)| dir_demand(Action::FileCreate, path));
        Demands::all(file.into_iter().chain(parents).collect())
    }

    fn perform(spot: Granted<Spot>, state: &mut State) -> Result<Handle<rex_protocol::handle::Draft>, Stop> {
        let spot = spot.into_inner();
        state.handles.has_room()?;
        let dir = spot.parent()?;
        let file = match plan::is_on() {
            true => planned::confirm_place(&dir.pin, &spot.path).map(|()| Whole::Planned(Vec::new())),
            false => NewFile::ordinary_beside(&dir).map(Whole::File),
        };
        let file = file.map_err(|errno| refused(errno, "make a new file beside", &spot.path))?;
        // It has no name before it is whole.
        state.changes_nothing();
        let Spot { name, path, .. } = spot;
        Ok(state.handles.add_draft(Draft { file: RefCell::new(Some(file)), dir, name, path })?)
    }

    // The acts on the way are planned, so that all else is the same.
    fn plan(target: Granted<Self::Target>, state: &mut State) -> Result<Self::Reply, Stop> {
        Self::perform(target, state)
    }
}

pub(crate) struct AddTarget {
    draft: Rc<Draft>,
    content: rex_protocol::text::Chunk,
}

impl Perform for AddToFile {
    type Target = AddTarget;

    fn target(self, state: &mut State) -> Result<AddTarget, Stop> {
        Ok(AddTarget { draft: state.handles.draft(self.draft)?, content: self.content })
    }

    fn demands(target: &AddTarget) -> Demands {
        Demands::all(vec![file_demand(Action::FileWrite, &target.draft.path)])
    }

    fn perform(target: Granted<AddTarget>, state: &mut State) -> Result<(), Stop> {
        let AddTarget { draft, content } = target.into_inner();
        let mut file = draft.file.borrow_mut();
        match file.as_mut().ok_or_else(|| draft.is_over())? {
            Whole::File(file) => write_all(&file.fd, &content),
            Whole::Planned(whole) => {
                let together = state.staged().get().saturating_add((whole.len() + content.len()) as u64);
                let fits = together <= state.limits.memory;
                if fits {
                    whole.extend_from_slice(&content);
                }
                if fits { Ok(()) } else { Err(Errno::EFBIG) }
            }
        }
        .map_err(|errno| refused(errno, "write", &draft.path))?;
        state.changes_nothing();
        state.spent().bytes_written += content.len() as u64;
        Ok(())
    }

    // The acts on the way are planned, so that all else is the same.
    fn plan(target: Granted<Self::Target>, state: &mut State) -> Result<Self::Reply, Stop> {
        Self::perform(target, state)
    }
}

pub(crate) struct CommitTarget {
    draft: Rc<Draft>,
    properties: Properties,
}

impl Perform for CommitFile {
    type Target = CommitTarget;

    fn target(self, state: &mut State) -> Result<CommitTarget, Stop> {
        Ok(CommitTarget { draft: state.handles.draft(self.draft)?, properties: self.properties })
    }

    fn demands(target: &CommitTarget) -> Demands {
        let path = &target.draft.path;
        Demands::all([Action::FileCreate, Action::FileWrite].map(|action| file_demand(action, path)).into())
    }

    fn perform(target: Granted<CommitTarget>, state: &mut State) -> Result<(), Stop> {
        let CommitTarget { draft, properties } = target.into_inner();
        let path = &draft.path;
        let mut file = match draft.file.take().ok_or_else(|| draft.is_over())? {
            Whole::File(file) => file,
            Whole::Planned(whole) => return plan_commit(&draft, whole, &properties, state),
        };
        let ask = |action| file_demand(action, path);
        let fault = |errno| refused(errno, "give its properties to", path);
        // What an ordinary new file gets, before what is asked for.
        file.open_up().map_err(fault)?;
        set_properties(&file.fd, path, &properties, &ask, state).map_err(fault)?;
        sync(&file.fd).map_err(|errno| refused(errno, "store", path))?;
        file.take_the_place_of(&draft.name).map_err(|errno| refused(errno, "replace", path).into())
    }

    // The acts on the way are planned, so that all else is the same.
    fn plan(target: Granted<Self::Target>, state: &mut State) -> Result<Self::Reply, Stop> {
        Self::perform(target, state)
    }
}

/// In a dry run puts a file in place.
fn plan_commit(draft: &Draft, whole: Vec<u8>, properties: &Properties, state: &mut State) -> Result<(), Stop> {
    let path = &draft.path;
    let at = At { dir: &draft.dir.pin, name: &draft.name, path };
    let pin = act::plan_replacing(at, whole).map_err(|errno| refused(errno, "replace", path))?;
    set_properties(&pin, path, properties, &|action| file_demand(action, path), state)
        .map_err(|errno| refused(errno, "give its properties to", path).into())
}

/// Mode, owner and time, as far as policy and the kernel let it have them: only a failure of the file system itself is
/// one here.
#[allow(clippy::disallowed_methods, reason = "a dry run has gone another way before")]
fn set_properties(
    fd: &OwnedFd,
    path: &AbsPath,
    properties: &Properties,
    ask: &dyn Fn(Action) -> Demand,
    state: &mut State,
) -> nix::Result<()> {
    let uid = properties.user.as_ref().and_then(|name| user_id(name).ok());
    let gid = properties.group.as_ref().and_then(|name| group_id(name).ok());
    if (uid.is_some() || gid.is_some()) && state.demand(&[ask(Action::FileChown)]).is_ok() {
        match act::set_owner(fd, path, uid, gid) {
            Ok(_) | Err(Errno::EPERM) => {}
            Err(errno) => return Err(errno),
        }
    }
    if let Some(mode) = properties.mode
        && state.demand(&[ask(Action::FileChmod)]).is_ok()
    {
        act::set_mode(fd, path, mode & 0o777)?;
    }
    if let Some(seconds) = properties.modified_seconds {
        if plan::is_on() {
            return act::plan_times(fd, path, Some(seconds));
        }
        let time = TimeSpec::new(seconds, 0);
        futimens(fd, &time, &time)?;
    }
    Ok(())
}

pub(crate) struct DirTarget {
    spot: Spot,
    properties: Properties,
}

impl Perform for PutDir {
    type Target = DirTarget;

    fn target(self, state: &mut State) -> Result<DirTarget, Stop> {
        let spot = Spot::of(state.handles.dir(self.dir)?, &self.way)?;
        Ok(DirTarget { spot, properties: self.properties })
    }

    fn demands(target: &DirTarget) -> Demands {
        let spot = &target.spot;
        let all = spot.parents.iter().map(|(_, path)| path).chain([&spot.path]);
        let both = |path| [Action::FileCreate, Action::FileOpen].map(|action| dir_demand(action, path));
        Demands::all(all.flat_map(both).collect())
    }

    fn perform(target: Granted<DirTarget>, state: &mut State) -> Result<(), Stop> {
        let DirTarget { spot, properties } = target.into_inner();
        let path = &spot.path;
        let dir = enter(&*spot.parent()?, &spot.name, path)?;
        // What is not there yet cannot be opened, and need not be to know it.
        let fd = match plan::is_on() {
            true => dir.pin.try_clone().map_err(|_| Errno::EMFILE),
            false => fs::reopen(&*dir.pin, OFlag::O_RDONLY | OFlag::O_DIRECTORY),
        };
        let fd = fd.map_err(|errno| refused(errno, "open", path))?;
        set_properties(&fd, path, &properties, &|action| dir.demand(action), state)
            .map_err(|errno| refused(errno, "give its properties to", path).into())
    }

    // The acts on the way are planned, so that all else is the same.
    fn plan(target: Granted<Self::Target>, state: &mut State) -> Result<Self::Reply, Stop> {
        Self::perform(target, state)
    }
}
