//! The content of files as a whole: lengths, copies, donated descriptors.

use super::newfile::set_times;
use super::read::readable;
use super::transfer::{copy_content, reserve, set_length, sync};
use super::write::{may_keep_set_id, plan_shed, shed_set_id};
use super::*;
use crate::authz::Granted;
use crate::perform::{Demands, Perform};
use nix::fcntl::{FallocateFlags, OFlag, fallocate};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::ftruncate;
use rex_protocol::fs::{Allocate, CopyFile, Donate, Donated, Truncate};

/// The longest file that a dry run fills up with zeros to a length, in bytes.
const LENGTH: u64 = 64 * 1024 * 1024;

/// Refuses a file that was not opened for writing.
pub(super) fn writable(file: &OpenRegularFile) -> Result<(), Failure> {
    if file.write {
        return Ok(());
    }
    Err(Failure::new(FailureKind::NotOpenForWriting, format!("`{}` is not open for writing", file.path)))
}

pub(crate) struct LengthTarget {
    file: Rc<OpenRegularFile>,
    length: u64,
}

impl LengthTarget {
    fn signed(&self) -> Result<i64, Failure> {
        i64::try_from(self.length).map_err(|_| refused(Errno::EFBIG, "set the length of", &self.file.path))
    }

    /// In a dry run gives the file a length.
    fn plan_length(&self, length: u64, keep_set_id: bool) -> nix::Result<()> {
        let file = &self.file;
        writable(file).map_err(|_| Errno::EINVAL)?;
        plan_shed(file, keep_set_id)?;
        let whole = plan::shadow_for(&file.fd)?.whole().and_then(|mut whole| {
            let length = usize::try_from(length).ok().filter(|_| length <= LENGTH).ok_or(plan::NOT_KNOWN)?;
            whole.resize(length, 0);
            Ok(whole)
        });
        act::plan_content(&file.fd, &file.path, whole, length, Some(&file.path))
    }
}

impl Perform for Truncate {
    type Target = LengthTarget;

    fn target(self, state: &mut State) -> Result<LengthTarget, Stop> {
        Ok(LengthTarget { file: state.handles.file(self.file)?, length: self.size })
    }

    fn demands(target: &LengthTarget) -> Demands {
        Demands::all(vec![target.file.demand(Action::FileWrite)])
    }

    #[allow(clippy::disallowed_methods, reason = "a dry run has gone another way before")]
    fn perform(target: Granted<LengthTarget>, state: &mut State) -> Result<(), Stop> {
        let target = target.into_inner();
        let file = &target.file;
        let fault = |errno| refused(errno, "set the length of", &file.path);
        let keep = may_keep_set_id(file, state)?;
        if plan::is_on() {
            target.signed()?;
            return target.plan_length(target.length, keep).map_err(|errno| fault(errno).into());
        }
        ftruncate(&*file.fd, target.signed()?).map_err(fault)?;
        shed_set_id(&file.fd, keep).map_err(|errno| fault(errno).into())
    }

    // The acts on the way are planned, so that all else is the same.
    fn plan(target: Granted<Self::Target>, state: &mut State) -> Result<Self::Reply, Stop> {
        Self::perform(target, state)
    }
}

impl Perform for Allocate {
    type Target = LengthTarget;

    fn target(self, state: &mut State) -> Result<LengthTarget, Stop> {
        Ok(LengthTarget { file: state.handles.file(self.file)?, length: self.length })
    }

    fn demands(target: &LengthTarget) -> Demands {
        Demands::all(vec![target.file.demand(Action::FileWrite)])
    }

    #[allow(clippy::disallowed_methods, reason = "a dry run has gone another way before")]
    fn perform(target: Granted<LengthTarget>, state: &mut State) -> Result<(), Stop> {
        let target = target.into_inner();
        let file = &target.file;
        writable(file)?;
        let fault = |errno| refused(errno, "set space aside for", &file.path);
        let keep = may_keep_set_id(file, state)?;
        if plan::is_on() {
            let there = u64::try_from(plan::stat(&*file.fd).map_err(fault)?.st_size).unwrap_or(0);
            target.signed()?;
            return target.plan_length(there.max(target.length), keep).map_err(|errno| fault(errno).into());
        }
        // First without growing it: where there is not enough space it stays as it was.
        reserve(&file.fd, 0, target.length).map_err(fault)?;
        let length = target.signed()?;
        crate::sys::socket::retry(|| fallocate(&*file.fd, FallocateFlags::empty(), 0, length)).map_err(fault)?;
        shed_set_id(&file.fd, keep).map_err(|errno| fault(errno).into())
    }

    // The acts on the way are planned, so that all else is the same.
    fn plan(target: Granted<Self::Target>, state: &mut State) -> Result<Self::Reply, Stop> {
        Self::perform(target, state)
    }
}

pub(crate) struct CopyTarget {
    from: Rc<OpenRegularFile>,
    to: Rc<OpenRegularFile>,
    force: bool,
    preserve: bool,
}

impl Perform for CopyFile {
    type Target = CopyTarget;

    fn target(self, state: &mut State) -> Result<CopyTarget, Stop> {
        let (from, to) = (state.handles.file(self.from)?, state.handles.file(self.to)?);
        Ok(CopyTarget { from, to, force: self.force, preserve: self.preserve })
    }

