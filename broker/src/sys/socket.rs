//! Sockets: packets to a worker, a connection passed to a session, who a peer is.

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, getsockopt, recvmsg, sendmsg,
    setsockopt, socketpair, sockopt,
};
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

/// A pair of connected `SOCK_SEQPACKET` sockets whose buffers take the largest packet.
pub(crate) fn packet_pair() -> nix::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK)?;
    for socket in [&ours, &theirs] {
        // The kernel doubles the value and caps it (socket(7)); two packets fit in what remains.
        setsockopt(socket, sockopt::SndBuf, &(2 * rex_protocol::wire::PACKET))?;
    }
    // The worker blocks on its socket: it has nothing else to wait for.
    set_blocking(&theirs)?;
    Ok((ours, theirs))
}

/// Makes a descriptor's reads and writes wait.
pub(crate) fn set_blocking(fd: impl AsFd) -> nix::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
    fcntl(&fd, FcntlArg::F_SETFL(flags & !OFlag::O_NONBLOCK)).map(drop)
}

/// Makes a descriptor's reads and writes return at once.
pub(crate) fn set_nonblocking(fd: impl AsFd) -> nix::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
    fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).map(drop)
}

/// Sends one packet without waiting: `EAGAIN` if the peer does not take what it was sent before.
pub(crate) fn send_packet(socket: impl AsFd, packet: &[u8]) -> nix::Result<()> {
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    retry(|| nix::sys::socket::send(socket.as_fd().as_raw_fd(), packet, flags)).map(drop)
}

/// As [`send_packet`], with a descriptor that the peer gets a copy of.
pub(crate) fn send_packet_with(socket: impl AsFd, packet: &[u8], descriptor: impl AsFd) -> nix::Result<()> {
    let descriptors = [descriptor.as_fd().as_raw_fd()];
    let control = [ControlMessage::ScmRights(&descriptors)];
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    retry(|| sendmsg::<()>(socket.as_fd().as_raw_fd(), &[IoSlice::new(packet)], &control, flags, None)).map(drop)
}

/// What came from a peer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    /// This many bytes.
    Bytes(usize),
    /// The peer is gone.
    End,
    /// More than the buffer holds, or descriptors, of which none was taken.
    Malformed,
}

/// Receives one packet without waiting. There is no room for descriptors, so the kernel discards
/// what a peer attaches (unix(7)) and tells it by `MSG_CTRUNC`.
pub(crate) fn receive_packet(socket: impl AsFd, buffer: &mut [u8]) -> nix::Result<Packet> {
    retry(|| {
        let mut pieces = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(socket.as_fd().as_raw_fd(), &mut pieces, None, flags)?;
        Ok(if message.flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC) {
            Packet::Malformed
        } else if message.bytes == 0 {
            // An empty packet is no message of ours, and the end of the conversation reads the same.
            Packet::End
        } else {
            Packet::Bytes(message.bytes)
        })
    })
}

/// Whether a packet, or a byte of a stream, waits to be received.
pub(crate) fn has_packet(socket: impl AsFd) -> bool {
    let mut byte = [0];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC;
    matches!(nix::sys::socket::recv(socket.as_fd().as_raw_fd(), &mut byte, flags), Ok(1..))
}

/// The next connection of a listening socket; `EAGAIN` if none waits.
pub(crate) fn accept(listener: impl AsFd) -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = retry(|| nix::sys::socket::accept4(listener.as_fd().as_raw_fd(), flags))?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(socket) })
}

/// Passes a connection on to a ready session.
pub(crate) fn send_descriptor(socket: impl AsFd, descriptor: impl AsFd) -> nix::Result<()> {
    let descriptors = [descriptor.as_fd().as_raw_fd()];
    let control = [ControlMessage::ScmRights(&descriptors)];
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    let pieces = [IoSlice::new(&[1])];
    retry(|| sendmsg::<()>(socket.as_fd().as_raw_fd(), &pieces, &control, flags, None)).map(drop)
}

/// Waits for a connection that the broker passes on; nothing when the broker is gone.
pub(crate) fn receive_descriptor(socket: impl AsFd) -> nix::Result<Option<OwnedFd>> {
    retry(|| {
        let mut byte = [0];
        let mut pieces = [IoSliceMut::new(&mut byte)];
        let mut control = nix::cmsg_space!(RawFd);
        let message =
            recvmsg::<()>(socket.as_fd().as_raw_fd(), &mut pieces, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC)?;
        if message.bytes == 0 {
            return Ok(None);
        }
        for item in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(descriptors) = item
                && let Some(&descriptor) = descriptors.first()
            {
                // SAFETY: the kernel has just made this descriptor for us; there was room for one.
                return Ok(Some(unsafe { OwnedFd::from_raw_fd(descriptor) }));
            }
        }
        Err(Errno::EPROTO)
    })
}

