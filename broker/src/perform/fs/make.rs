//! Making directories by path.

use super::*;
use crate::authz::Granted;
use crate::perform::{Demands, Perform};
use rex_protocol::fs::MakeDir;

impl Perform for MakeDir {
    type Target = MakeDir;

    fn target(self, _: &mut State) -> Result<MakeDir, Stop> {
        Ok(self)
    }

    // Nothing on the way is looked at for somebody who may open none of it.
    fn demands(target: &MakeDir) -> Demands {
        let path = &target.path;
        if !target.parents {
            let parent = path.split().map_or_else(AbsPath::root, |(parent, _)| parent);
            return Demands::all(vec![dir_demand(Action::FileOpen, &parent)]);
        }
        let mut alternatives = vec![vec![dir_demand(Action::FileCreate, path)]];
        let opens = std::iter::once(path.clone()).chain(path.ancestors());
        alternatives.extend(opens.map(|path| vec![dir_demand(Action::FileOpen, &path)]));
        Demands::any(alternatives)
    }

    fn perform(target: Granted<MakeDir>, state: &mut State) -> Result<(), Stop> {
        let MakeDir { path, parents } = target.into_inner();
        let Some((parent, name)) = path.split() else {
            state.changes_nothing();
            return Ok(());
        };
        if !parents {
            let dir = follow_dir(&parent, state)?;
            return make_one(&dir, &name, state);
        }
        if let Some(end) = lead::end_of(&path) {
            judge_detours(&path, state)?;
            create_or_open(&end, state)?;
        }
        let made = match deepest(&path) {
            Ok((found, missing)) => make_missing(&found, &missing, state),
            // What stands in the way is told only to whom policy lets make it.
            Err(failure) => {
                state.demand(&[dir_demand(Action::FileCreate, &path)]).and(Err(failure)).map_err(Stop::from)
            }
        };
        uniform(made, &path, state)
    }

    // The acts on the way are planned, so that all else is the same.
    fn plan(target: Granted<Self::Target>, state: &mut State) -> Result<Self::Reply, Stop> {
        Self::perform(target, state)
    }
}

/// Makes one directory; one that is there is fine where `open` or `create` on it is allowed.
fn make_one(dir: &OpenDirectory, name: &Name, state: &mut State) -> Result<(), Stop> {
    let path = join(&dir.path, name)?;
    if let Err(denial) = state.demand(&[dir_demand(Action::FileCreate, &path)]) {
        let there = state.demand(&[dir_demand(Action::FileOpen, &path)]).is_ok() && is_dir(dir, name, &path, state);
        state.changes_nothing();
        return if there { Ok(()) } else { Err(denial.into()) };
    }
    match act::make_dir(act::At { dir: &dir.pin, name, path: &path }) {
        Err(Errno::EEXIST) if is_dir(dir, name, &path, state) => {
            state.changes_nothing();
            Ok(())
        }
        made => made.map_err(|errno| refused(errno, "create", &path).into()),
    }
}

/// Whether a name is a directory, or a link to one that policy lets be opened.
fn is_dir(dir: &OpenDirectory, name: &Name, path: &AbsPath, state: &mut State) -> bool {
    let kind = |pin: nix::Result<OwnedFd>| pin.ok().and_then(|pin| look(&pin, path).ok()).map(|(kind, _)| kind);
    match kind(planned::entry(&dir.pin, name, path)) {
        Some(EntryKind::Symlink) => {
            let end = lead::end_of(path);
            let open = end.is_some_and(|end| state.demand(&[dir_demand(Action::FileOpen, &end)]).is_ok());
            open && kind(planned::target(&dir.pin, name, path)) == Some(EntryKind::Dir)
        }
        kind => kind == Some(EntryKind::Dir),
    }
}

/// Asks for a directory that shall be there in the end, whether or not it is there already.
fn create_or_open(path: &AbsPath, state: &mut State) -> Result<(), Failure> {
    let create = state.demand(&[dir_demand(Action::FileCreate, path)]);
    create.or_else(|denial| state.demand(&[dir_demand(Action::FileOpen, path)]).map_err(|_| denial))
}

/// The deepest directory on the way that is there, and the names that are missing below it.
fn deepest(path: &AbsPath) -> Result<(AbsPath, Vec<Name>), Failure> {
    let (mut at, mut missing) = (path.clone(), Vec::new());
    loop {
        match planned::pin(&at, Links::Follow) {
            Ok(_) => break,
            Err(Errno::ENOENT) => {}
            Err(errno) => return Err(refused(errno, "create", path)),
        }
        let Some((parent, name)) = at.split() else { break };
        missing.push(name);
        at = parent;
    }
    missing.reverse();
    Ok((at, missing))
}

/// Asks for every directory that is missing before it makes the first one.
fn make_missing(found: &AbsPath, missing: &[Name], state: &mut State) -> Result<(), Stop> {
    if missing.is_empty() {
        state.changes_nothing();
        create_or_open(found, state)?;
        pin_directory(found, Links::Follow).map_err(|failure| match failure.errno() {
            Some(errno) if errno == Errno::ENOTDIR as i32 => refused(Errno::EEXIST, "create", found),
            _ => failure,
        })?;
        return Ok(());
    }
    state.demand(&[dir_demand(Action::FileOpen, found)])?;
    let mut dir = follow_dir(found, state)?;
    let mut path = dir.path.clone();
    for name in missing {
        path = join(&path, name)?;
        state.demand(&[dir_demand(Action::FileCreate, &path)])?;
    }
    for name in missing {
        let path = join(&dir.path, name)?;
        match act::make_dir(act::At { dir: &dir.pin, name, path: &path }) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(refused(errno, "create", &path).into()),
        }
        // Not through a link that somebody put there instead.
        let pin = planned::entry(&dir.pin, name, &path).map_err(|errno| refused(errno, "open", &path))?;
        if look(&pin, &path)?.0 != EntryKind::Dir {
            return Err(refused(Errno::ENOTDIR, "open", &path).into());
        }
        dir = OpenDirectory { pin: Rc::new(pin), path };
    }
    Ok(())
}

/// A denial that names a directory on the way would tell what is there: it names what was asked for, unless the
/// caller may `stat` what it names.
fn uniform(result: Result<(), Stop>, asked: &AbsPath, state: &mut State) -> Result<(), Stop> {
    let Err(Stop::Failure(failure)) = &result else { return result };
    if !failure.is_denial()
        || asked.ancestors().all(|path| state.demand(&[dir_demand(Action::FileStat, &path)]).is_ok())
    {
        return result;
    }
    state.demand(&[dir_demand(Action::FileCreate, asked)])?;
    result
}
