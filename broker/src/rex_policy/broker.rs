//! `reload`: the broker is asked to load its policies, and what came of it is told.

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

/// How long the broker may take to load them.
const PATIENCE: Duration = Duration::from_secs(20);

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
    let before = ask(&socket, &FromClient::Reload)?;
    let end = Instant::now() + PATIENCE;
    let now = loop {
        let now = ask(&socket, &FromClient::Inspect)?;
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
fn ask(socket: &Path, message: &FromClient) -> Result<InForce, Fault> {
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
                ToClient::InForce { revision, policies, reloads, fault } => {
                    let (revision, fault) = (revision.into_string(), fault.map(|fault| fault.into_string()));
                    Ok(InForce { revision, policies, reloads, fault })
                }
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
