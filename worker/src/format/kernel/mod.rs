//! What the kernel tells in its own files, `proc(5)`. What is missing there counts as 0, and what makes no sense is left out:
//! kernels differ.

pub mod disks;
pub mod log;
pub mod memory;
pub mod mounts;
pub mod partitions;
pub mod processors;
pub mod slabs;
pub mod sockets;
pub mod statistics;

/// A number as the kernel writes it; 0 where there is none.
fn number(word: Option<&str>) -> u64 {
    word.and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// A part of a whole in percent; 0 of nothing.
#[allow(clippy::cast_precision_loss, reason = "a share needs no more digits than that")]
pub fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}
