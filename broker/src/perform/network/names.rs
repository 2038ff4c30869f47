//! From names to addresses.

use super::dial;
use super::helper::Net;
use crate::session::State;
use crate::sys::fs::{self, Links, root};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use rex_protocol::failure::{Failure, FailureKind};
use rex_protocol::net::{NAMES, NameAnswer, NamePlan};
use rex_protocol::network::Transport;
use rex_protocol::path::AbsPath;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// The port of name servers.
const PORT: u16 = 53;
/// How often each is asked.
const ATTEMPTS: usize = 3;
/// How long one is waited for, where nothing else is said.
const PATIENCE: Duration = Duration::from_secs(5);

/// How to ask.
pub(super) struct Way {
    pub(super) transport: Transport,
    /// The one server to ask; without, the system's.
    pub(super) server: Option<IpAddr>,
    pub(super) patience: Duration,
}

impl Default for Way {
    fn default() -> Self {
        Self { transport: Transport::Auto, server: None, patience: PATIENCE }
    }
}

/// The addresses of a host, each once; never none.
pub(super) fn addresses(
    net: &Net,
    host: &str,
    way: &Way,
    deadline: Instant,
    state: &State,
) -> Result<Vec<IpAddr>, Failure> {
    let (names, servers) = match net.plan(host, read("/etc/hosts"), read("/etc/resolv.conf"), state)? {
        NamePlan::Known(addresses) => return some(addresses, host),
        NamePlan::Invalid(why) => return Err(no_host(why)),
        NamePlan::Ask { names, servers } => (names, way.server.map_or(servers, |server| vec![server])),
    };
    if servers.is_empty() {
        return Err(no_host("there is no name server to ask"));
    }
    let mut last = "no records found".to_owned();
    for name in &names {
        last = format!("no records found for `{name}`");
        match ask_all(net, name, &servers, way, deadline, state)? {
            Found::Addresses(addresses) => return some(addresses, host),
            Found::None => {}
            // Another name would fare no better.
            Found::Fault(why) => return Err(no_host(why)),
        }
    }
    Err(no_host(last))
}

enum Found {
    Addresses(Vec<IpAddr>),
    None,
    Fault(String),
}

fn ask_all(
    net: &Net,
    name: &str,
    servers: &[IpAddr],
    way: &Way,
    deadline: Instant,
    state: &State,
) -> Result<Found, Failure> {
    let mut fault = "request timed out".to_owned();
    for server in std::iter::repeat_n(servers, ATTEMPTS).flatten() {
        if Instant::now() >= deadline {
            break;
        }
        let mut answer = ask(net, name, *server, !way.transport.datagrams(), way, deadline, state)?;
        if answer == NameAnswer::Truncated && way.transport == Transport::Auto {
            answer = ask(net, name, *server, true, way, deadline, state)?;
        }
        match answer {
            NameAnswer::Addresses(addresses) => return Ok(Found::Addresses(addresses)),
            NameAnswer::None => return Ok(Found::None),
            NameAnswer::Truncated => return Ok(Found::Fault("the answer is truncated".into())),
            NameAnswer::Silence => {}
            NameAnswer::Failed(why) => fault = why.into_string(),
        }
    }
    Ok(Found::Fault(fault))
}

fn ask(
    net: &Net,
    name: &str,
    server: IpAddr,
    stream: bool,
    way: &Way,
    deadline: Instant,
    state: &State,
) -> Result<NameAnswer, Failure> {
    let patience = way.patience.min(deadline.saturating_duration_since(Instant::now()));
    let to = SocketAddr::new(server, PORT);
    let connection = match stream {
        true => dial::stream(to, Instant::now() + patience, state),
        false => dial::datagrams(to),
    };
    let io = |errno: Errno| {
        let why = format!("io error: {}", std::io::Error::from_raw_os_error(errno as i32));
        NameAnswer::Failed(rex_protocol::text::Text::cut(why))
    };
    let connection = match connection {
        Ok(connection) => connection,
        Err(dial::Fault::Refused(Errno::ETIMEDOUT)) => return Ok(NameAnswer::Silence),
        Err(dial::Fault::Refused(errno)) => return Ok(io(errno)),
        Err(dial::Fault::Interrupted(failure)) => return Err(failure),
    };
    match dial::limit(&connection, patience) {
        Ok(()) => net.ask(name, &connection, stream, state),
        Err(errno) => Ok(io(errno)),
    }
}

fn some(mut addresses: Vec<IpAddr>, host: &str) -> Result<Vec<IpAddr>, Failure> {
    addresses.dedup();
    if addresses.is_empty() { Err(no_host(format!("no records found for `{host}`"))) } else { Ok(addresses) }
}

fn no_host(why: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::NoHost, why)
}

/// One of the system's files about names; nothing where it is missing. It is passed on as it is.
fn read(path: &str) -> String {
    let bytes = AbsPath::parse(path).ok().and_then(|path| {
        let pin = root::at_home(|| fs::pin(&path, Links::Follow)).ok()?;
        let file = fs::reopen(pin, OFlag::O_RDONLY).ok()?;
        crate::perform::fs::read_at(&file, 0, NAMES).ok()
    });
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}
