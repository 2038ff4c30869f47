//! Writing.

use super::content::writable;
use super::newfile::{Keep, NewFile, has_set_id};
use super::transfer::{reserve, set_length, sync, write_all};
use super::*;
use crate::authz::Granted;
use crate::perform::{Demands, Perform};
use crate::plan::{About, Contents, Node, Planned, Snapshot};
use nix::fcntl::OFlag;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{Mode, fchmod, fstat, futimens};
use nix::sys::time::TimeSpec;
use rex_protocol::change::Act;
use rex_protocol::fs::{OpenedFile, Placement, Touch, Write, Written};

/// Content that has come so far, in memory that has no name.
pub(crate) struct Staged {
    content: OwnedFd,
    length: u64,
    /// What all files of the session have staged together, in bytes.
    together: Rc<Cell<u64>>,
}

impl Drop for Staged {
    fn drop(&mut self) {
        self.together.set(self.together.get().saturating_sub(self.length));
    }
}

pub(crate) struct WriteTarget {
    file: Rc<OpenRegularFile>,
    request: Write,
}

impl Perform for Write {
    type Target = WriteTarget;

    fn target(self, state: &mut State) -> Result<WriteTarget, Stop> {
        Ok(WriteTarget { file: state.handles.file(self.file)?, request: self })
    }

    fn demands(target: &WriteTarget) -> Demands {
        Demands::all(vec![target.file.demand(Action::FileWrite)])
    }

    fn perform(target: Granted<WriteTarget>, state: &mut State) -> Result<Written, Stop> {
        let WriteTarget { file, request } = target.into_inner();
        writable(&file)?;
        let more = request.more;
        let length = request.content.len() as u64;
        let written = write(&file, request, state);
        if written.is_ok() {
            state.spent().bytes_written += length;
        }
        if written.is_err() || !more {
            file.settle(written.is_ok());
        }
        if more {
            state.changes_nothing();
        }
        written
    }

    // The acts on the way are planned, so that all else is the same.
    fn plan(target: Granted<Self::Target>, state: &mut State) -> Result<Self::Reply, Stop> {
        Self::perform(target, state)
    }
}

fn write(file: &Rc<OpenRegularFile>, request: Write, state: &mut State) -> Result<Written, Stop> {
    let staged = file.staged.take();
    if request.more || staged.is_some() {
        let staged = stage(staged, &request.content, &file.path, state)?;
        if request.more {
            file.staged.replace(Some(staged));
            return Ok(Written { file: None });
        }
        return place(file, request.placement, &Content::Staged(staged), state);
    }
    place(file, request.placement, &Content::Whole(&request.content), state)
}

enum Content<'a> {
    Whole(&'a [u8]),
    Staged(Staged),
}

impl Content<'_> {
    fn length(&self) -> u64 {
        match self {
            Content::Whole(bytes) => bytes.len() as u64,
            Content::Staged(staged) => staged.length,
        }
    }
}

impl Content<'_> {
    /// All of it, after what the file holds already where it is to be appended.
    fn for_plan(&self, file: Option<&OwnedFd>) -> nix::Result<Vec<u8>> {
        let mut whole = match file {
            Some(file) => plan::shadow_for(file)?.whole()?,
            None => Vec::new(),
        };
        match self {
            Content::Whole(bytes) => whole.extend_from_slice(bytes),
            Content::Staged(staged) => {
                let length = usize::try_from(staged.length).map_err(|_| Errno::EFBIG)?;
                whole.extend(super::read::read_at(&staged.content, 0, length)?);
            }
        }
        Ok(whole)
    }
}

/// Whether a file that gets other content may keep set-id bits that it has.
pub(super) fn may_keep_set_id(file: &OpenRegularFile, state: &mut State) -> Result<bool, Failure> {
    let (_, stat) = look(&file.fd, &file.path)?;
    Ok(has_set_id(&stat) && state.demand(&[file.demand(Action::FileSetId)]).is_ok())
}

