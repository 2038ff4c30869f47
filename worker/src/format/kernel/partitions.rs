//! `/proc/partitions`, `/proc/swaps`, and what stands in a device's `uevent`.

use super::{mounts, number};

/// A block device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name in the kernel.
    pub name: String,
    /// Its number, as it is written: `8:1`.
    pub major: String,
    /// The second part of it.
    pub minor: String,
    /// Its size, in units of 1024 bytes.
    pub size_kib: u64,
}

/// Takes `/proc/partitions` apart, in its order.
pub fn read(text: &str) -> Vec<Device> {
    // A title and an empty line come first.
    text.lines().skip(2).filter_map(device).collect()
}

fn device(line: &str) -> Option<Device> {
    let mut words = line.split_whitespace();
    let (major, minor) = (words.next()?.to_owned(), words.next()?.to_owned());
    let size_kib = number(words.next());
    Some(Device { name: words.next()?.to_owned(), major, minor, size_kib })
}

/// The devices and files that `/proc/swaps` lists.
pub fn swaps(text: &str) -> Vec<String> {
    let first = |line: &str| line.split_whitespace().next().map(|name| mounts::plain(name.as_bytes()));
    text.lines().skip(1).filter_map(first).map(|name| String::from_utf8_lossy(&name).into_owned()).collect()
}

/// The value of `key` in a `uevent`.
pub fn value<'t>(uevent: &'t str, key: &str) -> Option<&'t str> {
    uevent.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_and_swaps_have_their_lines() {
        let text = "major minor  #blocks  name\n\n   8        0   41943040 sda\n   8        1   1024 sda1\nodd\n";
        let names: Vec<_> = read(text).into_iter().map(|device| (device.name, device.minor, device.size_kib)).collect();
        assert_eq!(names, [("sda".into(), "0".into(), 41_943_040), ("sda1".into(), "1".into(), 1024)]);
        assert_eq!(swaps("Filename Type Size\n/dev/sda2 partition 1\n/a\\040b file 2\n"), ["/dev/sda2", "/a b"]);
        assert_eq!(value("MAJOR=8\nDEVTYPE=disk\nDEVTYPEX=1\n", "DEVTYPE"), Some("disk"));
        assert_eq!(value("DEVTYPEX=1\n", "DEVTYPE"), None);
    }
}
