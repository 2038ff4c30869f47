//! New processes of the daemon, and what they do in it: sessions, at once or ready for later.

use super::pool::Pair;
use super::{Daemon, sessions};
use crate::group::Group;
use crate::principal;
use crate::session::{self, Caller, Connection, Origin, ReadyWorker, Reporter, Ties};
use crate::sys::process::{self, Forked};
use crate::sys::socket;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use rex_protocol::client::{Refusal, RefusalReason};
use std::os::fd::{AsFd, OwnedFd};

impl Daemon {
    /// A session for this client at once, where no ready one is left; with a refusal, one that runs nothing.
    pub(super) fn fork_session(&mut self, client: OwnedFd, closed: Option<Refusal>) -> nix::Result<Pair> {
        let (ours, theirs) = socket::packet_pair()?;
        let group = self.make_group()?;
        match process::fork() {
            Ok(Forked::Parent { pid, process }) => Ok(Pair { pid, process, control: ours, group }),
            Ok(Forked::Child) => {
                drop(ours);
                self.become_session(group);
                self.serve_client(client, None, theirs, closed);
                process::exit_now(0)
            }
            Err(errno) => {
                self.end_group(group);
                Err(errno)
            }
        }
    }

    /// Makes as many sessions ready as there should be.
    pub(super) fn fill_pool(&mut self) {
        while !self.pool.is_full() {
            let made = socket::packet_pair().and_then(|pair| Ok((pair, self.make_group()?)));
            let ((ours, theirs), group) = match made {
                Ok(made) => made,
                Err(errno) => return tracing::warn!("cannot start a ready session: {errno}"),
            };
            match process::fork() {
                Ok(Forked::Parent { pid, process }) => self.pool.add(Pair { pid, process, control: ours, group }),
                Ok(Forked::Child) => {
                    drop(ours);
                    self.become_session(group);
                    self.wait_ready(theirs);
                    process::exit_now(0)
                }
                Err(errno) => {
                    self.end_group(group);
                    return tracing::warn!("cannot start a ready session: {errno}");
                }
            }
        }
    }

    /// A ready session, which has been given this client.
    pub(super) fn take_ready(&mut self, client: &OwnedFd) -> Option<Pair> {
        self.look_at_pool();
        let (given, unfit) = self.pool.give(client);
        for pair in unfit {
            self.end_group(pair.group);
        }
        given
    }

    /// Ends the sessions that are ready.
    pub(super) fn discard_pool(&mut self) {
        for pair in self.pool.discard() {
            self.end_group(pair.group);
        }
    }

    /// Notes which sessions have become ready, and takes leave of those that have died.
    pub(super) fn look_at_pool(&mut self) {
        for pair in self.pool.look() {
            self.end_group(pair.group);
        }
    }

    /// In a child: lets go of all that is the daemon's alone.
    pub(super) fn become_session(&mut self, group: Option<Group>) {
        self.sessions.forget();
        self.pool.forget();
        self.listener = None;
        self.scrapes = None;
        self.log = None;
        if let Ok(groups) = &mut self.groups {
            groups.forget();
        }
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
        if let Some(group) = &group
            && let Err(errno) = group.begin()
        {
            tracing::error!("cannot use the group of a run: {}", errno.desc());
            process::exit_now(1);
        }
        if let Origin::Daemon { ties, .. } = &mut self.origin {
            ties.group = group;
        }
    }

    /// The group of the processes of a run, where runs have such.
    fn make_group(&mut self) -> nix::Result<Option<Group>> {
        match &mut self.groups {
            Ok(groups) => groups.make(&self.config.limits).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// In a ready session: seals a worker, says so, and waits for its one client.
    fn wait_ready(&mut self, control: OwnedFd) {
        let worker = match ReadyWorker::sealed(&self.programs.worker, &self.config.limits) {
            Ok(worker) => worker,
            Err(error) => return tracing::error!("cannot make ready: {error}"),
        };
        if socket::send_packet(&control, b"ready").is_err() {
            return worker.end();
        }
        match await_client(&control, &worker) {
            Some(client) => self.serve_client(client, Some(worker), control, None),
            None => worker.end(),
        }
    }

    /// In a session: serves its client, and ends whatever is left of the run.
    fn serve_client(&mut self, client: OwnedFd, ready: Option<ReadyWorker>, control: OwnedFd, closed: Option<Refusal>) {
        if let Origin::Daemon { ties, .. } = &mut self.origin {
            let group = ties.group.take();
            *ties = Ties { reporter: Reporter::new(control), group, closed };
        }
        let Ok(peer) = socket::peer(&client) else { return };
        let principal = match principal::of_peer(&peer) {
            Ok(principal) => principal,
            Err(error) => {
                tracing::warn!(uid = peer.uid, "run refused: {error}");
                return sessions::refuse(client, RefusalReason::Unavailable, &error.to_string());
            }
        };
        let caller = Caller { principal, pid: peer.pid, process: peer.process };
        match Connection::new(client) {
            Ok(connection) => session::serve(&self.config, &self.programs, connection, caller, &self.origin, ready),
            Err(error) => tracing::error!("cannot use a connection: {error}"),
        }
        // The daemon does it too, but it may be gone.
        if let Origin::Daemon { ties: Ties { group: Some(group), .. }, .. } = &self.origin {
            match group.kill() {
                Ok(()) | Err(Errno::ENODEV | Errno::ENOENT) => {}
                Err(errno) => tracing::error!("cannot end what is left of a run: {}", errno.desc()),
            }
        }
    }
}

/// In a ready session: the client that the daemon passes on; nothing if the daemon or the worker goes before that.
fn await_client(control: &OwnedFd, worker: &ReadyWorker) -> Option<OwnedFd> {
    let mut polled =
        [PollFd::new(control.as_fd(), PollFlags::POLLIN), PollFd::new(worker.process(), PollFlags::POLLIN)];
    socket::retry(|| poll(&mut polled, PollTimeout::NONE)).ok()?;
    let [given, dead] = polled.map(|fd| fd.any().unwrap_or(false));
    // A client that was passed on already is served, by another worker if need be.
    if dead && !given { None } else { socket::receive_descriptor(control).ok().flatten() }
}