/// Takes set-id bits away, as the kernel does where an ordinary user writes (write(2)). Other content comes after that, so that
/// what fails or is cut off midway leaves no program of the writer's own that runs as somebody else.
#[allow(clippy::disallowed_methods, reason = "it refuses in a dry run")]
pub(super) fn shed_set_id(fd: &OwnedFd, keep: bool) -> nix::Result<()> {
    plan::confirm_real()?;
    let stat = fstat(fd)?;
    if keep || !has_set_id(&stat) { Ok(()) } else { fchmod(fd, Mode::from_bits_truncate(stat.st_mode & 0o1777)) }
}

/// Adds to what has come so far. A run can stage no more than it may hold in memory, in all its files together.
fn stage(staged: Option<Staged>, content: &[u8], path: &AbsPath, state: &State) -> Result<Staged, Failure> {
    let mut staged = match staged {
        Some(staged) => staged,
        None => {
            let content = memfd_create(c"rex-staged", MFdFlags::MFD_CLOEXEC)
                .map_err(|errno| refused(errno, "stage the content of", path))?;
            Staged { content, length: 0, together: state.staged() }
        }
    };
    let added = content.len() as u64;
    let together = staged.together.get().saturating_add(added);
    if together > state.limits.memory {
        return Err(refused(Errno::EFBIG, "stage the content of", path));
    }
    write_all(&staged.content, content).map_err(|errno| refused(errno, "stage the content of", path))?;
    staged.length = staged.length.saturating_add(added);
    staged.together.set(together);
    Ok(staged)
}

fn place(
    file: &Rc<OpenRegularFile>,
    placement: Placement,
    content: &Content<'_>,
    state: &mut State,
) -> Result<Written, Stop> {
    let set_id = may_keep_set_id(file, state)?;
    match placement {
        Placement::Atomic { preserve_ownership } => {
            state.handles.has_room()?;
            judge_name(file, state)?;
            let new = replace(file, content, preserve_ownership, set_id)?;
            let path = new.path.clone();
            let file = OpenedFile { file: state.handles.add_file(new)?, path, created: true };
            Ok(Written { file: Some(file) })
        }
        Placement::InPlace => {
            overwrite(file, content, set_id).map_err(|errno| refused(errno, "write", &file.path))?;
            Ok(Written { file: None })
        }
        Placement::Append => {
            append(file, content, set_id).map_err(|errno| refused(errno, "append to", &file.path))?;
            Ok(Written { file: None })
        }
    }
}

/// As [`shed_set_id`], in a dry run.
pub(super) fn plan_shed(file: &OpenRegularFile, keep: bool) -> nix::Result<()> {
    let stat = plan::stat(&*file.fd)?;
    if keep || !has_set_id(&stat) {
        return Ok(());
    }
    act::set_mode(&file.fd, &file.path, stat.st_mode & 0o1777).map(drop)
}

/// From the start, then cut to the new length.
fn overwrite(file: &OpenRegularFile, content: &Content<'_>, keep_set_id: bool) -> nix::Result<()> {
    if plan::is_on() {
        plan_shed(file, keep_set_id)?;
        return act::plan_content(&file.fd, &file.path, content.for_plan(None), content.length(), None);
    }
    let fd = fs::reopen(&*file.fd, OFlag::O_WRONLY)?;
    reserve(&fd, 0, content.length())?;
    shed_set_id(&fd, keep_set_id)?;
    copy(content, &fd)?;
    set_length(&fd, content.length())?;
    sync(&fd)
}

/// After the end as it is at this moment, whoever else writes (`O_APPEND`).
fn append(file: &OpenRegularFile, content: &Content<'_>, keep_set_id: bool) -> nix::Result<()> {
    if plan::is_on() {
        plan_shed(file, keep_set_id)?;
        let there = u64::try_from(plan::stat(&*file.fd)?.st_size).unwrap_or(0);
        let length = there.saturating_add(content.length());
        let whole = content.for_plan(Some(&file.fd));
        return act::plan_content(&file.fd, &file.path, whole, length, Some(&file.path));
    }
    let fd = fs::reopen(&*file.fd, OFlag::O_WRONLY | OFlag::O_APPEND)?;
    reserve(&fd, u64::try_from(fstat(&fd)?.st_size).unwrap_or(0), content.length())?;
    shed_set_id(&fd, keep_set_id)?;
    copy(content, &fd)?;
    sync(&fd)
}

