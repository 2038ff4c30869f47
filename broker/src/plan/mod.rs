//! What a dry run has planned: the file system as the run would have left it, over the one that is there.
//!
//! In a dry run nothing is changed. What would change the file system (`perform::fs::act`) is noted here instead, and whatever
//! looks at it looks here first. So a script sees its own work: under the paths that it changed, and through every handle of a
//! file whose content or properties it changed. What cannot be known is a failure ([`NOT_KNOWN`]) and never a guess.
//!
//! Like the root directory (`sys::fs::root`) it belongs to the process: there is one thread, and a session has one run. What it holds
//! takes no more memory than the run may use.

mod listed;
mod shadow;

pub(crate) use listed::{About, Contents, Planned, Snapshot, told};
pub(crate) use shadow::{Bytes, Shadow, read_whole};

use crate::sys::fs::root;
use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{FileStat, SFlag, fstat};
use rex_protocol::failure::{Failure, FailureKind};
use rex_protocol::path::{AbsPath, Name};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

/// What stands for "a dry run cannot know that" where an error number is expected: no file system gives this one.
pub(crate) const NOT_KNOWN: Errno = Errno::ENOANO;
/// What a name costs besides its path, in bytes.
const NAME_OVERHEAD: u64 = 256;

thread_local! {
    /// There is one thread.
    static PLAN: RefCell<Option<Plan>> = const { RefCell::new(None) };
}

/// A mount namespace: our own, or one that was entered, by its inode.
type Space = Option<(u64, u64)>;

#[derive(Debug)]
struct Plan {
    /// What the names stand for that were touched, by the bytes of their paths.
    names: HashMap<Space, BTreeMap<Vec<u8>, Node>>,
    /// Objects that are really there and would be others by now, by their inodes. Each is held open, so that nothing else gets its inode.
    real: HashMap<(u64, u64), Rc<Shadow>>,
    /// Objects that are not there, by their numbers.
    new: Vec<Rc<Shadow>>,
    /// The device of files that live in memory only.
    memory: u64,
    /// What is kept, in bytes, and how much may be.
    kept: Rc<Cell<u64>>,
    most: u64,
    /// What was planned since [`take`] was last called.
    planned: Vec<Planned>,
}

/// What a name stands for.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    /// Nothing any more.
    Gone,
    /// This.
    Object(Rc<Shadow>),
    /// Something of which only the name is known, such as a directory that was moved here.
    NotKnown,
}

/// What a path stands for.
#[derive(Debug)]
pub(crate) enum Seen {
    /// What really is there.
    Untouched,
    /// Something else.
    Other(Node),
}

/// From now on this process changes nothing and keeps at most `most` bytes of what it would have changed.
pub(crate) fn begin(most: u64) -> nix::Result<()> {
    let memory = fstat(memfd_create(c"rex-planned", MFdFlags::MFD_CLOEXEC)?)?.st_dev;
    let (names, real, new, planned) = (HashMap::new(), HashMap::new(), Vec::new(), Vec::new());
    PLAN.set(Some(Plan { names, real, new, memory, kept: Rc::default(), most, planned }));
    Ok(())
}

/// Whether this is a dry run.
pub(crate) fn is_on() -> bool {
    PLAN.with_borrow(Option::is_some)
}

/// Refuses in a dry run, for what changes something and has no other way to be planned.
pub(crate) fn confirm_real() -> nix::Result<()> {
    if is_on() { Err(Errno::EROFS) } else { Ok(()) }
}

/// That a dry run cannot know something.
pub(crate) fn not_known(what: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::NotKnown, format!("a dry run cannot know {what}"))
}

/// What a path stands for by now. It is taken as it is: no link on it is followed.
pub(crate) fn seen(path: &AbsPath) -> Seen {
    with(|plan| {
        let Some(names) = plan.names.get(&space()) else { return Seen::Untouched };
        if let Some(node) = names.get(path.as_bytes()) {
            return Seen::Other(node.clone());
        }
        match path.ancestors().find_map(|above| names.get(above.as_bytes())) {
            None => Seen::Untouched,
            Some(Node::NotKnown) => Seen::Other(Node::NotKnown),
            Some(Node::Gone | Node::Object(_)) => Seen::Other(Node::Gone),
        }
    })
    .unwrap_or(Seen::Untouched)
}

/// The names in a directory that stand for something else than what is there, and what for.
pub(crate) fn names_in(dir: &AbsPath) -> Vec<(Name, Node)> {
    let below = below(dir);
    with(|plan| {
        let names = plan.names.get(&space())?;
        let inside = names.range(below.clone()..).take_while(|(path, _)| path.starts_with(&below));
        let own = inside.filter_map(|(path, node)| {
            // What is deeper has a slash in it, which no name has.
            Some((Name::parse(path.get(below.len()..)?).ok()?, node.clone()))
        });
        Some(own.collect())
    })
    .flatten()
    .unwrap_or_default()
}

/// What paths of things in a directory begin with.
fn below(dir: &AbsPath) -> Vec<u8> {
    if dir.is_root() { b"/".to_vec() } else { [dir.as_bytes(), b"/"].concat() }
}

