//! What changes names and properties: done, or in a dry run planned.
//!
//! Everything around it, above all what policy is asked, is one code for both. Permissions of the kernel are looked at in a
//! dry run as far as they can be seen: its refusals of another kind come to light only when it is done.
#![allow(clippy::disallowed_methods, reason = "here it is decided whether it is done or planned")]

use super::newfile::with_new_name;
use super::planned::{confirm_place, entry, has_entries, snapshot};
use super::*;
use crate::plan::{About, Contents, Node, Planned, Snapshot};
use nix::fcntl::{AtFlags, RenameFlags, renameat2};
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat, mkdirat};
use nix::unistd::{Gid, Group, Uid, UnlinkatFlags, User, fchownat, geteuid, symlinkat, unlinkat};
use rex_protocol::change::Act;
use std::ffi::OsStr;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;

/// A name in a pinned directory, by which something has `path`.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) dir: &'a OwnedFd,
    pub(super) name: &'a Name,
    pub(super) path: &'a AbsPath,
}

/// Makes a directory (mode 0777 less the umask).
pub(super) fn make_dir(at: At<'_>) -> nix::Result<()> {
    if !plan::is_on() {
        return mkdirat(at.dir, at.name.as_os_str(), Mode::from_bits_truncate(0o777));
    }
    confirm_free(at)?;
    let mode = 0o777 & !umask();
    plan::put(at.path, Node::Object(new_object(SFlag::S_IFDIR, mode, at)?))?;
    let planned = Planned::on(Act::Create, About::Dir(at.path.clone()));
    plan::note(planned.with("kind", None, Some("directory".into())).with("mode", None, Some(octal(mode))));
    Ok(())
}

/// In a dry run makes an empty file that must not be there yet, and pins it.
pub(super) fn plan_file(at: At<'_>, mode: u32) -> nix::Result<OwnedFd> {
    confirm_free(at)?;
    let mode = mode & 0o777 & !umask();
    let object = new_object(SFlag::S_IFREG, mode, at)?;
    object.set_content(Vec::new());
    let pin = object.pin()?;
    plan::put(at.path, Node::Object(object))?;
    let planned = Planned::on(Act::Create, About::File(at.path.clone()));
    plan::note(planned.with("kind", None, Some("file".into())).with("mode", None, Some(octal(mode))));
    Ok(pin)
}

/// Removes a name.
pub(super) fn remove(at: At<'_>, what: UnlinkatFlags) -> nix::Result<()> {
    if !plan::is_on() {
        return unlinkat(at.dir, at.name.as_os_str(), what);
    }
    confirm_place(at.dir, at.path)?;
    let found = entry(at.dir, at.name, at.path)?;
    let is_dir = fs::kind(&plan::stat(&found)?) == SFlag::S_IFDIR;
    match (is_dir, what) {
        (true, UnlinkatFlags::NoRemoveDir) => return Err(Errno::EISDIR),
        (false, UnlinkatFlags::RemoveDir) => return Err(Errno::ENOTDIR),
        (true, UnlinkatFlags::RemoveDir) if has_entries(&found, at.path)? => return Err(Errno::ENOTEMPTY),
        _ => {}
    }
    plan_removed(at, &found)
}

/// In a dry run removes whatever has a name, with all that is in it.
pub(super) fn plan_removed(at: At<'_>, found: &OwnedFd) -> nix::Result<()> {
    let kind = fs::kind(&plan::stat(found)?);
    let about = match kind {
        SFlag::S_IFDIR => About::Dir(at.path.clone()),
        _ => About::File(at.path.clone()),
    };
    let mut planned = Planned::on(Act::Remove, about);
    if kind == SFlag::S_IFREG {
        let (before, after) = (snapshot(found), Snapshot::Nothing);
        planned = planned.holding(Contents { of: at.path.clone(), before, after, from: None });
    }
    plan::put(at.path, Node::Gone)?;
    plan::note(planned);
    Ok(())
}

/// Gives something another name, from whatever has that.
pub(super) fn rename(from: At<'_>, to: At<'_>) -> nix::Result<()> {
    if !plan::is_on() {
        let (old, new) = (from.name.as_os_str(), to.name.as_os_str());
        return renameat2(from.dir, old, to.dir, new, RenameFlags::empty());
    }
    confirm_place(from.dir, from.path)?;
    confirm_place(to.dir, to.path)?;
    let moved = entry(from.dir, from.name, from.path)?;
    let stat = plan::stat(&moved)?;
    if stat.st_dev != plan::stat(to.dir)?.st_dev {
        return Err(Errno::EXDEV);
    }
    plan_moved(from, to, &moved)
}

