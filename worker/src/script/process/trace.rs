//! `trace`: where the threads of a process are.

use super::manager::ProcessManager;
use super::{not_found, refused};
use crate::error::{Error, Process, Result};
use crate::script::Surface;
use crate::script::core_dump::TracedProcess;
use crate::script::execute::follow;
use crate::script::options::{self, OUT_OF_RANGE, Options};
use crate::text::backtrace;
use rex_protocol::failure::FailureKind;
use rex_protocol::fs::Exit;
use rex_protocol::process::Trace;
use serde::Deserialize;

/// Another way to say which process is meant.
#[derive(Debug, Clone, Deserialize)]
struct TraceOptions {
    /// A process in whose pid namespace the number is.
    ns_pid: u32,
}

impl Options for TraceOptions {
    const NAME: &'static str = "TraceOptions";

    fn missing(field: &str) -> String {
        format!("Field not initialized: {field}")
    }
}

impl ProcessManager {
    fn trace(&self, pid: i64, options: Option<&TraceOptions>) -> Result<TracedProcess> {
        let number = u32::try_from(pid).map_err(|_| format!("Parameter 'pid' conversion failed: {OUT_OF_RANGE}"))?;
        let outer = match options {
            Some(options) => self.outer(number, options)?,
            None => number,
        };
        let request = Trace { pid: outer, beside: options.map(|options| options.ns_pid) };
        let ran = self.channel().call(&request).and_then(|program| follow(self.channel(), program));
        let ran = ran.map_err(|failure| match failure.kind {
            // What stands in the way of the debugger is told as everywhere; a denial of one of its files is one of these.
            FailureKind::Denied(_) if !failure.message.contains("process_system::") => {
                Error::because(&failure, Process::Other, failure.message.to_string())
            }
            _ => refused(&failure),
        })?;
        let (stdout, stderr) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        let threads = backtrace::of_a_process(&stdout);
        if !threads.is_empty() {
            return Ok(TracedProcess::new(threads, Some(pid)));
        }
        let why = if [&stdout, &stderr].iter().any(|said| said.contains("Operation not permitted")) {
            format!("Unable to trace process {pid}. Likely you need to set the CAP_SYS_PTRACE linux capability.")
        } else if ran.exit != Exit::Code(0) {
            let code = match ran.exit {
                Exit::Code(code) => code,
                Exit::Signal(signal) => -signal,
            };
            format!(
                "Unable to trace process {pid}. Error details: the debugger exited with code {code}. Stdout: {stdout}, Stderr: {stderr}"
            )
        } else if stdout.trim().is_empty() {
            format!("Attempting to trace pid {pid} returned empty output. {stderr}")
        } else {
            format!("Unable to trace process {pid}: the debugger returned unparseable output: {stdout}")
        };
        Err(Error::new(Process::Other, why).into())
    }

    /// The number outside of a process that has this number in the namespace of another.
    fn outer(&self, pid: u32, options: &TraceOptions) -> Result<u32> {
        let Some(namespace) = self.namespace_of(options.ns_pid) else {
            let message = format!(
                "PID namespace not found for PID {pid}: Namespace information was not present for process {}. List processes \
                 with `load_namespace_info` first.",
                options.ns_pid
            );
            return Err(Error::new(Process::Other, message).into());
        };
        let missing = || {
            let what = format!("Process was not present in the cache for namespace ID {} and pid {pid}", namespace.id);
            not_found(&what, i64::from(pid))
        };
        Ok(self.numbered(pid, namespace.id).ok_or_else(missing)?)
    }
}

/// Registers `trace`.
pub(super) fn register(surface: &mut Surface) {
    options::register::<TraceOptions>(surface);
    surface.function("trace", |manager: &mut ProcessManager, pid: i64| manager.trace(pid, None));
    surface.function("trace", |manager: &mut ProcessManager, pid: i64, options: TraceOptions| {
        manager.trace(pid, Some(&options))
    });
}
