//! `/proc/net/{tcp,tcp6,udp,udp6,unix}`, `proc_net(5)`. The kernel does not escape the names of Unix sockets: who binds one to a
//! path with a newline in it makes up a line.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A socket of the Internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InternetSocket {
    /// Where it is.
    pub local: SocketAddr,
    /// Where the other end is; port 0 where there is none.
    pub remote: SocketAddr,
    /// What it does, as the kernel numbers the states of TCP (`include/net/tcp_states.h`).
    pub state: u8,
    /// Bytes to be sent.
    pub send_queue: u64,
    /// Bytes to be received.
    pub recv_queue: u64,
    /// Its number among sockets; 0 if nobody has it any more.
    pub inode: u64,
}

/// A Unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixSocket {
    /// By how many it is used.
    pub ref_count: u64,
    /// How it carries bytes: 1 for a stream, 2 for datagrams, 5 for packets in sequence (`socket(2)`).
    pub kind: u16,
    /// Whether it is connected (`socket_state` of `include/uapi/linux/net.h`).
    pub state: u8,
    /// Its number among sockets.
    pub inode: u64,
    /// What it is bound to, `@` first for names that are no paths; empty if to nothing.
    pub path: String,
}

/// Takes a table of sockets of the Internet apart, in its order.
pub fn internet(table: &[u8]) -> Vec<InternetSocket> {
    lines(table).filter_map(|line| internet_socket(std::str::from_utf8(line).ok()?)).collect()
}

/// Takes the table of Unix sockets apart, in its order.
pub fn unix(table: &[u8]) -> Vec<UnixSocket> {
    lines(table).filter_map(unix_socket).collect()
}

/// All but the heading.
fn lines(table: &[u8]) -> impl Iterator<Item = &[u8]> {
    table.split(|&byte| byte == b'\n').skip(1)
}

fn internet_socket(line: &str) -> Option<InternetSocket> {
    let mut columns = line.split_ascii_whitespace();
    let (local, remote) = (address(columns.nth(1)?)?, address(columns.next()?)?);
    let state = u8::from_str_radix(columns.next()?, 16).ok()?;
    let (send, recv) = columns.next()?.split_once(':')?;
    let queue = |bytes| u64::from_str_radix(bytes, 16).ok();
    // Behind: timers, retransmissions, the user, timeouts.
    let inode = columns.nth(4)?.parse().ok()?;
    Some(InternetSocket { local, remote, state, send_queue: queue(send)?, recv_queue: queue(recv)?, inode })
}

/// `ADDRESS:PORT`. Of the address each four bytes are a number of this machine, the port is one as people write it.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words = address.as_bytes().chunks(8).map(|word| {
        let word = std::str::from_utf8(word).ok().filter(|word| word.len() == 8)?;
        u32::from_str_radix(word, 16).ok().map(u32::to_ne_bytes)
    });
    let bytes = words.collect::<Option<Vec<_>>>()?.concat();
    let ip: IpAddr = match bytes.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into(),
        16 => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// `NUM: REFCOUNT PROTOCOL FLAGS TYPE ST INODE PATH`; inodes stand in columns of five, paths hold anything.
fn unix_socket(line: &[u8]) -> Option<UnixSocket> {
    let line = String::from_utf8_lossy(line);
    let (mut columns, mut rest) = ([""; 7], &*line);
    for column in &mut columns {
        let begin = rest.trim_start_matches(' ');
        (*column, rest) = begin.split_at(begin.find(' ').unwrap_or(begin.len()));
    }
    let [_, ref_count, _, _, kind, state, inode] = columns;
    Some(UnixSocket {
        ref_count: u64::from_str_radix(ref_count, 16).ok()?,
        kind: u16::from_str_radix(kind, 16).ok()?,
        state: u8::from_str_radix(state, 16).ok()?,
        inode: inode.parse().ok()?,
        path: rest.strip_prefix(' ').unwrap_or(rest).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn sockets_of_the_internet() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:1F90 00000000:0000 0A 00000003:00000011 00:00000000 00000000  1000        0 34567 1 0 100 0 0 10 0\n   \
            1: odd\n   \
            2: 00000000000000000000000001000000:0050 0000000000000000FFFF00000100007F:C350 01 00000000:00000000 02:000A7214 \
            00000000 0 0 99 2 0\n";
        let found = internet(table.as_bytes());
        assert_eq!(found.len(), 2);
        let first = found[0];
        assert_eq!((first.local.to_string(), first.remote.to_string()), ("127.0.0.1:8080".into(), "0.0.0.0:0".into()));
        assert_eq!((first.state, first.send_queue, first.recv_queue, first.inode), (10, 3, 17, 34567));
        let second = found[1];
        assert_eq!(second.local.to_string(), "[::1]:80");
        assert_eq!(second.remote.to_string(), "[::ffff:127.0.0.1]:50000");
        assert_eq!(second.inode, 99);
    }

    #[test]
    fn unix_sockets() {
        let table = b"Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01    17 /run/a b \n\
            0000000000000000: 00000003 00000000 00000000 0002 03 1234567\n\
            0000000000000000: 00000002 00000000 00010000 0005 01 18 @abstract\xff\n";
        let found = unix(table);
        let seen: Vec<_> = found.iter().map(|s| (s.ref_count, s.kind, s.state, s.inode, s.path.as_str())).collect();
        assert_eq!(seen, [(2, 1, 1, 17, "/run/a b "), (3, 2, 3, 1_234_567, ""), (2, 5, 1, 18, "@abstract\u{fffd}")]);
    }
}
