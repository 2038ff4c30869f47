//! The beginning of a run: the submission, its policy and limits, and a worker that is fit for it.

use super::affinity::Affinity;
use super::connection::Connection;
use super::ending;
use super::run::{self, Run};
use super::state::State;
use super::usage::Meter;
use crate::authz::{Authorizer, PolicySource, PolicyStore, Principal, Strictness};
use crate::config::Config;
use crate::jail::{self, Jail, Program, Worker};
use crate::sys::process;
use crate::sys::socket::{self, Packet};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use rex_protocol::client::{EndClass, Ending, FromClient, Outcome, Refusal, RefusalReason, Submit, ToClient, Usage};
use rex_protocol::limits::{self, LimitName, Limits};
use rex_protocol::text::{CHUNK, Text};
use rex_protocol::worker::{FromWorker, Run as RunMessage, ToWorker};
use rex_protocol::{VERSION, wire};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How long a client may take to submit its run.
const SUBMISSION: Duration = Duration::from_secs(10);
/// How long a worker may take to seal itself and say hello.
const HELLO: Duration = Duration::from_secs(10);
/// How long after its deadline a session that hangs in the kernel is ended by it.
const LAST_RESORT: Duration = Duration::from_secs(10);

/// Who submits.
pub(crate) struct Caller {
    pub(crate) principal: Principal,
    pub(crate) pid: i32,
    /// The process itself, where the kernel tells it. The run ends with it: a connection that is passed on
    /// to another process carries no rights there.
    pub(crate) process: Option<OwnedFd>,
}

/// What policy a run stands under besides the one it brings.
pub(crate) enum Origin {
    /// The daemon's store decides; a policy that comes with the run narrows it.
    Daemon(Rc<PolicyStore>),
    /// The run's own policy is the only one.
    Standalone,
}

/// Serves one run. `ready` is a sealed worker started beforehand with `config`'s default limits.
pub(crate) fn serve(
    config: &Config,
    program: &Program,
    mut connection: Connection,
    caller: Caller,
    origin: &Origin,
    ready: Option<Worker>,
) {
    let mut ready = ready;
    let begun = Instant::now();
    match prepare(config, program, &mut connection, caller, origin, &mut ready) {
        Ok(Some(prepared)) => prepared.run(config, &mut connection, begun),
        Ok(None) => {}
        Err(Fault::Refused(refusal)) => {
            tracing::info!("run refused: {}", refusal.message);
            connection.send(&ToClient::Refused(refusal));
        }
        Err(Fault::Ended(ending)) => tell(&mut connection, ending, begun),
    }
    connection.finish(Duration::from_secs(5));
    if let Some(worker) = ready {
        run::end(&worker);
    }
}

/// Starts a worker and does not wait for it.
pub(crate) fn start_worker(program: &Program, limits: &Limits) -> Result<Worker, Fault> {
    let jail = Jail { memory: limits.memory, cpu_ms: limits.cpu_ms };
    jail.spawn(program).map_err(|error| unavailable(error.to_string()))
}

/// Starts a worker, and waits until it is sealed and has been looked at.
pub(crate) fn sealed_worker(program: &Program, limits: &Limits) -> Result<Worker, String> {
    let worker = start_worker(program, limits).map_err(Fault::into_message)?;
    match await_hello(&worker) {
        Ok(()) => Ok(worker),
        Err(fault) => {
            run::end(&worker);
            Err(fault.into_message())
        }
    }
}

/// Why a run does not begin.
pub(crate) enum Fault {
    Refused(Refusal),
    Ended(Ending),
}

impl Fault {
    fn into_message(self) -> String {
        match self {
            Fault::Refused(refusal) => refusal.message.into_string(),
            Fault::Ended(Ending::Failed { message, .. }) => message.into_string(),
            Fault::Ended(Ending::Succeeded) => String::new(),
        }
    }
}

/// Everything that a run needs to begin.
struct Prepared {
    submit: Submit,
    limits: Limits,
    authorizer: Authorizer,
    worker: Worker,
    caller: i32,
    process: Option<OwnedFd>,
}

