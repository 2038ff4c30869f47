//! What objects are like.

use super::*;
use crate::authz::Granted;
use crate::perform::names::Names;
use crate::perform::{Demands, Perform};
use rex_protocol::fs::{Metadata, Object, STAT_ENTRIES, Stat, StatEntries};

/// An open object, whatever it is.
pub(crate) enum Opened {
    Dir(Rc<OpenDirectory>),
    File(Rc<OpenRegularFile>),
    Link(Rc<OpenLinkItself>),
}

impl Opened {
    /// What a handle stands for.
    pub(super) fn of(object: Object, state: &State) -> Result<Self, Stop> {
        Ok(match object {
            Object::Dir(dir) => Opened::Dir(state.handles.dir(dir)?),
            Object::File(file) => Opened::File(state.handles.file(file)?),
            Object::Link(link) => Opened::Link(state.handles.link(link)?),
        })
    }

    /// What policy is asked about it.
    pub(super) fn demand(&self, action: Action) -> Demand {
        match self {
            Opened::Dir(dir) => dir.demand(action),
            Opened::File(file) => file.demand(action),
            Opened::Link(link) => link.demand(action),
        }
    }

    /// Its descriptor, which may be good for nothing but naming it (`O_PATH`).
    pub(super) fn descriptor(&self) -> &OwnedFd {
        match self {
            Opened::Dir(dir) => &dir.pin,
            Opened::File(file) => &file.fd,
            Opened::Link(link) => &link.pin,
        }
    }

    /// The path it was judged by.
    pub(super) fn path(&self) -> &AbsPath {
        match self {
            Opened::Dir(dir) => &dir.path,
            Opened::File(file) => &file.path,
            Opened::Link(link) => &link.path,
        }
    }
}

impl Perform for Stat {
    type Target = Opened;

    fn target(self, state: &mut State) -> Result<Opened, Stop> {
        Opened::of(self.object, state)
    }

    fn demands(target: &Opened) -> Demands {
        Demands::all(vec![target.demand(Action::FileStat)])
    }

    fn perform(target: Granted<Opened>, state: &mut State) -> Result<Metadata, Stop> {
        let target = target.into_inner();
        let (kind, stat) = look(target.descriptor(), target.path())?;
        let mut names = state.names.take();
        let metadata = metadata(kind, &stat, &mut names);
        state.names = names;
        Ok(metadata)
    }
}

/// What one reply carries, in bytes, less one entry of the largest size.
const REPLY: usize = 96 * 1024;

pub(crate) struct EntriesTarget {
    dir: Rc<OpenDirectory>,
    /// Each entry with its path.
    entries: Vec<(Name, EntryKind, AbsPath)>,
}

impl Perform for StatEntries {
    type Target = EntriesTarget;

    fn target(self, state: &mut State) -> Result<EntriesTarget, Stop> {
        let dir = state.handles.dir(self.dir)?;
        if self.entries.is_empty() || self.entries.len() > STAT_ENTRIES {
            return Err(rex_protocol::Violation::new("asked about no entries, or too many").into());
        }
        let with_path = |(name, kind): (Name, EntryKind)| join(&dir.path, &name).map(|path| (name, kind, path));
        let entries = self.entries.into_iter().map(with_path).collect::<Result<_, _>>()?;
        Ok(EntriesTarget { dir, entries })
    }

    // Each entry is judged for itself below; nothing is looked at where none of them is allowed.
    fn demands(target: &EntriesTarget) -> Demands {
        Demands::any(target.entries.iter().map(|(_, kind, path)| entry_demands(*kind, path)).collect())
    }

    fn perform(target: Granted<EntriesTarget>, state: &mut State) -> Result<Vec<Result<Metadata, Failure>>, Stop> {
        let EntriesTarget { dir, entries } = target.into_inner();
        let (mut results, mut size, mut names) = (Vec::new(), 0, state.names.take());
        for (name, kind, path) in &entries {
            let result = stat_entry(&dir, name, *kind, path, state, &mut names);
            if let Err(failure) = &result {
                state.note(failure);
            }
            size += weight(&result);
            results.push(result);
            if size > REPLY || state.is_out_of_time() {
                break;
            }
        }
        state.names = names;
        Ok(results)
    }
}

/// About what a result takes in a reply, in bytes, and no less.
fn weight(result: &Result<Metadata, Failure>) -> usize {
    let length = |text: &Option<Text<256>>| text.as_ref().map_or(0, |text| text.len());
    128 + match result {
        Ok(metadata) => length(&metadata.user) + length(&metadata.group),
        Err(Failure { kind: FailureKind::Denied(denial), message }) => {
            let policies: usize = denial.policies.iter().map(|policy| policy.len() + 8).sum();
            message.len() + denial.action.len() + denial.resource.len() + policies
        }
        Err(failure) => failure.message.len(),
    }
}

fn entry_demands(kind: EntryKind, path: &AbsPath) -> Vec<Demand> {
    match kind {
        EntryKind::Dir => vec![dir_demand(Action::FileOpen, path), dir_demand(Action::FileStat, path)],
        EntryKind::File | EntryKind::Symlink => {
            vec![file_demand(Action::FileOpen, path), file_demand(Action::FileStat, path)]
        }
        _ => vec![file_demand(Action::FileStat, path)],
    }
}

fn stat_entry(
    dir: &OpenDirectory,
    name: &Name,
    kind: EntryKind,
    path: &AbsPath,
    state: &mut State,
    names: &mut Names,
) -> Result<Metadata, Failure> {
    let demands = entry_demands(kind, path);
    state.demand(&demands)?;
    let pin = Rc::new(planned::entry(&dir.pin, name, path).map_err(|errno| refused(errno, "look at", path))?);
    state.confirm(&demands, &pin)?;
    let (now, stat) = look(&pin, path)?;
    // It was judged as what it was said to be.
    if now == kind { Ok(metadata(kind, &stat, names)) } else { Err(refused(Errno::ESTALE, "look at", path)) }
}

fn metadata(kind: EntryKind, stat: &FileStat, names: &mut Names) -> Metadata {
    Metadata {
        kind,
        mode: stat.st_mode,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        blocks: u64::try_from(stat.st_blocks).unwrap_or(0),
        #[allow(clippy::useless_conversion, reason = "32 bits wide on some machines")]
        links: u64::from(stat.st_nlink),
        inode: stat.st_ino,
        device: stat.st_dev,
        uid: stat.st_uid,
        gid: stat.st_gid,
        user: names.user(stat.st_uid),
        group: names.group(stat.st_gid),
        modified_seconds: stat.st_mtime,
        modified_nanos: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        changed_seconds: stat.st_ctime,
    }
}
