//! The beginning and the end of a run's records, and that of a run that does not begin.

use super::ending::{self, class_name, reason_name};
use super::report::How;
use super::start::Caller;
use super::state::State;
use super::submission::{Fault, Origin};
use crate::audit::{Audit, AuditError, Entry, Event, Log, RunEnd, RunRefused, RunStart, Trail, append_and_tell};
use crate::authz::{PolicyStore, Principal, Session, cut};
use crate::config::Config;
use crate::digest::sha256;
use crate::principal;
use crate::sys::random;
use nix::unistd::geteuid;
use rex_protocol::client::{EndClass, Ending, Policy, Refusal};
use rex_protocol::limits::LimitName;
use rex_protocol::text::Text;
use std::rc::Rc;
use std::time::Duration;

/// How much of the reason of a refusal is recorded, in bytes: that of a policy may quote much of it.
const REASON: usize = 1024;

/// What a run's records are made of.
#[derive(Clone, Copy)]
pub(super) struct Recording<'a> {
    pub(super) config: &'a Config,
    pub(super) origin: &'a Origin,
    pub(super) caller: &'a Caller,
    /// What is told of the run.
    pub(super) session: &'a Session,
    /// The length of its script, in bytes.
    pub(super) script: usize,
    /// The policy that it brings.
    pub(super) policy: Option<&'a Policy>,
}

impl Recording<'_> {
    /// Records that the run begins, under these policies; what the caller may know it by comes with it. A run that cannot be
    /// recorded does not begin.
    pub(super) fn begin(self, stores: &[Rc<PolicyStore>]) -> Result<(Trail, Text<64>), Fault> {
        let Some(settings) = settings(self.config, self.origin) else { return Ok((Trail::none(), Text::default())) };
        let unrecorded = |error| Fault::Ended(ending::unrecorded(&error));
        let log = open(settings, &self.caller.principal).map_err(unrecorded)?;
        let run = random::number().map_err(|errno| Fault::Ended(ending::nameless(errno.desc())))?;
        let run = format!("{run:016x}");
        let revision = stores.first().map(|store| store.revision().to_owned()).unwrap_or_default();
        let trail = Trail::begin(log, run.clone(), revision, &self.start()).map_err(unrecorded)?;
        let run = Text::cut(run);
        self.origin.reporter().begun(&run, &self.session.script, self.caller.pid);
        Ok((trail, run))
    }

    /// Records that the run does not begin, and why. It does not where that cannot be recorded, either: the broker's own log
    /// tells it then.
    pub(super) fn refuse(self, fault: &Fault) {
        let (class, message) = match fault {
            Fault::Refused(Refusal { reason, message }) => (reason_name(*reason), &**message),
            // That is what could not be recorded.
            Fault::Ended(
                Ending::Succeeded
                | Ending::Failed { class: EndClass::Unrecorded | EndClass::Limit(LimitName::Records), .. },
            ) => return,
            Fault::Ended(Ending::Failed { class, message }) => (class_name(*class), &**message),
        };
        let Some(settings) = settings(self.config, self.origin) else { return };
        let message = cut(message.to_owned(), REASON);
        let refused = RunRefused { run: self.start(), result: "refused", class, message: &message };
        let entry = Entry::of_broker(self.origin.revision(), &Event::RunRefused(refused));
        let recorded = open(settings, &self.caller.principal).and_then(|mut log| append_and_tell(&mut log, entry));
        match recorded {
            Ok(()) => {}
            // No fault of the broker's: who fills the log is told of no more than that.
            Err(error @ AuditError::Full { .. }) => tracing::info!("that a run was refused is not recorded: {error}"),
            Err(error) => tracing::error!("that a run was refused is not recorded: {error}"),
        }
    }

    fn start(&self) -> RunStart<'_> {
        let (principal, session) = (&self.caller.principal, self.session);
        RunStart {
            user: &principal.name,
            uid: principal.uid,
            groups: &principal.groups,
            pid: self.caller.pid,
            via: session.via.name(),
            tty: &session.tty,
            parent: &session.parent,
            script: &session.script,
            script_bytes: self.script,
            reason: &session.reason,
            signed_by: &session.signed_by,
            ssh_key: &session.ssh_key,
            dry_run: session.dry_run,
            own_policy: self.policy.map(|policy| sha256([policy.text.as_slice()])),
        }
    }
}

/// The log, for what this user asks for. Those who could remove all of it, root and the user this process runs as, may fill it.
pub(super) fn open(settings: &Audit, principal: &Principal) -> Result<Log, AuditError> {
    // Whoever has many numbers without a name (subuid(5)) may fill no more by them.
    const NAMELESS: u32 = u32::MAX;
    match principal.uid {
        uid if uid == 0 || uid == geteuid().as_raw() => Log::open(settings),
        _ if principal.name == principal::UNKNOWN => Log::open_for(settings, NAMELESS),
        uid => Log::open_for(settings, uid),
    }
}

/// Records something that this user asks for besides runs.
pub(super) fn record(settings: &Audit, principal: &Principal, entry: Entry) -> Result<(), AuditError> {
    let mut log = open(settings, principal)?;
    log.confirm_room()?;
    log.append(&[entry])
}

/// How runs that come so are recorded; nothing where they are not.
pub(super) fn settings<'a>(config: &'a Config, origin: &'a Origin) -> Option<&'a Audit> {
    match origin {
        Origin::Daemon { .. } => Some(&config.audit),
        Origin::Standalone(audit) => audit.as_ref(),
    }
}

/// Records how a run ended and reports it, before its client is told; nothing stands for one that is gone. What cannot be
/// recorded has not succeeded.
pub(super) fn end(origin: &Origin, state: &mut State, ending: Option<Ending>, took: Duration) -> Option<Ending> {
    let (result, class) = match &ending {
        None => ("gone", None),
        Some(Ending::Succeeded) => ("succeeded", None),
        Some(Ending::Failed { class, message }) => {
            if matches!(
                class,
                rex_protocol::client::EndClass::Violation | rex_protocol::client::EndClass::ClientViolation
            ) {
                state.trail_mut().violation(message);
            }
            ("failed", Some(class_name(*class)))
        }
    };
    let spent = *state.authorizer().spent();
    let denied = state.account().denied;
    state.trail_mut().end(RunEnd {
        user: "",
        result,
        class,
        operations: spent.operations,
        denied,
        bytes_read: spent.bytes_read,
        bytes_written: spent.bytes_written,
        deleted: spent.deleted,
        hosts: spent.hosts,
        milliseconds: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        records: 0,
        record_bytes: 0,
    });
    let ending = match state.trail().fault() {
        Some(fault) => ending.map(|_| ending::unrecorded(fault)),
        None => ending,
    };
    origin.reporter().ended(How::of(ending.as_ref()), state.trail().decisions(), spent.operations);
    ending
}
