//! Asking for the addresses of a host.

use super::helper::Net;
use super::names::{self, Way};
use super::*;
use crate::authz::{Granted, Resource};
use rex_protocol::Action;
use rex_protocol::network::Resolve;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How long all of it may take at most.
const MOST: Duration = Duration::from_secs(120);

impl Perform for Resolve {
    type Target = Resolve;

    fn target(self, _: &mut State) -> Result<Resolve, Stop> {
        Ok(self)
    }

    fn demands(target: &Resolve) -> Demands {
        let host = Resource::Hostname(Rc::from(&*target.host));
        Demands::all(vec![Demand::new(Action::ResolveHostname, host)])
    }

    fn perform(target: Granted<Resolve>, state: &mut State) -> Result<Vec<IpAddr>, Stop> {
        let Resolve { host, transport, server, timeout_seconds } = target.into_inner();
        let deadline = Instant::now() + MOST.min(state.time_left());
        let way = Way { transport, server, patience: Duration::from_secs(timeout_seconds.into()) };
        let net = Net::start_for_names(deadline, state)?;
        Ok(names::addresses(&net, &host, &way, deadline, state)?)
    }
}
