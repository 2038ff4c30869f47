//! A policy with its conditions taken apart: Cedar writes them as JSON, which is dear, so it is done once for all that looks into
//! them.

use cedar_policy::Policy;
use serde_json::Value;

/// A policy that is looked into.
pub(super) struct Inspected<'a> {
    pub(super) policy: &'a Policy,
    conditions: Conditions,
}

/// Its `when` and `unless`, in their order.
enum Conditions {
    None,
    Known(Value),
    /// Cedar does not tell.
    Unknown,
}

impl<'a> Inspected<'a> {
    pub(super) fn new(policy: &'a Policy) -> Self {
        let known = || Some(policy.to_json().ok()?.get_mut("conditions")?.take());
        let conditions = match policy.has_non_scope_constraint().then(known) {
            None => Conditions::None,
            Some(Some(conditions)) => Conditions::Known(conditions),
            Some(None) => Conditions::Unknown,
        };
        Self { policy, conditions }
    }

    /// Whether its conditions are such. One that cannot be looked into may say anything, and counts; one without conditions does not.
    pub(super) fn may(&self, are_such: impl FnOnce(&Value) -> bool) -> bool {
        match &self.conditions {
            Conditions::None => false,
            Conditions::Known(conditions) => are_such(conditions),
            Conditions::Unknown => true,
        }
    }

    /// The same, but only what can be looked into counts.
    pub(super) fn does(&self, are_such: impl FnOnce(&Value) -> bool) -> bool {
        matches!(&self.conditions, Conditions::Known(conditions) if are_such(conditions))
    }

    /// Its conditions one by one, where it has some; nothing for what cannot be looked into.
    pub(super) fn clauses(&self) -> Option<&[Value]> {
        match &self.conditions {
            Conditions::None => Some(&[]),
            Conditions::Known(conditions) => conditions.as_array().map(Vec::as_slice),
            Conditions::Unknown => None,
        }
    }
}
