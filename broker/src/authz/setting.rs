//! The kernel's settings as entities: what stands below `/proc/sys` is in `sysctl::Key::"net.ipv4.ip_forward"` and in the keys above it,
//! `net.ipv4` and `net`, however a script reaches it.
//!
//! A key is the path below with `.` between names; a dot in a name is a slash, as sysctl(8) writes it.

use rex_protocol::path::AbsPath;

/// The type of keys.
pub(super) const KEY: &str = "sysctl::Key";
const ROOT: &str = "/proc/sys/";

/// The keys that what has this path is in, the longest first.
pub(super) fn keys(path: &AbsPath) -> Vec<String> {
    if !path.as_bytes().starts_with(ROOT.as_bytes()) {
        return Vec::new();
    }
    let paths = std::iter::once(path.clone()).chain(path.ancestors());
    paths.filter_map(|path| path.to_id().strip_prefix(ROOT).map(swap)).collect()
}

/// The path that has this key.
pub(super) fn path(key: &str) -> Option<AbsPath> {
    AbsPath::from_id(&format!("{ROOT}{}", swap(key)))
}

fn swap(text: &str) -> String {
    let other = |character| match character {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    text.chars().map(other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_paths() {
        let keys = |path: &str| keys(&AbsPath::parse(path).unwrap());
        assert_eq!(keys("/proc/sys/net/ipv4/ip_forward"), ["net.ipv4.ip_forward", "net.ipv4", "net"]);
        assert_eq!(keys("/proc/sys/net/ipv4/conf/eth0.1")[0], "net.ipv4.conf.eth0/1");
        for other in ["/proc/sys", "/proc/system/x", "/proc", "/srv/proc/sys/net"] {
            assert!(keys(other).is_empty(), "{other}");
        }
        assert_eq!(path("net.ipv4.conf.eth0/1"), AbsPath::parse("/proc/sys/net/ipv4/conf/eth0.1").ok());
        for none in ["", ".net", "net..x", "net."] {
            assert_eq!(path(none), None, "{none}");
        }
    }
}
