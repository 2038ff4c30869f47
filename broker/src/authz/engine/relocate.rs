//! A directory gets another path, and all that is in it with it: which `forbid`s have a say.
//!
//! What is in it is not asked about by name. Where a `forbid` names a place below the old path or below the new one, the directory
//! stays: what is in such a place, or comes there later, would be under another path than policy means. That does not depend on
//! what is there at the moment. Other `forbid`s, such as those by a pattern, are asked about each thing that is there: it
//! must be free to be moved, as if it was moved by itself, free to be made and opened where it goes, and must not lose by it what a
//! `forbid` protects it from.

use super::super::attributes;
use super::super::demand::{Context, Demand, ProgramContext, Resource};
use super::super::entity::EntityError;
use super::super::reach::{self, concerns};
use super::Authorizer;
use cedar_policy::PolicySet;
use rex_protocol::Action;
use rex_protocol::path::AbsPath;
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// The `forbid`s that each thing in a directory must be held against that gets another path.
#[derive(Debug, Default)]
pub struct Relocation {
    /// Whether some may be about moving what is in it.
    moves: bool,
    /// Whether some may be about making or opening what comes to the new place.
    enters: bool,
    /// Those whose protection something may lose.
    protects: Vec<Protection>,
}

#[derive(Debug)]
struct Protection {
    store: usize,
    number: usize,
    id: String,
    /// The policy alone.
    set: PolicySet,
    /// The actions that it may be about. Where it says the same of all of them, one is enough.
    actions: Vec<Action>,
}

/// Something in a directory that gets another path.
#[derive(Debug)]
pub struct Entry<'e> {
    /// Where it is.
    pub from: &'e AbsPath,
    /// Where it would be.
    pub to: &'e AbsPath,
    /// Whether it is a directory itself.
    pub is_dir: bool,
    /// The thing itself, where policies read what it is like.
    pub object: Option<&'e Rc<OwnedFd>>,
}

impl Relocation {
    /// Whether no `forbid` has to be asked.
    pub fn is_free(&self) -> bool {
        !self.moves && !self.enters && self.protects.is_empty()
    }
}

impl Entry<'_> {
    fn demand(&self, action: Action, path: &AbsPath) -> Demand {
        let path = path.clone();
        let demand = Demand::new(action, if self.is_dir { Resource::Dir(path) } else { Resource::File(path) });
        let demand = match action {
            Action::FileMove => demand.with(Context::Destination(self.to.clone())),
            // Only to be well-formed: who reads it is not asked.
            Action::FileSetXAttr => demand.with(Context::Attribute(String::new())),
            Action::FileExecute => demand.with(Context::Program(Rc::new(ProgramContext::none()))),
            _ => demand,
        };
        self.object.map_or_else(|| demand.clone(), |object| demand.clone().about(object))
    }
}

impl Authorizer {
    /// The `forbid`s that each thing in a directory must be held against which goes from one path to another. An error has the ids of those
    /// that keep it where it is, whatever is in it.
    pub fn relocation(&self, from: &AbsPath, to: &AbsPath) -> Result<Relocation, Vec<String>> {
        // Then nothing is ever allowed.
        let Ok(fixed) = &self.fixed else { return Ok(Relocation::default()) };
        let indexes = || self.stores.iter().map(|store| store.index());
        let inside = |path| indexes().flat_map(move |index| reach::forbids_inside(index, fixed, path));
        let mut ids: Vec<String> = inside(from).chain(inside(to)).collect();
        if !ids.is_empty() {
            ids.sort_unstable();
            ids.dedup();
            return Err(ids);
        }
        let mut relocation = Relocation::default();
        let (moves, enters) =
            (|action| action == Action::FileMove, |action| matches!(action, Action::FileCreate | Action::FileOpen));
        for (store, index) in indexes().enumerate() {
            relocation.moves |= !reach::forbids_around(index, fixed, from, moves).is_empty();
            relocation.enters |= !reach::forbids_around(index, fixed, to, enters).is_empty();
            for number in reach::forbids_around(index, fixed, from, is_protected) {
                let Some(row) = index.rows().get(number).filter(|row| row.reads_place) else { continue };
                let is_about = |action: &Action| {
                    let uids = fixed.actions().find_map(|(other, uids)| (other == *action).then_some(uids));
                    uids.is_some_and(|uids| fixed.kinds_with_a_path().any(|kind| concerns(row, fixed, uids, kind)))
                };
                let actions = Action::ALL.iter().copied().filter(|action| is_protected(*action)).filter(is_about);
                let some = if row.reads_action { usize::MAX } else { 1 };
                let mut set = PolicySet::new();
                // A policy without a set of its own would say nothing.
                if set.add(row.policy.clone()).is_err() {
                    return Err(vec![row.policy.id().to_string()]);
                }
                let (id, actions) = (row.policy.id().to_string(), actions.take(some).collect());
                relocation.protects.push(Protection { store, number, id, set, actions });
            }
        }
        Ok(relocation)
    }

