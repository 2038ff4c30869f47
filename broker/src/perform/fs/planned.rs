//! The file system as operations see it: in a dry run with what was planned over what is there.
//!
//! Names are looked up as text in the plan first, and only what it does not speak of is pinned. What the plan cannot say is
//! [`plan::NOT_KNOWN`], which [`refused`] puts into words.

use super::*;
use crate::plan::{Node, Snapshot};
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::unistd::{AccessFlags, faccessat};
use std::os::fd::AsRawFd;

/// Pins what has a name in a directory, by which it has `path`; a link is pinned itself.
pub(super) fn entry(dir: &OwnedFd, name: &Name, path: &AbsPath) -> nix::Result<OwnedFd> {
    match plan::seen(path) {
        Seen::Untouched => fs::pin_entry(dir, name),
        Seen::Other(node) => pin_of(&node),
    }
}

/// Pins what has a path.
pub(super) fn pin(path: &AbsPath, links: Links) -> nix::Result<OwnedFd> {
    if let Seen::Other(node) = plan::seen(path) {
        return pin_followed(&node, links);
    }
    let found = fs::pin(path, links);
    if !plan::is_on() || links == Links::Refuse {
        return found;
    }
    let end = match &found {
        Ok(pin) => Some(fs::real_path(pin)?),
        Err(Errno::ENOENT) => lead::end_of(path),
        Err(_) => None,
    };
    match end.map(|end| plan::seen(&end)) {
        Some(Seen::Other(node)) => pin_followed(&node, links),
        Some(Seen::Untouched) | None => found,
    }
}

/// Pins what a name in a directory leads to.
pub(super) fn target(dir: &OwnedFd, name: &Name, path: &AbsPath) -> nix::Result<OwnedFd> {
    if let Seen::Other(node) = plan::seen(path) {
        return pin_followed(&node, Links::Follow);
    }
    let found = fs::pin_target(dir, name);
    if !plan::is_on() {
        return found;
    }
    let end = match &found {
        Ok(pin) => Some(fs::real_path(pin)?),
        Err(_) => lead::end_of(path),
    };
    match end.map(|end| plan::seen(&end)) {
        Some(Seen::Other(node)) => pin_followed(&node, Links::Follow),
        Some(Seen::Untouched) | None => found,
    }
}

fn pin_of(node: &Node) -> nix::Result<OwnedFd> {
    match node {
        Node::Gone => Err(Errno::ENOENT),
        Node::NotKnown => Err(plan::NOT_KNOWN),
        Node::Object(object) => object.pin(),
    }
}

/// As [`pin_of`], where a link is followed or refused. One that is not there is not followed.
fn pin_followed(node: &Node, links: Links) -> nix::Result<OwnedFd> {
    match (node, links) {
        (Node::Object(object), Links::Refuse) if object.kind() == SFlag::S_IFLNK => Err(Errno::ELOOP),
        (Node::Object(object), Links::Follow) if object.kind() == SFlag::S_IFLNK => Err(plan::NOT_KNOWN),
        (node, _) => pin_of(node),
    }
}

/// Where an object would be that is not where it really is.
pub(super) fn place_of(pin: &OwnedFd) -> Option<AbsPath> {
    plan::shadow(pin)?.place()
}

/// Up to `most` bytes from `offset` on of what a file holds.
pub(super) fn read(file: &OwnedFd, offset: u64, most: usize) -> nix::Result<Vec<u8>> {
    let kept = plan::shadow(file).map(|shadow| shadow.content()).transpose()?.flatten();
    let Some(kept) = kept else { return read_at(file, offset, most) };
    let rest = usize::try_from(offset).ok().and_then(|offset| kept.get(offset..)).unwrap_or_default();
    Ok(rest.get(..most).unwrap_or(rest).to_vec())
}

/// All that a file holds, if that can be kept.
pub(super) fn whole(file: &OwnedFd) -> nix::Result<Vec<u8>> {
    plan::shadow(file).map_or_else(|| plan::read_whole(file), |shadow| shadow.whole())
}

/// What a file holds now.
pub(super) fn snapshot(file: &OwnedFd) -> Snapshot {
    match plan::shadow(file).map(|shadow| shadow.content()) {
        Some(Ok(Some(bytes))) => Snapshot::Kept(bytes),
        Some(Err(_)) => Snapshot::NotKnown,
        Some(Ok(None)) | None => file.try_clone().map_or(Snapshot::NotKnown, Snapshot::Real),
    }
}

/// Opens a pinned file in a dry run that shall be written to: for reading, or to know it by where it cannot be read.
pub(super) fn open_to_plan(pin: &OwnedFd, read: bool) -> nix::Result<OwnedFd> {
    if plan::shadow(pin).is_none_or(|shadow| !shadow.is_new()) {
        may(pin, AccessFlags::W_OK)?;
    }
    match fs::reopen(pin, OFlag::O_RDONLY) {
        Err(Errno::EACCES) if !read => pin.try_clone().map_err(|_| Errno::EMFILE),
        opened => opened,
    }
}

/// Confirms that the kernel would let names in a directory be changed.
pub(super) fn confirm_place(dir: &OwnedFd, path: &AbsPath) -> nix::Result<()> {
    let parent = path.split().map(|(parent, _)| plan::seen(&parent));
    if let Some(Seen::Other(node)) = parent {
        pin_of(&node)?;
    }
    match plan::shadow(dir) {
        Some(shadow) if shadow.kind() != SFlag::S_IFDIR => Err(Errno::ENOTDIR),
        Some(shadow) if shadow.is_new() => Ok(()),
        _ => may(dir, AccessFlags::W_OK | AccessFlags::X_OK),
    }
}

fn may(object: &OwnedFd, access: AccessFlags) -> nix::Result<()> {
    let itself = format!("/proc/self/fd/{}", object.as_raw_fd());
    faccessat(AT_FDCWD, itself.as_str(), access, AtFlags::AT_EACCESS)
}

/// Whether a directory would hold anything.
pub(super) fn has_entries(dir: &OwnedFd, path: &AbsPath) -> nix::Result<bool> {
    names(dir, path).map(|names| !names.is_empty())
}

/// What a directory would hold in a dry run, by name.
pub(super) fn names(dir: &OwnedFd, path: &AbsPath) -> nix::Result<Vec<Name>> {
    if let Seen::Other(Node::NotKnown) = plan::seen(path) {
        return Err(plan::NOT_KNOWN);
    }
    let planned = plan::names_in(path);
    let mut names = Vec::new();
    if plan::shadow(dir).is_none_or(|shadow| !shadow.is_new()) {
        for entry in list::open_listing(dir)? {
            let entry = entry?;
            if let Ok(name) = Name::parse(entry.file_name().to_bytes())
                && planned.iter().all(|(other, _)| *other != name)
            {
                names.push(name);
            }
        }
    }
    names.extend(planned.into_iter().filter(|(_, node)| !matches!(node, Node::Gone)).map(|(name, _)| name));
    Ok(names)
}
