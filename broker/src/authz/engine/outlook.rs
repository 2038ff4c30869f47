//! What can be said of a URL before its address is known: whether policy denies it whatever that will be.
//!
//! A name server is asked for nothing that is denied anyway: the question itself tells whoever hears it, and a script could
//! choose its words. So it is decided twice. First without the address: a `forbid` that reads it does not deny yet, and a
//! `permit` whose evaluation comes as far as to need it may still grant; one that is false before that grants nothing. Then,
//! for each address, in full. Only the second grants.

use super::super::attributes::{self, Attributes};
use super::super::demand::Demand;
use super::super::inspected::Inspected;
use super::super::load::PolicyStore;
use super::{Authorizer, EntityError, Fixed};
use cedar_policy::{AuthorizationError, Decision as CedarDecision, Effect, PolicySet};
use rex_protocol::Failure;
use std::rc::Rc;

impl Authorizer {
    /// Confirms that a demand on an address that is not known yet may be allowed for some: no policy forbids it whatever the
    /// address is, and in each store some permit grants it, or might once the address is known.
    pub fn demand_before_the_address(&mut self, demand: &Demand) -> Result<(), Failure> {
        let fixed = std::mem::replace(&mut self.fixed, Err(EntityError::in_use()));
        (self.seen, self.sensitive) = (Attributes::default(), false);
        let outlooks = match &fixed {
            Ok(fixed) => {
                self.sensitive = self.keeps_arguments_back(fixed, demand);
                self.stores.iter().map(|store| self.outlook(store, fixed, demand)).collect()
            }
            Err(error) => Err(EntityError::new(error)),
        };
        self.fixed = fixed;
        let outlooks: Vec<_> = outlooks.unwrap_or_else(|error| {
            tracing::error!("{error}");
            Vec::new()
        });
        if outlooks.is_empty() {
            return Err(self.deny(demand, Vec::new()));
        }
        let outlook: Result<(), _> = outlooks.into_iter().collect();
        outlook.map_err(|by| self.deny(demand, by))
    }

    /// Whether some policy on such a thing says that its arguments are secret, see [`Authorizer::candidates_of`].
    fn keeps_arguments_back(&self, fixed: &Fixed, demand: &Demand) -> bool {
        let Ok(facts) = fixed.facts(demand) else { return true };
        let first = self.stores.first().map(|store| store.index());
        first.is_some_and(|index| index.is_any_sensitive(&index.candidates(&facts)))
    }

