//! Listing directories, a page at a time.

use super::*;
use crate::authz::Granted;
use crate::perform::{Demands, Perform};
use nix::dir::{Dir, OwningIter, Type};
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{Mode, fstatat};
use rex_protocol::Handle;
use rex_protocol::fs::{DirEntry, Entries, ListDir};
use rex_protocol::handle::Listing;
use std::iter::Peekable;

/// What the entries of one page take together, in bytes.
const PAGE: usize = 64 * 1024;

/// A listing under way: the directory it belongs to and what has not been given yet.
pub(crate) struct Pages {
    dir: Rc<OpenDirectory>,
    entries: RefCell<Peekable<OwningIter>>,
}

pub(crate) struct ListTarget {
    dir: Rc<OpenDirectory>,
    /// What it goes on with, and the handle of that.
    under_way: Option<(Rc<Pages>, Handle<Listing>)>,
}

impl Perform for ListDir {
    type Target = ListTarget;

    fn target(self, state: &mut State) -> Result<ListTarget, Stop> {
        let dir = state.handles.dir(self.dir)?;
        let under_way = match self.listing {
            Some(listing) => Some((state.handles.listing(listing)?, listing)),
            None => None,
        };
        if under_way.as_ref().is_some_and(|(pages, _)| !Rc::ptr_eq(&pages.dir, &dir)) {
            return Err(rex_protocol::Violation::new("went on with the listing of another directory").into());
        }
        Ok(ListTarget { dir, under_way })
    }

    fn demands(target: &ListTarget) -> Demands {
        Demands::all(vec![target.dir.demand(Action::FileRead)])
    }

    fn perform(target: Granted<ListTarget>, state: &mut State) -> Result<Entries, Stop> {
        let ListTarget { dir, under_way } = target.into_inner();
        let fault = |errno| refused(errno, "list", &dir.path);
        if let Some((pages, listing)) = under_way {
            let entries = pages.next().map_err(fault)?;
            return Ok(Entries { entries, more: (!pages.are_over()).then_some(listing) });
        }
        let pages = Pages { dir: Rc::clone(&dir), entries: RefCell::new(open_listing(&dir).map_err(fault)?) };
        let entries = pages.next().map_err(fault)?;
        let more = if pages.are_over() { None } else { Some(state.handles.add_listing(pages)?) };
        Ok(Entries { entries, more })
    }
}

impl Pages {
    /// The next page.
    fn next(&self) -> nix::Result<Vec<DirEntry>> {
        let mut rest = self.entries.borrow_mut();
        let (mut entries, mut size) = (Vec::new(), 0);
        while size < PAGE {
            let Some(entry) = rest.next() else { break };
            let entry = entry?;
            let bytes = entry.file_name().to_bytes();
            // `.` and `..`, which are no names.
            let Ok(name) = Name::parse(bytes) else { continue };
            size += bytes.len() + 16;
            let kind = entry.file_type().map_or_else(|| self.looked_up(&name), listed_kind);
            entries.push(DirEntry { name, kind, inode: entry.ino() });
        }
        Ok(entries)
    }

    fn are_over(&self) -> bool {
        self.entries.borrow_mut().peek().is_none()
    }

    /// The kind of an entry where the file system does not tell it with the name: what other file systems tell is no secret
    /// from one who may list the directory.
    fn looked_up(&self, name: &Name) -> EntryKind {
        let stat = fstatat(&*self.dir.pin, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_NO_AUTOMOUNT);
        stat.map_or(EntryKind::Unknown, |stat| entry_kind(fs::kind(&stat)))
    }
}

fn open_listing(dir: &OpenDirectory) -> nix::Result<Peekable<OwningIter>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let fd = nix::fcntl::openat(&*dir.pin, ".", flags, Mode::empty())?;
    Ok(Dir::from_fd(fd)?.into_iter().peekable())
}

fn listed_kind(kind: Type) -> EntryKind {
    match kind {
        Type::File => EntryKind::File,
        Type::Directory => EntryKind::Dir,
        Type::Symlink => EntryKind::Symlink,
        Type::Fifo => EntryKind::Fifo,
        Type::Socket => EntryKind::Socket,
        Type::CharacterDevice => EntryKind::CharDevice,
        Type::BlockDevice => EntryKind::BlockDevice,
    }
}
