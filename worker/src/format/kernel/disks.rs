//! `/proc/diskstats`

use super::number;

/// What a disk, or a part of one, has done since the start (linux/Documentation/admin-guide/iostats.rst).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct Disk {
    pub name: String,
    pub reads: u64,
    pub reads_merged: u64,
    /// Of 512 bytes.
    pub sectors_read: u64,
    pub reading_ms: u64,
    pub writes: u64,
    pub writes_merged: u64,
    /// Of 512 bytes.
    pub sectors_written: u64,
    pub writing_ms: u64,
    pub busy_ms: u64,
    /// Busy time, times the requests that waited.
    pub weighted_ms: u64,
}

/// Takes `/proc/diskstats` apart, in its order.
pub fn read(text: &str) -> Vec<Disk> {
    text.lines().filter_map(disk).collect()
}

fn disk(line: &str) -> Option<Disk> {
    let mut words = line.split_whitespace().skip(2).fuse();
    let name = words.next()?.to_owned();
    let mut next = || number(words.next());
    Some(Disk {
        name,
        reads: next(),
        reads_merged: next(),
        sectors_read: next(),
        reading_ms: next(),
        writes: next(),
        writes_merged: next(),
        sectors_written: next(),
        writing_ms: next(),
        busy_ms: {
            // Requests under way, which is no sum.
            next();
            next()
        },
        weighted_ms: next(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_names() {
        let text = "   8       0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13\n   8       1 sda1 1\n\n";
        let disks = read(text);
        let all = Disk {
            name: "sda".into(),
            reads: 1,
            reads_merged: 2,
            sectors_read: 3,
            reading_ms: 4,
            writes: 5,
            writes_merged: 6,
            sectors_written: 7,
            writing_ms: 8,
            busy_ms: 10,
            weighted_ms: 11,
        };
        assert_eq!(disks, [all, Disk { name: "sda1".into(), reads: 1, ..Disk::default() }]);
    }
}
