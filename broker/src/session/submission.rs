//! What a client submits: read, bounded, and put under its policies.

use super::connection::Connection;
use super::ending;
use super::report::Reporter;
use crate::audit::Audit;
use crate::authz::{PolicySource, PolicyStore, Strictness, Via};
use crate::config::Config;
use crate::group::Group;
use crate::store::Store;
use crate::sys::process;
use nix::unistd::Pid;
use rex_protocol::client::{
    EndClass, Ending, FromClient, LimitRequest, Operate, Policy, Refusal, RefusalReason, Submit, ToClient,
};
use rex_protocol::limits::{self, LimitName, Limits};
use rex_protocol::text::Text;
use rex_protocol::{VERSION, wire};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How long a client may take to submit its run.
const SUBMISSION: Duration = Duration::from_secs(10);
/// How long after its deadline a session that hangs in the kernel is ended by it.
const LAST_RESORT: Duration = Duration::from_secs(10);

/// What policy a run stands under besides the one it brings.
pub(crate) enum Origin {
    /// The daemon's store decides; a policy that comes with the run narrows it.
    Daemon {
        /// The store.
        store: Store,
        /// The daemon, whose child each session is.
        daemon: Pid,
        /// What this session has of it; nothing in the daemon itself.
        ties: Ties,
        /// What came of loading the store anew.
        reloads: Reloads,
    },
    /// The run's own policy is the only one. It is recorded only where its caller wants that.
    Standalone(Option<Audit>),
}

/// How often the daemon was told to load its store anew, and what came of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reloads {
    /// How often.
    pub(crate) count: u64,
    /// Why the last time changed nothing, where that is so.
    pub(crate) fault: Option<String>,
}

/// What a session has of its daemon.
#[derive(Debug, Default)]
pub(crate) struct Ties {
    /// How it is told what becomes of the run.
    pub(crate) reporter: Reporter,
    /// The group of the run's processes, where there are such groups.
    pub(crate) group: Option<Group>,
    /// Why the client may ask questions and run nothing.
    pub(crate) closed: Option<Refusal>,
}

impl Origin {
    /// How the daemon is told what becomes of the run. Without one nobody hears it.
    pub(super) fn reporter(&self) -> &Reporter {
        static NOBODY: Reporter = Reporter::nobody();
        match self {
            Origin::Daemon { ties, .. } => &ties.reporter,
            Origin::Standalone(_) => &NOBODY,
        }
    }

    /// The revision of the daemon's store; empty without one.
    pub(crate) fn revision(&self) -> &str {
        match self {
            Origin::Daemon { store, .. } => store.policies.revision(),
            Origin::Standalone(_) => "",
        }
    }

    /// The group of the run's processes.
    pub(super) fn group(&self) -> Option<&Group> {
        match self {
            Origin::Daemon { ties, .. } => ties.group.as_ref(),
            Origin::Standalone(_) => None,
        }
    }

    /// Lets pass what the client wants, unless it is a run for which there is no room. Questions need none.
    pub(super) fn admit(&self, submission: Option<Submission>) -> Result<Option<Submission>, Fault> {
        match (self, &submission) {
            (
                Origin::Daemon { ties: Ties { closed: Some(refusal), .. }, .. },
                Some(Submission::Script(_) | Submission::Operations(_)),
            ) => Err(Fault::Refused(refusal.clone())),
            _ => Ok(submission),
        }
    }

    /// How such a run comes.
    pub(super) fn via(&self) -> Via {
        match self {
            Origin::Daemon { .. } => Via::Socket,
            Origin::Standalone(_) => Via::Standalone,
        }
    }
}

/// What the client wants.
pub(super) enum Submission {
    /// A script, for a worker.
    Script(Box<Submit>),
    /// To ask for operations itself.
    Operations(Box<Operate>),
    /// To know of policies, to have them loaded anew, or to know of the broker.
    Question(Ask),
}

/// What a client wants to know and runs nothing for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// The policies that are about it.
    List,
    /// Which are in force.
    Inspect,
    /// The same, and to have them loaded anew.
    Reload,
    /// How the broker is.
    Status,
}

/// Why a run does not begin.
pub(crate) enum Fault {
    Refused(Refusal),
    Ended(Ending),
}

impl Fault {
    /// For people.
    pub(super) fn into_message(self) -> String {
        match self {
            Fault::Refused(refusal) => refusal.message.into_string(),
            Fault::Ended(Ending::Failed { message, .. }) => message.into_string(),
            Fault::Ended(Ending::Succeeded) => String::new(),
        }
    }
}

