//! Signals: to the very process that was judged.

use super::identity::{Known, Users};
use super::{demand, no_process, refused};
use crate::authz::Granted;
use crate::perform::{Demands, Perform, Stop};
use crate::plan::{self, Planned};
use crate::session::State;
use crate::sys::process;
use crate::sys::process_dir::{ProcessDir, status_field};
use nix::errno::Errno;
use nix::sys::signal::Signal as Number;
use nix::unistd::Pid;
use rex_protocol::Action;
use rex_protocol::change::Act;
use rex_protocol::failure::Failure;
use rex_protocol::process::{Seen, Signal, SignalKind, Signalled};
use std::os::fd::OwnedFd;

/// A process that stays the same one.
pub(in crate::perform) struct Pinned {
    pub(super) process: OwnedFd,
    pub(super) dir: ProcessDir,
    pub(super) known: Known,
}

pub(crate) struct SignalTarget {
    request: Signal,
    /// Nothing where there is no such process.
    pinned: Option<Pinned>,
}

impl Perform for Signal {
    type Target = SignalTarget;

    // Policy is asked about name, user and command line, so that these are looked at first; a missing process is asked about, too.
    fn target(self, _: &mut State) -> Result<SignalTarget, Stop> {
        Ok(SignalTarget { pinned: Pinned::new(self.pid)?, request: self })
    }

    fn demands(target: &SignalTarget) -> Demands {
        let action = match target.request.signal {
            SignalKind::Hangup => Action::ProcessInterrupt,
            SignalKind::Quit | SignalKind::Kill | SignalKind::Terminate => Action::ProcessKill,
        };
        let question = match &target.pinned {
            Some(pinned) => demand(action, &pinned.known),
            None => demand(action, &Known::nobody(target.request.pid)),
        };
        Demands::all(vec![question])
    }

    fn perform(target: Granted<SignalTarget>, _: &mut State) -> Result<Signalled, Stop> {
        let (SignalTarget { request: Signal { pid, signal, .. }, .. }, Pinned { process, known, .. }) =
            target.into_inner().confirmed()?;
        process::signal(&process, number(signal)).map_err(|errno| refused(errno, "signal", pid))?;
        Ok(Signalled { identity: known.identity })
    }

    fn plan(target: Granted<SignalTarget>, _: &mut State) -> Result<Signalled, Stop> {
        let (SignalTarget { request: Signal { pid, signal, .. }, .. }, Pinned { process, known, .. }) =
            target.into_inner().confirmed()?;
        process::may_signal(&process).map_err(|errno| refused(errno, "signal", pid))?;
        let planned = Planned::other(Act::Signal, format!("{pid} ({})", &*known.identity.name));
        plan::note(planned.with("signal", None, Some(number(signal).as_str().to_owned())));
        Ok(Signalled { identity: known.identity })
    }
}

impl SignalTarget {
    /// The process, if it is the one that is meant and none of ours.
    fn confirmed(mut self) -> Result<(Self, Pinned), Failure> {
        let Signal { pid, seen, .. } = &self.request;
        let pid = *pid;
        let pinned = self.pinned.take().ok_or_else(|| no_process(pid))?;
        if seen.as_ref().is_some_and(|seen| !is_still(&pinned.known, seen)) {
            return Err(no_process(pid));
        }
        if pinned.is_ours() {
            return Err(refused(Errno::EACCES, "signal the broker's own", pid));
        }
        Ok((self, pinned))
    }
}

impl Pinned {
    /// What has this number now; nothing where that is no process.
    pub(in crate::perform) fn new(pid: u32) -> Result<Option<Self>, Failure> {
        let Some(number) = i32::try_from(pid).ok().filter(|number| *number > 0) else { return Ok(None) };
        let process = match process::pidfd_open(Pid::from_raw(number)) {
            Ok(process) => process,
            // What is a thread's number is no process's.
            Err(Errno::ESRCH | Errno::EINVAL | Errno::ENOENT) => return Ok(None),
            Err(errno) => return Err(refused(errno, "open", pid)),
        };
        let known = || -> nix::Result<(ProcessDir, Known)> {
            let dir = ProcessDir::open(pid)?;
            let known = Known::read(&dir, None, &mut Users::default())?;
            Ok((dir, known))
        };
        match known() {
            // The number is given to no other process as long as this one has it.
            Ok((dir, known)) if process::is_there(&process) => Ok(Some(Self { process, dir, known })),
            Ok(_) | Err(Errno::ESRCH | Errno::ENOENT) => Ok(None),
            Err(errno) => Err(refused(errno, "look at", pid)),
        }
    }
}

impl Pinned {
    /// Whether it is one of Rex's own.
    pub(in crate::perform) fn is_ours(&self) -> bool {
        self.known.is_ours(&self.dir)
    }

    /// Its real user and group.
    pub(in crate::perform) fn ids(&self) -> Option<(u32, u32)> {
        let status = self.dir.read("status", 4096).ok()?;
        let first = |name: &[u8]| status_field(&status, name)?.split_ascii_whitespace().next()?.parse().ok();
        Some((first(b"Uid:")?, first(b"Gid:")?))
    }

    /// The process itself.
    pub(in crate::perform) fn into_process(self) -> OwnedFd {
        self.process
    }
}

/// Whether a process is the one that was seen, and still what it was chosen by.
fn is_still(known: &Known, seen: &Seen) -> bool {
    let is = &known.identity;
    let Seen { started, name, command } = seen;
    is.started == *started
        && name.as_ref().is_none_or(|name| *name == is.name)
        && command.as_ref().is_none_or(|command| *command == is.command)
}

fn number(signal: SignalKind) -> Number {
    match signal {
        SignalKind::Hangup => Number::SIGHUP,
        SignalKind::Quit => Number::SIGQUIT,
        SignalKind::Kill => Number::SIGKILL,
        SignalKind::Terminate => Number::SIGTERM,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a process to look at")]
    fn what_is_pinned_ends_and_means_nobody() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        // It has its new name and command line some time after the start has succeeded.
        let pinned = std::iter::repeat_with(|| Pinned::new(child.id()).unwrap().unwrap())
            .find(|pinned| (&*pinned.known.identity.name, &*pinned.known.identity.command) == ("sleep", "sleep 60"))
            .unwrap();
        assert!(process::is_there(&pinned.process));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!process::is_there(&pinned.process));
        assert_eq!(process::signal(&pinned.process, Number::SIGKILL), Err(Errno::ESRCH));
        assert!(Known::read(&pinned.dir, None, &mut Users::default()).is_err());
        for pid in [0, u32::MAX, 1 << 31] {
            assert!(Pinned::new(pid).unwrap().is_none());
        }
    }

    #[test]
    fn own_processes_are_known() {
        let own = Pinned::new(std::process::id()).unwrap().unwrap();
        assert!(own.known.is_ours(&own.dir));
    }
}
