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
        let found = fs::pin(&parent, Links::Follow).and_then(|dir| fs::pin_entry(dir, &name));
        match found.as_ref().map(|pin| look(pin, &path)) {
            Ok(looked) if looked.as_ref().is_ok_and(|(kind, _)| *kind == EntryKind::Dir) => {
                open_directory(&path, state).map(Entry::Dir)
            }
            Ok(_) => open_other(&parent, name, state),
            // Whoever may open it in either form may know that it is missing, but not what a link on the way leads to.
            Err(errno) => {
                if let Some((above, _)) = lead::end_of(&path).as_ref().and_then(AbsPath::split) {
                    state.demand(&[dir_demand(Action::FileOpen, &above)])?;
                }
                Err(refused(*errno, "open", &path).into())
            }
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
    let pin = fs::pin_entry(&*dir.pin, &name).map_err(|errno| refused(errno, "open", &path))?;
    let (kind, stat) = look(&pin, &path)?;
    let entry = DirEntry { name, kind, inode: stat.st_ino };
    Ok(Entry::Other { parent: opened(dir, state)?, entry })
}
