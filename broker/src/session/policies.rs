//! Answers to who asks about policies or the broker, and runs nothing.

use super::connection::Connection;
use super::start::Caller;
use super::submission::{Ask, Fault, Origin, refuse};
use crate::authz::{Authorizer, Listed};
use crate::store::Store;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{geteuid, getppid};
use rex_protocol::client::{ListedPolicy, RefusalReason, ToClient};
use rex_protocol::text::Text;
use std::rc::Rc;

/// The most policies that a list tells of.
const LISTED: usize = 2000;

/// Answers `ask` to `caller`. Anybody may know what is about itself; what is in force, to have it loaded
/// anew, and how the broker is, is for root.
pub(super) fn answer(connection: &mut Connection, caller: &Caller, origin: &Origin, ask: Ask) -> Result<(), Fault> {
    let Origin::Daemon { store, daemon, ties, reloads } = origin else {
        return Err(refuse(
            RefusalReason::NoPolicy,
            "without the daemon there are no policies but the given one".into(),
        ));
    };
    if ask == Ask::List {
        connection.send(&ToClient::Listed(about(caller, store)));
        return Ok(());
    }
    let own = geteuid().as_raw();
    if caller.principal.uid != 0 && caller.principal.uid != own {
        return Err(refuse(RefusalReason::NotAllowed, "only root may ask for that".into()));
    }
    if ask == Ask::Status {
        let status = ties.reporter.status().map_err(|reason| refuse(RefusalReason::Unavailable, reason))?;
        connection.send(&ToClient::Status(Box::new(status)));
        return Ok(());
    }
    if ask == Ask::Reload {
        // While this is its child, its number is its own; without a daemon another process takes its children over.
        if getppid() != *daemon {
            return Err(refuse(RefusalReason::Unavailable, "the broker has ended".into()));
        }
        kill(*daemon, Signal::SIGHUP)
            .map_err(|errno| refuse(RefusalReason::Unavailable, format!("cannot tell the broker: {}", errno.desc())))?;
    }
    let policies = u64::try_from(store.policies.own()).unwrap_or(u64::MAX);
    connection.send(&ToClient::InForce {
        revision: Text::cut(store.policies.revision()),
        policies,
        reloads: reloads.count,
        fault: reloads.fault.clone().map(Text::cut),
    });
    Ok(())
}

/// The policies that are about the caller.
fn about(caller: &Caller, store: &Store) -> Vec<ListedPolicy> {
    let authorizer = Authorizer::new(caller.principal.clone(), vec![Rc::clone(&store.policies)]);
    authorizer.list().into_iter().filter(|policy| !policy.rail).take(LISTED).map(listed).collect()
}

fn listed(policy: Listed) -> ListedPolicy {
    let parts = policy.parts.into_iter().map(Text::cut).collect();
    ListedPolicy { id: Text::cut(policy.id), permits: policy.permits, parts }
}
