//! Why: each policy's part in a decision, and what kept those from it that nearly had one.
//!
//! The decision itself is that of the full set, as Cedar evaluates it. What kept a policy from it is found by evaluating its
//! parts one by one, in the order in which Cedar does: the scope, then each conjunct of its conditions up to the first that
//! does not hold.

use super::super::demand::{Decision, Demand};
use super::super::index::Row;
use super::super::parts::Part;
use super::{Authorizer, EntityError, attributes};
use cedar_policy::{
    AuthorizationError, Authorizer as Cedar, Decision as CedarDecision, Effect, Entities, Expression, PolicySet,
    Request,
};
use std::str::FromStr;

/// How a decision comes about.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The decision.
    pub decision: Decision,
    /// All policies, those of the first store first.
    pub policies: Vec<Explained>,
}

/// A policy's part in a decision.
#[derive(Debug, Clone)]
pub struct Explained {
    /// Its id.
    pub id: String,
    /// Whether it permits; else it forbids.
    pub permits: bool,
    /// Its number among the stores that must all allow.
    pub store: usize,
    /// Whether it is built in.
    pub rail: bool,
    /// What kept it from applying; nothing where it applies.
    pub missed: Vec<Missed>,
}

/// A part of a policy that does not hold.
#[derive(Debug, Clone)]
pub struct Missed {
    /// The part, as the policy has it.
    pub clause: String,
    /// Whether it is of the scope: who, what, on what.
    pub in_scope: bool,
    /// What it speaks of, with what that is here.
    pub values: Vec<(String, String)>,
    /// Why it cannot be evaluated, where that is so.
    pub error: Option<String>,
}

impl Explained {
    /// Whether it applies.
    pub fn applies(&self) -> bool {
        self.missed.is_empty()
    }

    /// Whether no more than two parts of it do not hold, and the action is one of them only if it is the only one.
    pub fn is_near(&self) -> bool {
        let of_action = |missed: &Missed| missed.in_scope && missed.clause.starts_with("action");
        self.missed.len() <= 1 || (self.missed.len() == 2 && !self.missed.iter().any(of_action))
    }
}

impl Authorizer {
    /// Decides a demand by evaluating every policy, and tells of each what its part in it is.
    pub fn explain(&mut self, demand: &Demand) -> Explanation {
        let decision = self.decide_full(demand);
        let policies = self.explained(demand).unwrap_or_else(|error| {
            tracing::error!("{error}");
            Vec::new()
        });
        Explanation { decision, policies }
    }

    fn explained(&self, demand: &Demand) -> Result<Vec<Explained>, EntityError> {
        let fixed = self.fixed.as_ref().map_err(EntityError::new)?;
        let facts = fixed.facts(demand)?;
        let (request, entities) =
            fixed.request(demand, &facts, &attributes::of(demand), Some(&self.session), |_| true)?;
        let asked = Asked { cedar: &self.cedar, request: &request, entities: &entities };
        let mut explained = Vec::new();
        for (store, policies) in self.stores.iter().enumerate() {
            for row in policies.index().rows() {
                explained.push(asked.explain(store, row)?);
            }
        }
        Ok(explained)
    }
}

/// One request, and who evaluates it.
struct Asked<'a> {
    cedar: &'a Cedar,
    request: &'a Request,
    entities: &'a Entities,
}

impl Asked<'_> {
    fn explain(&self, store: usize, row: &Row) -> Result<Explained, EntityError> {
        let (id, permits) = (row.policy.id().to_string(), row.policy.effect() == Effect::Permit);
        let mut missed = Vec::new();
        for part in row.parts().map_err(EntityError::new)? {
            // What stands behind a condition that does not hold is never evaluated.
            if !part.in_scope && missed.iter().any(|missed: &Missed| !missed.in_scope) {
                break;
            }
            missed.extend(self.miss(part)?);
        }
        Ok(Explained { id, permits, store, rail: row.rail, missed })
    }

    /// What is to be said of a part that does not hold.
    fn miss(&self, part: &Part) -> Result<Option<Missed>, EntityError> {
        let mut set = PolicySet::new();
        set.add(part.policy.clone()).map_err(EntityError::new)?;
        let response = self.cedar.is_authorized(self.request, &set, self.entities);
        if response.decision() == CedarDecision::Allow {
            return Ok(None);
        }
        let error = response.diagnostics().errors().next().map(|error| match error {
            AuthorizationError::PolicyEvaluationError(error) => error.inner().to_string(),
        });
        let values = part.operands.iter().filter_map(|operand| {
            let expression = Expression::from_str(operand).ok()?;
            let value = cedar_policy::eval_expression(self.request, self.entities, &expression).ok()?;
            Some((operand.clone(), value.to_string()))
        });
        let (clause, in_scope) = (part.text.clone(), part.in_scope);
        Ok(Some(Missed { clause, in_scope, values: values.collect(), error }))
    }
}
