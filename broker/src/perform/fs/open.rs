//! Opening files.

use super::*;
use crate::authz::Granted;
use crate::perform::{Demands, Perform};
use crate::sys::fs::root;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use rex_protocol::fs::{OpenFile, OpenedFile};

/// How often a file that comes and goes while it is opened is tried again.
const TRIES: usize = 16;

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
        state.handles.has_room()?;
        for _ in 0..TRIES {
            if let Some((file, created)) = attempt(&place, &path, &request, state)? {
                if !created {
                    state.changes_nothing();
                }
                let path = file.path.clone();
                return Ok(OpenedFile { file: state.handles.add_file(file)?, path, created });
            }
        }
        Err(refused(Errno::EAGAIN, "open", &path).into())
    }

    // The acts on the way are planned, so that all else is the same.
    fn plan(target: Granted<Self::Target>, state: &mut State) -> Result<Self::Reply, Stop> {
        Self::perform(target, state)
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
    let pin = match planned::entry(&place.dir.pin, &place.name, path).map(Rc::new) {
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
        _ => {
            state.confirm(&file_demands(path, request), &pin)?;
            Ok(Some((reopen(&pin, kind, place, path, place, inode(&stat), request)?, false)))
        }
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
    match planned::target(&link.dir.pin, &link.name, path).map(Rc::new) {
        Ok(pin) => {
            let real = real_path(&pin, path)?;
            judge_detours(path, state)?;
            let demands = file_demands(&real, request).into_iter().map(|demand| demand.about(&pin));
            state.demand(&demands.collect::<Vec<_>>())?;
            let (kind, _) = look(&pin, &real)?;
            let place = place_of(&real)?;
            Ok(Some((reopen(&pin, kind, &place, &real, link, link_inode, request)?, false)))
        }
        Err(errno) => {
            judge_detours(path, state)?;
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
pub(super) fn place_of(real: &AbsPath) -> Result<Place, Failure> {
    place_by(real, Links::Refuse)
}

fn place_by(path: &AbsPath, links: Links) -> Result<Place, Failure> {
    let Some((parent, name)) = path.split() else { return Err(not_regular(path)) };
    let pin = Rc::new(pin_directory(&parent, links)?);
    Ok(Place { dir: Rc::new(OpenDirectory { pin, path: parent }), name })
}

/// Opens one of the kernel's tables for reading. What `path` leads to is the kernel's own and is judged by `path`.
pub(in crate::perform) fn open_table(path: &AbsPath) -> Result<OpenRegularFile, Failure> {
    open_known(path, Links::Follow)
}

/// Opens a program of the system to run it. No link is followed.
pub(in crate::perform) fn open_program(path: &AbsPath) -> Result<OpenRegularFile, Failure> {
    open_known(path, Links::Refuse)
}

/// Opens a file for reading whose path this program names itself.
fn open_known(path: &AbsPath, links: Links) -> Result<OpenRegularFile, Failure> {
    let fault = |errno| refused(errno, "open", path);
    // Of an entered namespace only its mounts are told.
    let mounts = root::get().filter(|_| path.as_bytes() == b"/proc/mounts");
    let pin = mounts.map_or_else(|| root::at_home(|| fs::pin(path, links)), |root| root.mounts()).map_err(fault)?;
    let (kind, stat) = root::at_home(|| look(&pin, path))?;
    if kind != EntryKind::File {
        return Err(not_regular(path));
    }
    let place = root::at_home(|| place_by(path, links))?;
    let fd = Rc::new(fs::reopen(&pin, OFlag::O_RDONLY).map_err(fault)?);
    Ok(OpenRegularFile {
        fd,
        read: true,
        write: false,
        path: path.clone(),
        link: place.clone(),
        place,
        link_inode: inode(&stat),
        staged: RefCell::default(),
        inside_line: RefCell::default(),
        awaits_content: Cell::default(),
    })
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
    let made = match plan::is_on() {
        true => act::plan_file(act::At { dir: &place.dir.pin, name: &place.name, path }, mode.bits()),
        false => fs::create_file(&*place.dir.pin, &place.name, access(request), mode),
    };
    let fd = match made {
        Ok(fd) => fd,
        Err(Errno::EEXIST) => return Ok(None),
        Err(errno) => return Err(refused(errno, "create", path)),
    };
    let (_, stat) = look(&fd, path)?;
    let file = file(fd, place, path, link, link_inode.unwrap_or(inode(&stat)), request);
    file.awaits_content.set(request.write_next);
    Ok(Some(file))
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
    let fd = match request.write && plan::is_on() {
        true => planned::open_to_plan(pin, request.read),
        false => fs::reopen(pin, access(request)),
    };
    let fd = fd.map_err(|errno| refused(errno, "open", path))?;
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
        fd: Rc::new(fd),
        read: request.read,
        write: request.write,
        path: path.clone(),
        place: place.clone(),
        link: link.clone(),
        link_inode,
        staged: RefCell::default(),
        inside_line: RefCell::default(),
        awaits_content: Cell::default(),
    }
}

fn access(request: &OpenFile) -> OFlag {
    match (request.read, request.write) {
        (true, true) => OFlag::O_RDWR,
        (false, true) => OFlag::O_WRONLY,
        _ => OFlag::O_RDONLY,
    }
}
