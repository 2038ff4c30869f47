//! `network_stats`: sockets, and which process has them.

use super::table;
use crate::channel::Channel;
use crate::error::{Error, Network, Result};
use crate::format::kernel::sockets::{self as kernel, InternetSocket};
use crate::script::record::{self, Property};
use crate::script::{Surface, item, number};
use rex_protocol::Failure;
use rex_protocol::path::AbsPath;
use rex_protocol::system::{ListSocketOwners, SocketTable};
use rhai::{Array, Dynamic, Map};
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;

/// All sockets.
#[derive(Debug, Clone)]
pub(in crate::script) struct NetworkStats {
    internet: Rc<Vec<InternetConnection>>,
    unix: Rc<Vec<UnixSocket>>,
}

/// A socket of the Internet.
#[derive(Debug, Clone)]
struct InternetConnection {
    protocol: NetworkProtocol,
    socket: InternetSocket,
    owner: Option<ProcessInfo>,
}

/// A Unix socket.
#[derive(Debug, Clone)]
struct UnixSocket {
    protocol: UnixProtocol,
    state: UnixSocketState,
    socket: Rc<kernel::UnixSocket>,
    owner: Option<ProcessInfo>,
}

/// A process that has a socket.
#[derive(Debug, Clone)]
struct ProcessInfo {
    pid: u32,
    name: Rc<str>,
}

/// Where a socket is, or its other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Address(SocketAddr);

/// Words that scripts see as constants of a module, and that print in another form.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident: $($word:ident $constant:literal)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        enum $name { $($word,)* }

        impl $name {
            const CONSTANTS: &'static [(&'static str, $name)] = &[$(($constant, $name::$word),)*];
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($name::$word => stringify!($word),)* })
            }
        }
    };
}

words! {
    /// What a connection does, in the order in which the kernel numbers them from 1 on (`include/net/tcp_states.h`).
    TcpState:
    Established "ESTABLISHED"
    SynSent "SYN_SENT"
    SynRecv "SYN_RECV"
    FinWait1 "FIN_WAIT1"
    FinWait2 "FIN_WAIT2"
    TimeWait "TIME_WAIT"
    Close "CLOSE"
    CloseWait "CLOSE_WAIT"
    LastAck "LAST_ACK"
    Listen "LISTEN"
    Closing "CLOSING"
    NewSynRecv "NEW_SYN_RECV"
    None "NONE"
}

words! {
    /// What carries the bytes of a connection.
    NetworkProtocol: Tcp "TCP" Tcp6 "TCP6" Udp "UDP" Udp6 "UDP6"
}

words! {
    /// How a Unix socket carries bytes.
    UnixProtocol: Stream "STREAM" Dgram "DGRAM" Seqpacket "SEQPACKET"
}

words! {
    /// Whether a Unix socket is connected, in the order in which the kernel numbers them from 1 on
    /// (`include/uapi/linux/net.h`).
    UnixSocketState:
    Unconnected "UNCONNECTED" Connecting "CONNECTING" Connected "CONNECTED" Disconnecting "DISCONNECTING"
}

impl UnixProtocol {
    /// What the numbers of `socket(2)` stand for.
    const fn of(number: u16) -> Option<Self> {
        match number {
            1 => Some(UnixProtocol::Stream),
            2 => Some(UnixProtocol::Dgram),
            5 => Some(UnixProtocol::Seqpacket),
            _ => None,
        }
    }
}

/// The word that the kernel's number stands for, where they are counted from 1 on.
fn counted<T: Copy>(words: &[(&str, T)], number: u8) -> Option<T> {
    words.get(usize::from(number).checked_sub(1)?).map(|(_, word)| *word)
}

const INTERNET: &[(NetworkProtocol, SocketTable)] = &[
    (NetworkProtocol::Tcp, SocketTable::Tcp),
    (NetworkProtocol::Tcp6, SocketTable::Tcp6),
    (NetworkProtocol::Udp, SocketTable::Udp),
    (NetworkProtocol::Udp6, SocketTable::Udp6),
];

