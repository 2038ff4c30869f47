//! Clocks.

use nix::time::{ClockId, clock_gettime};

/// When the system was started, in seconds since 1970, as the clock tells it now.
pub(crate) fn booted() -> nix::Result<i64> {
    let (now, running) = (clock_gettime(ClockId::CLOCK_REALTIME)?, clock_gettime(ClockId::CLOCK_BOOTTIME)?);
    Ok((now - running).tv_sec())
}

/// What tells this boot from all others (random(4), `/proc/sys/kernel/random/boot_id`).
#[expect(clippy::disallowed_methods, reason = "a file of the kernel's, by a name that is built in")]
pub(crate) fn boot_id() -> std::io::Result<String> {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|text| text.trim_end().to_owned())
}

/// How far the local time is ahead of UTC now, in seconds; 0 where that is not known.
pub(crate) fn utc_offset() -> i32 {
    let now = clock_gettime(ClockId::CLOCK_REALTIME).map_or(0, |now| now.tv_sec());
    // SAFETY: `tm` is plain numbers and a pointer, for which zero is valid.
    let mut local: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both live across the call; this process has one thread, so nobody changes the environment meanwhile.
    let known = unsafe { !libc::localtime_r(&raw const now, &raw mut local).is_null() };
    if known { i32::try_from(local.tm_gmtoff).unwrap_or(0) } else { 0 }
}
