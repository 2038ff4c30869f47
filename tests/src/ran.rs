//! One run of `rex-exec`, waited for.

use serde_json::Value;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What came of a run.
#[derive(Debug)]
pub struct Ran {
    /// Exit code; -n if a signal n ended it.
    pub code: i32,
    /// The JSON result; null where there was none.
    pub result: Value,
    /// Standard output as it came.
    pub stdout: String,
    /// Standard error as it came.
    pub stderr: String,
    /// How long it took, where that was looked at.
    pub took: Duration,
}

/// Runs `rex-exec` with `arguments` in `folder` and waits for its end.
pub fn run<A: AsRef<OsStr>>(arguments: &[A], folder: &Path) -> Ran {
    let begun = Instant::now();
    let done = Command::new(crate::programs().join("rex-exec"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("rex-exec starts");
    Ran { took: begun.elapsed(), ..Ran::of(&done) }
}

impl Ran {
    /// What `rex-exec` put out, if it was asked for JSON.
    pub fn of(done: &std::process::Output) -> Self {
        let signal = std::os::unix::process::ExitStatusExt::signal(&done.status);
        Self {
            code: signal.map_or_else(|| done.status.code(), |n| Some(-n)).expect("an exit code or a signal"),
            result: serde_json::from_slice(&done.stdout).unwrap_or_default(),
            stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
            took: Duration::ZERO,
        }
    }

    /// The result's output.
    pub fn output(&self) -> &str {
        self.result["output"].as_str().unwrap_or_default()
    }

    /// The error's message, or an empty text.
    pub fn error(&self) -> &str {
        self.result["error"]["message"].as_str().unwrap_or_default()
    }

    /// The error's type, or an empty text.
    pub fn error_type(&self) -> &str {
        self.result["error"]["error_type"].as_str().unwrap_or_default()
    }
}