fn prepare(
    config: &Config,
    program: &Program,
    connection: &mut Connection,
    caller: Caller,
    origin: &Origin,
    ready: &mut Option<Worker>,
) -> Result<Option<Prepared>, Fault> {
    let Some(submit) = submission(connection)? else { return Ok(None) };
    connection.only_small_frames();
    let limits =
        config.limits_for(&submit.limits).map_err(|(name, message)| refuse(RefusalReason::Limit(name), message))?;
    // The kernel ends a session that hangs in it for longer than any run may take.
    let most = Duration::from_millis(limits.time_ms) + SUBMISSION + HELLO + LAST_RESORT;
    process::end_after(u32::try_from(most.as_secs()).unwrap_or(u32::MAX));
    // A worker is started before policies are read, so that it seals itself meanwhile.
    let as_ready = Jail { memory: config.limits.memory, cpu_ms: config.limits.cpu_ms };
    let fits = as_ready == Jail { memory: limits.memory, cpu_ms: limits.cpu_ms };
    let (worker, sealed) = match ready.take() {
        Some(worker) if fits && run::reap(&worker) == Some(WaitStatus::StillAlive) => (worker, true),
        other => {
            other.iter().for_each(run::end);
            (start_worker(program, &limits)?, false)
        }
    };
    let stores = match stores(connection, &submit, origin) {
        Ok(stores) => stores,
        Err(fault) => {
            run::end(&worker);
            return Err(fault);
        }
    };
    if !sealed && let Err(fault) = await_hello(&worker) {
        run::end(&worker);
        return Err(fault);
    }
    let authorizer = Authorizer::new(caller.principal, stores);
    Ok(Some(Prepared { submit, limits, authorizer, worker, caller: caller.pid, process: caller.process }))
}

/// The run that the client submits; nothing if it goes away instead.
fn submission(connection: &mut Connection) -> Result<Option<Submit>, Fault> {
    let refused = |message: String| refuse(RefusalReason::Protocol, message);
    let frame =
        connection.await_frame(Instant::now() + SUBMISSION).map_err(|violation| refused(violation.to_string()))?;
    let Some(frame) = frame else {
        return if connection.is_gone() { Ok(None) } else { Err(refused("no run was submitted in time".into())) };
    };
    let submit = match wire::decode(&frame) {
        Ok(FromClient::Submit(submit)) => *submit,
        Ok(_) => return Err(refused("the first message is not a submission".into())),
        Err(violation) => return Err(refused(violation.to_string())),
    };
    if &*submit.version != VERSION {
        return Err(refused(format!("the client is version {}, the broker {VERSION}", submit.version)));
    }
    let policy = submit.policy.as_ref().map_or(0, |policy| policy.text.len());
    for (what, length, most) in [
        ("script", submit.script.len(), limits::SCRIPT),
        ("arguments", submit.arguments.len(), limits::ARGUMENTS),
        ("policy", policy, limits::POLICY),
    ] {
        if length > most {
            let message = format!("the {what} has {length} bytes, at most {most} are taken");
            return Err(refuse(RefusalReason::Limit(LimitName::DataSize), message));
        }
    }
    Ok(Some(submit))
}

/// The policies that must all allow.
fn stores(connection: &mut Connection, submit: &Submit, origin: &Origin) -> Result<Vec<Rc<PolicyStore>>, Fault> {
    let mut stores = match origin {
        Origin::Daemon(store) => vec![Rc::clone(store)],
        Origin::Standalone if submit.policy.is_none() => {
            return Err(refuse(
                RefusalReason::NoPolicy,
                "a run without the daemon needs a policy (--policy-file)".into(),
            ));
        }
        Origin::Standalone => Vec::new(),
    };
    if let Some(policy) = &submit.policy {
        let source = PolicySource { name: policy.name.to_string(), text: policy.text.clone() };
        let strictness = if submit.strict { Strictness::Strict } else { Strictness::Lenient };
        let (store, warnings) = PolicyStore::load(&[source], strictness)
            .map_err(|error| Fault::Ended(ending::failed(EndClass::Policy, error.to_string())))?;
        for warning in warnings {
            connection.send(&ToClient::Warning(Text::cut(warning.to_string())));
        }
        stores.push(Rc::new(store));
    }
    Ok(stores)
}

