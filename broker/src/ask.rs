//! Asking the broker a question over its socket, as root does.

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use rex_protocol::client::{FromClient, ToClient};
use rex_protocol::wire::{self, Frames, PREAMBLE};
use std::fmt::Display;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long the broker may take to answer.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// There is no answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct AskError(String);

/// The answer of the broker at `socket`. Who answers must be root or the user this runs as.
pub fn ask(socket: &Path, question: &FromClient) -> Result<ToClient, AskError> {
    let cannot = |step: &str, reason: &dyn Display| {
        AskError(format!("cannot {step} the broker at `{}`: {reason}", socket.display()))
    };
    let mut stream = UnixStream::connect(socket).map_err(|error| cannot("reach", &error))?;
    let peer = getsockopt(&stream, PeerCredentials).map_err(|errno| cannot("tell who is", &errno.desc()))?;
    if peer.uid() != 0 && peer.uid() != nix::unistd::geteuid().as_raw() {
        return Err(cannot("believe", &format!("it runs as uid {}", peer.uid())));
    }
    stream.set_read_timeout(Some(PATIENCE)).map_err(|error| cannot("wait for", &error))?;
    let frame = wire::frame(question).map_err(|violation| cannot("ask", &violation))?;
    match stream.write_all(&[PREAMBLE.as_slice(), &frame].concat()) {
        // It may have said why and closed before it read anything.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(cannot("ask", &error)),
        Ok(()) | Err(_) => {}
    }
    let (mut frames, mut buffer) = (Frames::new(wire::FRAME), [0; 4096]);
    loop {
        if let Some(frame) = frames.next_frame().map_err(|violation| cannot("understand", &violation))? {
            return match wire::decode(&frame).map_err(|violation| cannot("understand", &violation))? {
                ToClient::Refused(refusal) => {
                    Err(AskError(format!("the broker at `{}` refuses: {}", socket.display(), refusal.message)))
                }
                answer => Ok(answer),
            };
        }
        match stream.read(&mut buffer).map_err(|error| cannot("hear", &error))? {
            0 => return Err(cannot("hear", &"it closed the connection")),
            count => frames.push(buffer.get(..count).unwrap_or_default()),
        }
    }
}
