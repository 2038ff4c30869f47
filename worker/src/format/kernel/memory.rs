//! `/proc/meminfo`

use std::fmt;

/// Memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct Memory {
    pub total: u64,
    pub free: u64,
    /// What programs could get without swapping.
    pub available: u64,
    pub buffers: u64,
    pub cached: u64,
    pub shared: u64,
}

/// Swap, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct Swap {
    pub total: u64,
    pub free: u64,
}

impl Memory {
    /// All that is not available.
    pub fn used(&self) -> u64 {
        self.total.saturating_sub(self.available)
    }
}

impl Swap {
    /// All that is not free.
    pub fn used(&self) -> u64 {
        self.total.saturating_sub(self.free)
    }
}

/// Takes `/proc/meminfo` apart.
pub fn read(text: &str) -> (Memory, Swap) {
    let (mut memory, mut swap) = (Memory::default(), Swap::default());
    for line in text.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let place = match name {
            "MemTotal" => &mut memory.total,
            "MemFree" => &mut memory.free,
            "MemAvailable" => &mut memory.available,
            "Buffers" => &mut memory.buffers,
            "Cached" => &mut memory.cached,
            "Shmem" => &mut memory.shared,
            "SwapTotal" => &mut swap.total,
            "SwapFree" => &mut swap.free,
            _ => continue,
        };
        // `kB` there means 1024 bytes.
        *place = super::number(value.split_whitespace().next()).saturating_mul(1024);
    }
    (memory, swap)
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { total, free, available, buffers, cached, shared } = self;
        write!(
            f,
            "Memory Info:\n  Total: {total} bytes\n  Free: {free} bytes\n  Available: {available} bytes\n  \
             Used: {} bytes\n  Buffers: {buffers} bytes\n  Cached: {cached} bytes\n  Shared: {shared} bytes",
            self.used()
        )
    }
}

impl fmt::Display for Swap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { total, free } = self;
        write!(f, "Swap Info:\n  Total: {total} bytes\n  Free: {free} bytes\n  Used: {} bytes", self.used())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kilobytes_become_bytes_and_missing_lines_nothing() {
        let text = "MemTotal:       2000 kB\nMemFree:   500 kB\nMemAvailable: 1500 kB\nSwapCached: 7 kB\nCached: 3 kB\n\
                    SwapTotal: 10 kB\nSwapFree: 4 kB\nHugePages_Total: 0\nodd\n";
        let (memory, swap) = read(text);
        assert_eq!((memory.total, memory.used(), memory.cached), (2000 * 1024, 500 * 1024, 3 * 1024));
        assert_eq!((memory.buffers, memory.shared), (0, 0));
        assert_eq!((swap.total, swap.used()), (10 * 1024, 6 * 1024));
        assert_eq!(read(""), (Memory::default(), Swap::default()));
    }
}
