//! The daemon: listens, authenticates, and starts a session for each run.
//!
//! One thread and one poll loop. It reads nothing that a client sends: a connection is judged by who made
//! it, and handed to a session.

mod listener;
mod pool;
mod quota;
mod supervised;

use crate::audit::{Audit, Entry, Event, Log};
use crate::config::Config;
use crate::jail::Program;
use crate::principal;
use crate::program::Programs;
use crate::session::{Caller, Connection, Origin, serve};
use crate::store::{Store, StoreError};
use crate::sys::process::{self, Forked};
use crate::sys::socket::{self, Peer};
use listener::Listener;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::stat::Mode;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use pool::Pool;
use quota::Quota;
use rex_protocol::client::{Refusal, RefusalReason, ToClient};
use rex_protocol::text::Text;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;
use supervised::Supervised;

/// How long the loop is quiet before it fills the pool without a run having ended.
const QUIET: Duration = Duration::from_millis(20);

/// How long the loop rests when the system has nothing left to accept a client with.
const REST: Duration = Duration::from_millis(50);

/// The daemon cannot run, or cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DaemonError(String);

/// Runs the daemon until it is told to stop (`SIGTERM`, `SIGINT`). `SIGHUP` loads the policies anew.
pub fn run(config: Config) -> Result<(), DaemonError> {
    let mut daemon = Daemon::start(config)?;
    daemon.supervised.ready();
    tracing::info!(policies = daemon.policies(), "ready");
    let result = daemon.serve();
    daemon.record(&Event::BrokerStop);
    daemon.supervised.stopping();
    result
}

struct Daemon {
    config: Config,
    programs: Programs,
    origin: Origin,
    /// Sessions have none.
    listener: Option<Listener>,
    signals: SignalFd,
    pool: Pool,
    sessions: Vec<Running>,
    quota: Quota,
    supervised: Supervised,
    /// The daemon's own records. Sessions open the log for themselves.
    log: Option<Log>,
}

/// A session that serves a run.
struct Running {
    process: OwnedFd,
    uid: u32,
}