/// All sockets, and who has them.
pub(in crate::script) fn read(channel: &Rc<Channel>) -> Result<NetworkStats> {
    let mut internet = Vec::new();
    for (protocol, table) in INTERNET {
        let sockets = kernel::internet(&read_table(channel, *table)?);
        let connection = |socket| InternetConnection { protocol: *protocol, socket, owner: None };
        internet.extend(sockets.into_iter().map(connection));
    }
    let mut unix: Vec<UnixSocket> =
        kernel::unix(&read_table(channel, SocketTable::Unix)?).into_iter().filter_map(unix_socket).collect();
    let owners = owners(channel).map_err(|failure| refused(&failure, "/proc"))?;
    // One that nobody has any more has no number.
    let owner = |inode| owners.get(&inode).filter(|_| inode != 0).cloned();
    internet.iter_mut().for_each(|connection| connection.owner = owner(connection.socket.inode));
    unix.iter_mut().for_each(|socket| socket.owner = owner(socket.socket.inode));
    Ok(NetworkStats { internet: Rc::new(internet), unix: Rc::new(unix) })
}

fn read_table(channel: &Rc<Channel>, table: SocketTable) -> Result<Vec<u8>> {
    Ok(table::sockets(channel, table).map_err(|failure| refused(&failure, table.path()))?)
}

fn unix_socket(socket: kernel::UnixSocket) -> Option<UnixSocket> {
    Some(UnixSocket {
        protocol: UnixProtocol::of(socket.kind)?,
        state: counted(UnixSocketState::CONSTANTS, socket.state)?,
        socket: Rc::new(socket),
        owner: None,
    })
}

/// The processes by the sockets they have; of several the one with the lowest number.
fn owners(channel: &Rc<Channel>) -> std::result::Result<HashMap<u64, ProcessInfo>, Failure> {
    let (mut owners, mut request) = (HashMap::new(), ListSocketOwners { from: None });
    loop {
        let page = channel.call(&request)?;
        for owner in page.owners {
            let process = ProcessInfo { pid: owner.pid, name: Rc::from(&*owner.name) };
            for inode in owner.inodes {
                owners.entry(inode).or_insert_with(|| process.clone());
            }
        }
        request.from = page.more;
        if request.from.is_none() {
            return Ok(owners);
        }
    }
}

fn refused(failure: &Failure, path: &str) -> Error {
    let path = AbsPath::parse(path).unwrap_or_else(|_| AbsPath::root());
    super::refused(failure, &path, Network::PermissionDenied, Network::Other)
}

impl NetworkStats {
    fn to_map(&self) -> Map {
        let internet: Array = self.internet.iter().map(InternetConnection::to_map).map(Dynamic::from).collect();
        let unix: Array = self.unix.iter().map(UnixSocket::to_map).map(Dynamic::from).collect();
        Map::from_iter([item("internet_connections", internet), item("unix_sockets", unix)])
    }

    /// What `netstat` tells of it.
    pub(in crate::script) fn brief(&self) -> Map {
        let without = |mut map: Map, names: &[&str]| {
            map.retain(|name, _| !names.contains(&name.as_str()));
            Dynamic::from(map)
        };
        let internet = self.internet.iter().map(|connection| without(connection.to_map(), &["inode", "process_info"]));
        let unix = self.unix.iter().map(|socket| without(socket.to_map(), &["inode", "process_info"]));
        Map::from_iter([item("internet", internet.collect::<Array>()), item("unix", unix.collect::<Array>())])
    }
}

impl InternetConnection {
    fn state(&self) -> TcpState {
        match self.protocol {
            NetworkProtocol::Tcp | NetworkProtocol::Tcp6 => {
                counted(TcpState::CONSTANTS, self.socket.state).unwrap_or(TcpState::None)
            }
            NetworkProtocol::Udp | NetworkProtocol::Udp6 => TcpState::None,
        }
    }

    fn to_map(&self) -> Map {
        Map::from_iter([
            item("protocol", self.protocol.to_string()),
            item("recv_queue", number(self.socket.recv_queue)),
            item("send_queue", number(self.socket.send_queue)),
            item("local_address", self.socket.local.to_string()),
            item("remote_address", self.socket.remote.to_string()),
            item("state", self.state().to_string()),
            item("inode", number(self.socket.inode)),
            item("process_info", owner_map(self.owner.as_ref())),
        ])
    }
}

