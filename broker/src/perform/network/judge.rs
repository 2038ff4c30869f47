//! What policy says of hosts and their addresses, before and after these are known.

use crate::authz::{Demand, Resource, Url};
use crate::session::State;
use rex_protocol::Action;
use rex_protocol::failure::Failure;
use std::net::IpAddr;
use std::rc::Rc;

/// What is asked for: each of these must be allowed.
pub(super) struct Asked {
    pub(super) action: Action,
    pub(super) urls: Vec<Url>,
    /// And this must not be forbidden: it says the same with other characters.
    pub(super) same: Option<Url>,
}

impl Asked {
    /// Asks what can be asked without an address.
    pub(super) fn before(&self, state: &mut State) -> Result<(), Failure> {
        self.demands(None).iter().try_for_each(|demand| state.demand_before_the_address(demand))
    }

    /// The addresses that are allowed; a failure where none is.
    pub(super) fn allowed(&self, addresses: &[IpAddr], state: &mut State) -> Result<Vec<IpAddr>, Failure> {
        let mut denied = None;
        let mut allowed = Vec::new();
        for address in addresses {
            let same = self.same.iter().map(|url| self.demand(url, Some(*address)));
            let judged = state.demand(&self.demands(Some(*address)));
            match judged.and_then(|()| same.into_iter().try_for_each(|demand| state.unless_forbidden(&demand))) {
                Ok(()) => allowed.push(*address),
                Err(failure) => drop(denied.get_or_insert(failure)),
            }
        }
        match denied {
            Some(failure) if allowed.is_empty() => Err(failure),
            _ => Ok(allowed),
        }
    }

    /// What is asked about one address.
    pub(super) fn demands(&self, ip: Option<IpAddr>) -> Vec<Demand> {
        self.urls.iter().map(|url| self.demand(url, ip)).collect()
    }

    fn demand(&self, url: &Url, ip: Option<IpAddr>) -> Demand {
        Demand::new(self.action, Resource::Url(Rc::new(Url { ip, ..url.clone() })))
    }
}
