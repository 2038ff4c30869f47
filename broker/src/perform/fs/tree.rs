//! Copying a whole directory to another file system.
//!
//! Everything below is judged before the first copy is made, and again when it is its turn: what came in between is judged
//! too. The copy is made under a name that nobody can foresee, and has its own only when it is whole.
#![allow(clippy::disallowed_methods, reason = "behind `copy_to`, which a dry run does not do")]

use super::moving::keep_all;
use super::newfile::{has_set_id, with_new_name};
use super::remove::walk;
use super::transfer::copy_content;
use super::*;
use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, renameat2};
use nix::sys::stat::{Mode, fstat, fstatat, mkdirat};
use nix::unistd::{Gid, Uid};
use nix::unistd::{UnlinkatFlags, fchownat, symlinkat, unlinkat};

/// How deep a tree may be that is copied: each level keeps descriptors open.
const DEPTH: usize = 256;

/// Whether a place is a directory with anything in it.
pub(super) fn has_entries(place: &Place, path: &AbsPath) -> Result<bool, Failure> {
    match planned::entry(&place.dir.pin, &place.name, path) {
        Ok(pin) if look(&pin, path)?.0 == EntryKind::Dir => Ok(!entries(&pin, path)?.is_empty()),
        _ => Ok(false),
    }
}

/// Copies `dir` with all that is in it to `place`, whose path is `path`, and gives the copy.
pub(super) fn copy_to(
    dir: &OpenDirectory,
    place: &Place,
    path: &AbsPath,
    state: &mut State,
) -> Result<OwnedFd, Failure> {
    let fault = |errno| refused(errno, "move to", path);
    plan::confirm_real().map_err(fault)?;
    judge(&dir.pin, &dir.path, path, 0, state)?;
    let to = &*place.dir.pin;
    let ((), own) = with_new_name(|name| make_private(to, name)).map_err(fault)?;
    let copied = pin_private(to, &own).map_err(fault).and_then(|copy| {
        let placed = copy_below(&dir.pin, &copy, &dir.path, path, 0, state).and_then(|()| {
            renameat2(to, own.as_os_str(), to, place.name.as_os_str(), RenameFlags::empty()).map_err(fault)
        });
        if placed.is_err() {
            // What is in the copy, and not in what may have its name by now.
            let _ = walk(&copy, path, 0, &mut |found| found.remove());
        }
        placed.map(|()| copy)
    });
    if copied.is_err() {
        let _ = unlinkat(to, own.as_os_str(), UnlinkatFlags::RemoveDir);
    }
    copied
}

fn make_private(dir: &OwnedFd, name: &Name) -> nix::Result<()> {
    mkdirat(dir, name.as_os_str(), Mode::from_bits_truncate(0o700))
}

/// Pins a directory that has just been made. Whoever may write to `dir` could have put another in its place, whose owner,
/// mode and content are not ours to change: `ESTALE`.
fn pin_private(dir: &OwnedFd, name: &Name) -> nix::Result<OwnedFd> {
    let pin = fs::pin_entry(dir, name)?;
    let stat = fstat(&pin)?;
    let is_ours = fs::kind(&stat) == SFlag::S_IFDIR
        && stat.st_uid == nix::unistd::geteuid().as_raw()
        && stat.st_mode & 0o077 == 0
        && entries(&pin, &AbsPath::root()).is_ok_and(|entries| entries.is_empty());
    if is_ours { Ok(pin) } else { Err(Errno::ESTALE) }
}

/// Removes from `source` what `copy` has, and tells whether anything is left.
pub(super) fn remove_copied(source: &OwnedFd, copy: &OwnedFd, path: &AbsPath) -> Result<bool, Failure> {
    plan::confirm_real().map_err(|errno| refused(errno, "remove the copied", path))?;
    let mut left = false;
    for (name, is_dir) in entries(source, path)? {
        let path = join(path, &name)?;
        let Ok(copy) = fs::pin_entry(copy, &name) else {
            left = true;
            continue;
        };
        let mut flag = UnlinkatFlags::NoRemoveDir;
        if is_dir {
            let below = fs::pin_entry(source, &name).map_err(|errno| refused(errno, "open", &path))?;
            if remove_copied(&below, &copy, &path)? {
                left = true;
                continue;
            }
            flag = UnlinkatFlags::RemoveDir;
        }
        match unlinkat(source, name.as_os_str(), flag) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(refused(errno, "remove the copied", &path)),
        }
    }
    Ok(left)
}

/// Asks for everything below, and refuses what cannot be copied.
pub(super) fn judge(
    dir: &OwnedFd,
    from: &AbsPath,
    to: &AbsPath,
    depth: usize,
    state: &mut State,
) -> Result<(), Failure> {
    enough_depth(depth, from)?;
    state.demand(&dir_demands(from, to))?;
    for (name, _) in entries(dir, from)? {
        let (from, to) = (join(from, &name)?, join(to, &name)?);
        in_time(state, &from)?;
        let pin = planned::entry(dir, &name, &from).map_err(|errno| refused(errno, "open", &from))?;
        match look(&pin, &from)?.0 {
            EntryKind::Dir => {
                state.unless_forbidden(&dir_demand(Action::FileDelete, &from))?;
                judge(&pin, &from, &to, depth + 1, state)?;
            }
            kind => judge_entry(kind, &from, &to, state)?,
        }
    }
    Ok(())
}

