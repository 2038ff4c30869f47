//! Opening.

use super::*;
use crate::authz::Granted;
use crate::perform::{Demands, Perform};
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, mkdirat};
use rex_protocol::fs::{CreateDir, DirEntry, Entry, OpenDir, OpenEntry, OpenFile, OpenedDir, OpenedFile};

/// How often a file that comes and goes while it is opened is tried again.
const TRIES: usize = 16;

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
            if let Some(create) = create {
                make(&path, create)?;
            }
            OpenDirectory { pin: pin_directory(&path, Links::Refuse)?, path }
        };
        opened(dir, state)
    }
}

fn opened(dir: OpenDirectory, state: &mut State) -> Result<OpenedDir, Stop> {
    let path = dir.path.clone();
    Ok(OpenedDir { dir: state.handles.add_dir(dir)?, path })
}

/// Makes a directory, nowhere through a link.
fn make(path: &AbsPath, create: CreateDir) -> Result<(), Failure> {
    let Some((parent, name)) = path.split() else {
        if create.recursive {
            return Ok(());
        }
        return Err(Failure::new(FailureKind::InvalidPath, "cannot create `/`: it has no parent"));
    };
    if create.recursive {
        return make_below(path);
    }
    let pin = fs::pin(&parent, Links::Refuse).map_err(|errno| parent_refused(errno, "open the parent", &parent))?;
    mkdirat(&pin, name.as_os_str(), Mode::from_bits_truncate(0o777)).map_err(|errno| refused(errno, "create", path))
}

/// Makes every missing directory of a path, one below the other, from the deepest that is there.
fn make_below(path: &AbsPath) -> Result<(), Failure> {
    let mut chain: Vec<AbsPath> = std::iter::once(path.clone()).chain(path.ancestors()).collect();
    let mut missing = Vec::new();
    let mut dir = loop {
        // The chain ends at `/`, which is always there.
        let Some(candidate) = (!chain.is_empty()).then(|| chain.remove(0)) else {
            return Err(refused(Errno::ENOENT, "create", path));
        };
        match fs::pin(&candidate, Links::Refuse) {
            Ok(pin) => break pin,
            Err(Errno::ENOENT) => missing.push(candidate),
            Err(Errno::ELOOP) => return Err(link_not_followed(&candidate)),
            Err(errno) => return Err(refused(errno, "create", path)),
        }
    };
    for step in missing.iter().rev() {
        let Some((_, name)) = step.split() else { break };
        match mkdirat(&dir, name.as_os_str(), Mode::from_bits_truncate(0o777)) {
            // Somebody else may have made it just now; a link is refused by the pin that follows.
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(refused(errno, "create", step)),
        }
        dir = fs::pin_entry(&dir, &name).map_err(|errno| refused(errno, "open", step))?;
        if look(&dir, step)?.0 != EntryKind::Dir {
            return Err(refused(Errno::ENOTDIR, "open", step));
        }
    }
    Ok(())
}

pub(crate) struct FileTarget {
    place: Place,
    path: AbsPath,
    request: OpenFile,
}

impl Perform for OpenFile {
    type Target = FileTarget;

    fn target(self, state: &mut State) -> Result<FileTarget, Stop> {
        let place = Place { dir: state.handles.dir(self.dir)?, name: self.name.clone() };
        Ok(FileTarget { path: place.path()?, place, request: self })
    }

    fn demands(target: &FileTarget) -> Demands {
        Demands::all(file_demands(&target.path, &target.request))
    }

    fn perform(target: Granted<FileTarget>, state: &mut State) -> Result<OpenedFile, Stop> {
        let FileTarget { place, path, request } = target.into_inner();
        if !request.read && !request.write {
            let message = "at least one of read, write or create flags must be true";
            return Err(Failure::new(FailureKind::InvalidArguments, message).into());
        }
        for _ in 0..TRIES {
            if let Some((file, created)) = attempt(&place, &path, &request, state)? {
                let path = file.path.clone();
                return Ok(OpenedFile { file: state.handles.add_file(file)?, path, created });
            }
        }
        Err(refused(Errno::EAGAIN, "open", &path).into())
    }
}

fn file_demands(path: &AbsPath, request: &OpenFile) -> Vec<Demand> {
    let mut demands = vec![file_demand(Action::FileOpen, path)];
    if request.create.is_some() {
        demands.push(file_demand(Action::FileCreate, path));
    }
    if request.write_next {
        demands.push(file_demand(Action::FileWrite, path));
    }
    demands
}

