//! What operations see of their session.

use crate::audit::Trail;
use crate::authz::{
    Authorizer, Decided, Decision, Demand, Entry, Granted, PolicyStore, Principal, Relocation, Spent, Via,
};
use crate::handles::Handles;
use crate::jail::{Program, SpawnError};
use crate::perform::fs::Dictionary;
use crate::perform::names::Names;
use crate::perform::{Demands, Stop};
use crate::plan;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rex_protocol::Failure;
use rex_protocol::change::{CHANGES, CONTENTS, Change, Side};
use rex_protocol::failure::FailureKind;
use rex_protocol::limits::Limits;
use rex_protocol::path::AbsPath;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::slice;
use std::time::{Duration, Instant};

/// The run's authority, its open objects and its account.
pub(crate) struct State {
    authorizer: Authorizer,
    pub(crate) handles: Handles,
    /// The redaction dictionary, once it was needed.
    pub(crate) dictionary: Option<Rc<Dictionary>>,
    /// Names of users and groups that were looked up.
    pub(crate) names: Names,
    pub(crate) limits: Limits,
    /// What is staged for files, in bytes.
    staged: Rc<Cell<u64>>,
    /// When the run's time is up.
    deadline: Option<Instant>,
    /// Whether answers can carry descriptors.
    donates: bool,
    /// A descriptor that goes out with the answer.
    donation: Option<OwnedFd>,
    account: Account,
    /// The run's records.
    trail: Trail,
    /// The program that speaks on the network.
    net: Option<Result<Program, SpawnError>>,
    /// What would have been changed, to be told to the client.
    changes: Vec<Change>,
    /// What was told of contents so far, in bytes.
    told: usize,
    /// What becomes readable when the run has to end, or its client wants something: a long wait ends too.
    watched: Vec<OwnedFd>,
    /// The hosts that were asked for, [`HOSTS`] at most: a worker may name as many as it likes.
    hosts: BTreeSet<Box<str>>,
}

/// How many hosts are known again when they are asked for another time.
const HOSTS: usize = 4096;

/// What has happened so far.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Those that policy denied.
    pub(crate) denied: u64,
    /// Those that the kernel refused access to.
    pub(crate) access_refused: u64,
    /// Those that have changed something; in a dry run what would have been changed.
    pub(crate) changes: u64,
    /// The latest operation.
    pub(crate) name: &'static str,
    /// What it is about.
    pub(crate) about: String,
    /// It was found to change nothing.
    idle: bool,
    /// A policy on what it is about calls that sensitive.
    sensitive: bool,
    /// It was planned, and not done.
    planned: bool,
}

impl State {
    /// The state of a run that begins.
    pub(crate) fn new(authorizer: Authorizer, limits: Limits, trail: Trail) -> Self {
        let authorizer = if trail.is_kept() { authorizer.keeping_decisions() } else { authorizer };
        Self {
            authorizer,
            handles: Handles::new(limits.handles),
            dictionary: None,
            names: Names::default(),
            limits,
            staged: Rc::default(),
            deadline: Instant::now().checked_add(Duration::from_millis(limits.time_ms)),
            donates: true,
            donation: None,
            account: Account::default(),
            trail,
            net: None,
            changes: Vec::new(),
            told: 0,
            watched: Vec::new(),
            hosts: BTreeSet::new(),
        }
    }

    /// For a dry run, if it is one: from now on this process changes nothing.
    pub(crate) fn rehearsing(self, dry_run: bool) -> nix::Result<Self> {
        if !dry_run {
            return Ok(self);
        }
        plan::begin(self.limits.memory)?;
        Ok(Self { authorizer: self.authorizer.forgetting(), ..self })
    }

    /// With the program that speaks on the network, and with what ends long waits where it becomes readable.
    pub(crate) fn with_net(self, net: Result<Program, SpawnError>, watched: Vec<OwnedFd>) -> Self {
        Self { net: Some(net), watched, ..self }
    }

    /// This host is about to be asked for: policies that count hosts are asked with it among them.
    pub(crate) fn names_host(&mut self, host: &str) {
        if self.hosts.contains(host) {
            return;
        }
        // Beyond that each counts anew: more than there were, never fewer.
        if self.hosts.len() < HOSTS {
            self.hosts.insert(host.into());
        }
        let spent = self.spent();
        spent.hosts = spent.hosts.saturating_add(1);
    }

    /// The program that speaks on the network.
    pub(crate) fn net(&self) -> Result<&Program, String> {
        let program = self.net.as_ref().ok_or("this run has none")?;
        program.as_ref().map_err(ToString::to_string)
    }