/// In a dry run gives something another name, be it in another file system.
pub(super) fn plan_moved(from: At<'_>, to: At<'_>, moved: &OwnedFd) -> nix::Result<()> {
    let stat = plan::stat(moved)?;
    let is_dir = fs::kind(&stat) == SFlag::S_IFDIR;
    if is_dir && to.path.ancestors().any(|above| above == *from.path) {
        return Err(Errno::EINVAL);
    }
    let about = if is_dir { About::Dir(from.path.clone()) } else { About::File(from.path.clone()) };
    let mut planned = Planned::on(Act::Move, about).with("destination", None, Some(to.path.to_id()));
    match entry(to.dir, to.name, to.path) {
        Err(Errno::ENOENT) => {}
        Err(errno) => return Err(errno),
        Ok(there) => {
            let other = plan::stat(&there)?;
            if inode(&other) == inode(&stat) {
                return Ok(());
            }
            match (is_dir, fs::kind(&other)) {
                (true, SFlag::S_IFDIR) if has_entries(&there, to.path)? => return Err(Errno::ENOTEMPTY),
                (true, SFlag::S_IFDIR) => {}
                (true, _) => return Err(Errno::ENOTDIR),
                (false, SFlag::S_IFDIR) => return Err(Errno::EISDIR),
                (false, SFlag::S_IFREG) if fs::kind(&stat) == SFlag::S_IFREG => {
                    let (before, after) = (snapshot(&there), snapshot(moved));
                    let (of, from) = (to.path.clone(), Some(from.path.clone()));
                    planned = planned.holding(Contents { of, before, after, from });
                }
                _ => {}
            }
        }
    }
    match plan::shadow_for(moved)? {
        // Only of what would be new all that is in it is known here.
        object if is_dir && !object.is_new() => plan::put(to.path, Node::NotKnown)?,
        object => {
            plan::put(to.path, Node::Object(object))?;
            if is_dir {
                plan::move_below(from.path, to.path)?;
            }
        }
    }
    plan::put(from.path, Node::Gone)?;
    plan::note(planned);
    Ok(())
}

/// Makes a link where nothing is.
pub(super) fn make_link(at: At<'_>, says: &[u8]) -> nix::Result<()> {
    if !plan::is_on() {
        return symlinkat(OsStr::from_bytes(says), at.dir, at.name.as_os_str());
    }
    confirm_free(at)?;
    plan_link(at, says)
}

/// Makes a link, in the place of whatever is there, at once.
pub(super) fn replace_by_link(at: At<'_>, says: &[u8]) -> nix::Result<()> {
    if plan::is_on() {
        return plan_link(at, says);
    }
    let ((), own) = with_new_name(|name| symlinkat(OsStr::from_bytes(says), at.dir, name.as_os_str()))?;
    let (from, to) = (own.as_os_str(), at.name.as_os_str());
    renameat2(at.dir, from, at.dir, to, RenameFlags::empty()).inspect_err(|_| {
        let _ = unlinkat(at.dir, from, UnlinkatFlags::NoRemoveDir);
    })
}

fn plan_link(at: At<'_>, says: &[u8]) -> nix::Result<()> {
    confirm_place(at.dir, at.path)?;
    let before = match entry(at.dir, at.name, at.path) {
        Err(Errno::ENOENT) => None,
        Err(errno) => return Err(errno),
        Ok(there) => match entry_kind(fs::kind(&plan::stat(&there)?)) {
            EntryKind::Dir => return Err(Errno::EISDIR),
            kind => Some(kind_name(kind).to_owned()),
        },
    };
    let object = new_object(SFlag::S_IFLNK, 0o777, at)?;
    object.set_content(says.to_vec());
    plan::put(at.path, Node::Object(object))?;
    let planned = Planned::on(Act::Create, About::File(at.path.clone())).with("kind", before, Some("link".into()));
    plan::note(planned.with("target", None, Some(String::from_utf8_lossy(says).into_owned())));
    Ok(())
}

/// Gives an open object permission bits. Whether they are others than before.
pub(super) fn set_mode(object: &OwnedFd, path: &AbsPath, mode: u32) -> nix::Result<bool> {
    let stat = plan::stat(object)?;
    let is_other = stat.st_mode & 0o7777 != mode;
    if !plan::is_on() {
        // A pinned directory can only be changed by way of this name, which stands for the descriptor (proc_pid_fd(5)).
        let itself = format!("/proc/self/fd/{}", object.as_raw_fd());
        let (here, mode) = (nix::fcntl::AT_FDCWD, Mode::from_bits_truncate(mode));
        return fchmodat(here, itself.as_str(), mode, FchmodatFlags::FollowSymlink).map(|()| is_other);
    }
    if !geteuid().is_root() && stat.st_uid != geteuid().as_raw() {
        return Err(Errno::EPERM);
    }
    if is_other {
        plan::shadow_for(object)?.set_mode(mode);
        let planned = Planned::on(Act::Set, about(&stat, path));
        plan::note(planned.with("mode", Some(octal(stat.st_mode)), Some(octal(mode))));
    }
    Ok(is_other)
}