/// Waits until a worker says that it is sealed, and looks whether it is.
fn await_hello(worker: &Worker) -> Result<(), Fault> {
    let deadline = Instant::now() + HELLO;
    let mut packet = [0; 256];
    let length = loop {
        match socket::receive_packet(&worker.socket, &mut packet) {
            Ok(Packet::Bytes(length)) => break length,
            Ok(Packet::Malformed) => return Err(unavailable("the worker's hello is malformed".into())),
            Ok(Packet::End) | Err(Errno::ECONNRESET) => return Err(unavailable(unsealed(worker))),
            Err(Errno::EAGAIN) => {}
            Err(error) => return Err(unavailable(format!("cannot hear the worker: {error}"))),
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(unavailable("the worker did not seal itself in time".into()));
        }
        let mut polled = [PollFd::new(worker.socket.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(left.as_millis().saturating_add(1)).unwrap_or(PollTimeout::MAX);
        let _ = poll(&mut polled, timeout);
    };
    match wire::decode_borrowed(packet.get(..length).unwrap_or_default()) {
        Ok(FromWorker::Hello { version }) if version == VERSION => {}
        Ok(FromWorker::Hello { .. }) => return Err(unavailable("the worker's program is of another version".into())),
        _ => return Err(unavailable("the worker did not say hello".into())),
    }
    jail::verify(worker).map_err(|error| unavailable(error.to_string()))
}

fn unsealed(worker: &Worker) -> String {
    if let Some(fault) = worker.start_fault() {
        return format!("cannot start a worker: {fault}");
    }
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    match waitid(Id::PIDFd(worker.process.as_fd()), flags) {
        Ok(WaitStatus::Exited(_, rex_protocol::worker::EXIT_SEAL_FAILED)) => "the worker could not seal itself".into(),
        Ok(WaitStatus::Exited(_, code)) => format!("the worker ended with code {code} before it was sealed"),
        Ok(WaitStatus::Signaled(_, signal, _)) => {
            format!("the worker was ended by {} before it was sealed", signal.as_str())
        }
        _ => "the worker ended before it was sealed".into(),
    }
}

impl Prepared {
    fn run(self, config: &Config, connection: &mut Connection, begun: Instant) {
        let Prepared { submit, limits, authorizer, worker, caller, process } = self;
        connection.send(&ToClient::Accepted { limits });
        tracing::info!(client = caller, worker = worker.pid.as_raw(), "run begins");
        let meter = Meter::new(worker.pid, submit.measure);
        let affinity = Affinity::new(worker.pid, config.one_cpu);
        if let Err(violation) = hand_over(&worker, &submit, limits) {
            run::end(&worker);
            return tell(connection, ending::violation(&violation), begun);
        }
        let state = State::new(authorizer, limits);
        let mut run = Run::new(connection, &worker, process, state, meter, affinity, submit.progress);
        let ending = run.serve_to_end();
        let script_ns = nanoseconds(run.elapsed());
        let operations = run.state.account().operations;
        let Run { meter, connection, .. } = run;
        let mut usage = Usage { script_ns: Some(script_ns), operations, ..Usage::default() };
        meter.finish(&mut usage);
        run::end(&worker);
        let Some(ending) = ending else {
            tracing::info!(operations, "run ended: its client is gone");
            return;
        };
        if matches!(ending, Ending::Failed { class: EndClass::Compile | EndClass::Arguments, .. }) {
            usage.script_ns = None;
        }
        usage.total_ns = nanoseconds(begun.elapsed());
        report(&ending, operations);
        connection.send(&ToClient::Outcome(Box::new(Outcome { ending, usage })));
    }
}

/// Sends script and arguments. They are not looked at.
fn hand_over(worker: &Worker, submit: &Submit, limits: Limits) -> Result<(), rex_protocol::Violation> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let message = RunMessage {
        script: length(&submit.script),
        arguments: length(&submit.arguments),
        limits,
        log_level: submit.log_level,
    };
    // It has just said hello and has nothing else to do than to read.
    socket::set_blocking(&worker.socket).map_err(|error| rex_protocol::Violation::new(error.to_string()))?;
    let send = |message: &ToWorker| -> Result<(), rex_protocol::Violation> {
        let packet = wire::encode(message)?;
        let flags = nix::sys::socket::MsgFlags::MSG_NOSIGNAL;
        use std::os::fd::AsRawFd;
        match socket::retry(|| nix::sys::socket::send(worker.socket.as_raw_fd(), &packet, flags)) {
            Ok(_) | Err(Errno::EPIPE | Errno::ECONNRESET) => Ok(()),
            Err(error) => Err(rex_protocol::Violation::new(format!("cannot be given its script: {error}"))),
        }
    };
    send(&ToWorker::Run(Box::new(message)))?;
    for part in submit.script.chunks(CHUNK).chain(submit.arguments.chunks(CHUNK)) {
        send(&ToWorker::Part(part.to_vec()))?;
    }
    socket::set_nonblocking(&worker.socket).map_err(|error| rex_protocol::Violation::new(error.to_string()))
}

/// Tells of a run that did not begin.
fn tell(connection: &mut Connection, ending: Ending, begun: Instant) {
    report(&ending, 0);
    let usage = Usage { total_ns: nanoseconds(begun.elapsed()), ..Usage::default() };
    connection.send(&ToClient::Outcome(Box::new(Outcome { ending, usage })));
}

/// The broker's own log tells how runs end, and nothing of what scripts say.
fn report(ending: &Ending, operations: u64) {
    match ending {
        Ending::Succeeded => tracing::info!(operations, "run succeeded"),
        Ending::Failed { class: EndClass::Violation, message } => tracing::error!(operations, "run ended: {message}"),
        Ending::Failed { class: EndClass::Internal, message } => tracing::error!(operations, "run failed: {message}"),
        Ending::Failed { class, .. } => tracing::info!(operations, class = ending::class_name(*class), "run failed"),
    }
}

fn refuse(reason: RefusalReason, message: String) -> Fault {
    Fault::Refused(Refusal { reason, message: Text::cut(message) })
}

fn unavailable(message: String) -> Fault {
    refuse(RefusalReason::Unavailable, message)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