fn judge_entry(kind: EntryKind, from: &AbsPath, to: &AbsPath, state: &mut State) -> Result<(), Failure> {
    state.unless_forbidden(&file_demand(Action::FileDelete, from))?;
    match kind {
        EntryKind::File => state.demand(&[
            file_demand(Action::FileOpen, from),
            file_demand(Action::FileRead, from),
            file_demand(Action::FileCreate, to),
            file_demand(Action::FileOpen, to),
            file_demand(Action::FileWrite, to),
        ]),
        EntryKind::Symlink => state.demand(&[
            file_demand(Action::FileOpen, from),
            file_demand(Action::FileRead, from),
            file_demand(Action::FileCreate, to),
            file_demand(Action::FileOpen, to),
        ]),
        kind => {
            let message = format!("`{from}` cannot be moved to another file system");
            Err(Failure::new(FailureKind::UnsupportedEntry { kind }, message))
        }
    }
}

fn dir_demands(from: &AbsPath, to: &AbsPath) -> [Demand; 4] {
    [
        dir_demand(Action::FileOpen, from),
        dir_demand(Action::FileRead, from),
        dir_demand(Action::FileCreate, to),
        dir_demand(Action::FileOpen, to),
    ]
}

fn copy_below(
    dir: &OwnedFd,
    copy: &OwnedFd,
    from: &AbsPath,
    to: &AbsPath,
    depth: usize,
    state: &mut State,
) -> Result<(), Failure> {
    enough_depth(depth, from)?;
    for (name, _) in entries(dir, from)? {
        let (from, to) = (join(from, &name)?, join(to, &name)?);
        let fault = |errno| refused(errno, "move to", &to);
        let pin = fs::pin_entry(dir, &name).map_err(|errno| refused(errno, "open", &from))?;
        let (kind, stat) = look(&pin, &from)?;
        match kind {
            EntryKind::Dir => {
                state.unless_forbidden(&dir_demand(Action::FileDelete, &from))?;
                state.demand(&dir_demands(&from, &to))?;
                make_private(copy, &name).map_err(fault)?;
                let below = pin_private(copy, &name).map_err(fault)?;
                copy_below(&pin, &below, &from, &to, depth + 1, state)?;
            }
            EntryKind::Symlink => {
                judge_entry(kind, &from, &to, state)?;
                let text = nix::fcntl::readlinkat(&pin, "").map_err(fault)?;
                symlinkat(text.as_os_str(), copy, name.as_os_str()).map_err(fault)?;
                let (uid, gid) = (Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)));
                // Whose link it is matters little: who may not give it away keeps it.
                let _ = fchownat(copy, name.as_os_str(), uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW);
            }
            _ => {
                judge_entry(kind, &from, &to, state)?;
                let source = fs::reopen(&pin, OFlag::O_RDONLY).map_err(|errno| refused(errno, "read", &from))?;
                let mode = Mode::from_bits_truncate(0o600);
                let new = fs::create_file(copy, &name, OFlag::O_WRONLY, mode).map_err(fault)?;
                copy_content(&source, &new, state).map_err(fault)?;
                let set_id = has_set_id(&stat) && state.demand(&[file_demand(Action::FileSetId, &to)]).is_ok();
                keep_all(&source, &new, set_id).map_err(fault)?;
            }
        }
    }
    let open = |pin: &OwnedFd| fs::reopen(pin, OFlag::O_RDONLY | OFlag::O_DIRECTORY);
    let kept = open(dir).and_then(|old| keep_all(&old, &open(copy)?, true));
    kept.map_err(|errno| refused(errno, "give its properties to", to))
}

fn enough_depth(depth: usize, path: &AbsPath) -> Result<(), Failure> {
    if depth > DEPTH { Err(refused(Errno::ELOOP, "move a tree as deep as", path)) } else { Ok(()) }
}

/// The names in a directory, and whether each is a directory.
fn entries(dir: &OwnedFd, path: &AbsPath) -> Result<Vec<(Name, bool)>, Failure> {
    let fault = |errno| refused(errno, "list", path);
    if plan::is_on() {
        // Whether they are directories is not asked by those who look only.
        let names = planned::names(dir, path).map_err(fault)?;
        return Ok(names.into_iter().map(|name| (name, false)).collect());
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let list = nix::fcntl::openat(dir, ".", flags, Mode::empty()).and_then(Dir::from_fd).map_err(fault)?;
    let mut found = Vec::new();
    for entry in list {
        let entry = entry.map_err(fault)?;
        let Ok(name) = Name::parse(entry.file_name().to_bytes()) else { continue };
        let is_dir = match fstatat(dir, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => entry_kind(fs::kind(&stat)) == EntryKind::Dir,
            Err(Errno::ENOENT) => continue,
            Err(errno) => return Err(fault(errno)),
        };
        found.push((name, is_dir));
    }
    Ok(found)
}
