//! `reload`: the broker is asked to load its policies, and what came of it is told.

use super::options::{Options, Reload};
use super::{Fault, load, text};
use rex_broker::ask::{PATIENCE, ask};
use rex_protocol::client::{FromClient, ToClient};
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};

/// What a broker says of its policies.
struct InForce {
    revision: String,
    policies: u64,
    reloads: u64,
    fault: Option<String>,
}

/// Has the broker load its store, and waits until it has: only the broker knows what it is configured to load.
pub(crate) fn reload(options: &Options, reload: &Reload) -> Result<(), Fault> {
    let socket = match &reload.socket {
        Some(socket) => socket.clone(),
        None => load::config(options)?.socket,
    };
    let before = in_force(&socket, &FromClient::Reload)?;
    let end = Instant::now() + PATIENCE;
    let now = loop {
        let now = in_force(&socket, &FromClient::Inspect)?;
        if now.reloads != before.reloads {
            break now;
        }
        if Instant::now() >= end {
            return Err(Fault::Cannot(format!(
                "the broker has not loaded its policies within {} s",
                PATIENCE.as_secs()
            )));
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    if let Some(fault) = now.fault {
        return Err(Fault::No(format!("the policies in force stay: {fault}")));
    }
    let InForce { revision, policies, .. } = now;
    let answer = json!({ "before": before.revision, "revision": revision, "policies": policies });
    text::answer(options.output_format, &answer, || {
        let changed = if before.revision == revision { "as before" } else { "anew" };
        format!("{policies} policies are in force ({changed}), revision {revision}")
    })
}

/// What the broker answers.
fn in_force(socket: &Path, question: &FromClient) -> Result<InForce, Fault> {
    match ask(socket, question).map_err(|error| Fault::Cannot(error.to_string()))? {
        ToClient::InForce { revision, policies, reloads, fault } => {
            let (revision, fault) = (revision.into_string(), fault.map(|fault| fault.into_string()));
            Ok(InForce { revision, policies, reloads, fault })
        }
        _ => Err(Fault::Cannot(format!("cannot understand the broker at `{}`", socket.display()))),
    }
}