impl Daemon {
    fn start(config: Config) -> Result<Self, DaemonError> {
        let fault = |step: &str, error: &dyn std::fmt::Display| DaemonError(format!("cannot {step}: {error}"));
        let store = load_store(&config).map_err(|error| DaemonError(error.to_string()))?;
        let log = open_log(&config.audit)?;
        let programs = Programs::open(&config).map_err(|error| DaemonError(error.to_string()))?;
        if let Err(error) = &programs.net {
            tracing::warn!("scripts will have no network: {error}");
        }
        process::has_openat2().map_err(|error| fault("open paths by openat2 on this host", &error.desc()))?;
        // A host on which no worker can be sealed is found out now, not by the first caller.
        prove_walls(&programs.worker, &config)?;
        let listener = Listener::open(&config.socket).map_err(|error| DaemonError(error.to_string()))?;
        let mut mask = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            mask.add(signal);
        }
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), None).map_err(|error| fault("block signals", &error))?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map_err(|error| fault("listen to signals", &error))?;
        let quota = Quota::new(config.runs);
        let pool = Pool::new(config.runs.ready);
        let idle_after = (config.idle_seconds > 0).then(|| Duration::from_secs(config.idle_seconds));
        let supervised = Supervised::new(idle_after.filter(|_| listener.is_passed()));
        let origin = Origin::Daemon { store, daemon: nix::unistd::getpid() };
        let mut daemon = Self {
            config,
            programs,
            origin,
            listener: Some(listener),
            signals,
            pool,
            sessions: Vec::new(),
            quota,
            supervised,
            log: Some(log),
        };
        daemon.record_start()?;
        daemon.fill_pool();
        Ok(daemon)
    }

    fn policies(&self) -> usize {
        match &self.origin {
            Origin::Daemon { store, .. } => store.policies.own(),
            Origin::Standalone(_) => 0,
        }
    }

    fn serve(&mut self) -> Result<(), DaemonError> {
        loop {
            let events = self.wait()?;
            if events.signal && self.hear_signals() {
                return Ok(());
            }
            if events.ended {
                self.reap();
            }
            self.pool.look();
            if events.client {
                self.supervised.busy();
                self.accept();
            }
            if self.supervised.turn(self.sessions.len()) {
                tracing::info!("ends: nobody has needed it for a while");
                self.pool.discard();
                return Ok(());
            }
            // Answers come first: a pair is made anew once a run has ended or nothing else is to be done.
            if events.ended || events.none {
                self.fill_pool();
            }
        }
    }

    fn wait(&self) -> Result<Events, DaemonError> {
        let listener = self.listener.as_ref().ok_or_else(|| DaemonError("a session cannot listen".into()))?;
        let mut polled = vec![
            PollFd::new(listener.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
        ];
        polled.extend(self.sessions.iter().map(|session| PollFd::new(session.process.as_fd(), PollFlags::POLLIN)));
        polled.extend(self.pool.polled());
        let due = self.pool.next_due().map(|due| due.max(QUIET)).into_iter().chain(self.supervised.next_due()).min();
        let timeout = match due {
            // Whole milliseconds that are not too few, or the loop would turn in vain until then.
            Some(due) => PollTimeout::try_from(due + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX),
            None => PollTimeout::NONE,
        };
        let count = socket::retry(|| poll(&mut polled, timeout))
            .map_err(|error| DaemonError(format!("cannot wait for clients: {error}")))?;
        let any = |at: usize| polled.get(at).and_then(PollFd::any).unwrap_or(false);
        let ended = polled.iter().skip(2).take(self.sessions.len()).any(|fd| fd.any().unwrap_or(false));
        Ok(Events { client: any(0), signal: any(1), ended, none: count == 0 })
    }

    /// Whether the daemon was told to stop.
    fn hear_signals(&mut self) -> bool {
        while let Ok(Some(signal)) = self.signals.read_signal() {
            match i32::try_from(signal.ssi_signo).map(Signal::try_from) {
                Ok(Ok(Signal::SIGHUP)) => self.reload(),
                _ => {
                    tracing::info!(runs = self.sessions.len(), "told to stop; runs under way go on");
                    self.pool.discard();
                    return true;
                }
            }
        }
        false
    }

    /// Puts new policies in force for runs to come. On any fault the old ones stay.
    fn reload(&mut self) {
        self.supervised.reloading();
        match load_store(&self.config) {
            Ok(store) => {
                let (policies, files) = (store.policies.own(), store.policies.files().to_vec());
                tracing::info!(policies, tests = store.tests, "policies loaded anew");
                self.origin = Origin::Daemon { store, daemon: nix::unistd::getpid() };
                // Ready sessions hold the old ones.
                self.pool.discard();
                self.fill_pool();
                self.record(&Event::PolicyLoad { result: "loaded", policies, files: &files, message: None });
            }
            Err(error) => {
                tracing::error!("the policies in force stay: {error}");
                let (policies, message) = (self.policies(), Some(error.to_string()));
                self.record(&Event::PolicyLoad { result: "refused", policies, files: &[], message });
            }
        }
        self.supervised.ready();
    }

    /// A broker that cannot record serves nobody.
    fn record_start(&mut self) -> Result<(), DaemonError> {
        let Origin::Daemon { store, .. } = &self.origin else { return Ok(()) };
        let store = Rc::clone(&store.policies);
        let event = Event::BrokerStart { policies: store.own(), files: store.files() };
        let entry = Entry::of_broker(store.revision(), &event);
        let Some(log) = &mut self.log else { return Ok(()) };
        log.append(&[entry]).map_err(|error| DaemonError(error.to_string()))
    }

    /// Records what happened to the broker itself, as far as that is possible: what has happened has happened.
    fn record(&mut self, event: &Event<'_>) {
        let revision = match &self.origin {
            Origin::Daemon { store, .. } => store.policies.revision(),
            Origin::Standalone(_) => "",
        };
        let entry = Entry::of_broker(revision, event);
        if let Some(log) = &mut self.log
            && let Err(error) = log.append(&[entry]).and_then(|()| log.sync())
        {
            tracing::error!("{error}");
        }
    }

    fn reap(&mut self) {
        let quota = &mut self.quota;
        self.sessions.retain(|session| {
            let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
            match socket::retry(|| waitid(Id::PIDFd(session.process.as_fd()), flags)) {
                Ok(nix::sys::wait::WaitStatus::StillAlive) => true,
                status => {
                    if let Ok(nix::sys::wait::WaitStatus::Signaled(pid, signal, _)) = status {
                        tracing::warn!(session = pid.as_raw(), "a session was ended by {}", signal.as_str());
                    }
                    quota.leave(session.uid);
                    false
                }
            }
        });
    }

    /// Takes every connection that waits.
    fn accept(&mut self) {
        while let Some(listener) = &self.listener {
            let client = match listener.accept() {
                Ok(client) => client,
                Err(Errno::EAGAIN) => return,
                Err(Errno::ECONNABORTED) => continue,
                // Out of descriptors or memory: the client stays in the queue, and is tried again when something may have ended.
                Err(error) => {
                    tracing::warn!("cannot accept a client: {error}");
                    return std::thread::sleep(REST);
                }
            };
            match socket::peer(&client) {
                Ok(peer) => self.admit(client, peer),
                Err(error) => tracing::warn!("cannot tell who a client is: {error}"),
            }
        }
    }

    fn admit(&mut self, client: OwnedFd, peer: Peer) {
        let own = nix::unistd::geteuid();
        if !own.is_root() && peer.uid != own.as_raw() {
            return refuse(client, RefusalReason::Busy, "this broker serves only the user it runs as");
        }
        if let Err(error) = principal::confirm_same_namespace(&peer) {
            tracing::warn!(uid = peer.uid, pid = peer.pid, "run refused: {error}");
            return refuse(client, RefusalReason::NotAllowed, &error.to_string());
        }
        if let Err(reason) = self.quota.enter(peer.uid) {
            tracing::warn!(uid = peer.uid, "run refused: {reason}");
            return refuse(client, RefusalReason::Busy, &reason);
        }
        tracing::debug!(uid = peer.uid, pid = peer.pid, "client");
        let started = match self.pool.give(&client) {
            Some(process) => Ok(process),
            None => self.fork_session(client),
        };
        match started {
            Ok(process) => self.sessions.push(Running { process, uid: peer.uid }),
            Err(error) => {
                tracing::error!("cannot start a session: {error}");
                self.quota.leave(peer.uid);
            }
        }
    }

    /// A session for this client at once, where no ready one is left.
    fn fork_session(&mut self, client: OwnedFd) -> nix::Result<OwnedFd> {
        match process::fork()? {
            Forked::Parent { process, .. } => Ok(process),
            Forked::Child => {
                self.become_session();
                self.serve_client(client, None);
                process::exit_now(0)
            }
        }
    }

    fn fill_pool(&mut self) {
        while !self.pool.is_full() {
            let Ok((ours, theirs)) = socket::packet_pair() else { return };
            match process::fork() {
                Ok(Forked::Parent { process, .. }) => self.pool.add(process, ours),
                Ok(Forked::Child) => {
                    drop(ours);
                    self.become_session();
                    self.wait_ready(theirs);
                    process::exit_now(0)
                }
                Err(error) => return tracing::warn!("cannot start a ready session: {error}"),
            }
        }
    }

    /// In a child: lets go of all that is the daemon's alone.
    fn become_session(&mut self) {
        self.sessions.clear();
        self.pool.forget();
        self.listener = None;
        self.log = None;
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
    }

    /// In a ready session: seals a worker, says so, and waits for its one client.
    fn wait_ready(&mut self, control: OwnedFd) {
        let worker = match crate::session::sealed_worker(&self.programs.worker, &self.config.limits) {
            Ok(worker) => worker,
            Err(error) => return tracing::error!("cannot make ready: {error}"),
        };
        if socket::send_packet(&control, b"ready").is_err() {
            return crate::session::end_worker(&worker);
        }
        match await_client(&control, &worker) {
            Some(client) => {
                drop(control);
                self.serve_client(client, Some(worker));
            }
            None => crate::session::end_worker(&worker),
        }
    }

    /// In a session: serves its client.
    fn serve_client(&self, client: OwnedFd, ready: Option<crate::jail::Worker>) {
        let Ok(peer) = socket::peer(&client) else { return };
        let principal = match principal::of_peer(&peer) {
            Ok(principal) => principal,
            Err(error) => {
                tracing::warn!(uid = peer.uid, "run refused: {error}");
                return refuse(client, RefusalReason::Unavailable, &error.to_string());
            }
        };
        let caller = Caller { principal, pid: peer.pid, process: peer.process };
        match Connection::new(client) {
            Ok(connection) => serve(&self.config, &self.programs, connection, caller, &self.origin, ready),
            Err(error) => tracing::error!("cannot use a connection: {error}"),
        }
    }
}