/// Gives an open object, a link itself, an owner, a group, or both. Whether they are others than before.
pub(super) fn set_owner(object: &OwnedFd, path: &AbsPath, uid: Option<Uid>, gid: Option<Gid>) -> nix::Result<bool> {
    let stat = plan::stat(object)?;
    let user = uid.map(Uid::as_raw).filter(|uid| *uid != stat.st_uid);
    let group = gid.map(Gid::as_raw).filter(|gid| *gid != stat.st_gid);
    let is_other = user.is_some() || group.is_some();
    if !plan::is_on() {
        return fchownat(object, "", uid, gid, AtFlags::AT_EMPTY_PATH).map(|()| is_other);
    }
    if !geteuid().is_root() && (user.is_some() || (group.is_some() && stat.st_uid != geteuid().as_raw())) {
        return Err(Errno::EPERM);
    }
    if is_other {
        let shadow = plan::shadow_for(object)?;
        shadow.set_owner(user, group);
        if fs::kind(&stat) == SFlag::S_IFREG {
            shadow.set_mode(stat.st_mode & 0o1777);
        }
        let mut planned = Planned::on(Act::Set, about(&stat, path));
        if let Some(uid) = user {
            planned = planned.with("owner", Some(user_name(stat.st_uid)), Some(user_name(uid)));
        }
        if let Some(gid) = group {
            planned = planned.with("group", Some(group_name(stat.st_gid)), Some(group_name(gid)));
        }
        plan::note(planned);
    }
    Ok(is_other)
}

/// In a dry run gives an open object another time of last modification: this, or that of now.
pub(super) fn plan_times(object: &OwnedFd, path: &AbsPath, seconds: Option<i64>) -> nix::Result<()> {
    let stat = plan::stat(object)?;
    plan::shadow_for(object)?.set_modified(seconds);
    let after = seconds.map_or_else(|| "now".to_owned(), |seconds| seconds.to_string());
    let planned = Planned::on(Act::Set, about(&stat, path));
    plan::note(planned.with("modified", Some(stat.st_mtime.to_string()), Some(after)));
    Ok(())
}

/// In a dry run gives an open file content. `from` is the file that it comes from; nothing where it is the script's own.
pub(super) fn plan_content(
    file: &OwnedFd,
    path: &AbsPath,
    content: nix::Result<Vec<u8>>,
    length: u64,
    from: Option<&AbsPath>,
) -> nix::Result<()> {
    let before = snapshot(file);
    let shadow = plan::shadow_for(file)?;
    match content {
        Ok(content) => shadow.set_content(content),
        Err(_) => shadow.set_length(length),
    }
    let content = Contents { of: path.clone(), before, after: snapshot(file), from: from.cloned() };
    plan::note(Planned::on(Act::Write, About::File(path.clone())).holding(content));
    Ok(())
}

/// In a dry run puts a new ordinary file in the place of whatever has the name, and pins it.
pub(super) fn plan_replacing(at: At<'_>, content: Vec<u8>) -> nix::Result<OwnedFd> {
    confirm_place(at.dir, at.path)?;
    let (before, act) = match entry(at.dir, at.name, at.path) {
        Err(Errno::ENOENT) => (Snapshot::Nothing, Act::Create),
        Err(errno) => return Err(errno),
        Ok(there) => match fs::kind(&plan::stat(&there)?) {
            SFlag::S_IFDIR => return Err(Errno::EISDIR),
            SFlag::S_IFREG => (snapshot(&there), Act::Write),
            _ => (Snapshot::Nothing, Act::Create),
        },
    };
    let object = new_object(SFlag::S_IFREG, 0o666 & !umask(), at)?;
    object.set_content(content);
    let pin = object.pin()?;
    plan::put(at.path, Node::Object(object))?;
    let contents = Contents { of: at.path.clone(), before, after: snapshot(&pin), from: None };
    plan::note(Planned::on(act, About::File(at.path.clone())).holding(contents));
    Ok(pin)
}

/// The mode that ordinary new objects do not get.
fn umask() -> u32 {
    let mask = nix::sys::stat::umask(Mode::empty());
    nix::sys::stat::umask(mask);
    mask.bits()
}

fn confirm_free(at: At<'_>) -> nix::Result<()> {
    confirm_place(at.dir, at.path)?;
    match entry(at.dir, at.name, at.path) {
        Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno),
        Ok(_) => Err(Errno::EEXIST),
    }
}

fn new_object(kind: SFlag, mode: u32, at: At<'_>) -> nix::Result<Rc<plan::Shadow>> {
    plan::new_object(kind, mode, plan::stat(at.dir)?.st_dev)
}

fn about(stat: &FileStat, path: &AbsPath) -> About {
    if fs::kind(stat) == SFlag::S_IFDIR { About::Dir(path.clone()) } else { About::File(path.clone()) }
}

fn octal(mode: u32) -> String {
    format!("{:04o}", mode & 0o7777)
}

fn kind_name(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::File => "file",
        EntryKind::Dir => "directory",
        EntryKind::Symlink => "link",
        EntryKind::Fifo => "pipe",
        EntryKind::Socket => "socket",
        EntryKind::CharDevice | EntryKind::BlockDevice => "device",
        EntryKind::Unknown => "unknown",
    }
}

/// Owner and group: `ana:staff`.
pub(super) fn owners(stat: &FileStat) -> String {
    format!("{}:{}", user_name(stat.st_uid), group_name(stat.st_gid))
}

fn user_name(uid: u32) -> String {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}

fn group_name(gid: u32) -> String {
    let group = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    group.map_or_else(|| gid.to_string(), |group| group.name)
}
