//! Connections that a script holds.

use super::dial::{self, Fault};
use super::helper::Net;
use super::judge::Asked;
use super::names::{self, Way};
use super::*;
use crate::authz::{Granted, Url};
use rex_protocol::network::{Connect, Transport};
use rex_protocol::{Action, Handle, handle};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long a connection to one address may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long all of it may take.
const MOST: Duration = Duration::from_secs(30);

/// A connection, or a socket that exchanges datagrams with one address. It ends when it is let go of.
#[derive(Debug)]
pub(crate) struct OpenConnection {
    _socket: OwnedFd,
}

impl Perform for Connect {
    type Target = Connect;

    fn target(self, _: &mut State) -> Result<Connect, Stop> {
        Ok(self)
    }

    // Asked on the way: before the address is known, and about each.
    fn demands(_: &Connect) -> Demands {
        Demands::of_what_is_found()
    }

    fn perform(target: Granted<Connect>, state: &mut State) -> Result<Handle<handle::Connection>, Stop> {
        let Connect { host, port, transport } = target.into_inner();
        let [scheme, path, query] = [const { String::new() }; 3];
        let url = Url { text: host.to_string(), scheme, host: host.to_string(), port, path, query, ip: None };
        state.names_host(&host);
        let asked = Asked { action: Action::Connect, urls: vec![url], same: None };
        let deadline = Instant::now() + MOST.min(state.time_left());
        let addresses = match host.parse::<IpAddr>() {
            Ok(address) => asked.allowed(&[address], state)?,
            Err(_) => {
                asked.before(state)?;
                let net = Net::start_for_names(deadline, state)?;
                let found = names::addresses(&net, &host, &Way::default(), deadline, state)?;
                asked.allowed(&found, state)?
            }
        };
        state.handles.has_room()?;
        let kinds: &[bool] = match transport {
            Transport::Tcp => &[true],
            Transport::Udp => &[false],
            Transport::Auto => &[true, false],
        };
        let mut last = Errno::EHOSTUNREACH;
        for (stream, address) in
            kinds.iter().flat_map(|stream| addresses.iter().map(move |address| (*stream, *address)))
        {
            let to = SocketAddr::new(address, port);
            let by = deadline.min(Instant::now() + PATIENCE);
            let socket = if stream { dial::stream(to, by, state) } else { dial::datagrams(to) };
            match socket {
                Ok(socket) => return Ok(state.handles.add_connection(OpenConnection { _socket: socket })?),
                Err(Fault::Refused(errno)) => last = errno,
                Err(Fault::Interrupted(failure)) => return Err(failure.into()),
            }
        }
        Err(refused(last, "connect").into())
    }
}