    fn demands(target: &CopyTarget) -> Demands {
        Demands::all(vec![target.from.demand(Action::FileRead), target.to.demand(Action::FileWrite)])
    }

    #[allow(clippy::disallowed_methods, reason = "a dry run has gone another way before")]
    fn perform(target: Granted<CopyTarget>, state: &mut State) -> Result<(), Stop> {
        let CopyTarget { from, to, force, preserve } = target.into_inner();
        readable(&from)?;
        writable(&to)?;
        let (source, there) = (look(&from.fd, &from.path)?.1, look(&to.fd, &to.path)?.1);
        let size = u64::try_from(there.st_size).unwrap_or(0);
        if size > 0 && !force {
            let message = format!("`{}` has {size} bytes", to.path);
            return Err(Failure::new(FailureKind::DestinationNotEmpty { size }, message).into());
        }
        if inode(&source) == inode(&there) {
            // It is its own copy already.
            state.changes_nothing();
            return Ok(());
        }
        let keep = may_keep_set_id(&to, state)?;
        if plan::is_on() {
            let copied = plan_copy(&from, &to, &source, keep, preserve, state);
            to.settle(copied.is_ok());
            return copied.map_err(|errno| refused(errno, "copy to", &to.path).into());
        }
        let copied = copy(&from, &to, &source, keep, state).and_then(|(fd, length)| {
            state.spent().bytes_written += length;
            if preserve {
                fchmod(&fd, Mode::from_bits_truncate(source.st_mode & 0o777))?;
            }
            sync(&fd)?;
            // Last, since all of the above counts as a change.
            if preserve { set_times(&fd, &source) } else { Ok(()) }
        });
        to.settle(copied.is_ok());
        copied.map_err(|errno| refused(errno, "copy to", &to.path).into())
    }

    // The acts on the way are planned, so that all else is the same.
    fn plan(target: Granted<Self::Target>, state: &mut State) -> Result<Self::Reply, Stop> {
        Self::perform(target, state)
    }
}

/// The same, in a dry run.
fn plan_copy(
    from: &OpenRegularFile,
    to: &OpenRegularFile,
    source: &FileStat,
    keep_set_id: bool,
    preserve: bool,
    state: &mut State,
) -> nix::Result<()> {
    let length = u64::try_from(source.st_size).unwrap_or(0);
    plan_shed(to, keep_set_id)?;
    let whole = planned::whole(&from.fd);
    state.spent().bytes_written += whole.as_ref().map_or(length, |whole| whole.len() as u64);
    act::plan_content(&to.fd, &to.path, whole, length, Some(&from.path))?;
    if preserve {
        act::set_mode(&to.fd, &to.path, source.st_mode & 0o777)?;
        act::plan_times(&to.fd, &to.path, Some(source.st_mtime))?;
    }
    Ok(())
}

/// The content, from the start of both. Gives the destination, open for writing, and how many bytes it has.
fn copy(
    from: &OpenRegularFile,
    to: &OpenRegularFile,
    source: &FileStat,
    keep_set_id: bool,
    state: &State,
) -> nix::Result<(OwnedFd, u64)> {
    let fd = fs::reopen(&*to.fd, OFlag::O_WRONLY)?;
    reserve(&fd, 0, u64::try_from(source.st_size).unwrap_or(0))?;
    shed_set_id(&fd, keep_set_id)?;
    let length = copy_content(&from.fd, &fd, state)?;
    set_length(&fd, length)?;
    Ok((fd, length))
}

impl Perform for Donate {
    type Target = Rc<OpenRegularFile>;

    fn target(self, state: &mut State) -> Result<Self::Target, Stop> {
        let file = state.handles.file(self.file)?;
        if state.can_donate() {
            return Ok(file);
        }
        Err(Failure::new(FailureKind::OnlyForWorkers, "`fs.donate` exists only in the conversation of a worker").into())
    }

    fn demands(file: &Self::Target) -> Demands {
        Demands::all(vec![file.demand(Action::FileRead)])
    }

    fn perform(file: Granted<Self::Target>, state: &mut State) -> Result<Donated, Stop> {
        let file = file.into_inner();
        readable(&file)?;
        let fault = |errno| refused(errno, "donate", &file.path);
        // Looked at before it is opened once more: to open a file of a kernel file system may already do something.
        // What a dry run would have made of it is nothing that has a descriptor.
        let planned = plan::shadow(&*file.fd).is_some_and(|shadow| !matches!(shadow.content(), Ok(None)));
        if planned || !fs::holds_content(&*file.fd).map_err(fault)? {
            return Err(fault(Errno::EOPNOTSUPP).into());
        }
        // Whatever the handle was opened for: this one can read and nothing else, and has a position of its own.
        let fd = fs::reopen(&*file.fd, OFlag::O_RDONLY).map_err(fault)?;
        let (kind, stat) = look(&fd, &file.path)?;
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        if kind != EntryKind::File || size == 0 {
            return Err(fault(Errno::EOPNOTSUPP).into());
        }
        // What is read of it from now on is not seen.
        state.spent().bytes_read += size;
        state.donate(fd);
        Ok(Donated { size })
    }
}
