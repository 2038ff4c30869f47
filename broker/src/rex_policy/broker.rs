//! `reload`: the broker is asked to load its policies, and seen to do so.

use super::options::{Options, Reload};
use super::{Fault, load, text};
use rex_broker::ask::{PATIENCE, ask};
use rex_protocol::client::{FromClient, ToClient};
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};

/// Loads the store as the broker would, and only if it holds has the broker load it; waits until it is in force.
pub(crate) fn reload(options: &Options, reload: &Reload) -> Result<(), Fault> {
    let config = load::config(options)?;
    let store = load::store(options)?;
    let socket = reload.socket.as_deref().unwrap_or(&config.socket);
    let wanted = store.policies.revision();
    let before = revision(socket, &FromClient::Reload)?;
    let end = Instant::now() + PATIENCE;
    while revision(socket, &FromClient::Inspect)? != wanted {
        if Instant::now() >= end {
            let message =
                "the broker still has other policies in force: its own log says why, or it uses another directory";
            return Err(Fault::No(message.into()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let policies = store.policies.own();
    let answer = json!({ "before": before, "revision": wanted, "policies": policies });
    text::answer(options.output_format, &answer, || {
        let changed = if before == wanted { "as before" } else { "anew" };
        format!("{policies} policies are in force ({changed}), revision {wanted}")
    })
}

/// The revision that the broker answers with.
fn revision(socket: &Path, question: &FromClient) -> Result<String, Fault> {
    match ask(socket, question) {
        Ok(ToClient::InForce { revision, .. }) => Ok(revision.to_string()),
        Ok(_) => Err(Fault::Cannot(format!("cannot understand the broker at `{}`", socket.display()))),
        Err(error) => Err(Fault::Cannot(error.to_string())),
    }
}