/// Who stands at the other end of a connection, as the kernel recorded it when they connected (unix(7)).
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) uid: u32,
    pub(crate) pid: i32,
    pub(crate) gid: u32,
    /// Supplementary groups.
    pub(crate) groups: Vec<u32>,
    /// The process itself, where the kernel tells it (Linux 6.5): its number cannot be taken by another.
    pub(crate) process: Option<OwnedFd>,
}

/// Asks the kernel who connected.
pub(crate) fn peer(socket: &impl AsFd) -> nix::Result<Peer> {
    let credentials = getsockopt(socket, sockopt::PeerCredentials)?;
    let groups = peer_groups(socket)?;
    Ok(Peer {
        uid: credentials.uid(),
        gid: credentials.gid(),
        pid: credentials.pid(),
        groups,
        process: getsockopt(socket, sockopt::PeerPidfd).ok(),
    })
}

/// Whether the kernel tells which process is at the other end (Linux 6.5).
pub(crate) fn tells_processes(socket: &impl AsFd) -> bool {
    getsockopt(socket, sockopt::PeerPidfd).is_ok()
}

fn peer_groups(socket: &impl AsFd) -> nix::Result<Vec<u32>> {
    const MOST: usize = 65536; // NGROUPS_MAX, linux/limits.h
    let mut groups = vec![0u32; 64];
    loop {
        let mut length = libc::socklen_t::try_from(groups.len() * size_of::<u32>()).map_err(|_| Errno::EOVERFLOW)?;
        // SAFETY: the kernel writes at most `length` bytes into the buffer of that size.
        let result = unsafe {
            libc::getsockopt(
                socket.as_fd().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &mut length,
            )
        };
        match Errno::result(result) {
            Ok(_) => {
                groups.truncate(usize::try_from(length).unwrap_or(0) / size_of::<u32>());
                return Ok(groups);
            }
            Err(Errno::ERANGE) if groups.len() < MOST => groups.resize(MOST, 0),
            Err(error) => return Err(error),
        }
    }
}

/// Repeats a call that a signal interrupted.
pub(crate) fn retry<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_from_a_worker_are_refused_and_not_kept() {
        let (ours, theirs) = packet_pair().unwrap();
        send_descriptor(&theirs, &theirs).unwrap();
        assert_eq!(receive_packet(&ours, &mut [0; 64]), Ok(Packet::Malformed));
        // The pair holds two; a kept one would be a third reference that keeps `theirs` open.
        drop(theirs);
        assert_eq!(receive_packet(&ours, &mut [0; 64]), Ok(Packet::End));
    }

    #[test]
    fn packets_keep_their_bounds() {
        let (ours, theirs) = packet_pair().unwrap();
        assert_eq!(receive_packet(&ours, &mut [0; 8]), Err(Errno::EAGAIN));
        assert!(!has_packet(&ours));
        send_packet(&theirs, b"one").unwrap();
        send_packet(&theirs, b"number two").unwrap();
        assert!(has_packet(&ours));
        assert_eq!(receive_packet(&ours, &mut [0; 8]), Ok(Packet::Bytes(3)));
        assert_eq!(receive_packet(&ours, &mut [0; 8]), Ok(Packet::Malformed), "longer than the buffer");
    }

    #[test]
    fn the_largest_packet_can_be_sent_at_once() {
        let (ours, theirs) = packet_pair().unwrap();
        let packet = vec![7; rex_protocol::wire::PACKET];
        send_packet(&ours, &packet).unwrap();
        let mut buffer = vec![0; rex_protocol::wire::PACKET];
        assert_eq!(receive_packet(&theirs, &mut buffer), Ok(Packet::Bytes(packet.len())));
    }

    #[test]
    fn a_connection_can_be_passed_on() {
        let (ours, theirs) = packet_pair().unwrap();
        let (passed, other) = packet_pair().unwrap();
        send_descriptor(&ours, &passed).unwrap();
        drop(passed);
        let received = receive_descriptor(&theirs).unwrap().unwrap();
        send_packet(&received, b"x").unwrap();
        assert_eq!(receive_packet(&other, &mut [0; 8]), Ok(Packet::Bytes(1)));
        drop(ours);
        assert!(receive_descriptor(&theirs).unwrap().is_none());
    }
}