/// One try; nothing if the name was taken or given up in between.
fn attempt(
    place: &Place,
    path: &AbsPath,
    request: &OpenFile,
    state: &mut State,
) -> Result<Option<(OpenRegularFile, bool)>, Stop> {
    let pin = match fs::pin_entry(&place.dir.pin, &place.name) {
        Ok(pin) => pin,
        Err(Errno::ENOENT) if request.create.is_some() => {
            return Ok(create(place, place, path, None, request)?.map(|file| (file, true)));
        }
        Err(errno) => return Err(refused(errno, "open", path).into()),
    };
    let (kind, stat) = look(&pin, path)?;
    match kind {
        EntryKind::Symlink if request.follow => follow(place, path, inode(&stat), request, state),
        EntryKind::Symlink => Err(link_not_followed(path).into()),
        _ => Ok(Some((reopen(&pin, kind, place, path, place, inode(&stat), request)?, false))),
    }
}

/// Opens what a link leads to, once that is allowed too. A denial is the same whether something is there or not.
fn follow(
    link: &Place,
    path: &AbsPath,
    link_inode: (u64, u64),
    request: &OpenFile,
    state: &mut State,
) -> Result<Option<(OpenRegularFile, bool)>, Stop> {
    match fs::pin_target(&link.dir.pin, &link.name) {
        Ok(pin) => {
            let real = real_path(&pin, path)?;
            state.demand(&file_demands(&real, request))?;
            let (kind, _) = look(&pin, &real)?;
            let place = place_of(&real)?;
            Ok(Some((reopen(&pin, kind, &place, &real, link, link_inode, request)?, false)))
        }
        Err(errno) => {
            let end = lead::end_of(path).ok_or_else(|| refused(errno, "follow", path))?;
            state.demand(&file_demands(&end, request))?;
            if errno != Errno::ENOENT || request.create.is_none() {
                return Err(refused(errno, "follow", path).into());
            }
            // The link leads nowhere: what it names is made, by its own name in its own directory.
            let place = place_of(&end)?;
            Ok(create(&place, link, &end, Some(link_inode), request)?.map(|file| (file, true)))
        }
    }
}

/// The directory and name by which a real path is reached.
fn place_of(real: &AbsPath) -> Result<Place, Failure> {
    let Some((parent, name)) = real.split() else { return Err(not_regular(real)) };
    let pin = pin_directory(&parent, Links::Refuse)?;
    Ok(Place { dir: Rc::new(OpenDirectory { pin, path: parent }), name })
}

/// Makes a file that must not be there yet; nothing if it is there by now.
fn create(
    place: &Place,
    link: &Place,
    path: &AbsPath,
    link_inode: Option<(u64, u64)>,
    request: &OpenFile,
) -> Result<Option<OpenRegularFile>, Failure> {
    // Set-id and sticky bits are never set on a new file.
    let mode = Mode::from_bits_truncate(request.create.unwrap_or(0o666) & 0o777);
    let fd = match fs::create_file(&place.dir.pin, &place.name, access(request), mode) {
        Ok(fd) => fd,
        Err(Errno::EEXIST) => return Ok(None),
        Err(errno) => return Err(refused(errno, "create", path)),
    };
    let (_, stat) = look(&fd, path)?;
    Ok(Some(file(fd, place, path, link, link_inode.unwrap_or(inode(&stat)), request)))
}

/// Opens exactly the pinned object for use, if it is a regular file.
fn reopen(
    pin: &OwnedFd,
    kind: EntryKind,
    place: &Place,
    path: &AbsPath,
    link: &Place,
    link_inode: (u64, u64),
    request: &OpenFile,
) -> Result<OpenRegularFile, Failure> {
    match kind {
        EntryKind::File => {}
        EntryKind::Dir if request.write => return Err(refused(Errno::EISDIR, "open", path)),
        _ => return Err(not_regular(path)),
    }
    let fd = fs::reopen(pin, access(request)).map_err(|errno| refused(errno, "open", path))?;
    Ok(file(fd, place, path, link, link_inode, request))
}

fn file(
    fd: OwnedFd,
    place: &Place,
    path: &AbsPath,
    link: &Place,
    link_inode: (u64, u64),
    request: &OpenFile,
) -> OpenRegularFile {
    OpenRegularFile {
        fd,
        read: request.read,
        write: request.write,
        path: path.clone(),
        place: place.clone(),
        link: link.clone(),
        link_inode,
        staged: RefCell::default(),
        inside_line: RefCell::default(),
    }
}

fn access(request: &OpenFile) -> OFlag {
    match (request.read, request.write) {
        (true, true) => OFlag::O_RDWR,
        (false, true) => OFlag::O_WRONLY,
        _ => OFlag::O_RDONLY,
    }
}

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
    let pin = fs::pin_entry(&dir.pin, &name).map_err(|errno| refused(errno, "open", &path))?;
    let (kind, stat) = look(&pin, &path)?;
    let entry = DirEntry { name, kind, inode: stat.st_ino };
    Ok(Entry::Other { parent: opened(dir, state)?, entry })
}