/// Asks for what has the file's name by now. The file is replaced by name, and may have left it: nothing is made there
/// without `create`.
fn judge_name(file: &OpenRegularFile, state: &mut State) -> Result<(), Failure> {
    let Place { dir, name } = &file.place;
    match planned::entry(&dir.pin, name, &file.path) {
        Ok(pin) => state.confirm(&[file_demand(Action::FileWrite, &file.path)], &Rc::new(pin)),
        Err(Errno::ENOENT) => state.demand(&[file_demand(Action::FileCreate, &file.path)]),
        Err(errno) => Err(refused(errno, "replace", &file.path)),
    }
}

/// A new file with the content takes the place of the old one at once. It has the old one's mode and attributes
/// before it has a name, and its owner where asked.
fn replace(
    file: &OpenRegularFile,
    content: &Content<'_>,
    owner: bool,
    set_id: bool,
) -> Result<OpenRegularFile, Failure> {
    let Place { dir, name } = &file.place;
    let fault = |step| move |errno| refused(errno, step, &file.path);
    if plan::is_on() {
        let fd = plan_replacement(file, content, owner, set_id).map_err(fault("replace"))?;
        return in_its_place(file, fd);
    }
    let mut new = NewFile::beside(dir).map_err(fault("make a new file beside"))?;
    copy(content, &new.fd).map_err(fault("write a new"))?;
    let keep = Keep { owner, set_id, times: false };
    keep.apply(&file.fd, &new.fd).map_err(fault("keep owner, mode and attributes of"))?;
    sync(&new.fd).map_err(fault("store a new"))?;
    new.take_the_place_of(name).map_err(fault("replace"))?;
    let flags = if file.read { OFlag::O_RDWR } else { OFlag::O_WRONLY };
    in_its_place(file, fs::reopen(&new.fd, flags).map_err(fault("open the new"))?)
}

/// In a dry run the same: an object that is not there has the file's name.
fn plan_replacement(file: &OpenRegularFile, content: &Content<'_>, owner: bool, set_id: bool) -> nix::Result<OwnedFd> {
    let Place { dir, name } = &file.place;
    let at = act::At { dir: &dir.pin, name, path: &file.path };
    planned::confirm_place(at.dir, at.path)?;
    let there = match planned::entry(at.dir, at.name, at.path) {
        Ok(there) => Some(there),
        Err(Errno::ENOENT) => None,
        Err(errno) => return Err(errno),
    };
    let was = plan::stat(&*file.fd)?;
    let kept = if set_id { 0o7777 } else { 0o1777 };
    let new = plan::new_object(SFlag::S_IFREG, was.st_mode & kept, was.st_dev)?;
    if owner {
        new.set_owner(Some(was.st_uid), Some(was.st_gid));
    }
    let pin = new.pin()?;
    let before = there.as_ref().map_or(Snapshot::Nothing, planned::snapshot);
    match content.for_plan(None) {
        Ok(bytes) => new.set_content(bytes),
        Err(_) => new.set_length(content.length()),
    }
    plan::put(at.path, Node::Object(new))?;
    let after = planned::snapshot(&pin);
    let contents = Contents { of: file.path.clone(), before, after, from: None };
    let mut planned = Planned::on(Act::Write, About::File(file.path.clone())).holding(contents);
    let now = plan::stat(&pin)?;
    if (was.st_uid, was.st_gid) != (now.st_uid, now.st_gid) {
        let owners = [was, now].map(|stat| Some(act::owners(&stat)));
        let [before, after] = owners;
        planned = planned.with("owner", before, after);
    }
    plan::note(planned);
    Ok(pin)
}

