//! Policies by what they can be found by: an entity that the request must name or be within, or the beginning of a path.

use super::conditions::{Condition, Variable};
use super::entity::Facts;
use super::index::Row;
use cedar_policy::EntityUid;
use std::collections::HashMap;

/// The numbers of policies, each under one of its conditions: the one that it shares with the fewest others. So neither a
/// store that says much of one directory nor one that says much of one user is slow.
#[derive(Debug, Default)]
pub(super) struct ByKey {
    principals: HashMap<EntityUid, Vec<usize>>,
    actions: HashMap<EntityUid, Vec<usize>>,
    resources: HashMap<EntityUid, Vec<usize>>,
    /// By the directory, with its slash, that the resource's path must begin with.
    prefixes: HashMap<String, Vec<usize>>,
}

/// What a condition lets a policy be found by.
#[derive(Clone, Copy)]
enum Key<'a> {
    Entities(Variable, &'a [EntityUid]),
    Prefix(&'a str),
}

impl ByKey {
    /// The policies by their keys, and those that have none.
    pub(super) fn of(rows: &[Row]) -> (Self, Vec<usize>) {
        let mut shared = Self::default();
        for (at, row) in rows.iter().enumerate() {
            keys(row).for_each(|key| shared.add(key, at));
        }
        let (mut chosen, mut rest) = (Self::default(), Vec::new());
        for (at, row) in rows.iter().enumerate() {
            match keys(row).min_by_key(|key| shared.count(*key)) {
                Some(key) => chosen.add(key, at),
                None => rest.push(at),
            }
        }
        (chosen, rest)
    }

    /// Every policy whose key the request has, and none twice unless it names several entities.
    pub(super) fn find(&self, facts: &Facts<'_>, mut found: impl FnMut(&[usize])) {
        let entities = [
            (&self.principals, Variable::Principal),
            (&self.actions, Variable::Action),
            (&self.resources, Variable::Resource),
        ];
        for (map, variable) in entities.into_iter().filter(|(map, _)| !map.is_empty()) {
            for entity in std::iter::once(facts.entity(variable)).chain(facts.above(variable)) {
                map.get(entity).into_iter().for_each(|rows| found(rows));
            }
        }
        match &facts.path {
            Some(path) => {
                for (slash, _) in path.match_indices('/') {
                    let prefix = path.get(..=slash).unwrap_or_default();
                    self.prefixes.get(prefix).into_iter().for_each(|rows| found(rows));
                }
            }
            // Those fail to evaluate, unless something before that says no.
            None => self.prefixes.values().for_each(|rows| found(rows)),
        }
    }

    fn add(&mut self, key: Key<'_>, at: usize) {
        match key {
            Key::Entities(variable, uids) => {
                for uid in uids {
                    self.map_mut(variable).entry(uid.clone()).or_default().push(at);
                }
            }
            Key::Prefix(prefix) => self.prefixes.entry(prefix.to_owned()).or_default().push(at),
        }
    }

    /// How many share a key.
    fn count(&self, key: Key<'_>) -> usize {
        match key {
            Key::Entities(variable, uids) => {
                uids.iter().filter_map(|uid| self.map(variable).get(uid)).map(Vec::len).sum()
            }
            Key::Prefix(prefix) => self.prefixes.get(prefix).map_or(0, Vec::len),
        }
    }

    fn map(&self, variable: Variable) -> &HashMap<EntityUid, Vec<usize>> {
        match variable {
            Variable::Principal => &self.principals,
            Variable::Action => &self.actions,
            Variable::Resource => &self.resources,
        }
    }

    fn map_mut(&mut self, variable: Variable) -> &mut HashMap<EntityUid, Vec<usize>> {
        match variable {
            Variable::Principal => &mut self.principals,
            Variable::Action => &mut self.actions,
            Variable::Resource => &mut self.resources,
        }
    }
}

/// Those of a policy: none of its conditions can fail to evaluate, so each will do.
fn keys(row: &Row) -> impl Iterator<Item = Key<'_>> {
    row.conditions.iter().filter_map(|condition| match condition {
        Condition::IsOneOf(variable, uids) | Condition::IsIn(variable, uids) => Some(Key::Entities(*variable, uids)),
        Condition::Path(text) | Condition::PathPrefix(text) => {
            text.rfind('/').and_then(|slash| text.get(..=slash)).map(Key::Prefix)
        }
        Condition::IsA(..) => None,
    })
}
