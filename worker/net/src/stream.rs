//! Bytes over a connection that the session has made. How long they are waited for the session has set on it.

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, send};
use rex_worker::sys::Descriptor;
use std::io;

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection(Descriptor);

impl Connection {
    pub(crate) fn new(descriptor: Descriptor) -> Self {
        Self(descriptor)
    }
}

/// Reads once.
pub(crate) fn receive(connection: &Descriptor, buffer: &mut [u8]) -> io::Result<usize> {
    retry(|| recv(connection.number(), buffer, MsgFlags::empty()))
}

/// Sends all of it.
pub(crate) fn send_all(connection: &Descriptor, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = retry(|| send(connection.number(), bytes, MsgFlags::MSG_NOSIGNAL))?;
        bytes = bytes.get(sent..).unwrap_or_default();
    }
    Ok(())
}

impl io::Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        receive(&self.0, buffer)
    }
}

impl io::Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        send_all(&self.0, bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn retry<T>(mut call: impl FnMut() -> nix::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            // The time that the session has set is up.
            Err(Errno::EAGAIN) => return Err(io::ErrorKind::TimedOut.into()),
            result => return result.map_err(|errno| io::Error::from_raw_os_error(errno as i32)),
        }
    }
}
