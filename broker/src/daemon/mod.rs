//! The daemon: listens, authenticates, and starts a session for each run.
//!
//! One thread and one poll loop. It reads nothing that a client sends: a connection is judged by who made
//! it, and handed to a session.

mod child;
mod counters;
mod groups;
mod listener;
mod metrics;
mod pool;
mod scrape;
mod sessions;
mod start;
mod status;
mod supervised;
mod users;

use crate::audit::{Entry, Event, Log};
use crate::config::Config;
use crate::jail;
use crate::log::one_line;
use crate::principal;
use crate::program::Programs;
use crate::session::{Origin, Reloads, Ties};
use crate::store::Store;
use crate::sys::{process, socket};
use counters::Counters;
use groups::Groups;
use listener::{Listener, Passed};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use pool::Pool;
use scrape::Scrapes;
use sessions::Sessions;
use status::{InForce, Moment};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Duration;
use supervised::Supervised;
use users::Limits;

/// How long the loop is quiet before it fills the pool without a run having ended.
const QUIET: Duration = Duration::from_millis(20);

/// How long the loop rests when the system has nothing left to accept a client with.
const REST: Duration = Duration::from_millis(50);

/// How often it is looked whether the processes of a run that was ended are gone.
const TIDY: Duration = Duration::from_millis(250);

/// How many clients are accepted before something else has its turn: nobody keeps the loop busy by connecting.
const AT_ONCE: usize = 32;

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
    if let Ok(groups) = &daemon.groups {
        groups.leave();
    }
    daemon.supervised.stopping();
    result
}

struct Daemon {
    config: Config,
    programs: Programs,
    origin: Origin,
    /// Sessions have none.
    listener: Option<Listener>,
    scrapes: Option<Scrapes>,
    signals: SignalFd,
    pool: Pool,
    sessions: Sessions,
    limits: Limits,
    /// The groups of runs, or why there are none.
    groups: Result<Groups, String>,
    counters: Counters,
    supervised: Supervised,
    begun: Moment,
    in_force: InForce,
    /// The daemon's own records. Sessions open the log for themselves.
    log: Option<Log>,
}

