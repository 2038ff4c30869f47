//! A connection to the bus, and calls over it.

use super::Fault;
use super::message::{Call, Kind, Message};
use crate::sys::socket;
use nix::unistd::geteuid;
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::time::Duration;
use zvariant::DynamicType;

/// Where the system's bus listens (D-Bus specification, "Well-known message buses").
const SYSTEM: &str = "/run/dbus/system_bus_socket";
/// The variable that names another place.
const VARIABLE: &str = "DBUS_SYSTEM_BUS_ADDRESS";
/// How long a reply is waited for.
const PATIENCE: Duration = Duration::from_secs(25);
/// The longest line of the conversation that comes before messages.
const LINE: u64 = 1024;
/// How many signals are kept that came while a reply was waited for.
const KEPT: usize = 4096;

/// Where a bus listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    place: Place,
    /// Only root may be there: it is the system's own.
    of_root: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Path(String),
    Abstract(String),
}

impl Address {
    /// The system's bus.
    pub(crate) fn system() -> Self {
        Self { place: Place::Path(SYSTEM.into()), of_root: true }
    }

    /// The system's bus, or the one that this process's environment names; a fault where that is no Unix socket.
    pub(crate) fn from_environment() -> Result<Self, Fault> {
        let Some(named) = std::env::var_os(VARIABLE) else { return Ok(Self::system()) };
        let place = named.to_str().and_then(|text| text.split(';').find_map(place));
        let place = place.ok_or_else(|| Fault::NoBus(format!("{VARIABLE} names no Unix socket")))?;
        Ok(Self { place, of_root: false })
    }
}

/// The place that one of several addresses names, if it is a Unix socket.
fn place(address: &str) -> Option<Place> {
    let pairs = address.strip_prefix("unix:")?.split(',');
    pairs.filter_map(|pair| pair.split_once('=')).find_map(|(key, value)| match key {
        "path" => Some(Place::Path(unescape(value)?)),
        "abstract" => Some(Place::Abstract(unescape(value)?)),
        _ => None,
    })
}

/// `%2f` is a slash.
fn unescape(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

/// A connection that the bus knows.
pub(crate) struct Connection {
    stream: BufReader<UnixStream>,
    serial: u32,
    /// How long a reply is waited for.
    patience: Duration,
    /// Signals that came while a reply was waited for, of the one name that is awaited.
    signals: VecDeque<Message>,
    awaited: &'static str,
}

impl Connection {
    /// Connects, says who we are, and takes a name.
    pub(crate) fn open(address: &Address) -> Result<Self, Fault> {
        let stream = connect(address).map_err(|error| Fault::NoBus(error.to_string()))?;
        let mut connection = Self {
            stream: BufReader::new(stream),
            serial: 0,
            patience: PATIENCE,
            signals: VecDeque::new(),
            awaited: "",
        };
        connection.authenticate().map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Fault::NoBus("it does not answer".into()),
            _ => Fault::NoBus(error.to_string()),
        })?;
        connection.call_bus("Hello", &())?;
        Ok(connection)
    }

    /// Calls the bus itself.
    pub(crate) fn call_bus<B: serde::Serialize + DynamicType>(
        &mut self,
        member: &str,
        arguments: &B,
    ) -> Result<Message, Fault> {
        let call = Call {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member,
        };
        self.make(call, arguments)
    }

    /// Calls a method, and gives its reply.
    pub(crate) fn call<B: serde::Serialize + DynamicType>(
        &mut self,
        destination: &str,
        path: &str,
        (interface, member): (&str, &str),
        arguments: &B,
    ) -> Result<Message, Fault> {
        self.make(Call { destination, path, interface, member }, arguments)
    }

    /// Keeps signals of this name from now on, for [`Self::next_signal`].
    pub(crate) fn keep(&mut self, signal: &'static str) {
        self.awaited = signal;
    }

    /// The next signal that is kept, waited for without a limit.
    pub(crate) fn next_signal(&mut self) -> Result<Message, Fault> {
        if let Some(signal) = self.signals.pop_front() {
            return Ok(signal);
        }
        self.wait_at_most(None)?;
        loop {
            let message = Message::read(&mut self.stream)?;
            if message.is_signal(self.awaited) {
                return Ok(message);
            }
        }
    }

    /// Waits longer for replies from now on.
    pub(crate) fn be_patient(&mut self, patience: Duration) {
        self.patience = patience;
    }

    fn make<B: serde::Serialize + DynamicType>(&mut self, call: Call<'_>, arguments: &B) -> Result<Message, Fault> {
        self.wait_at_most(Some(self.patience))?;
        self.serial += 1;
        let bytes = call.encode(self.serial, arguments)?;
        self.stream.get_mut().write_all(&bytes).map_err(|error| Fault::lost(&error))?;
        loop {
            let message = Message::read(&mut self.stream)?;
            match &message.kind {
                Kind::Reply { to } if *to == self.serial => return Ok(message),
                Kind::Error { to, name } if *to == self.serial => {
                    return Err(Fault::Error { name: name.clone(), text: message.error_text() });
                }
                // Anybody may send us others.
                Kind::Signal if message.is_signal(self.awaited) => {
                    self.signals.push_back(message);
                    if self.signals.len() > KEPT {
                        self.signals.pop_front();
                    }
                }
                _ => {}
            }
        }
    }

    /// The conversation before messages: who we are the kernel has told the bus already.
    fn authenticate(&mut self) -> io::Result<()> {
        let identity: String = geteuid().to_string().bytes().map(|byte| format!("{byte:02x}")).collect();
        self.stream.get_mut().write_all(format!("\0AUTH EXTERNAL {identity}\r\n").as_bytes())?;
        let mut line = String::new();
        io::Read::take(&mut self.stream, LINE).read_line(&mut line)?;
        if !line.starts_with("OK ") || !line.ends_with('\n') {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it does not let us in"));
        }
        self.stream.get_mut().write_all(b"BEGIN\r\n")
    }

    fn wait_at_most(&mut self, patience: Option<Duration>) -> Result<(), Fault> {
        self.stream.get_ref().set_read_timeout(patience).map_err(|error| Fault::lost(&error))
    }
}

fn connect(address: &Address) -> io::Result<UnixStream> {
    let place = match &address.place {
        Place::Path(path) => SocketAddr::from_pathname(path)?,
        Place::Abstract(name) => SocketAddr::from_abstract_name(name)?,
    };
    let stream = UnixStream::connect_addr(&place)?;
    // Whoever listens at the system's place without being root has no business there.
    if address.of_root && socket::peer(&stream)?.uid != 0 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is not run by root"));
    }
    // Until the first call sets its own.
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_sockets_are_understood() {
        assert_eq!(place("unix:path=/run/x%20y,guid=1"), Some(Place::Path("/run/x y".into())));
        assert_eq!(place("unix:guid=1,abstract=/tmp/x"), Some(Place::Abstract("/tmp/x".into())));
        for other in ["tcp:host=localhost,port=1", "unix:tmpdir=/tmp", "unix:path=%2", "unix:path=%zz", ""] {
            assert_eq!(place(other), None, "{other}");
        }
    }
}
