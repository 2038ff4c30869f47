//! `nsenter`: a function of the script runs in the namespaces of another process.

use super::manager::ProcessManager;
use super::{invalid, not_found, refused};
use crate::channel::Held;
use crate::error::{Error, Process, Result, errno_text};
use crate::fault;
use crate::script::Surface;
use crate::script::options::{self, Options};
use crate::value::Texts;
use rex_protocol::failure::{Failure, FailureKind};
use rex_protocol::handle::Entry;
use rex_protocol::path::Name;
use rex_protocol::process::{EnterNamespaces, EnterNetwork, NETWORKS};
use rex_protocol::{Action, Handle, Listed};
use rhai::{Dynamic, EvalAltResult, FnPtr, NativeCallContext};
use serde::Deserialize;

/// Which namespaces to enter.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct NamespaceOptions {
    mount: bool,
    net: bool,
    pid: Option<u32>,
    net_ns_name: Option<String>,
}

impl Options for NamespaceOptions {
    const NAME: &'static str = "NamespaceOptions";
}

impl ProcessManager {
    /// Enters the namespaces that are asked for; they are left when the value is dropped.
    fn enter(&self, options: &NamespaceOptions) -> Result<Held<Entry>> {
        let NamespaceOptions { mount, net, pid, net_ns_name } = options;
        match (pid, net_ns_name) {
            (None, None) => {
                Err(invalid("At least one namespace must be enabled. Must specify pid or namespace filename").into())
            }
            (Some(_), None) if !mount && !net => {
                Err(invalid("At least one namespace type (mount or net) must be enabled").into())
            }
            (Some(pid), None) => {
                self.entered(&EnterNamespaces { pid: *pid, mount: *mount, net: *net }, |failure| match failure.kind {
                    FailureKind::NoProcess { pid } => {
                        not_found("Process with specified PID does not exist. Hint: it may have ended", i64::from(pid))
                    }
                    FailureKind::Namespace { errno } => {
                        failed(failure, &format!("Failed to enter requested namespaces: {}", errno_text(errno)))
                    }
                    _ => refused(failure),
                })
            }
            (Some(_), Some(_)) => Err(not_both()),
            (None, Some(_)) if *mount => Err(not_both()),
            (None, Some(name)) => self.entered(&EnterNetwork { name: network(name)? }, refused_by_name),
        }
    }

    fn entered<O: Listed<Reply = Handle<Entry>>>(
        &self,
        operation: &O,
        refused: impl FnOnce(&Failure) -> Error,
    ) -> Result<Held<Entry>> {
        let entry = self.channel().call(operation).map_err(|failure| refused(&failure))?;
        Ok(Held::new(self.channel(), entry))
    }
}

fn not_both() -> Box<EvalAltResult> {
    invalid("Cannot set both name and pid, and entering a mount namespace by filename is not supported").into()
}

/// The name of a network namespace: one that a file can have.
fn network(name: &str) -> Result<Name> {
    let path = format!("{NETWORKS}/{name}");
    if name.split('/').any(|part| part == "..") {
        return Err(Error::new(Process::Other, format!("Path traversal detected {path}")).into());
    }
    let unusable = |error| Error::new(Process::Other, format!("Invalid path: {path}: {error}"));
    Ok(Name::parse(name).map_err(unusable)?)
}

fn refused_by_name(failure: &Failure) -> Error {
    let why = match &failure.kind {
        // The right to enter is one of processes, whatever file stands for the namespace.
        FailureKind::Denied(denial) if *denial.action == Action::FileNetworkNamespace.to_string() => {
            return refused(failure);
        }
        FailureKind::Namespace { errno } | FailureKind::Refused { errno } => errno_text(*errno),
        _ => failure.message.to_string(),
    };
    failed(failure, &format!("Failed to open network namespace at {NETWORKS}: {why}"))
}

fn failed(failure: &Failure, why: &str) -> Error {
    Error::because(failure, Process::NamespaceOperationError, format!("Namespace operation failed: {why}"))
}

/// Runs the script's function. What ends the script ends it from here too, and all else is this call's own error.
fn run(context: &NativeCallContext<'_>, callback: &FnPtr, texts: &Texts) -> Result<Dynamic> {
    callback.call_within_context::<Dynamic>(context, ()).map_err(|error: Box<EvalAltResult>| {
        if !error.unwrap_inner().is_catchable() {
            return error;
        }
        let (text, origin) = fault::told(*error, texts);
        let message = format!("Callback execution failed: {text}");
        Error::with_origin(origin, Process::CallbackExecutionError, message).into()
    })
}

/// Registers `nsenter`.
pub(super) fn register(surface: &mut Surface) {
    options::register::<NamespaceOptions>(surface);
    let texts = surface.texts();
    surface.function(
        "nsenter",
        move |context: NativeCallContext<'_>,
              manager: &mut ProcessManager,
              options: NamespaceOptions,
              callback: FnPtr|
              -> Result<Dynamic> {
            // Left at the end of this function, however the script's own ends.
            let _entered = manager.enter(&options)?;
            run(&context, &callback, &texts)
        },
    );
}
