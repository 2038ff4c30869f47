//! What policies could let whom do at all, whatever to.

use super::conditions::{Condition, Variable};
use super::entity::Fixed;
use super::index::Row;
use super::reach::{is_of_a, speaks_of, speaks_to};
use super::vocabulary::Vocabulary;
use cedar_policy::Effect;
use rex_protocol::Action;
use std::collections::{HashMap, HashSet};

/// The actions of all permits, by what they demand of the principal: a store has many policies and speaks of few principals.
/// Made with the store, since a run asks for it before it does anything.
#[derive(Debug, Default)]
pub(super) struct Powers(Vec<(Vec<Condition>, HashSet<Action>)>);

impl Powers {
    /// Of these policies. Without Cedar's names for the actions none is allowed.
    pub(super) fn new(rows: &[Row]) -> Self {
        let Ok(vocabulary) = Vocabulary::get() else { return Self::default() };
        let mut by_principal = HashMap::<_, HashSet<_>>::new();
        let mut known = HashMap::new();
        for row in rows.iter().filter(|row| row.policy.effect() == Effect::Permit) {
            let (of_principal, others): (Vec<_>, Vec<_>) =
                row.conditions.iter().partition(|condition| condition.is_of(Variable::Principal));
            // What speaks of places says nothing here.
            let others: Vec<_> =
                others.into_iter().filter(|other| other.is_of(Variable::Action) || other.is_a_type()).collect();
            let actions = known.entry(others).or_insert_with_key(|others| actions(others, vocabulary));
            by_principal.entry(of_principal).or_default().extend(actions.iter().copied());
        }
        let owned = |conditions: Vec<&Condition>| conditions.into_iter().cloned().collect();
        Self(by_principal.into_iter().map(|(conditions, actions)| (owned(conditions), actions)).collect())
    }

    /// Those of a principal.
    pub(super) fn of(&self, fixed: &Fixed) -> HashSet<Action> {
        let speak_to = |conditions: &[Condition]| conditions.iter().all(|condition| speaks_to(condition, fixed));
        let its = self.0.iter().filter(|(conditions, _)| speak_to(conditions));
        its.flat_map(|(_, actions)| actions).copied().collect()
    }
}

/// The actions that these conditions leave room for, on some type of resource.
fn actions(conditions: &[&Condition], vocabulary: &Vocabulary) -> HashSet<Action> {
    let has_a_kind =
        vocabulary.resource_kinds().any(|kind| conditions.iter().all(|condition| is_of_a(condition, kind)));
    let is_left = |uids| conditions.iter().all(|condition| speaks_of(condition, uids));
    let left = vocabulary.actions().filter(|(_, parts)| has_a_kind && is_left([&parts.uid, &parts.group]));
    left.map(|(action, _)| action).collect()
}
