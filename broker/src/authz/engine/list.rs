//! What a principal may do, told without telling of others: the policies that are about it.

use super::super::conditions::{Condition, Variable};
use super::super::demand::{Demand, Resource};
use super::super::index::Row;
use super::super::parts::Part;
use super::{Authorizer, EntityError, Fixed, attributes};
use cedar_policy::{Decision as CedarDecision, Effect, PolicySet};
use rex_protocol::Action;

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
    /// The policies that are about this principal, whatever the request: those whose scope names it or everybody, and whose
    /// conditions on it alone hold. A condition that compares it with something of the request to which the policy adds names
    /// of its own (`resource.owner == principal.name || principal.name == "bob"`) may be about others, and its policy is left out.
    pub fn list(&self) -> Vec<Listed> {
        self.listed().unwrap_or_else(|error| {
            tracing::error!("{error}");
            Vec::new()
        })
    }

    fn listed(&self) -> Result<Vec<Listed>, EntityError> {
        let fixed = self.fixed.as_ref().map_err(EntityError::new)?;
        // What is asked about what does not matter to the conditions that are evaluated.
        let demand = Demand::new(Action::SysinfoList, Resource::Sysinfo);
        let facts = fixed.facts(&demand)?;
        let (request, entities) =
            fixed.request(&demand, &facts, &attributes::of(&demand), Some(&self.session), |_| true)?;
        let holds = |part: &Part| {
            let set = PolicySet::from_policies([part.policy.clone()]);
            set.is_ok_and(|set| self.cedar.is_authorized(&request, &set, &entities).decision() == CedarDecision::Allow)
        };
        let mut found = Vec::new();
        for (store, policies) in self.stores.iter().enumerate() {
            for row in policies.index().rows().iter().filter(|row| scope_fits(row, fixed)) {
                let parts = row.parts().map_err(EntityError::new)?;
                let (of_who, others): (Vec<_>, Vec<_>) = parts.iter().partition(|part| speaks_of_who(part));
                let is_about = |part: &&Part| match part.operands.iter().all(|operand| speaks_of_who_alone(operand)) {
                    true => part.in_scope || holds(part),
                    false => !part.text.contains('"'),
                };
                if of_who.iter().all(is_about) {
                    found.push(Listed {
                        id: row.policy.id().to_string(),
                        permits: row.policy.effect() == Effect::Permit,
                        store,
                        rail: row.rail,
                        parts: others.iter().map(|part| part.text.clone()).collect(),
                    });
                }
            }
        }
        Ok(found)
    }
}

fn speaks_of_who(part: &Part) -> bool {
    part.text.contains("principal")
}

fn speaks_of_who_alone(operand: &str) -> bool {
    operand == "principal" || operand.starts_with("principal.")
}

fn scope_fits(row: &Row, fixed: &Fixed) -> bool {
    row.conditions.iter().all(|condition| match condition {
        Condition::IsOneOf(Variable::Principal, these) => these.contains(&fixed.principal),
        Condition::IsIn(Variable::Principal, these) => {
            these.contains(&fixed.principal) || fixed.groups.iter().any(|group| these.contains(group))
        }
        Condition::IsA(Variable::Principal, kind) => kind == fixed.principal.type_name(),
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::demand::Principal;
    use super::super::super::load::{PolicySource, PolicyStore, Strictness};
    use super::*;
    use std::rc::Rc;

    /// The ids of the policies that are told to `ana` of the group `ops`.
    fn told(policies: &str) -> Vec<String> {
        let source = PolicySource { name: "a".into(), text: policies.as_bytes().to_vec() };
        let (store, _) = PolicyStore::load(&[source], Strictness::Strict).unwrap();
        let groups = vec!["ops".to_owned()];
        let principal = Principal { name: "ana".into(), uid: 7, gid: 7, gids: vec![7], groups };
        Authorizer::new(principal, vec![Rc::new(store)]).list().into_iter().map(|listed| listed.id).collect()
    }

    #[test]
    fn policies_about_others_are_not_told() {
        let about = |who: &str| {
            format!(
                "@id(\"it\") permit(principal, action, resource is file_system::File) when {{ {who} && resource.path == \"/srv/x\" }};"
            )
        };
        for (who, is_told) in [
            ("principal.name == \"ana\"", true),
            ("principal in Group::\"ops\"", true),
            ("[\"ana\", \"bob\"].contains(principal.name)", true),
            ("resource has owner && resource.owner == principal.name", true),
            ("principal.name == \"bob\"", false),
            ("[\"eve\"].contains(principal.name)", false),
            ("principal.uid == 8", false),
            ("!(principal in Group::\"ops\")", false),
            ("resource has owner && (resource.owner == principal.name || principal.name == \"bob\")", false),
        ] {
            assert_eq!(told(&about(who)), if is_told { vec!["it"] } else { vec![] }, "{who}");
        }
        assert_eq!(told("permit(principal == User::\"bob\", action, resource);"), [""; 0]);
        assert_eq!(told("@id(\"all\") permit(principal, action, resource);"), ["all"]);
    }
}
