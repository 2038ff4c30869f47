//! Answers to who asks about policies or the broker, and runs nothing.

use super::connection::Connection;
use super::recording;
use super::start::Caller;
use super::submission::{Ask, Fault, Origin, refuse};
use crate::audit::{Asked, AuditError, Entry, Event};
use crate::authz::{Authorizer, Listed};
use crate::config::Config;
use crate::store::Store;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{geteuid, getppid};
use rex_protocol::client::{ListedPolicy, RefusalReason, ToClient};
use rex_protocol::limits::LimitName;
use rex_protocol::text::Text;
use std::rc::Rc;

/// The most policies that a list tells of.
const LISTED: usize = 2000;

/// Answers `ask` to `caller`, once it is recorded. Anybody may know what is about itself; what is in force, to have it loaded
/// anew, and how the broker is, is for root.
pub(super) fn answer(
    config: &Config,
    connection: &mut Connection,
    caller: &Caller,
    origin: &Origin,
    ask: Ask,
) -> Result<(), Fault> {
    let Origin::Daemon { store, daemon, ties, reloads } = origin else {
        return Err(refuse(
            RefusalReason::NoPolicy,
            "without the daemon there are no policies but the given one".into(),
        ));
    };
    let own = geteuid().as_raw();
    let is_answered = ask == Ask::List || caller.principal.uid == 0 || caller.principal.uid == own;
    record(config, caller, origin, store, ask, if is_answered { "answered" } else { "refused" })?;
    if ask == Ask::List {
        connection.send(&ToClient::Listed(about(caller, store)));
        return Ok(());
    }
    if !is_answered {
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

/// Records who asks what. An error says that it is not recorded.
fn record(
    config: &Config,
    caller: &Caller,
    origin: &Origin,
    store: &Store,
    ask: Ask,
    result: &'static str,
) -> Result<(), Fault> {
    let Some(settings) = recording::settings(config, origin) else { return Ok(()) };
    let what = match ask {
        Ask::List => "list",
        Ask::Inspect => "inspect",
        Ask::Reload => "reload",
        Ask::Status => "status",
    };
    let Caller { principal, pid, .. } = caller;
    let event = Event::Asked(Asked { user: &principal.name, uid: principal.uid, pid: *pid, what, result });
    let entry = Entry::of_broker(store.policies.revision(), &event);
    recording::record(settings, principal, entry).map_err(|error| {
        let reason = match error {
            AuditError::Full { .. } => RefusalReason::Limit(LimitName::Records),
            _ => RefusalReason::Unavailable,
        };
        refuse(reason, format!("nothing was answered, as it could not be recorded: {error}"))
    })
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
