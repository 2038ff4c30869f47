//! Running programs in callgrind.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Processes that are started are not counted. Profiles are written to the folder that `REX_COUNTS_PROFILES` names, if it does.
fn options() -> Vec<String> {
    let profile = match std::env::var("REX_COUNTS_PROFILES") {
        Ok(folder) => format!("--callgrind-out-file={folder}/callgrind.out.%p"),
        Err(_) => "--callgrind-out-file=/dev/null".to_owned(),
    };
    vec!["--tool=callgrind".to_owned(), "--trace-children=no".to_owned(), profile]
}

/// How many instructions a command takes; only those in functions of which `within` is a pattern, if it is given.
pub(crate) fn count<A: AsRef<OsStr>>(
    program: &Path,
    arguments: &[A],
    within: Option<&str>,
    log: &Path,
) -> Result<u64, String> {
    let mut command = Command::new("valgrind");
    command.args(within.map(|function| format!("--toggle-collect={function}")));
    command.args(options()).arg(format!("--log-file={}", log.display())).arg(program).args(arguments);
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    let status = status.map_err(|error| format!("valgrind does not start: {error}"))?;
    if !status.success() {
        return Err(format!("{}: {status}\n{}", program.display(), fs::read_to_string(log).unwrap_or_default()));
    }
    collected(log)
}

/// What callgrind says at the end of its log.
fn collected(log: &Path) -> Result<u64, String> {
    let text = fs::read_to_string(log).map_err(|error| format!("callgrind's log: {error}"))?;
    let count = text.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    count.ok_or_else(|| format!("callgrind counted nothing:\n{text}"))
}