/// The run that the client submits; nothing if it goes away instead. From then on it may send only what such a run needs.
pub(super) fn receive(connection: &mut Connection) -> Result<Option<Submission>, Fault> {
    let refused = |message: String| refuse(RefusalReason::Protocol, message);
    let frame =
        connection.await_frame(Instant::now() + SUBMISSION).map_err(|violation| refused(violation.to_string()))?;
    let Some(frame) = frame else {
        return if connection.is_gone() { Ok(None) } else { Err(refused("no run was submitted in time".into())) };
    };
    let (submission, later) = match wire::decode(&frame) {
        Ok(FromClient::Submit(submit)) => (Submission::Script(submit), rex_protocol::client::LATER_FRAME),
        Ok(FromClient::Operate(operate)) => (Submission::Operations(operate), rex_protocol::client::OPERATION_FRAME),
        Ok(FromClient::List) => return Ok(Some(Submission::Question(Ask::List))),
        Ok(FromClient::Inspect) => return Ok(Some(Submission::Question(Ask::Inspect))),
        Ok(FromClient::Reload) => return Ok(Some(Submission::Question(Ask::Reload))),
        Ok(FromClient::Status) => return Ok(Some(Submission::Question(Ask::Status))),
        Ok(_) => return Err(refused("the first message is not a submission".into())),
        Err(violation) => return Err(refused(violation.to_string())),
    };
    connection.limit_frames(later);
    let (version, policy, script, arguments) = match &submission {
        Submission::Script(run) => (&run.version, &run.policy, run.script.len(), run.arguments.len()),
        Submission::Operations(run) => (&run.version, &run.policy, 0, 0),
        Submission::Question(_) => return Ok(Some(submission)),
    };
    if &**version != VERSION {
        return Err(refused(format!("the client is version {version}, the broker {VERSION}")));
    }
    let policy = policy.as_ref().map_or(0, |policy| policy.text.len());
    for (what, length, most) in [
        ("script", script, limits::SCRIPT),
        ("arguments", arguments, limits::ARGUMENTS),
        ("policy", policy, limits::POLICY),
    ] {
        if length > most {
            let message = format!("the {what} has {length} bytes, at most {most} are taken");
            return Err(refuse(RefusalReason::Limit(LimitName::DataSize), message));
        }
    }
    Ok(Some(submission))
}

/// The limits of a run that takes `start` at most to begin. The kernel ends a session that hangs in it for longer than the
/// run may take.
pub(super) fn limits(config: &Config, request: &LimitRequest, start: Duration) -> Result<Limits, Fault> {
    let limits = config.limits_for(request).map_err(|(name, message)| refuse(RefusalReason::Limit(name), message))?;
    let most = Duration::from_millis(limits.time_ms) + SUBMISSION + start + LAST_RESORT;
    process::end_after(u32::try_from(most.as_secs()).unwrap_or(u32::MAX));
    Ok(limits)
}

/// The policies that must all allow. What its author should know of the run's own is told to the client.
pub(super) fn stores(
    connection: &mut Connection,
    policy: Option<&Policy>,
    strict: bool,
    origin: &Origin,
) -> Result<Vec<Rc<PolicyStore>>, Fault> {
    let mut stores = match origin {
        Origin::Daemon { store, .. } => vec![Rc::clone(&store.policies)],
        Origin::Standalone(_) if policy.is_none() => {
            return Err(refuse(
                RefusalReason::NoPolicy,
                "a run without the daemon needs a policy (--policy-file)".into(),
            ));
        }
        Origin::Standalone(_) => Vec::new(),
    };
    if let Some(policy) = policy {
        let source = PolicySource { name: policy.name.to_string(), text: policy.text.clone() };
        let strictness = if strict { Strictness::Strict } else { Strictness::Lenient };
        let (store, warnings) = PolicyStore::load(&[source], strictness)
            .map_err(|error| Fault::Ended(ending::failed(EndClass::Policy, error.to_string())))?;
        for warning in warnings {
            connection.send(&ToClient::Warning(Text::cut(warning.to_string())));
        }
        stores.push(Rc::new(store));
    }
    Ok(stores)
}

/// A dry run cannot keep what it would have changed.
pub(super) fn unplannable(errno: nix::errno::Errno) -> Fault {
    refuse(RefusalReason::Unavailable, format!("cannot begin a dry run: {}", errno.desc()))
}

/// A refusal.
pub(super) fn refuse(reason: RefusalReason, message: String) -> Fault {
    Fault::Refused(Refusal { reason, message: Text::cut(message) })
}
