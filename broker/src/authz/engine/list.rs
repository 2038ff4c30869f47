//! What a principal may do, told without telling of others: the policies that are about it.

use super::super::conditions::{Condition, Variable};
use super::super::index::Row;
use super::Authorizer;
use cedar_policy::Effect;

/// A policy that is about the principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// Whether it permits; else it forbids.
    pub permits: bool,
    /// The number of its store among those that must all allow.
    pub store: usize,
    /// Whether it is built in.
    pub rail: bool,
    /// Its parts as they stand there, but for those that speak of who asks: they could name others.
    pub parts: Vec<String>,
}

impl Authorizer {
    /// The policies that are about this principal, whatever the request: those of which nothing says that they are not.
    pub fn list(&self) -> Vec<Listed> {
        let stores = self.stores.iter().enumerate();
        let rows = stores.flat_map(|(store, policies)| policies.index().rows().iter().map(move |row| (store, row)));
        rows.filter(|(_, row)| self.is_about_principal(row)).map(|(store, row)| listed(store, row)).collect()
    }

    fn is_about_principal(&self, row: &Row) -> bool {
        let Ok(fixed) = &self.fixed else { return false };
        row.conditions.iter().all(|condition| match condition {
            Condition::IsOneOf(Variable::Principal, these) => these.contains(&fixed.principal),
            Condition::IsIn(Variable::Principal, these) => {
                these.contains(&fixed.principal) || fixed.groups.iter().any(|group| these.contains(group))
            }
            Condition::IsA(Variable::Principal, kind) => kind == fixed.principal.type_name(),
            _ => true,
        })
    }
}

fn listed(store: usize, row: &Row) -> Listed {
    let parts = row.parts().unwrap_or_default().iter();
    let parts = parts.filter(|part| !part.text.contains("principal")).map(|part| part.text.clone());
    Listed {
        id: row.policy.id().to_string(),
        permits: row.policy.effect() == Effect::Permit,
        store,
        rail: row.rail,
        parts: parts.collect(),
    }
}
