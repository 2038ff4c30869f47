//! The run of a case, through `rex-exec`.

use crate::case::Case;
use crate::stage::Stage;
use serde_json::Value;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a run may take; the slowest are told to end and do so after ten seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a case on its stage under `policy`, and gives the result.
pub(crate) fn perform(case: &Case, stage: &Stage, policy: &str) -> Result<Value, String> {
    let (stdout, stderr) = execute(case, stage, policy).map_err(|error| format!("cannot run it: {error}"))?;
    serde_json::from_slice(&stdout).map_err(|_| {
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        format!("no JSON came: {stdout:?}, and on standard error {stderr:?}")
    })
}

fn execute(case: &Case, stage: &Stage, policy: &str) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let folder = tempfile::Builder::new().prefix("rexcase-in-").tempdir()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    // Some cases know the script's process by this name.
    let script = folder.path().join("script.rhai");
    fs::write(&script, stage.fill(&case.script))?;
    let policy_file = folder.path().join("policy.cedar");
    fs::write(&policy_file, policy)?;
    let mut command = Command::new(rex_tests::programs().join("rex-exec"));
    command.arg("--standalone").arg("--script-file").arg(script).arg("--policy-file").arg(policy_file);
    command.args(["--output-format", "json"]);
    if let Some(arguments) = &case.args {
        let file = folder.path().join("args.json");
        fs::write(&file, stage.fill(arguments))?;
        command.arg("--script-arguments-file").arg(file);
    }
    for name in ["LOG_LEVEL", "REX_RUNNER_DISABLE_MONITORING"] {
        command.env_remove(name);
    }
    command.envs(case.env.iter().map(|(name, value)| (name, stage.fill(value))));
    command.current_dir(&stage.root).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    await_end(&mut child)?;
    Ok((stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default()))
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

fn await_end(child: &mut Child) -> io::Result<()> {
    let end = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(1);
    while child.try_wait()?.is_none() {
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::other(format!("no end in {} s", PATIENCE.as_secs())));
        }
        std::thread::sleep(pause);
        pause = (pause * 3 / 2).min(Duration::from_millis(50));
    }
    Ok(())
}
