//! The beginning of a run, and a worker that is fit for it.

use super::affinity::Affinity;
use super::connection::Connection;
use super::recording::{self, Recording};
use super::report::How;
use super::run::{self, Run};
use super::state::State;
use super::submission::{self, Fault, Origin, Submission, refuse};
use super::usage::Meter;
use super::{direct, ending, facts, policies, rights, signature, ssh};
use crate::audit::Decisions;
use crate::authz::{Authorizer, Principal};
use crate::config::Config;
use crate::jail::{self, Jail, Program, SpawnError, Walls, Worker};
use crate::program::Programs;
use crate::sys::socket::{self, Packet};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use rex_protocol::client::{EndClass, Ending, RefusalReason, Submit, ToClient, Usage};
use rex_protocol::limits::{LimitName, Limits};
use rex_protocol::text::{CHUNK, Text};
use rex_protocol::worker::{FromWorker, Run as RunMessage, ToWorker};
use rex_protocol::{VERSION, wire};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long a worker may take to seal itself and say hello.
const HELLO: Duration = Duration::from_secs(10);

/// Who submits.
pub(crate) struct Caller {
    pub(crate) principal: Principal,
    pub(crate) pid: i32,
    /// The process itself, where the kernel tells it. The run ends with it: a connection that is passed on
    /// to another process carries no rights there.
    pub(crate) process: Option<OwnedFd>,
}

/// A worker that was started beforehand, with the default limits.
pub(crate) struct ReadyWorker {
    worker: Worker,
    /// Whether it has sealed itself and been looked at.
    sealed: bool,
}

/// Serves one run, by the worker that is ready if that fits.
pub(crate) fn serve(
    config: &Config,
    programs: &Programs,
    mut connection: Connection,
    caller: Caller,
    origin: &Origin,
    ready: Option<ReadyWorker>,
) {
    let mut ready = ready;
    let begun = Instant::now();
    let served = match submission::receive(&mut connection).and_then(|wanted| origin.admit(wanted)) {
        Ok(None) => Ok(()),
        Ok(Some(Submission::Script(submit))) => {
            prepare(config, &programs.worker, &mut connection, &caller, origin, &mut ready, &submit)
                .inspect_err(|fault| refused(config, origin, &caller, &submit, fault))
                .map(|prepared| prepared.run(config, &programs.net, &mut connection, origin, begun))
        }
        Ok(Some(Submission::Operations(operate))) => {
            // Nothing here is for a worker to do.
            ready.take().iter().for_each(ReadyWorker::end);
            direct::serve(config, &programs.net, &mut connection, &caller, origin, &operate, begun)
        }
        Ok(Some(Submission::Question(ask))) => policies::answer(config, &mut connection, &caller, origin, ask),
        Err(fault) => Err(fault),
    };
    match served {
        Ok(()) => {}
        Err(Fault::Refused(refusal)) => {
            tracing::info!("run refused: {}", refusal.message);
            origin.reporter().refused(refusal.reason);
            connection.send(&ToClient::Refused(refusal));
        }
        Err(Fault::Ended(ending)) => {
            if let Ending::Failed { message, .. } = &ending {
                tracing::info!("run did not begin: {message}");
            }
            origin.reporter().ended(How::of(Some(&ending)), Decisions::default(), 0);
            let usage = Usage { total_ns: ending::nanoseconds(begun.elapsed()), ..Usage::default() };
            ending::tell(&mut connection, ending, usage);
        }
    }
    connection.finish(Duration::from_secs(5));
    ready.iter().for_each(ReadyWorker::end);
}

impl ReadyWorker {
    /// Starts one and does not wait for it: it seals itself meanwhile.
    pub(crate) fn start(program: &Program, limits: &Limits) -> Result<Self, String> {
        let worker = start_worker(program, limits).map_err(Fault::into_message)?;
        Ok(Self { worker, sealed: false })
    }

    /// Starts one, and waits until it is sealed and has been looked at.
    pub(crate) fn sealed(program: &Program, limits: &Limits) -> Result<Self, String> {
        let Self { worker, .. } = Self::start(program, limits)?;
        match await_hello(&worker) {
            Ok(()) => Ok(Self { worker, sealed: true }),
            Err(fault) => {
                run::end(&worker);
                Err(fault.into_message())
            }
        }
    }

    /// What keeps it in.
    pub(crate) fn walls(&self) -> Walls {
        self.worker.walls
    }

    /// Becomes readable when it has ended.
    pub(crate) fn process(&self) -> BorrowedFd<'_> {
        self.worker.process.as_fd()
    }

    /// Ends it.
    pub(crate) fn end(&self) {
        run::end(&self.worker);
    }
}

/// Records that the run does not begin.
fn refused(config: &Config, origin: &Origin, caller: &Caller, submit: &Submit, fault: &Fault) {
    let session = facts::of(origin.via(), caller, Some(&submit.script), submit.reason.as_deref(), submit.dry_run);
    let (script, policy) = (submit.script.len(), submit.policy.as_ref());
    Recording { config, origin, caller, session: &session, script, policy }.refuse(fault);
}

/// Starts a worker and does not wait for it.
fn start_worker(program: &Program, limits: &Limits) -> Result<Worker, Fault> {
    let jail = Jail { memory: limits.memory, cpu_ms: limits.cpu_ms };
    jail.spawn(program).map_err(|error| unavailable(error.to_string()))
}

/// Everything that a run needs to begin.
struct Prepared<'a> {
    submit: &'a Submit,
    caller: &'a Caller,
    limits: Limits,
    state: State,
    /// What records call it.
    run: Text<64>,
    worker: Worker,
}