impl Daemon {
    fn start(config: Config) -> Result<Self, DaemonError> {
        let fault = |step: &str, error: &dyn std::fmt::Display| DaemonError(format!("cannot {step}: {error}"));
        let limits = Limits::new(config.runs, config.users.clone()).map_err(DaemonError)?;
        let store = start::load_store(&config).map_err(|error| DaemonError(error.to_string()))?;
        let log = start::open_log(&config.audit)?;
        let programs = start::open_programs(&config)?;
        process::confirm_openat2().map_err(DaemonError)?;
        principal::prepare();
        jail::share_network().map_err(|error| fault("come back from the workers' network", &error.desc()))?;
        // A host on which no worker can be sealed is found out now, not by the first caller.
        start::prove_walls(&programs.worker, &config)?;
        let Passed { clients, metrics } = Passed::take().map_err(DaemonError)?;
        let listener = Listener::open(&config.socket, clients, listener::FOR_ALL);
        let listener = listener.map_err(|error| DaemonError(error.to_string()))?;
        let scrapes =
            Scrapes::open(config.metrics.as_deref(), metrics).map_err(|error| DaemonError(error.to_string()))?;
        let groups = Groups::open(config.cgroups, config.cpu_percent).map_err(DaemonError)?;
        match &groups {
            Ok(groups) => tracing::info!("runs have control groups ({})", groups.controllers()),
            Err(reason) => tracing::info!("runs have no control groups: {reason}"),
        }
        let mut mask = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            mask.add(signal);
        }
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), None).map_err(|error| fault("block signals", &error))?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map_err(|error| fault("listen to signals", &error))?;
        let pool = Pool::new(config.runs.ready);
        let idle_after = (config.idle_seconds > 0).then(|| Duration::from_secs(config.idle_seconds));
        let supervised = Supervised::new(idle_after.filter(|_| listener.is_passed()));
        let mut daemon = Self {
            config,
            programs,
            origin: of_daemon(store),
            listener: Some(listener),
            scrapes,
            signals,
            pool,
            sessions: Sessions::default(),
            limits,
            groups,
            counters: Counters::new(),
            supervised,
            begun: Moment::now(),
            in_force: InForce::now(),
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
            if events.told {
                self.hear_sessions(None);
            }
            if events.ended {
                self.reap();
            }
            self.look_at_pool();
            if let Ok(groups) = &mut self.groups {
                groups.tidy();
            }
            if events.client {
                self.supervised.busy();
                self.accept();
            }
            if events.scrape {
                self.serve_scrapes();
            }
            if self.supervised.turn(self.sessions.len()) {
                tracing::info!("ends: nobody has needed it for a while");
                self.discard_pool();
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
        polled.extend(self.sessions.processes());
        polled.extend(self.sessions.reports());
        polled.extend(self.scrapes.iter().flat_map(Scrapes::polled));
        polled.extend(self.pool.polled());
        let leaving = self.groups.as_ref().is_ok_and(Groups::are_leaving).then_some(TIDY);
        let pool = self.pool.next_due().map(|due| due.max(QUIET));
        let due = pool.into_iter().chain(leaving).chain(self.supervised.next_due()).min();
        let timeout = match due {
            // Whole milliseconds that are not too few, or the loop would turn in vain until then.
            Some(due) => PollTimeout::try_from(due + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX),
            None => PollTimeout::NONE,
        };
        let count = socket::retry(|| poll(&mut polled, timeout))
            .map_err(|error| DaemonError(format!("cannot wait for clients: {error}")))?;
        let mut ready = polled.iter().map(|fd| fd.any().unwrap_or(false));
        // In the order in which they stand there.
        let mut any_of = |count: usize| ready.by_ref().take(count).fold(false, |any, ready| any | ready);
        Ok(Events {
            client: any_of(1),
            signal: any_of(1),
            ended: any_of(self.sessions.processes().count()),
            told: any_of(self.sessions.reports().count()),
            scrape: any_of(self.scrapes.iter().flat_map(Scrapes::polled).count()),
            none: count == 0,
        })
    }

    /// Whether the daemon was told to stop.
    fn hear_signals(&mut self) -> bool {
        while let Ok(Some(signal)) = self.signals.read_signal() {
            match i32::try_from(signal.ssi_signo).map(Signal::try_from) {
                Ok(Ok(Signal::SIGHUP)) => self.reload(),
                _ => {
                    tracing::info!(runs = self.sessions.len(), "told to stop; runs under way go on");
                    self.discard_pool();
                    return true;
                }
            }
        }
        false
    }

    /// Puts new policies in force for runs to come. On any fault the old ones stay.
    fn reload(&mut self) {
        self.supervised.reloading();
        let Origin::Daemon { store, reloads, .. } = &mut self.origin else { return };
        reloads.count = reloads.count.saturating_add(1);
        match start::load_store(&self.config) {
            Ok(new) => {
                let (policies, files) = (new.policies.own(), new.policies.files().to_vec());
                tracing::info!(policies, tests = new.tests, "policies loaded anew");
                (*store, reloads.fault) = (new, None);
                self.in_force = InForce::now();
                self.counters.reloads += 1;
                self.record(&Event::PolicyLoad { result: "loaded", policies, files: &files, message: None });
            }
            Err(error) => {
                tracing::error!("the policies in force stay: {}", one_line(&error.to_string()));
                self.counters.reload_faults += 1;
                self.in_force.refused(&error.to_string());
                let (policies, message) = (store.policies.own(), error.to_string());
                reloads.fault = Some(message.clone());
                self.record(&Event::PolicyLoad { result: "refused", policies, files: &[], message: Some(message) });
            }
        }
        // Ready sessions hold the old ones, and know nothing of a fault.
        self.discard_pool();
        self.fill_pool();
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
        let entry = Entry::of_broker(self.origin.revision(), event);
        if let Some(log) = &mut self.log
            && let Err(error) = log.append(&[entry]).and_then(|()| log.sync())
        {
            tracing::error!("{error}");
        }
    }

    /// Takes the connections that wait, some at a time.
    fn accept(&mut self) {
        for _ in 0..AT_ONCE {
            let Some(listener) = &self.listener else { return };
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
}

fn of_daemon(store: Store) -> Origin {
    Origin::Daemon { store, daemon: nix::unistd::getpid(), ties: Ties::default(), reloads: Reloads::default() }
}

/// What the loop woke up for.
struct Events {
    client: bool,
    signal: bool,
    ended: bool,
    told: bool,
    scrape: bool,
    none: bool,
}
