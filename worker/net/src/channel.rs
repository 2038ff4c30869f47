//! The conversation with the session.

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, send};
use rex_protocol::net::{FromNet, ToNet, ToNetPart};
use rex_protocol::text::{Chunk, Text};
use rex_protocol::{VERSION, wire};
use rex_worker::sys::{self, Descriptor};
use std::cell::RefCell;
use std::os::fd::{AsRawFd, OwnedFd};

/// The way to the session.
pub(crate) struct Channel {
    socket: OwnedFd,
    received: RefCell<Vec<u8>>,
}

impl Channel {
    /// Speaks on the socket that this process was started with.
    pub(crate) fn new() -> Self {
        Self { socket: sys::session_socket(), received: RefCell::new(vec![0; wire::PACKET + 1]) }
    }

    /// Says that the process is sealed.
    pub(crate) fn hello(&self) {
        self.tell(&FromNet::Hello { version: Text::cut(VERSION) });
    }

    /// What is asked for, and the connection that it is to be done over.
    pub(crate) fn hear(&self) -> (ToNet, Option<Descriptor>) {
        self.receive(true)
    }

    /// A part of what is too large for one message.
    pub(crate) fn hear_part(&self) -> Chunk {
        let (ToNetPart(part), _) = self.receive(false);
        part
    }

    /// Says something.
    pub(crate) fn tell(&self, message: &FromNet) {
        let Ok(packet) = wire::encode(message) else { lost() };
        loop {
            match send(self.socket.as_raw_fd(), &packet, MsgFlags::MSG_NOSIGNAL) {
                Ok(_) => return,
                Err(Errno::EINTR) => {}
                Err(_) => lost(),
            }
        }
    }

    fn receive<T: serde::de::DeserializeOwned>(&self, take: bool) -> (T, Option<Descriptor>) {
        let mut buffer = self.received.borrow_mut();
        loop {
            match sys::receive(&self.socket, &mut buffer, take) {
                Ok(received) if received.cut => lost(),
                Ok(received) => {
                    let packet = buffer.get(..received.length).filter(|packet| !packet.is_empty());
                    let message = packet.and_then(|packet| wire::decode(packet).ok());
                    return (message.unwrap_or_else(|| lost()), received.descriptor);
                }
                Err(Errno::EINTR) => {}
                Err(_) => lost(),
            }
        }
    }
}

/// The session is gone, or is not what it was.
fn lost() -> ! {
    sys::exit(sys::EXIT_SESSION_LOST)
}
