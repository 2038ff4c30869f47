//! From places that policy speaks of to what Landlock can be told.
//!
//! Landlock only adds: a right on a directory holds for all below it. So a place in which something is barred is told
//! by its entries as they are now, without the barred one; and where a `permit` names a directory alone, which
//! Landlock cannot say, nothing is granted.

use crate::authz::{Place, Power, Reach};
use crate::session::State;
use crate::sys::fs;
use landlock::{ABI, Access, AccessFs, BitFlags, make_bitflags};
use nix::dir::Dir;
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, SFlag, fstat};
use rex_protocol::Action;
use rex_protocol::path::{AbsPath, Name};
use std::os::fd::OwnedFd;

/// The most rules that one layer has. What goes beyond is left out.
const RULES: usize = 4096;

/// The rights that one store of policies could grant.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) rules: Vec<Rule>,
}

/// Rights on an object, and on all below it.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) object: OwnedFd,
    pub(super) rights: BitFlags<AccessFs>,
}

pub(super) const FILE: &str = "file_system::File";
pub(super) const DIR: &str = "file_system::Dir";

/// The rights of Landlock, each with what policy calls it, and then what is governed by taking system calls away
/// instead. `open` is needed for all of them.
fn table() -> [(BitFlags<AccessFs>, &'static [Action], &'static str); 16] {
    const NONE: BitFlags<AccessFs> = BitFlags::EMPTY;
    [
        (AccessFs::ReadFile.into(), &[Action::FileRead], FILE),
        (AccessFs::ReadDir.into(), &[Action::FileRead], DIR),
        (make_bitflags!(AccessFs::{WriteFile | Truncate}), &[Action::FileWrite], FILE),
        (make_bitflags!(AccessFs::{MakeReg | MakeSym}), &[Action::FileCreate, Action::FileWrite], FILE),
        (AccessFs::MakeDir.into(), &[Action::FileCreate], DIR),
        (AccessFs::RemoveFile.into(), &[Action::FileDelete], FILE),
        (AccessFs::RemoveDir.into(), &[Action::FileDelete], DIR),
        (AccessFs::Execute.into(), &[Action::FileExecute], FILE),
        (NONE, &[Action::FileChmod], FILE),
        (NONE, &[Action::FileChmod], DIR),
        (NONE, &[Action::FileChown], FILE),
        (NONE, &[Action::FileChown], DIR),
        (NONE, &[Action::FileSetXAttr], FILE),
        (NONE, &[Action::FileSetXAttr], DIR),
        (NONE, &[Action::FileMove], FILE),
        (NONE, &[Action::FileMove], DIR),
    ]
}

/// The layers of a caller's stores for a program of such power, those left out that could grant everything.
pub(super) fn layers(state: &State, power: Power, abi: ABI) -> Vec<Layer> {
    let mut rows: Vec<(BitFlags<AccessFs>, Vec<Reach>)> = Vec::new();
    for (rights, actions, kind) in table() {
        let mut reaches = state.authorizer().reaches(Action::FileOpen, kind, power);
        for action in actions {
            let also = state.authorizer().reaches(*action, kind, power);
            reaches = reaches.iter().zip(&also).map(|(one, other)| one.and(other)).collect();
        }
        rows.push((rights, reaches));
    }
    let stores = rows.iter().map(|(_, reaches)| reaches.len()).max().unwrap_or(0);
    (0..stores).filter_map(|store| layer(&rows, store, abi)).collect()
}

fn layer(rows: &[(BitFlags<AccessFs>, Vec<Reach>)], store: usize, abi: ABI) -> Option<Layer> {
    let of_store = || rows.iter().filter_map(|(rights, reaches)| Some((*rights, reaches.get(store)?)));
    if of_store().all(|(_, reach)| reach.everywhere) {
        return None;
    }
    let mut rules = Vec::new();
    for (rights, reach) in of_store().filter(|(rights, _)| !rights.is_empty()) {
        let rights = rights & AccessFs::from_all(abi);
        for place in &reach.granted {
            tell(place, &reach.barred, rights, abi, &mut rules);
        }
    }
    Some(Layer { rules })
}

/// Whether every store lets its caller move whatever it lets it delete: the kernel asks for no more than that to give a file
/// another name in its directory, and under that name policy might let it be read.
pub(super) fn can_move_what_it_can_delete(state: &State) -> bool {
    [FILE, DIR].into_iter().all(|kind| {
        let [open, delete, moved] = [Action::FileOpen, Action::FileDelete, Action::FileMove]
            .map(|action| state.authorizer().reaches(action, kind, Power::User));
        let stores = open.iter().zip(&delete).zip(&moved);
        stores.into_iter().all(|((open, delete), moved)| open.and(moved).covers(&open.and(delete)))
    })
}

/// Tells one place, without what is barred in it.
fn tell(place: &Place, barred: &[Place], rights: BitFlags<AccessFs>, abi: ABI, rules: &mut Vec<Rule>) {
    let Ok(object) = fs::pin_itself(place.path()) else { return };
    let Some(is_dir) = is_dir(&object) else { return };
    match (place, is_dir) {
        // What policy says of a directory alone Landlock cannot be told; and nothing is below anything else.
        (Place::At(_), false) | (Place::Below(_), true) => {
            tell_object(object, place.path(), barred, rights, abi, rules)
        }
        (Place::At(_), true) | (Place::Below(_), false) => {}
    }
}

/// Tells an object and, of a directory, all below it.
pub(super) fn tell_object(
    object: OwnedFd,
    path: &AbsPath,
    barred: &[Place],
    rights: BitFlags<AccessFs>,
    abi: ABI,
    rules: &mut Vec<Rule>,
) {
    if rules.len() >= RULES || barred.iter().any(|barred| barred.holds(path)) {
        return;
    }
    let Some(is_dir) = is_dir(&object) else { return };
    let below = Place::Below(path.clone());
    if is_dir && barred.iter().any(|barred| below.holds(barred.path())) {
        for name in names(&object) {
            if let (Ok(entry), Ok(path)) = (fs::pin_entry(&object, &name), path.join(&name)) {
                tell_object(entry, &path, barred, rights, abi, rules);
            }
        }
        return;
    }
    let rights = if is_dir { rights } else { rights & AccessFs::from_file(abi) };
    if !rights.is_empty() {
        rules.push(Rule { object, rights });
    }
}

fn is_dir(object: &OwnedFd) -> Option<bool> {
    fstat(object).ok().map(|stat| fs::kind(&stat) == SFlag::S_IFDIR)
}

fn names(dir: &OwnedFd) -> Vec<Name> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let list = nix::fcntl::openat(dir, ".", flags, Mode::empty()).and_then(Dir::from_fd);
    let entries = list.into_iter().flat_map(|list| list.into_iter().flatten()).take(RULES);
    entries.filter_map(|entry| Name::parse(entry.file_name().to_bytes()).ok()).collect()
}

/// Pins a path of ours that need not be there, its links followed.
pub(super) fn ours(path: &str) -> Option<OwnedFd> {
    let path = AbsPath::parse(path).ok()?;
    fs::root::at_home(|| fs::pin(&path, fs::Links::Follow)).ok()
}
