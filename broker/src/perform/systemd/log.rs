//! A unit's last words, from the journal. Runs in a process made for one task.
#![expect(
    clippy::disallowed_methods,
    reason = "the system's own reader of its journal, by its whole path, with nothing of ours"
)]

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const READER: &str = "/usr/bin/journalctl";
/// How many lines are told.
const LINES: &str = "10";
/// How much of them, in bytes.
const MOST: u64 = 4096;
/// How long they may take to be found.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);

/// The last lines that a unit has logged in its latest run, which `invocation` names. None where there is no journal.
pub(super) fn last_lines(unit: &str, invocation: &[u8]) -> Vec<String> {
    let mut command = Command::new(READER);
    command.env_clear().current_dir("/").stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::piped());
    command.args(["--quiet", "--no-pager", "--output=cat", "--all", "--lines", LINES]);
    match invocation.is_empty() {
        true => command.arg(format!("_SYSTEMD_UNIT={unit}")),
        false => {
            let id: String = invocation.iter().map(|byte| format!("{byte:02x}")).collect();
            // What the service itself said, and what the manager says about it.
            command.args([format!("_SYSTEMD_INVOCATION_ID={id}"), "+".into(), format!("INVOCATION_ID={id}")])
        }
    };
    let Ok(mut child) = command.spawn() else { return Vec::new() };
    let end = Instant::now() + PATIENCE;
    while matches!(child.try_wait(), Ok(None)) && Instant::now() < end {
        std::thread::sleep(PAUSE);
    }
    let _ = child.kill();
    let mut bytes = Vec::new();
    if let Some(output) = child.stdout.take() {
        let _ = output.take(MOST).read_to_end(&mut bytes);
    }
    let _ = child.wait();
    String::from_utf8_lossy(&bytes).lines().map(plain).collect()
}

/// A line without what would act on a terminal.
fn plain(line: &str) -> String {
    line.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}
