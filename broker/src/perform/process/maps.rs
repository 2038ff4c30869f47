//! The kernel's tables about processes that name files: mappings and Unix sockets.

use crate::sys::process_dir::ProcessDir;
use nix::sys::stat::{major, minor};
use std::collections::{BTreeSet, HashMap};

/// The most that is read of one table, in bytes.
const TABLE: usize = 16 * 1024 * 1024;

/// The paths of the files that a process has mapped, each file once and its program not among them.
pub(super) fn mapped(dir: &ProcessDir) -> Vec<Vec<u8>> {
    let Ok(maps) = dir.read("maps", TABLE) else { return Vec::new() };
    let path = dir.link("exe").ok();
    let program = dir.stat("exe").ok();
    let program = program.map(|stat| (device(stat.st_dev), stat.st_ino.to_string().into_bytes()));
    let mut seen = BTreeSet::new();
    seen.extend(program);
    let entries = maps.split(|byte| *byte == b'\n').filter_map(mapping);
    let entries = entries.filter(|mapping| seen.insert((mapping.device.to_vec(), mapping.inode.to_vec())));
    entries.map(|mapping| unescape(mapping.path)).filter(|mapping| Some(mapping) != path.as_ref()).collect()
}

/// Bound Unix sockets by their inodes, as the network namespace of a process has them.
pub(super) fn unix_sockets(dir: &ProcessDir) -> HashMap<u64, Vec<u8>> {
    let table = dir.read("net/unix", TABLE).unwrap_or_default();
    table.split(|byte| *byte == b'\n').filter_map(socket).collect()
}

struct Mapping<'m> {
    device: &'m [u8],
    inode: &'m [u8],
    path: &'m [u8],
}

/// A line of proc_pid_maps(5), of a file.
fn mapping(line: &[u8]) -> Option<Mapping<'_>> {
    let (fields, path) = columns::<5>(line)?;
    let [_, _, _, device, inode] = fields;
    (inode != b"0" && path.starts_with(b"/")).then_some(Mapping { device, inode, path })
}

/// A line of `/proc/net/unix` (proc_pid_net(5)), of a bound socket.
fn socket(line: &[u8]) -> Option<(u64, Vec<u8>)> {
    let (fields, path) = columns::<7>(line)?;
    let [_, _, _, _, _, _, inode] = fields;
    let inode = std::str::from_utf8(inode).ok()?.parse().ok()?;
    (!path.is_empty()).then(|| (inode, path.to_vec()))
}

/// The first columns, which are parted by spaces, and the rest, which may hold some.
fn columns<const N: usize>(line: &[u8]) -> Option<([&[u8]; N], &[u8])> {
    let mut rest = line;
    let mut columns = [<&[u8]>::default(); N];
    for column in &mut columns {
        let text = rest.trim_ascii_start();
        let end = text.iter().position(|byte| *byte == b' ').unwrap_or(text.len());
        (*column, rest) = text.split_at_checked(end)?;
        if column.is_empty() {
            return None;
        }
    }
    let begin = rest.iter().position(|byte| *byte != b' ').unwrap_or(rest.len());
    Some((columns, rest.get(begin..)?))
}

/// The kernel writes a newline as `\012`, and nothing else so.
fn unescape(path: &[u8]) -> Vec<u8> {
    const NEWLINE: &[u8] = b"\\012";
    let (mut plain, mut rest) = (Vec::with_capacity(path.len()), path);
    while let Some((first, after)) = rest.split_first() {
        let (byte, after) = rest.strip_prefix(NEWLINE).map_or((*first, after), |after| (b'\n', after));
        plain.push(byte);
        rest = after;
    }
    plain
}

/// A device as mappings name it.
fn device(device: u64) -> Vec<u8> {
    format!("{:02x}:{:02x}", major(device), minor(device)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn mappings_name_files() {
        let line = b"7f00-7f01 r--p 00000000 08:02 173521                    /srv/a  b (deleted)";
        let found = mapping(line).unwrap();
        assert_eq!(
            (found.device, found.inode, found.path),
            (&b"08:02"[..], &b"173521"[..], &b"/srv/a  b (deleted)"[..])
        );
        for none in [&b"7f00-7f01 rw-p 00000000 00:00 0"[..], b"7f00-7f01 rw-p 00000000 00:00 0  [stack]", b"", b"a b"]
        {
            assert!(mapping(none).is_none());
        }
        assert_eq!(unescape(b"/a\\012b\\01"), b"/a\nb\\01");
    }

    #[test]
    fn sockets_have_names() {
        assert_eq!(socket(b"Num       RefCount Protocol Flags    Type St Inode Path"), None);
        let line = b"0000000000000000: 00000002 00000000 00010000 0001 01 24631 /run/a b.sock";
        assert_eq!(socket(line), Some((24631, b"/run/a b.sock".to_vec())));
        assert_eq!(socket(b"0000000000000000: 00000003 00000000 00000000 0001 03 24631"), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(prop_oneof![Just(b' '), Just(b'/'), any::<u8>()], 0..200)) {
            let _ = (mapping(&bytes).is_some(), socket(&bytes), unescape(&bytes));
        }
    }
}
