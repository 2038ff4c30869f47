//! Opening whatever a path names.

use super::directory::opened;
use super::*;
use crate::authz::Granted;
use crate::perform::{Demands, Perform};
use rex_protocol::fs::{DirEntry, Entry, OpenEntry, OpenedDir};

impl Perform for OpenEntry {
    type Target = AbsPath;

    fn target(self, _: &mut State) -> Result<AbsPath, Stop> {
        Ok(self.path)
    }

    // What the path names is looked at only if policy allows it as the one or as the other.
    fn demands(path: &AbsPath) -> Demands {
        let mut alternatives = vec![vec![dir_demand(Action::FileOpen, path)]];
        if let Some((parent, _)) = path.split() {
            alternatives.push(vec![dir_demand(Action::FileOpen, &parent), file_demand(Action::FileOpen, path)]);
        }
        Demands::any(alternatives)
    }

    fn perform(path: Granted<AbsPath>, state: &mut State) -> Result<Entry, Stop> {
        let path = path.into_inner();
        let Some((parent, name)) = path.split() else {
            return open_directory(&path, state).map(Entry::Dir);
        };
        let dir = planned::pin(&parent, Links::Follow);
        let real = match &dir {
            Ok(dir) => Some(join(&real_path(dir, &parent)?, &name)?),
            Err(_) => lead::end_of(&path),
        };
        // By its real path the plan of a dry run knows it.
        let seen = real.clone().unwrap_or_else(|| path.clone());
        // What a link on the way leads to, and whether anything, is looked at as little without having asked.
        if let Some(real) = real.filter(|real| *real != path) {
            judge_detours(&path, state)?;
            let demands = Self::demands(&real);
            state.authorize(real, &demands)?;
        }
        let found =
            dir.and_then(|dir| planned::entry(&dir, &name, &seen)).map_err(|errno| refused(errno, "open", &path))?;
        match look(&found, &path)?.0 {
            EntryKind::Dir => open_directory(&path, state).map(Entry::Dir),
            _ => open_other(&parent, name, state),
        }
    }
}

fn open_directory(path: &AbsPath, state: &mut State) -> Result<OpenedDir, Stop> {
    state.demand(&[dir_demand(Action::FileOpen, path)])?;
    let dir = follow_dir(path, state)?;
    opened(dir, state)
}

/// Opens the directory that holds something else than a directory, and tells what it is.
fn open_other(parent: &AbsPath, name: Name, state: &mut State) -> Result<Entry, Stop> {
    state.demand(&[dir_demand(Action::FileOpen, parent)])?;
    let dir = follow_dir(parent, state)?;
    let path = join(&dir.path, &name)?;
    state.demand(&[file_demand(Action::FileOpen, &path)])?;
    let pin = planned::entry(&dir.pin, &name, &path).map_err(|errno| refused(errno, "open", &path))?;
    let (kind, stat) = look(&pin, &path)?;
    let entry = DirEntry { name, kind, inode: stat.st_ino };
    Ok(Entry::Other { parent: opened(dir, state)?, entry })
}
