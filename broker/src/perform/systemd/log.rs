//! A unit's last words, from the journal. Runs in a process made for one task.
#![expect(
    clippy::disallowed_methods,
    reason = "the system's own reader of its journal, by its whole path, with nothing of ours"
)]

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::uio::pread;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const READER: &str = "/usr/bin/journalctl";
/// How many lines are told.
const LINES: &str = "10";
/// How much of them, in bytes.
const MOST: usize = 4096;
/// How long they may take to be found.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);

/// The last lines that a unit, and the manager about it, have logged since some seconds after 1970. None where there is no
/// journal.
pub(super) fn last_lines(unit: &str, since: u64) -> Vec<String> {
    // Nobody waits for it to be read.
    let Ok(output) = memfd_create(c"rex-journal", MFdFlags::MFD_CLOEXEC) else { return Vec::new() };
    let Ok(written) = output.try_clone() else { return Vec::new() };
    let mut command = Command::new(READER);
    command.env_clear().current_dir("/").stdin(Stdio::null()).stdout(written).stderr(Stdio::null());
    command.args(["--quiet", "--no-pager", "--output=cat", "--all", "--lines", LINES, &format!("--since=@{since}")]);
    command.args([format!("_SYSTEMD_UNIT={unit}"), "+".into(), format!("UNIT={unit}")]);
    let Ok(mut child) = command.spawn() else { return Vec::new() };
    let end = Instant::now() + PATIENCE;
    while matches!(child.try_wait(), Ok(None)) && Instant::now() < end {
        std::thread::sleep(PAUSE);
    }
    let _ = child.kill();
    let _ = child.wait();
    let mut bytes = vec![0; MOST];
    let length = pread(&output, &mut bytes, 0).unwrap_or(0);
    bytes.truncate(length);
    String::from_utf8_lossy(&bytes).lines().map(plain).collect()
}

/// A line without what would act on a terminal.
fn plain(line: &str) -> String {
    line.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}