    /// Whether a store may still allow it; else the policies that deny.
    fn outlook(
        &self,
        store: &Rc<PolicyStore>,
        fixed: &Fixed,
        demand: &Demand,
    ) -> Result<Result<(), Vec<String>>, EntityError> {
        let facts = fixed.facts(demand)?;
        let session = Some(&self.session).filter(|_| self.reads_session || cfg!(test));
        let (request, entities) = fixed.request(demand, &facts, &Attributes::default(), session, |_| true)?;
        let index = store.index();
        let (mut set, mut open) = (PolicySet::new(), false);
        for row in index.candidates(&facts).into_iter().filter_map(|number| index.rows().get(number)) {
            match row.policy.effect() {
                Effect::Forbid if row.reads_address => continue,
                Effect::Forbid => {}
                // What it says of an address that is missing it may not say of one that is there.
                Effect::Permit => open |= attributes::of_an_address_are_asked_for_by(&Inspected::new(&row.policy)),
            }
            set.add(row.policy.clone()).map_err(EntityError::new)?;
        }
        let response = self.cedar.is_authorized(&request, &set, &entities);
        let denied = response.decision() == CedarDecision::Deny;
        let mut by: Vec<String> = response.diagnostics().reason().filter(|_| denied).map(ToString::to_string).collect();
        for AuthorizationError::PolicyEvaluationError(error) in response.diagnostics().errors() {
            let id = error.policy_id();
            let row = index.rows().iter().find(|row| row.policy.id() == id);
            match row.map(|row| (row.policy.effect(), row.reads_address)) {
                Some((Effect::Permit, reads_address)) => open |= reads_address,
                Some((Effect::Forbid, _)) | None => by.push(id.to_string()),
            }
        }
        by.sort_unstable();
        Ok(if by.is_empty() && (open || !denied) { Ok(()) } else { Err(by) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::demand::{Principal, Resource, Url};
    use super::super::super::load::{PolicySource, Strictness};
    use super::*;
    use rex_protocol::Action;

    /// What is said without the address, and what is decided with it.
    fn decided(policies: &str, host: &str, address: &str) -> [bool; 2] {
        let source = PolicySource { name: "a".into(), text: policies.as_bytes().to_vec() };
        let (store, _) = PolicyStore::load(&[source], Strictness::Strict).unwrap();
        let principal = Principal { name: "ana".into(), uid: 7, gid: 7, gids: vec![7], groups: Vec::new() };
        let mut authorizer = Authorizer::new(principal, vec![Rc::new(store)]);
        let [scheme, path] = ["http", "/a"].map(str::to_owned);
        let text = format!("http://{host}/a");
        let known = Url { text, scheme, host: host.into(), port: 80, path, query: String::new(), ip: None };
        let all = Url { ip: Some(address.parse().unwrap()), ..known.clone() };
        let [known, all] = [known, all].map(|url| Demand::new(Action::HttpGet, Resource::Url(Rc::new(url))));
        [authorizer.demand_before_the_address(&known).is_ok(), authorizer.demand(&[all]).is_ok()]
    }

    const PERMIT: &str = "permit(principal, action, resource);";

    #[test]
    fn what_is_denied_anyway_is_denied_before_a_name_server_hears_of_it() {
        assert_eq!(decided("", "h", "1.1.1.1"), [false, false]);
        assert_eq!(decided(PERMIT, "h", "1.1.1.1"), [true, true]);
        let get = "permit(principal, action == network::Action::\"GET\", resource) when";
        let on_host = format!("{get} {{ resource.host == \"h\" && !resource.is_private }};");
        assert_eq!(decided(&on_host, "h", "1.1.1.1"), [true, true]);
        assert_eq!(decided(&on_host, "h", "10.0.0.1"), [true, false]);
        assert_eq!(decided(&on_host, "other", "1.1.1.1"), [false, false]);
        let of_url = format!("{get} {{ resource.url like \"http://x/*\" && resource.ip.isLoopback() }};");
        assert_eq!(decided(&of_url, "h", "127.0.0.1"), [false, false]);
        let by_range = format!("{get} {{ resource.ip.isInRange(ip(\"10.0.0.0/8\")) }};");
        assert_eq!(decided(&by_range, "h", "::ffff:10.1.2.3"), [true, true]);
        assert_eq!(decided(&by_range, "h", "11.1.2.3"), [true, false]);
    }

    #[test]
    fn a_forbid_that_needs_the_address_waits_for_it() {
        let get = "forbid(principal, action == network::Action::\"GET\", resource) when";
        let private = format!("{PERMIT} {get} {{ resource.is_private }};");
        assert_eq!(decided(&private, "h", "10.0.0.1"), [true, false]);
        assert_eq!(decided(&private, "h", "1.1.1.1"), [true, true]);
        let host = format!("{PERMIT} {get} {{ resource.host == \"h\" }};");
        assert_eq!(decided(&host, "h", "1.1.1.1"), [false, false]);
        let asks = format!("{PERMIT} {get} {{ resource has ip }};");
        assert_eq!(decided(&asks, "h", "1.1.1.1"), [true, false]);
    }

    #[test]
    fn a_permit_that_asks_whether_there_is_an_address_may_grant() {
        let asks = "permit(principal, action == network::Action::\"GET\", resource) when { resource has ip };";
        assert_eq!(decided(asks, "h", "1.1.1.1"), [true, true]);
        let not = "permit(principal, action == network::Action::\"GET\", resource) unless { resource has ip };";
        assert_eq!(decided(not, "h", "1.1.1.1"), [true, false]);
    }
}