/// The new file, opened as the one was whose place it has taken.
fn in_its_place(file: &OpenRegularFile, fd: OwnedFd) -> Result<OpenRegularFile, Failure> {
    let (_, stat) = look(&fd, &file.path)?;
    Ok(OpenRegularFile {
        fd: Rc::new(fd),
        read: file.read,
        write: file.write,
        path: file.path.clone(),
        place: file.place.clone(),
        // A link that was followed still stands where it stood.
        link: file.link.clone(),
        link_inode: if file.link.name == file.place.name && file.link.dir.path == file.place.dir.path {
            inode(&stat)
        } else {
            file.link_inode
        },
        staged: RefCell::default(),
        inside_line: RefCell::default(),
        awaits_content: Cell::default(),
    })
}

fn copy(content: &Content<'_>, to: &OwnedFd) -> nix::Result<()> {
    match content {
        Content::Whole(bytes) => write_all(to, bytes),
        Content::Staged(staged) => {
            let mut done = 0;
            while done < staged.length {
                let piece = super::read::read_at(&staged.content, done, 1024 * 1024)?;
                if piece.is_empty() {
                    return Err(Errno::EIO);
                }
                write_all(to, &piece)?;
                done += piece.len() as u64;
            }
            Ok(())
        }
    }
}

pub(crate) struct TouchTarget {
    place: Place,
    path: AbsPath,
}

impl Perform for Touch {
    type Target = TouchTarget;

    fn target(self, state: &mut State) -> Result<TouchTarget, Stop> {
        let place = Place { dir: state.handles.dir(self.dir)?, name: self.name };
        Ok(TouchTarget { path: place.path()?, place })
    }

    fn demands(target: &TouchTarget) -> Demands {
        Demands::all(vec![file_demand(Action::FileOpen, &target.path), file_demand(Action::FileCreate, &target.path)])
    }

    #[allow(clippy::disallowed_methods, reason = "a dry run has gone another way before")]
    fn perform(target: Granted<TouchTarget>, state: &mut State) -> Result<(), Stop> {
        let TouchTarget { place, path } = target.into_inner();
        let mode = Mode::from_bits_truncate(0o666);
        let at = act::At { dir: &place.dir.pin, name: &place.name, path: &path };
        let made = match plan::is_on() {
            true => act::plan_file(at, mode.bits()),
            false => fs::create_file(&place.dir.pin, &place.name, OFlag::O_WRONLY | OFlag::O_NONBLOCK, mode),
        };
        match made {
            Ok(_) => return Ok(()),
            Err(Errno::EEXIST) => {}
            Err(errno) => return Err(refused(errno, "create", &path).into()),
        }
        let pin = planned::entry(at.dir, at.name, &path).map_err(|errno| refused(errno, "open", &path))?;
        let pin = Rc::new(pin);
        state.confirm(&[Action::FileOpen, Action::FileCreate].map(|action| file_demand(action, &path)), &pin)?;
        match look(&pin, &path)?.0 {
            EntryKind::File => {}
            EntryKind::Symlink => return Err(link_not_followed(&path).into()),
            EntryKind::Dir => return Err(refused(Errno::EISDIR, "open", &path).into()),
            _ => return Err(not_regular(&path).into()),
        }
        if plan::is_on() {
            let planned = planned::open_to_plan(&pin, false).and_then(|pin| act::plan_times(&pin, &path, None));
            return planned.map_err(|errno| refused(errno, "set the times of", &path).into());
        }
        let fd = fs::reopen(&*pin, OFlag::O_WRONLY).map_err(|errno| refused(errno, "open", &path))?;
        futimens(&fd, &TimeSpec::UTIME_NOW, &TimeSpec::UTIME_NOW)
            .map_err(|errno| refused(errno, "set the times of", &path).into())
    }

    // The acts on the way are planned, so that all else is the same.
    fn plan(target: Granted<Self::Target>, state: &mut State) -> Result<Self::Reply, Stop> {
        Self::perform(target, state)
    }
}