    /// The ids of the `forbid`s because of which `entry` must stay where it is; nothing where none says so.
    pub fn forbids_to_relocate(&mut self, relocation: &Relocation, entry: &Entry<'_>) -> Option<Vec<String>> {
        let moved = relocation.moves.then(|| entry.demand(Action::FileMove, entry.from));
        let made = relocation.enters.then_some([Action::FileCreate, Action::FileOpen]);
        // What is not there yet is like nothing.
        let made = made.into_iter().flatten().map(|action| Entry { object: None, ..*entry }.demand(action, entry.to));
        let demands: Vec<Demand> = moved.into_iter().chain(made).collect();
        demands.iter().find_map(|demand| self.forbidden(demand)).or_else(|| {
            let loses = |protection: &&Protection| self.loses(protection, entry);
            relocation.protects.iter().find(loses).map(|protection| vec![protection.id.clone()])
        })
    }

    /// Whether something is protected where it is and would be no more where it goes. What cannot be told is so.
    fn loses(&self, protection: &Protection, entry: &Entry<'_>) -> bool {
        protection.actions.iter().any(|action| {
            let may = |path| self.applies(protection, &entry.demand(*action, path));
            may(entry.from) != Some(false) && may(entry.to) != Some(true)
        })
    }

    /// Whether a policy applies to this, in any context; nothing where that cannot be told. One that fails to evaluate does.
    fn applies(&self, protection: &Protection, demand: &Demand) -> Option<bool> {
        let evaluate = || -> Result<Option<bool>, EntityError> {
            let fixed = self.fixed.as_ref().map_err(EntityError::new)?;
            let rows = self.stores.get(protection.store).map(|store| store.index().rows());
            let Some(row) = rows.and_then(|rows| rows.get(protection.number)) else { return Ok(None) };
            let facts = fixed.facts(demand)?;
            if !row.conditions.iter().all(|condition| condition.holds(&facts)) {
                return Ok(Some(false));
            }
            if row.reads_context {
                return Ok(None);
            }
            let attributes = if self.reads_attributes { attributes::of(demand) } else { Default::default() };
            let session = Some(&self.session).filter(|_| self.reads_session || cfg!(test));
            let (request, entities) = fixed.request(demand, &facts, &attributes, session, |_| true)?;
            let response = self.cedar.is_authorized(&request, &protection.set, &entities);
            let told = response.diagnostics();
            Ok(Some(told.reason().next().is_some() || told.errors().next().is_some()))
        };
        evaluate().unwrap_or_else(|error| {
            tracing::error!("{error}");
            None
        })
    }
}

/// Whether an action is one on what has a path, other than the move itself, which is asked about.
fn is_protected(action: Action) -> bool {
    action.namespace() == Action::FileMove.namespace() && action != Action::FileMove
}

#[cfg(test)]
mod tests {
    use super::super::super::demand::Principal;
    use super::super::super::load::{PolicySource, PolicyStore, Strictness};
    use super::*;

    fn path(text: &str) -> AbsPath {
        AbsPath::parse(text).unwrap()
    }

