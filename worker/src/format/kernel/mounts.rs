//! `/proc/mounts`

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// What is mounted: a device, a server, or a name.
    pub device: Vec<u8>,
    /// Where.
    pub point: Vec<u8>,
    /// The kind of the file system.
    pub kind: String,
    /// How, in the kernel's order: `key` or `key=value`.
    pub options: Vec<String>,
}

/// Takes `/proc/mounts` apart, in its order.
pub fn read(table: &[u8]) -> Vec<Mount> {
    table.split(|&byte| byte == b'\n').filter_map(mount).collect()
}

fn mount(line: &[u8]) -> Option<Mount> {
    let mut columns = line.split(|&byte| byte == b' ').filter(|column| !column.is_empty()).map(plain);
    let (device, point, kind, options) = (columns.next()?, columns.next()?, columns.next()?, columns.next()?);
    let options = String::from_utf8_lossy(&options);
    Some(Mount {
        device,
        point,
        kind: String::from_utf8_lossy(&kind).into_owned(),
        options: options.split(',').map(ToOwned::to_owned).collect(),
    })
}

/// A column whose special bytes are written as `\NNN`, in octal; `fstab(5)`.
pub fn plain(column: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(column.len());
    let mut rest = column;
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..3).filter(|_| first == b'\\').and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_in_names_are_escaped() {
        let table =
            b"/dev/sda1 / ext4 rw,relatime,errors=remount-ro 0 0\ntmpfs /mnt/my\\040disk\\134x tmpfs rw 0 0\nodd\n";
        let mounts = read(table);
        assert_eq!(mounts.len(), 2);
        assert_eq!(mounts[0].options, ["rw", "relatime", "errors=remount-ro"]);
        assert_eq!(mounts[1].point, b"/mnt/my disk\\x");
        assert_eq!(plain(b"a\\9z\\04"), b"a\\9z\\04");
    }
}
