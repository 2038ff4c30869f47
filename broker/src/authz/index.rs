//! Which policies can matter to a request, found by its resource instead of by trying all.

use super::conditions::{Condition, Variable, analyse};
use super::entity::Facts;
use super::parts::{Part, parts};
use super::{attributes, session};
use cedar_policy::{EntityUid, Policy, PolicyId};
use std::cell::OnceCell;
use std::collections::HashMap;

/// Policies by what their resource must be.
#[derive(Debug)]
pub(super) struct Index {
    rows: Vec<Row>,
    /// By an entity that the resource must be or be in.
    by_entity: HashMap<EntityUid, Vec<usize>>,
    /// By the directory, with its slash, that the resource's path must begin with.
    by_prefix: HashMap<String, Vec<usize>>,
    /// Those that any resource may concern.
    rest: Vec<usize>,
    /// Whether some policy reads an attribute that an object has besides its path.
    reads_attributes: bool,
    /// Whether some policy reads what the run is like and has done.
    reads_session: bool,
}

#[derive(Debug)]
pub(super) struct Row {
    pub(super) policy: Policy,
    pub(super) conditions: Vec<Condition>,
    /// Whether the policy applies wherever the conditions hold.
    pub(super) whole: bool,
    /// Whether it is built in.
    pub(super) rail: bool,
    /// Whether it reads what an address is like.
    pub(super) reads_address: bool,
    /// Whether what it says of an object may change with the object's path.
    pub(super) reads_place: bool,
    /// Whether it reads more of the context than the run.
    pub(super) reads_context: bool,
    /// Whether its conditions may say another thing for another action.
    pub(super) reads_action: bool,
    /// Whether it says that the arguments of what it speaks of are secret.
    pub(super) sensitive: bool,
    parts: OnceCell<Result<Vec<Part>, String>>,
}

impl Row {
    /// The policy in parts, which are made when they are first asked for.
    pub(super) fn parts(&self) -> Result<&[Part], String> {
        self.parts.get_or_init(|| parts(&self.policy)).as_deref().map_err(String::clone)
    }
}

impl Index {
    /// Indexes `policies`.
    pub(super) fn new<'a>(policies: impl Iterator<Item = &'a Policy>, is_rail: impl Fn(&PolicyId) -> bool) -> Self {
        let mut index = Self {
            rows: Vec::new(),
            by_entity: HashMap::new(),
            by_prefix: HashMap::new(),
            rest: Vec::new(),
            reads_attributes: false,
            reads_session: false,
        };
        for (at, policy) in policies.enumerate() {
            index.reads_attributes |= attributes::are_read_by(policy);
            index.reads_session |= session::is_read_by(policy);
            let (conditions, whole) = analyse(policy);
            match conditions.iter().find_map(key) {
                Some(Key::Entities(uids)) => {
                    for uid in uids {
                        index.by_entity.entry(uid.clone()).or_default().push(at);
                    }
                }
                Some(Key::Prefix(prefix)) => index.by_prefix.entry(prefix.to_owned()).or_default().push(at),
                None => index.rest.push(at),
            }
            let reads_address = attributes::of_an_address_are_read_by(policy);
            index.rows.push(Row {
                policy: policy.clone(),
                conditions,
                whole,
                rail: is_rail(policy.id()),
                reads_address,
                reads_place: attributes::of_a_place_are_read_by(policy),
                reads_context: attributes::more_context_is_read_by(policy),
                reads_action: attributes::the_action_is_read_by(policy),
                sensitive: policy.annotation("sensitive").is_some(),
                parts: OnceCell::new(),
            });
        }
        index
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn reads_attributes(&self) -> bool {
        self.reads_attributes
    }

    pub(super) fn reads_session(&self) -> bool {
        self.reads_session
    }

    /// The policies whose necessary conditions hold, by ascending number. All others neither apply to the request nor
    /// fail to evaluate.
    pub(super) fn candidates(&self, facts: &Facts<'_>) -> Vec<usize> {
        let mut found = Vec::new();
        let mut consider = |rows: &[usize]| {
            let holds = |at: &&usize| {
                self.rows.get(**at).is_some_and(|row| row.conditions.iter().all(|condition| condition.holds(facts)))
            };
            found.extend(rows.iter().filter(holds).copied());
        };
        consider(&self.rest);
        for entity in std::iter::once(&facts.resource).chain(&facts.ancestors) {
            consider(self.by_entity.get(entity).map_or(&[], Vec::as_slice));
        }
        match &facts.path {
            Some(path) => {
                for (slash, _) in path.match_indices('/') {
                    let prefix = path.get(..=slash).unwrap_or_default();
                    consider(self.by_prefix.get(prefix).map_or(&[], Vec::as_slice));
                }
            }
            // Those fail to evaluate, unless something before that says no.
            None => self.by_prefix.values().for_each(|rows| consider(rows)),
        }
        found.sort_unstable();
        // A policy that names several entities is found by each of them.
        found.dedup();
        found
    }

    /// All policies with what is known of them.
    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Whether one of these policies says that arguments are secret.
    pub(super) fn is_any_sensitive(&self, numbers: &[usize]) -> bool {
        numbers.iter().any(|number| self.rows.get(*number).is_some_and(|row| row.sensitive))
    }

    /// The policy of a number.
    pub(super) fn policy(&self, at: usize) -> Option<&Policy> {
        self.rows.get(at).map(|row| &row.policy)
    }
}

enum Key<'a> {
    Entities(&'a [EntityUid]),
    Prefix(&'a str),
}

/// What a condition lets a policy be found by.
fn key(condition: &Condition) -> Option<Key<'_>> {
    match condition {
        Condition::IsOneOf(Variable::Resource, uids) | Condition::IsIn(Variable::Resource, uids) => {
            Some(Key::Entities(uids))
        }
        Condition::Path(text) | Condition::PathPrefix(text) => {
            text.rfind('/').and_then(|slash| text.get(..=slash)).map(Key::Prefix)
        }
        Condition::IsOneOf(..) | Condition::IsIn(..) | Condition::IsA(..) => None,
    }
}