    /// What becomes of a file in `/srv/a` that moves to `/out/a`: it goes along, or stays for itself, or nothing of it is asked.
    fn told(forbid: &str, name: &str) -> &'static str {
        let text = format!("permit(principal, action, resource); forbid(principal, {forbid}");
        let source = PolicySource { name: "a".into(), text: text.into_bytes() };
        let store = Rc::new(PolicyStore::load(&[source], Strictness::Lenient).unwrap().0);
        let principal = Principal { name: "ana".into(), uid: 7, gid: 7, gids: vec![], groups: vec![] };
        let mut authorizer = Authorizer::new(principal, vec![store]);
        let relocation = match authorizer.relocation(&path("/srv/a"), &path("/out/a")) {
            Ok(relocation) if relocation.is_free() => return "free",
            Ok(relocation) => relocation,
            Err(_) => return "never",
        };
        let (from, to) = (path(&format!("/srv/a/{name}")), path(&format!("/out/a/{name}")));
        let entry = Entry { from: &from, to: &to, is_dir: false, object: None };
        if authorizer.forbids_to_relocate(&relocation, &entry).is_some() { "stays" } else { "goes" }
    }

    #[test]
    fn what_no_place_is_in_is_free() {
        for forbid in [
            "action, resource in file_system::Dir::\"/elsewhere\");",
            "action, resource == file_system::Dir::\"/srv/a\");",
            "action == file_system::Action::\"delete\", resource) when { context.session.deleted > 3 };",
            "action == file_system::Action::\"read\", resource is file_system::File) when { resource has owner && resource.owner == \"x\" };",
            "action == network::Action::\"GET\", resource) when { resource.url like \"*\" };",
            "action == systemd::Action::\"stop\", resource) when { [systemd::Service::\"x\"].contains(resource) };",
        ] {
            assert_eq!(told(forbid, "x.key"), "free", "{forbid}");
        }
    }

    #[test]
    fn named_places_keep_it_where_it_is() {
        for forbid in [
            "action == file_system::Action::\"read\", resource in file_system::Dir::\"/srv/a/b\");",
            "action == file_system::Action::\"create\", resource == file_system::File::\"/out/a/b/c\");",
            "action, resource) when { resource is file_system::File && resource.path like \"/out/a/conf.d/*.conf\" };",
            "action, resource) when { resource == file_system::Dir::\"/x\" || resource == file_system::Dir::\"/out/a/b\" };",
        ] {
            assert_eq!(told(forbid, "x.key"), "never", "{forbid}");
        }
    }

    #[test]
    fn what_is_forbidden_by_a_pattern_stays() {
        let like = |action: &str, pattern: &str, more: &str| {
            format!("{action}, resource is file_system::File) when {{ resource.path like \"{pattern}\" {more} }};")
        };
        let on = |action: &str| format!("action == file_system::Action::\"{action}\"");
        let both = format!("action in [{0}\"chown\", {0}\"chmod\"]", "file_system::Action::");
        for (forbid, goes) in [
            (like("action", "/srv/*.key", ""), "stays"),
            (like("action", "*.key", ""), "stays"),
            (like(&on("move"), "*.key", ""), "stays"),
            (like(&on("create"), "/out/*.key", ""), "stays"),
            (like(&on("open"), "/out/*.key", ""), "stays"),
            (like(&on("read"), "/srv/*.key", ""), "stays"),
            (like(&on("execute"), "/srv/*.key", ""), "stays"),
            (like(&on("execute"), "/srv/*.key", "&& context.user.uid == 0"), "stays"),
            (like(&both, "/srv/*.key", "&& action == file_system::Action::\"chmod\""), "stays"),
            ("action, resource) unless { resource in file_system::Dir::\"/out\" };".into(), "stays"),
            ("action == file_system::Action::\"read\", resource in file_system::Dir::\"/srv\");".into(), "stays"),
            (like(&on("move"), "*", "&& context.destination.path like \"/out/*.key\""), "stays"),
            // It is protected by that wherever it is.
            (like(&on("read"), "*.key", ""), "goes"),
            (like(&on("set_x_attr"), "*.key", ""), "goes"),
            // To read there is not to put something there.
            (like(&on("read"), "/out/*.key", ""), "free"),
            (like(&on("move"), "*", "&& context.destination.path like \"/elsewhere/*\""), "goes"),
        ] {
            assert_eq!(told(&forbid, "x.key"), goes, "{forbid}");
            // What a context will be is not known.
            if goes != "free" && forbid.contains(".key") && !forbid.contains("context.user") {
                assert_eq!(told(&forbid, "x.pem"), "goes", "{forbid}");
            }
        }
    }
}