impl UnixSocket {
    fn to_map(&self) -> Map {
        Map::from_iter([
            item("protocol", self.protocol.to_string()),
            item("ref_count", number(self.socket.ref_count)),
            item("state", self.state.to_string()),
            item("inode", number(self.socket.inode)),
            item("path", self.socket.path.clone()),
            item("process_info", owner_map(self.owner.as_ref())),
        ])
    }
}

const PROCESS: &[Property<ProcessInfo>] =
    &[("pid", |process| i64::from(process.pid).into()), ("process_name", |process| process.name.to_string().into())];

fn owner_map(owner: Option<&ProcessInfo>) -> Dynamic {
    owner.map_or(Dynamic::UNIT, |process| record::to_map(process, PROCESS).into())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Registers sockets.
pub(super) fn register(surface: &mut Surface) {
    words(surface, "TcpState", TcpState::CONSTANTS);
    words(surface, "NetworkProtocol", NetworkProtocol::CONSTANTS);
    words(surface, "UnixProtocol", UnixProtocol::CONSTANTS);
    words(surface, "UnixSocketState", UnixSocketState::CONSTANTS);
    surface.shown::<Address>("SocketAddr");
    surface.comparable::<Address>();
    surface.named::<ProcessInfo>("ProcessInfo");
    record::register(surface, PROCESS);
    surface.named::<InternetConnection>("InternetConnection");
    surface.property("protocol", |connection: &mut InternetConnection| connection.protocol);
    surface.property("recv_queue", |connection: &mut InternetConnection| number(connection.socket.recv_queue));
    surface.property("send_queue", |connection: &mut InternetConnection| number(connection.socket.send_queue));
    surface.property("local_address", |connection: &mut InternetConnection| Address(connection.socket.local));
    surface.property("remote_address", |connection: &mut InternetConnection| Address(connection.socket.remote));
    surface.property("state", |connection: &mut InternetConnection| connection.state());
    surface.property("inode", |connection: &mut InternetConnection| number(connection.socket.inode));
    surface.property("process_info", |connection: &mut InternetConnection| owner(connection.owner.as_ref()));
    surface.function("to_map", |connection: &mut InternetConnection| connection.to_map());
    surface.named::<UnixSocket>("UnixSocket");
    surface.property("protocol", |socket: &mut UnixSocket| socket.protocol);
    surface.property("ref_count", |socket: &mut UnixSocket| number(socket.socket.ref_count));
    surface.property("state", |socket: &mut UnixSocket| socket.state);
    surface.property("inode", |socket: &mut UnixSocket| number(socket.socket.inode));
    surface.property("path", |socket: &mut UnixSocket| socket.socket.path.clone());
    surface.property("process_info", |socket: &mut UnixSocket| owner(socket.owner.as_ref()));
    surface.function("to_map", |socket: &mut UnixSocket| socket.to_map());
    surface.named::<NetworkStats>("NetworkStats");
    surface.property("internet_connections", |stats: &mut NetworkStats| -> Array {
        stats.internet.iter().cloned().map(Dynamic::from).collect()
    });
    surface.property("unix_sockets", |stats: &mut NetworkStats| -> Array {
        stats.unix.iter().cloned().map(Dynamic::from).collect()
    });
    surface.function("to_map", |stats: &mut NetworkStats| stats.to_map());
    let channel = surface.channel();
    surface.function("network_stats", move || read(&channel));
}

fn owner(owner: Option<&ProcessInfo>) -> Dynamic {
    owner.map_or(Dynamic::UNIT, |process| Dynamic::from(process.clone()))
}

fn words<T: rhai::Variant + Clone + PartialEq + fmt::Display>(
    surface: &mut Surface,
    name: &str,
    constants: &[(&str, T)],
) {
    surface.shown::<T>(name);
    surface.comparable::<T>();
    surface.constants(name, constants.iter().map(|(name, word)| ((*name).to_owned(), word.clone())));
}
