//! Signals.

use super::manager::ProcessManager;
use super::{invalid, not_found, refused};
use crate::error::Result;
use crate::script::options::{self, OUT_OF_RANGE, Options, Setters};
use crate::script::{Surface, item};
use rex_protocol::process::{self, Identity, Seen, SignalKind};
use rhai::{Array, Dynamic, Map};
use serde::Deserialize;

/// A signal that scripts can send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::script) struct Signal(SignalKind);

/// The signals with their names and numbers; `signal(7)`.
pub(in crate::script) struct SignalNumber {
    pub(in crate::script) name: &'static str,
    pub(in crate::script) number: i64,
    pub(in crate::script) signal: Signal,
}

impl SignalNumber {
    /// Every one of them.
    pub(in crate::script) const ALL: &'static [SignalNumber] = &[
        SignalNumber { name: "SIGHUP", number: 1, signal: Signal(SignalKind::Hangup) },
        SignalNumber { name: "SIGQUIT", number: 3, signal: Signal(SignalKind::Quit) },
        SignalNumber { name: "SIGKILL", number: 9, signal: Signal(SignalKind::Kill) },
        SignalNumber { name: "SIGTERM", number: 15, signal: Signal(SignalKind::Terminate) },
    ];
}

/// Which processes to signal, and how.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::script) struct KillOptions {
    pid: Option<i64>,
    process_name: Option<String>,
    username: Option<String>,
    command: Option<String>,
    exact_match: bool,
    #[serde(skip)]
    signal: Option<Signal>,
}

impl Options for KillOptions {
    const NAME: &'static str = "KillOptions";

    fn setters(setters: &mut Setters<'_, Self>) {
        setters.value("signal", |options, signal| options.signal = Some(signal));
    }

    fn check(&self) -> std::result::Result<(), String> {
        let by_pattern = [&self.process_name, &self.username, &self.command].into_iter().any(Option::is_some);
        let fault = if self.signal.is_none() {
            "signal is required"
        } else if self.pid.is_some_and(|pid| pid < 0) {
            "PID cannot be negative"
        } else if self.pid.is_none() && !by_pattern {
            "At least one targeting method must be specified: pid, process_name, username, or command"
        } else if self.pid.is_some() && by_pattern {
            "pid cannot be used together with process_name, username, or command"
        } else if self.process_name.is_some() && self.command.is_some() {
            "process_name and command cannot be used together - use one of them"
        } else {
            return Ok(());
        };
        Err(format!("Validation error: {fault}"))
    }
}

impl KillOptions {
    /// For the process of this number.
    pub(in crate::script) fn by_pid(pid: i64, signal: Signal) -> Self {
        Self { pid: Some(pid), signal: Some(signal), ..Self::default() }
    }

    /// Whether a process is meant. A name or command line may be given in part, a user may not.
    fn matches(&self, process: &Identity) -> bool {
        let holds = |wanted: &Option<String>, is: &str| match wanted {
            Some(wanted) if self.exact_match => is == wanted,
            Some(wanted) => is.contains(wanted.as_str()),
            None => true,
        };
        let user = process.username.as_deref().unwrap_or_default();
        holds(&self.process_name, &process.name)
            && holds(&self.command, &process.command)
            && self.username.as_ref().is_none_or(|wanted| wanted == user)
    }

    /// What must still hold of a process that is meant when it is signalled.
    fn seen(&self, process: &Identity) -> Seen {
        Seen {
            started: process.started,
            name: self.process_name.is_some().then(|| process.name.clone()),
            command: self.command.is_some().then(|| process.command.clone()),
        }
    }
}

impl ProcessManager {
    /// Signals the process of a number, or those known ones that fit. Of the latter, those that are denied or gone are passed over.
    pub(in crate::script) fn kill(&self, options: &KillOptions) -> Result<Array> {
        let Some(Signal(signal)) = options.signal else { return Err(invalid("signal is required").into()) };
        if let Some(pid) = options.pid {
            let pid = u32::try_from(pid).map_err(|_| invalid(format!("Invalid PID value {pid}: {OUT_OF_RANGE}")))?;
            let seen = self.known(pid).map(|known| Seen { started: known.started, ..Seen::default() });
            let request = process::Signal { pid, signal, seen };
            let signalled = self.channel().call(&request).map_err(|failure| refused(&failure))?;
            return Ok(vec![told(&signalled.identity, &signalled.identity.name)]);
        }
        let meant = self.all_known().into_iter().filter(|process| options.matches(process));
        let signalled: Array = meant
            .filter_map(|process| {
                let request = process::Signal { pid: process.pid, signal, seen: Some(options.seen(&process)) };
                let Identity { name, command, .. } = &self.channel().call(&request).ok()?.identity;
                Some(told(&process, if options.command.is_some() { command } else { name }))
            })
            .collect();
        if signalled.is_empty() { Err(not_found("No matching processes found", 0).into()) } else { Ok(signalled) }
    }
}

fn told(process: &Identity, name: &str) -> Dynamic {
    Map::from_iter([item("name", name.to_owned()), item("pid", i64::from(process.pid))]).into()
}

/// Registers signals.
pub(super) fn register(surface: &mut Surface) {
    surface.named::<Signal>("Signal");
    surface.comparable::<Signal>();
    surface.constants("Signal", SignalNumber::ALL.iter().map(|known| (known.name.to_owned(), known.signal)));
    options::register::<KillOptions>(surface);
    surface.function("kill", |manager: &mut ProcessManager, options: KillOptions| manager.kill(&options));
}

#[cfg(test)]
mod tests {
    use super::*;
    use rex_protocol::text::Text;

    #[test]
    fn patterns_match_in_part_or_whole() {
        let process = Identity {
            pid: 7,
            name: Text::cut("nginx"),
            uid: 33,
            username: Some(Text::cut("www")),
            command: Text::cut("nginx: worker"),
            started: 1,
        };
        let given = |name: Option<&str>, user: Option<&str>, command: Option<&str>, exact_match| KillOptions {
            process_name: name.map(str::to_owned),
            username: user.map(str::to_owned),
            command: command.map(str::to_owned),
            exact_match,
            ..KillOptions::default()
        };
        for (options, matches) in [
            (given(Some("gin"), None, None, false), true),
            (given(Some("gin"), None, None, true), false),
            (given(Some("nginx"), Some("www"), None, true), true),
            (given(Some("nginx"), Some("ww"), None, false), false),
            (given(None, None, Some("worker"), false), true),
            (given(None, None, Some("worker"), true), false),
            (given(None, Some("www"), None, false), true),
        ] {
            assert_eq!(options.matches(&process), matches, "{options:?}");
        }
    }
}
