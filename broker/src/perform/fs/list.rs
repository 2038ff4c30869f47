//! Listing directories, a page at a time.

use super::*;
use crate::authz::Granted;
use crate::perform::{Demands, Perform};
use crate::plan::Node;
use nix::dir::{Dir, OwningIter, Type};
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{Mode, fstatat};
use rex_protocol::Handle;
use rex_protocol::fs::{DirEntry, Entries, ListDir};
use rex_protocol::handle::Listing;
use std::collections::{BTreeSet, VecDeque};
use std::iter::Peekable;

/// What the entries of one page take together, in bytes.
const PAGE: usize = 64 * 1024;

/// A listing under way: the directory it belongs to and what has not been given yet.
pub(crate) struct Pages {
    dir: Rc<OpenDirectory>,
    /// What really is there; nothing where the directory is not.
    entries: RefCell<Option<Peekable<OwningIter>>>,
    /// In a dry run, what of that would be gone or something else, and what would be there instead.
    hidden: BTreeSet<Name>,
    added: RefCell<VecDeque<DirEntry>>,
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
        let pages = Pages::open(&dir).map_err(fault)?;
        let entries = pages.next().map_err(fault)?;
        let more = if pages.are_over() { None } else { Some(state.handles.add_listing(pages)?) };
        Ok(Entries { entries, more })
    }
}

impl Pages {
    fn open(dir: &Rc<OpenDirectory>) -> nix::Result<Self> {
        let (mut hidden, mut added, mut is_there) = (BTreeSet::new(), VecDeque::new(), true);
        if plan::is_on() {
            match plan::seen(&dir.path) {
                Seen::Untouched => {}
                Seen::Other(Node::NotKnown) => return Err(plan::NOT_KNOWN),
                Seen::Other(Node::Gone) => is_there = false,
                Seen::Other(Node::Object(object)) => is_there = !object.is_new(),
            }
            for (name, node) in plan::names_in(&dir.path) {
                hidden.insert(name.clone());
                match node {
                    Node::Gone => {}
                    Node::NotKnown => added.push_back(DirEntry { name, kind: EntryKind::Dir, inode: 0 }),
                    Node::Object(object) => {
                        let stat = plan::stat(object.pin()?)?;
                        added.push_back(DirEntry { name, kind: entry_kind(fs::kind(&stat)), inode: stat.st_ino });
                    }
                }
            }
        }
        let entries = if is_there { Some(open_listing(&dir.pin)?.peekable()) } else { None };
        Ok(Self { dir: Rc::clone(dir), entries: RefCell::new(entries), hidden, added: RefCell::new(added) })
    }

    /// The next page.
    fn next(&self) -> nix::Result<Vec<DirEntry>> {
        let mut rest = self.entries.borrow_mut();
        let (mut entries, mut size) = (Vec::new(), 0);
        while size < PAGE {
            let Some(entry) = rest.as_mut().and_then(Iterator::next) else {
                let Some(added) = self.added.borrow_mut().pop_front() else { break };
                size += added.name.as_bytes().len() + 16;
                entries.push(added);
                continue;
            };
            let entry = entry?;
            let bytes = entry.file_name().to_bytes();
            // `.` and `..`, which are no names.
            let Ok(name) = Name::parse(bytes) else { continue };
            if self.hidden.contains(&name) {
                continue;
            }
            size += bytes.len() + 16;
            let kind = entry.file_type().map_or_else(|| self.looked_up(&name), listed_kind);
            entries.push(DirEntry { name, kind, inode: entry.ino() });
        }
        Ok(entries)
    }

    fn are_over(&self) -> bool {
        self.entries.borrow_mut().as_mut().is_none_or(|entries| entries.peek().is_none())
            && self.added.borrow().is_empty()
    }

    /// The kind of an entry where the file system does not tell it with the name: what other file systems tell is no secret
    /// from one who may list the directory.
    fn looked_up(&self, name: &Name) -> EntryKind {
        let stat = fstatat(&*self.dir.pin, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_NO_AUTOMOUNT);
        stat.map_or(EntryKind::Unknown, |stat| entry_kind(fs::kind(&stat)))
    }
}

/// What really is in a directory.
pub(super) fn open_listing(dir: &OwnedFd) -> nix::Result<OwningIter> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let fd = nix::fcntl::openat(dir, ".", flags, Mode::empty())?;
    Ok(Dir::from_fd(fd)?.into_iter())
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