/// From now on a path stands for this, and nothing below it for what it did.
pub(crate) fn put(path: &AbsPath, node: Node) -> nix::Result<()> {
    charge(path.as_bytes().len() as u64 + NAME_OVERHEAD)?;
    take_below(path);
    insert(path, node);
    Ok(())
}

/// Gives what a directory that is not there holds to another path of it.
pub(crate) fn move_below(from: &AbsPath, to: &AbsPath) -> nix::Result<()> {
    let length = below(from).len();
    for (path, node) in take_below(from) {
        let rest = path.get(length..).unwrap_or_default();
        let path = AbsPath::parse([below(to).as_slice(), rest].concat()).map_err(|_| Errno::ENAMETOOLONG)?;
        insert(&path, node);
    }
    Ok(())
}

fn insert(path: &AbsPath, node: Node) {
    if let Node::Object(object) = &node {
        object.moved_to(path);
    }
    with(|plan| plan.names.entry(space()).or_default().insert(path.as_bytes().to_vec(), node));
}

/// Takes out what stands below a path.
fn take_below(path: &AbsPath) -> Vec<(Vec<u8>, Node)> {
    let below = below(path);
    with(|plan| {
        let names = plan.names.entry(space()).or_default();
        let inside = names.range(below.clone()..).take_while(|(path, _)| path.starts_with(&below));
        let inside: Vec<Vec<u8>> = inside.map(|(path, _)| path.clone()).collect();
        inside.iter().filter_map(|path| names.remove_entry(path)).collect()
    })
    .unwrap_or_default()
}

/// What an open object is like by now.
pub(crate) fn stat(fd: impl AsFd) -> nix::Result<FileStat> {
    let stat = fstat(fd)?;
    Ok(shadow_of(&stat).map_or(stat, |shadow| shadow.stat(stat)))
}

/// What an open object that is not as it really is would be; nothing where it is.
pub(crate) fn shadow(fd: impl AsFd) -> Option<Rc<Shadow>> {
    is_on().then(|| fstat(fd).ok()).flatten().and_then(|stat| shadow_of(&stat))
}

/// The same, by what the kernel says of it.
fn shadow_of(stat: &FileStat) -> Option<Rc<Shadow>> {
    with(|plan| {
        // The length of what stands for an object that is not there is its number.
        if stat.st_dev == plan.memory && stat.st_nlink == 0 {
            return usize::try_from(stat.st_size).ok().and_then(|at| plan.new.get(at)).cloned();
        }
        plan.real.get(&(stat.st_dev, stat.st_ino)).cloned()
    })
    .flatten()
}

/// What an open object is to become another by.
pub(crate) fn shadow_for(fd: &OwnedFd) -> nix::Result<Rc<Shadow>> {
    let stat = fstat(fd)?;
    if let Some(shadow) = shadow_of(&stat) {
        return Ok(shadow);
    }
    charge(NAME_OVERHEAD)?;
    let held = fd.try_clone().map_err(|_| Errno::EMFILE)?;
    let shadow = Rc::new(Shadow::of_real(held, &stat));
    with(|plan| plan.real.insert((stat.st_dev, stat.st_ino), Rc::clone(&shadow)));
    Ok(shadow)
}

/// An object that is not there, on the device that would hold it. It has no name yet.
pub(crate) fn new_object(kind: SFlag, mode: u32, device: u64) -> nix::Result<Rc<Shadow>> {
    charge(NAME_OVERHEAD)?;
    let made = with(|plan| {
        let shadow = Rc::new(Shadow::new(plan.new.len() as u64, kind, mode, device));
        plan.new.push(Rc::clone(&shadow));
        shadow
    });
    made.ok_or(Errno::EINVAL)
}

/// Keeps content, if there is room for it.
pub(crate) fn keep(bytes: Vec<u8>) -> nix::Result<Rc<Bytes>> {
    charge(bytes.len() as u64)?;
    let together = with(|plan| Rc::clone(&plan.kept)).ok_or(Errno::EINVAL)?;
    Ok(Rc::new(Bytes::new(bytes, together)))
}

fn charge(bytes: u64) -> nix::Result<()> {
    let fits = with(|plan| {
        let together = plan.kept.get().saturating_add(bytes);
        (together <= plan.most).then(|| plan.kept.set(together))
    });
    fits.flatten().ok_or(Errno::ENOSPC)
}

/// Lists what would be done.
pub(crate) fn note(planned: Planned) {
    with(|plan| plan.planned.push(planned));
}

/// What was listed since this was last called.
pub(crate) fn take() -> Vec<Planned> {
    with(|plan| std::mem::take(&mut plan.planned)).unwrap_or_default()
}

fn with<T>(work: impl FnOnce(&mut Plan) -> T) -> Option<T> {
    PLAN.with_borrow_mut(|plan| plan.as_mut().map(work))
}

fn space() -> Space {
    root::get().map(|root| root.id().unwrap_or_default())
}
