//! `reload`: the broker is asked to load its policies, and seen to do so.

use super::options::{Options, Reload};
use super::{Fault, load, text};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use rex_protocol::client::{FromClient, ToClient};
use rex_protocol::wire::{self, Frames, PREAMBLE};
use serde_json::json;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the broker may take to have them in force.
const PATIENCE: Duration = Duration::from_secs(20);

/// Loads the store as the broker would, and only if it holds has the broker load it; waits until it is in force.
pub(crate) fn reload(options: &Options, reload: &Reload) -> Result<(), Fault> {
    let config = load::config(options)?;
    let store = load::store(options)?;
    let socket = reload.socket.as_deref().unwrap_or(&config.socket);
    let wanted = store.policies.revision();
    let before = ask(socket, &FromClient::Reload)?;
    let end = Instant::now() + PATIENCE;
    while ask(socket, &FromClient::Inspect)? != wanted {
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
fn ask(socket: &Path, message: &FromClient) -> Result<String, Fault> {
    let cannot = |step: &str, reason: &dyn std::fmt::Display| {
        Fault::Cannot(format!("cannot {step} the broker at `{}`: {reason}", socket.display()))
    };
    let mut stream = UnixStream::connect(socket).map_err(|error| cannot("reach", &error))?;
    let peer = getsockopt(&stream, PeerCredentials).map_err(|errno| cannot("tell who is", &errno.desc()))?;
    if peer.uid() != 0 && peer.uid() != nix::unistd::geteuid().as_raw() {
        return Err(cannot("believe", &format!("it runs as uid {}", peer.uid())));
    }
    stream.set_read_timeout(Some(PATIENCE)).map_err(|error| cannot("wait for", &error))?;
    let frame = wire::frame(message).map_err(|violation| cannot("ask", &violation))?;
    stream.write_all(&[PREAMBLE.as_slice(), &frame].concat()).map_err(|error| cannot("ask", &error))?;
    let (mut frames, mut buffer) = (Frames::new(wire::FRAME), [0; 4096]);
    loop {
        if let Some(frame) = frames.next_frame().map_err(|violation| cannot("understand", &violation))? {
            return match wire::decode(&frame).map_err(|violation| cannot("understand", &violation))? {
                ToClient::InForce { revision, .. } => Ok(revision.to_string()),
                ToClient::Refused(refusal) => Err(cannot("reload", &refusal.message)),
                _ => Err(cannot("understand", &"it answers something else")),
            };
        }
        match stream.read(&mut buffer).map_err(|error| cannot("hear", &error))? {
            0 => return Err(cannot("hear", &"it closed the connection")),
            count => frames.push(buffer.get(..count).unwrap_or_default()),
        }
    }
}