/// In a ready session: the client that the daemon passes on; nothing if the daemon or the worker goes before that.
fn await_client(control: &OwnedFd, worker: &crate::jail::Worker) -> Option<OwnedFd> {
    let mut polled =
        [PollFd::new(control.as_fd(), PollFlags::POLLIN), PollFd::new(worker.process.as_fd(), PollFlags::POLLIN)];
    socket::retry(|| poll(&mut polled, PollTimeout::NONE)).ok()?;
    let [given, dead] = polled.map(|fd| fd.any().unwrap_or(false));
    // A client that was passed on already is served, by another worker if need be.
    if dead && !given { None } else { socket::receive_descriptor(control).ok().flatten() }
}

fn load_store(config: &Config) -> Result<Store, StoreError> {
    let store = Store::load(config)?;
    for warning in &store.warnings {
        tracing::warn!("policy store: {warning}");
    }
    Ok(store)
}

/// The log, in a directory that is made if nothing but that is missing.
#[allow(clippy::disallowed_methods, reason = "the broker makes a place for its socket")]
fn open_log(audit: &Audit) -> Result<Log, DaemonError> {
    let directory = &audit.directory;
    match nix::unistd::mkdir(directory, Mode::S_IRWXU) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => {
            let message =
                format!("cannot make the directory `{}` of the audit log: {}", directory.display(), errno.desc());
            return Err(DaemonError(message));
        }
    }
    Log::open_or_begin_anew(audit).map_err(|error| DaemonError(error.to_string()))
}

/// Seals a worker once, for the proof.
fn prove_walls(program: &Program, config: &Config) -> Result<(), DaemonError> {
    let worker = crate::session::sealed_worker(program, &config.limits)
        .map_err(|error| DaemonError(format!("cannot seal a worker on this host: {error}")))?;
    if !worker.walls.namespaces {
        tracing::warn!("workers get no namespaces of their own here: the host refuses them");
    }
    crate::session::end_worker(&worker);
    Ok(())
}

/// What the loop woke up for.
struct Events {
    client: bool,
    signal: bool,
    ended: bool,
    none: bool,
}

/// Tells a client why it is not served, if it can be told at once.
fn refuse(client: OwnedFd, reason: RefusalReason, message: &str) {
    if let Ok(mut connection) = Connection::new(client) {
        connection.send(&ToClient::Refused(Refusal { reason, message: Text::cut(message) }));
    }
}