fn prepare<'a>(
    config: &Config,
    program: &Program,
    connection: &mut Connection,
    caller: &'a Caller,
    origin: &Origin,
    ready: &mut Option<ReadyWorker>,
    submit: &'a Submit,
) -> Result<Prepared<'a>, Fault> {
    let limits = submission::limits(config, &submit.limits, HELLO)?;
    if let Some(group) = origin.group() {
        // It was made with the usual ones.
        group.limit(&limits).map_err(|errno| unavailable(format!("cannot limit the run's processes: {errno}")))?;
    }
    let ssh = ssh::connection(submit, caller, origin)?;
    // A worker is started before policies are read, so that it seals itself meanwhile.
    let as_ready = Jail { memory: config.limits.memory, cpu_ms: config.limits.cpu_ms };
    let fits = as_ready == Jail { memory: limits.memory, cpu_ms: limits.cpu_ms };
    let (worker, sealed) = match ready.take() {
        Some(ReadyWorker { worker, sealed }) if fits && run::reap(&worker) == Some(WaitStatus::StillAlive) => {
            (worker, sealed)
        }
        other => {
            other.iter().for_each(ReadyWorker::end);
            (start_worker(program, &limits)?, false)
        }
    };
    let stores = match submission::stores(connection, submit.policy.as_ref(), submit.strict, origin) {
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
    let mut session = facts::of(origin.via(), caller, Some(&submit.script), submit.reason.as_deref(), submit.dry_run);
    if let Some(ssh) = ssh {
        ssh::tell(&mut session, ssh);
    }
    match signature::signed_by(submit, origin) {
        Ok(signer) => session.signed_by = signer,
        Err(fault) => {
            run::end(&worker);
            return Err(fault);
        }
    }
    let authorizer = Authorizer::new(caller.principal.clone(), stores.clone());
    if let Err(error) = rights::give_up(&authorizer.could_do()) {
        run::end(&worker);
        return Err(unavailable(error));
    }
    let (script, policy) = (submit.script.len(), submit.policy.as_ref());
    let recording = Recording { config, origin, caller, session: &session, script, policy };
    let (trail, run) = match recording.begin(&stores) {
        Ok(begun) => begun,
        Err(fault) => {
            run::end(&worker);
            return Err(fault);
        }
    };
    let state = match State::new(authorizer.with_session(session), limits, trail).rehearsing(submit.dry_run) {
        Ok(state) => state,
        Err(errno) => {
            run::end(&worker);
            return Err(submission::unplannable(errno));
        }
    };
    Ok(Prepared { submit, caller, limits, state, run, worker })
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

impl Prepared<'_> {
    fn run(
        self,
        config: &Config,
        net: &Result<Program, SpawnError>,
        connection: &mut Connection,
        origin: &Origin,
        begun: Instant,
    ) {
        let Prepared { submit, caller, limits, mut state, run, worker } = self;
        connection.send(&ToClient::Accepted { limits, run });
        tracing::info!(client = caller.pid, worker = worker.pid.as_raw(), "run begins");
        let meter = Meter::new(worker.pid, submit.measure);
        let affinity = Affinity::new(worker.pid, config.one_cpu);
        if let Err(violation) = hand_over(&worker, submit, limits) {
            run::end(&worker);
            let usage = Usage { total_ns: ending::nanoseconds(begun.elapsed()), ..Usage::default() };
            let ending = recording::end(origin, &mut state, Some(ending::violation(&violation)), begun.elapsed());
            ending.into_iter().for_each(|ending| ending::tell(connection, ending, usage));
            return;
        }
        let process = caller.process.as_ref();
        let watched = watch(connection, process);
        let state = state.with_net(net.clone(), watched);
        let mut run = Run::new(connection, &worker, process, state, meter, affinity, submit.progress);
        let ending = run.serve_to_end();
        let ending = ending.map(|ending| out_of_memory_or(ending, origin, &limits));
        let script_ns = ending::nanoseconds(run.elapsed());
        let operations = run.state.authorizer().spent().operations;
        let changes = run.state.account().changes;
        let Run { meter, connection, mut state, .. } = run;
        let mut usage = Usage { script_ns: Some(script_ns), operations, changes, ..Usage::default() };
        meter.finish(&mut usage);
        // From here on it does nothing more; the client need not wait until the kernel has put it away.
        run::stop(&worker);
        let ending = recording::end(origin, &mut state, ending, begun.elapsed());
        let Some(ending) = ending else {
            run::end(&worker);
            state.trail_mut().sync();
            tracing::info!(operations, "run ended: its client is gone");
            return;
        };
        if matches!(ending, Ending::Failed { class: EndClass::Compile | EndClass::Arguments, .. }) {
            usage.script_ns = None;
        }
        usage.total_ns = ending::nanoseconds(begun.elapsed());
        ending::tell(connection, ending, usage);
        run::end(&worker);
        state.trail_mut().sync();
    }
}

/// A worker that the kernel ended because all processes of its run together used too much memory has not died of itself.
fn out_of_memory_or(ending: Ending, origin: &Origin, limits: &Limits) -> Ending {
    let died = matches!(ending, Ending::Failed { class: EndClass::WorkerDied, .. });
    match origin.group().filter(|group| died && group.ran_out_of_memory()) {
        Some(_) => ending::limit(LimitName::Memory, limits),
        None => ending,
    }
}

/// What ends long waits of a run: a word of its client, or its end.
pub(super) fn watch(connection: &Connection, process: Option<&OwnedFd>) -> Vec<OwnedFd> {
    let descriptors = std::iter::once(connection.as_fd()).chain(process.map(AsFd::as_fd));
    // Where there are no descriptors left, nothing more can be done anyway.
    descriptors.filter_map(|descriptor| descriptor.try_clone_to_owned().ok()).collect()
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

pub(super) fn unavailable(message: String) -> Fault {
    refuse(RefusalReason::Unavailable, message)
}
