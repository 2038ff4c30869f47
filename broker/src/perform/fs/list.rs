//! Listing directories, a page at a time.

use super::*;
use crate::authz::Granted;
use crate::perform::{Demands, Perform};
use nix::dir::{Dir, OwningIter, Type};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use rex_protocol::Handle;
use rex_protocol::fs::{DirEntry, Entries, ListDir};
use rex_protocol::handle::Listing;
use std::iter::Peekable;

/// What the entries of one page take together, in bytes.
const PAGE: usize = 64 * 1024;

/// A listing under way: the directory it belongs to and what has not been given yet.
pub(crate) struct Pages {
    dir: Rc<OpenDirectory>,
    entries: Peekable<OwningIter>,
}

pub(crate) struct ListTarget {
    dir: Rc<OpenDirectory>,
    under_way: Option<(Handle<Listing>, Rc<RefCell<Pages>>)>,
}

impl Perform for ListDir {
    type Target = ListTarget;

    fn target(self, state: &mut State) -> Result<ListTarget, Stop> {
        let dir = state.handles.dir(self.dir)?;
        let Some(listing) = self.listing else { return Ok(ListTarget { dir, under_way: None }) };
        let pages = state.handles.listing(listing)?;
        if !Rc::ptr_eq(&pages.borrow().dir, &dir) {
            return Err(rex_protocol::Violation::new("went on with the listing of another directory").into());
        }
        Ok(ListTarget { dir, under_way: Some((listing, pages)) })
    }

    fn demands(target: &ListTarget) -> Demands {
        Demands::all(vec![target.dir.demand(Action::FileRead)])
    }

    fn perform(target: Granted<ListTarget>, state: &mut State) -> Result<Entries, Stop> {
        let ListTarget { dir, under_way } = target.into_inner();
        let fault = |errno| refused(errno, "list", &dir.path);
        let (listing, pages) = match under_way {
            Some((listing, pages)) => (Some(listing), pages),
            None => {
                let entries = open_listing(&dir).map_err(fault)?;
                (None, Rc::new(RefCell::new(Pages { dir: Rc::clone(&dir), entries })))
            }
        };
        let entries = page(&mut pages.borrow_mut()).map_err(fault)?;
        let ended = pages.borrow_mut().entries.peek().is_none();
        let more = match listing {
            _ if ended => None,
            None => Some(state.handles.add_listing(pages)?),
            // It stays open under the same handle until the worker lets go of it.
            listing => listing,
        };
        Ok(Entries { entries, more })
    }
}

fn open_listing(dir: &OpenDirectory) -> nix::Result<Peekable<OwningIter>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let fd = nix::fcntl::openat(&*dir.pin, ".", flags, Mode::empty())?;
    Ok(Dir::from_fd(fd)?.into_iter().peekable())
}

fn page(pages: &mut Pages) -> nix::Result<Vec<DirEntry>> {
    let (mut entries, mut size) = (Vec::new(), 0);
    while size < PAGE {
        let Some(entry) = pages.entries.next() else { break };
        let entry = entry?;
        let bytes = entry.file_name().to_bytes();
        // `.` and `..`, which are no names.
        let Ok(name) = Name::parse(bytes) else { continue };
        size += bytes.len() + 16;
        entries.push(DirEntry { name, kind: listed_kind(entry.file_type()), inode: entry.ino() });
    }
    Ok(entries)
}

fn listed_kind(kind: Option<Type>) -> EntryKind {
    match kind {
        Some(Type::File) => EntryKind::File,
        Some(Type::Directory) => EntryKind::Dir,
        Some(Type::Symlink) => EntryKind::Symlink,
        Some(Type::Fifo) => EntryKind::Fifo,
        Some(Type::Socket) => EntryKind::Socket,
        Some(Type::CharacterDevice) => EntryKind::CharDevice,
        Some(Type::BlockDevice) => EntryKind::BlockDevice,
        None => EntryKind::Unknown,
    }
}
