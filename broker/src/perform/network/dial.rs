//! Connections to addresses that policy has judged.

use crate::session::State;
use crate::sys::socket;
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, getsockopt, setsockopt, sockopt};
use nix::sys::time::TimeVal;
use rex_protocol::failure::Failure;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Why there is no connection.
pub(super) enum Fault {
    /// The kernel says so, or the other side; `ETIMEDOUT` where it says nothing.
    Refused(Errno),
    /// The run has to end first.
    Interrupted(Failure),
}

/// A stream to an address, by `deadline`.
pub(super) fn stream(to: SocketAddr, deadline: Instant, state: &State) -> Result<OwnedFd, Fault> {
    let socket = open(to, SockType::Stream)?;
    match connect(socket.as_raw_fd(), &SockaddrStorage::from(to)) {
        Ok(()) => {}
        Err(Errno::EINPROGRESS | Errno::EINTR) => {
            if !state.wait(&socket, PollFlags::POLLOUT, deadline).map_err(Fault::Interrupted)? {
                return Err(Fault::Refused(Errno::ETIMEDOUT));
            }
            match getsockopt(&socket, sockopt::SocketError).map_err(Fault::Refused)? {
                0 => {}
                errno => return Err(Fault::Refused(Errno::from_raw(errno))),
            }
        }
        Err(errno) => return Err(Fault::Refused(errno)),
    }
    socket::set_blocking(&socket).map_err(Fault::Refused)?;
    Ok(socket)
}

/// A socket that exchanges datagrams with one address only.
pub(super) fn datagrams(to: SocketAddr) -> Result<OwnedFd, Fault> {
    let socket = open(to, SockType::Datagram)?;
    connect(socket.as_raw_fd(), &SockaddrStorage::from(to)).map_err(Fault::Refused)?;
    socket::set_blocking(&socket).map_err(Fault::Refused)?;
    Ok(socket)
}

/// Has whoever reads or writes on a socket not wait any longer than that.
pub(super) fn limit(socket: &OwnedFd, patience: Duration) -> nix::Result<()> {
    // Zero would mean for ever.
    let patience = patience.max(Duration::from_millis(1));
    let seconds = i64::try_from(patience.as_secs()).unwrap_or(i64::MAX);
    let time = TimeVal::new(seconds, i64::from(patience.subsec_micros()));
    setsockopt(socket, sockopt::ReceiveTimeout, &time)?;
    setsockopt(socket, sockopt::SendTimeout, &time)
}

fn open(to: SocketAddr, kind: SockType) -> Result<OwnedFd, Fault> {
    let family = match to.ip() {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    nix::sys::socket::socket(family, kind, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)
        .map_err(Fault::Refused)
}
