//! What policy is told of an address. Addresses of IPv6 that stand for one of IPv4 are as that one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether what is sent there reaches this host itself: 127.0.0.0/8, `::1`, and the unspecified address, to which Linux connects as to
/// itself.
pub(super) fn is_loopback(ip: IpAddr) -> bool {
    match plain(ip) {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_unspecified(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unspecified(),
    }
}

/// Whether an address is one of networks that are not the public Internet (IANA's special-purpose registries): private, shared and
/// link-local ones, which clouds keep their metadata at, the host itself, groups, and what is reserved.
pub(super) fn is_private(ip: IpAddr) -> bool {
    match plain(ip) {
        IpAddr::V4(ip) => is_private_v4(ip),
        IpAddr::V6(ip) => is_private_v6(ip),
    }
}

/// The address of IPv4 that one of IPv6 stands for: mapped (RFC 4291), compatible (the same, deprecated), and translated by
/// NAT64 (RFC 6052), by 6to4 (RFC 3056).
pub(super) fn plain(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let [a, b, c, d, e, f, high, low] = v6.segments();
    let of = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => of(high, low),
        // Below that are `::` and `::1`.
        [0, 0, 0, 0, 0, 0] if (high, low) > (0, 1) => of(high, low),
        [0x2002, high, low, ..] => of(high, low),
        _ => ip,
    }
}

fn is_private_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_documentation()
        || matches!(
            (a, b, c),
            (0, ..) | (100, 64..=127, _) | (192, 0, 0) | (192, 88, 99) | (198, 18..=19, _) | (240.., ..)
        )
}

fn is_private_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    ip.is_loopback()
        || ip.is_unspecified()
        || ip.is_multicast()
        || matches!(
            (a, b),
            // Unique local, link-local, site-local; local NAT64, discard, Teredo, documentation.
            (0xfc00..=0xfdff, _)
                | (0xfe80..=0xfeff, _)
                | (0x64, 0xff9b)
                | (0x100, _)
                | (0x2001, 0 | 0xdb8)
                | (0x3fff, _)
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(check: fn(IpAddr) -> bool, expected: bool, texts: &[&str]) {
        for text in texts {
            assert_eq!(check(text.parse().unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn this_host_has_many_addresses() {
        let own =
            ["127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "::ffff:0.0.0.0"];
        all(is_loopback, true, &own);
        all(is_private, true, &own);
        all(is_loopback, false, &["128.0.0.1", "10.0.0.1", "fe80::1", "::ffff:10.0.0.1", "2002:a00:1::"]);
    }

    #[test]
    fn what_is_not_the_internet_is_private() {
        all(
            is_private,
            true,
            &[
                "10.1.2.3",
                "172.16.0.1",
                "172.31.255.255",
                "192.168.1.1",
                "169.254.169.254",
                "100.64.0.1",
                "100.127.1.1",
                "224.0.0.1",
                "255.255.255.255",
                "240.0.0.1",
                "198.18.0.1",
                "192.0.2.1",
                "192.0.0.1",
                "192.88.99.1",
                "2001::1",
                "0.1.2.3",
                "fd00:ec2::254",
                "fe80::1",
                "fec0::1",
                "ff02::1",
                "2001:db8::1",
                "100::1",
                "64:ff9b:1::1",
                "::ffff:169.254.169.254",
                "64:ff9b::a9fe:a9fe",
                "2002:a9fe:a9fe::",
                "::10.0.0.1",
            ],
        );
        all(
            is_private,
            false,
            &[
                "1.1.1.1",
                "172.32.0.1",
                "100.128.0.1",
                "193.0.0.1",
                "2606:4700::1",
                "::ffff:1.1.1.1",
                "64:ff9b::101:101",
            ],
        );
    }
}
