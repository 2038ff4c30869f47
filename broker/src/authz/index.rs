//! Which policies can matter to a request, found by what it is about instead of by trying all.

use super::conditions::{Condition, analyse};
use super::entity::Facts;
use super::inspected::Inspected;
use super::keys::ByKey;
use super::parts::{Part, parts};
use super::powers::Powers;
use super::{attributes, session};
use cedar_policy::{EntityUid, Policy, PolicyId};
use std::cell::OnceCell;
use std::collections::HashSet;

/// Policies by one of the conditions that each has.
#[derive(Debug)]
pub(super) struct Index {
    rows: Vec<Row>,
    by_key: ByKey,
    /// Those without a condition to find them by.
    rest: Vec<usize>,
    powers: Powers,
    /// Every entity that some policy names.
    named: HashSet<EntityUid>,
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
    /// Whether it reads what a run has done so far.
    pub(super) reads_counters: bool,
    /// Whether it permits by the key of an SSH connection whoever the caller is.
    pub(super) trusts_any_key: bool,
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
            by_key: ByKey::default(),
            rest: Vec::new(),
            powers: Powers::default(),
            named: HashSet::new(),
            reads_attributes: false,
            reads_session: false,
        };
        for policy in policies {
            let inspected = Inspected::new(policy);
            index.named.extend(policy.entity_literals());
            index.reads_attributes |= attributes::are_read_by(&inspected);
            index.reads_session |= session::is_read_by(&inspected);
            let (conditions, whole) = analyse(&inspected);
            index.rows.push(Row {
                policy: policy.clone(),
                conditions,
                whole,
                rail: is_rail(policy.id()),
                reads_address: attributes::of_an_address_are_read_by(&inspected),
                reads_place: attributes::of_a_place_are_read_by(&inspected),
                reads_context: attributes::more_context_is_read_by(&inspected),
                reads_action: attributes::the_action_is_read_by(&inspected),
                reads_counters: session::counters_are_read_by(&inspected),
                trusts_any_key: session::trusts_any_callers_key(&inspected),
                sensitive: policy.annotation("sensitive").is_some(),
                parts: OnceCell::new(),
            });
        }
        (index.by_key, index.rest) = ByKey::of(&index.rows);
        index.powers = Powers::new(&index.rows);
        index
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether some policy names this entity. Of all others it makes no difference whether a resource is in them: policies compare
    /// only with what they name, with the principal, and with what the context names.
    pub(super) fn names(&self, uid: &EntityUid) -> bool {
        self.named.contains(uid)
    }

    /// What they could let whom do.
    pub(super) fn powers(&self) -> &Powers {
        &self.powers
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
        self.by_key.find(facts, consider);
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