    /// What ends long waits: a word of the run's client, or the end of its caller.
    pub(crate) fn watched(&self) -> impl Iterator<Item = PollFd<'_>> {
        self.watched.iter().map(|watched| PollFd::new(watched.as_fd(), PollFlags::POLLIN))
    }

    /// Waits until a descriptor is ready, or `deadline` has come: then it is false. A failure where the run has to end first.
    pub(crate) fn wait(&self, on: impl AsFd, events: PollFlags, deadline: Instant) -> Result<bool, Failure> {
        loop {
            let mut polled = vec![PollFd::new(on.as_fd(), events)];
            polled.extend(self.watched());
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(PollTimeout::MAX);
            match poll(&mut polled, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => {
                    let message = format!("cannot wait: {}", errno.desc());
                    return Err(Failure::new(FailureKind::Refused { errno: errno as i32 }, message));
                }
            }
            let mut ready = polled.iter().map(|fd| fd.any().unwrap_or(false));
            if ready.next() == Some(true) {
                return Ok(true);
            }
            if ready.any(|ready| ready) {
                return Err(Failure::new(FailureKind::Refused { errno: libc::ECANCELED }, "the run was interrupted"));
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
        }
    }

    /// For a conversation in which answers carry no descriptors.
    pub(crate) fn without_donations(self) -> Self {
        Self { donates: false, ..self }
    }

    /// What has happened so far.
    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    /// An operation begins.
    pub(crate) fn begin(&mut self, name: &'static str) {
        self.authorizer.spent_mut().operations += 1;
        self.account.name = name;
        (self.account.idle, self.account.sensitive, self.account.planned) = (false, false, false);
        self.trail.begin_operation(name);
    }

    /// It has come to its end: how, is told by the failure's type.
    pub(crate) fn end(&mut self, failure: Option<&Failure>) {
        if let Some(failure) = failure {
            self.note(failure);
        }
        self.trail.end_operation(failure, self.account.planned);
    }

    /// The operation was found to change nothing: what it asks for is so already.
    pub(crate) fn changes_nothing(&mut self) {
        self.account.idle = true;
    }

    /// An operation has changed what it was asked to change, unless it was found to change nothing.
    pub(crate) fn has_changed(&mut self) {
        if !self.account.idle {
            self.account.changes += 1;
        }
    }

    /// Takes note of what an operation would have changed, as far as it may be told.
    pub(crate) fn has_planned(&mut self, operation: &'static str) {
        self.account.planned = true;
        let sensitive = self.account.sensitive;
        for planned in plan::take() {
            self.account.changes += 1;
            if self.account.changes > CHANGES {
                continue;
            }
            let mut change = plan::told(planned, operation, sensitive, |demand| {
                // A policy on looking may call it sensitive, too.
                self.allows(slice::from_ref(demand)) && !self.account.sensitive
            });
            if let Some(content) = &mut change.content {
                for side in [&mut content.before, &mut content.after] {
                    let Side::Text(text) = side else { continue };
                    if self.told + text.len() > CONTENTS {
                        *side = Side::LeftOut(text.len() as u64);
                    } else {
                        self.told += text.len();
                    }
                }
            }
            self.changes.push(change);
        }
    }

    /// Whether a policy on what the operation is about calls that sensitive, as far as it was asked. Known in a dry run, or where decisions
    /// are recorded.
    pub(crate) fn is_sensitive(&self) -> bool {
        self.account.sensitive
    }

    /// What would have been changed since this was last called.
    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// The run's records.
    pub(crate) fn trail(&self) -> &Trail {
        &self.trail
    }

    /// The same, to add to them.
    pub(crate) fn trail_mut(&mut self) -> &mut Trail {
        &mut self.trail
    }

    /// Records what was decided. An error says that it is not recorded: nothing may be done upon it.
    fn record(&mut self) -> Result<(), Failure> {
        let decided = self.take_decided();
        self.trail.decided(&decided, false)
    }

    fn take_decided(&mut self) -> Vec<Decided> {
        let decided = self.authorizer.take_decided();
        self.account.sensitive |= decided.iter().any(Decided::is_sensitive);
        decided
    }

    /// What the run has done so far, to add to it.
    pub(crate) fn spent(&mut self) -> &mut Spent {
        self.authorizer.spent_mut()
    }

    /// Something has failed that the operation goes on without: how, is told by its type.
    pub(crate) fn note(&mut self, failure: &Failure) {
        if failure.is_denial() {
            self.account.denied += 1;
        } else if failure.errno() == Some(nix::errno::Errno::EACCES as i32) {
            self.account.access_refused += 1;
        }
    }

    /// Grants a target that policy allows in one of the ways in `demands`.
    pub(crate) fn authorize<T>(&mut self, target: T, demands: &Demands) -> Result<Granted<T>, Stop> {
        if demands.are_none_yet() {
            self.account.about.clear();
            return Ok(self.authorizer.defer(target));
        }
        if let Some(first) = demands.alternatives().iter().flatten().next() {
            self.account.about = first.resource.to_string();
        }
        let alternatives: Vec<&[Demand]> = demands.alternatives().iter().map(Vec::as_slice).collect();
        let granted = self.authorizer.authorize_any(target, &alternatives);
        self.record()?;
        Ok(granted?)
    }

    /// Asks for what has come to light on the way. An error says no: nothing of it may be used.
    pub(crate) fn demand(&mut self, demands: &[Demand]) -> Result<(), Failure> {
        let allowed = self.authorizer.demand(demands);
        self.record()?;
        allowed
    }

    /// See [`Authorizer::demand_before_the_address`].
    pub(crate) fn demand_before_the_address(&mut self, demand: &Demand) -> Result<(), Failure> {
        let allowed = self.authorizer.demand_before_the_address(demand);
        self.record()?;
        allowed
    }

    /// Whether policy allows all of `demands`, for what is left out where it does not.
    pub(crate) fn allows(&mut self, demands: &[Demand]) -> bool {
        let allowed = demands.iter().all(|demand| matches!(self.authorizer.decide(demand), Decision::Allowed { .. }));
        // Before the reply goes out it is written, with all that is found.
        let decided = self.take_decided();
        self.trail.decided(&decided, true).is_ok() && allowed
    }

    /// From now on `store` must allow as well. An error says that this is not recorded, and so is not done.
    pub(crate) fn narrow(&mut self, store: Rc<PolicyStore>) -> Result<(), Failure> {
        self.trail.narrowed(&store)?;
        self.authorizer.narrow(store);
        Ok(())
    }

    /// Whether the run has no more than its caller's own rights, and its caller's environment.
    pub(crate) fn is_standalone(&self) -> bool {
        self.authorizer.via() == Via::Standalone
    }

    /// Who submitted the run.
    pub(crate) fn principal(&self) -> &Principal {
        self.authorizer.principal()
    }

    /// See [`Authorizer::is_allowed_knowing`].
    pub(crate) fn is_allowed_knowing(&mut self, demand: &Demand, part: &str) -> bool {
        let allowed = self.authorizer.is_allowed_knowing(demand, part);
        if !allowed {
            // The denial is the caller's to tell; here it goes on record.
            let _ = self.authorizer.deny(demand, Vec::new());
        }
        self.record().is_ok() && allowed
    }

    /// What policy could ever allow, see [`Authorizer::reaches`] and [`Authorizer::connects_everywhere`].
    pub(crate) fn authorizer(&self) -> &Authorizer {
        &self.authorizer
    }

    /// The account of what is staged for all files together, in bytes.
    pub(crate) fn staged(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.staged)
    }

    /// Whether [`Self::donate`] has a way to whoever asks.
    pub(crate) fn can_donate(&self) -> bool {
        self.donates
    }

    /// Has a descriptor go out with the answer to the request.
    pub(crate) fn donate(&mut self, descriptor: OwnedFd) {
        self.donation = Some(descriptor);
    }

    /// The descriptor that goes out with this answer.
    pub(crate) fn take_donation(&mut self) -> Option<OwnedFd> {
        self.donation.take()
    }

    /// Asks again about an object that is pinned by now, where decisions depend on what it is like: another one may have had
    /// its path when it was judged.
    pub(crate) fn confirm(&mut self, demands: &[Demand], object: &Rc<OwnedFd>) -> Result<(), Failure> {
        if !self.authorizer.reads_attributes() {
            return Ok(());
        }
        let demands: Vec<Demand> = demands.iter().map(|demand| demand.clone().about(object)).collect();
        self.demand(&demands)
    }

    /// What is left of the run's time.
    pub(crate) fn time_left(&self) -> Duration {
        self.deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Whether the run's time is up: work that takes long stops then.
    pub(crate) fn is_out_of_time(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// The `forbid`s that each thing in a directory must be held against which goes from one path to another; nothing where there
    /// are none. Denies `demand`, to move the directory, where one names a place below either path.
    pub(crate) fn relocation(
        &mut self,
        from: &AbsPath,
        to: &AbsPath,
        demand: &Demand,
    ) -> Result<Option<Relocation>, Failure> {
        match self.authorizer.relocation(from, to) {
            Ok(relocation) => Ok(Some(relocation).filter(|relocation| !relocation.is_free())),
            Err(forbids) => self.deny(demand, forbids),
        }
    }

    /// Denies `demand`, to move the directory, where a `forbid` keeps something in it where it is.
    pub(crate) fn relocate(
        &mut self,
        relocation: &Relocation,
        entry: &Entry<'_>,
        demand: &Demand,
    ) -> Result<(), Failure> {
        match self.authorizer.forbids_to_relocate(relocation, entry) {
            None => Ok(()),
            Some(forbids) => self.deny(demand, forbids),
        }
    }

    fn deny<T>(&mut self, demand: &Demand, forbids: Vec<String>) -> Result<T, Failure> {
        let denied = self.authorizer.deny(demand, forbids);
        self.record()?;
        Err(denied)
    }

    /// Asks again, where decisions depend on what the run has done by now: for each of many acts that were granted as one.
    pub(crate) fn demand_still(&mut self, demands: &[Demand]) -> Result<(), Failure> {
        if self.authorizer.reads_session() { self.demand(demands) } else { Ok(()) }
    }

    /// Lets pass what no `forbid` names: for what is below an object that was granted as a whole.
    pub(crate) fn unless_forbidden(&mut self, demand: &Demand) -> Result<(), Failure> {
        let allowed = self.authorizer.unless_forbidden(demand);
        self.record()?;
        allowed
    }
}
