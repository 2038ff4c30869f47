//! Sessions that have a client: who gets one, what they tell of their runs, and what is counted when they end.

use super::Daemon;
use super::counters;
use super::pool::Pair;
use crate::group::Group;
use crate::principal;
use crate::session::{Connection, Report};
use crate::sys::socket::{self, Peer};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, geteuid};
use rex_protocol::client::{Refusal, RefusalReason, ToClient};
use rex_protocol::status::{LISTED, RunStatus};
use rex_protocol::text::Text;
use rex_protocol::wire;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Instant, SystemTime};

/// How many sessions root may have beyond what there is room for, to ask questions and run nothing.
const RESERVED: usize = 4;

/// The sessions that have a client, in the order in which they got it.
#[derive(Default)]
pub(super) struct Sessions(Vec<Session>);

struct Session {
    pid: Pid,
    process: OwnedFd,
    uid: u32,
    /// Nothing once no report can come any more.
    reports: Option<OwnedFd>,
    group: Option<Group>,
    run: Option<RunStatus>,
    /// Whether nothing more is to be counted: its run has ended, or there is none.
    is_over: bool,
    /// Whether it is one of those beyond.
    is_reserved: bool,
    was_killed: bool,
    /// Whether it was one that waited for a client.
    was_ready: bool,
    /// Whether it has asked how the daemon is.
    has_asked: bool,
}

impl Sessions {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// What becomes readable when one ends.
    pub(super) fn processes(&self) -> impl Iterator<Item = PollFd<'_>> {
        self.0.iter().map(|session| PollFd::new(session.process.as_fd(), PollFlags::POLLIN))
    }

    /// What becomes readable when one has something to tell.
    pub(super) fn reports(&self) -> impl Iterator<Item = PollFd<'_>> {
        let reports = self.0.iter().filter_map(|session| session.reports.as_ref());
        reports.map(|reports| PollFd::new(reports.as_fd(), PollFlags::POLLIN))
    }

    /// The runs that have begun and not ended.
    pub(super) fn runs(&self) -> Vec<RunStatus> {
        let under_way = self.0.iter().filter(|session| !session.is_over);
        under_way.filter_map(|session| session.run.clone()).take(LISTED).collect()
    }

    /// How many of those that waited for a client were taken only to ask how the daemon is.
    pub(super) fn taken_to_ask(&self) -> usize {
        self.0.iter().filter(|session| session.was_ready && session.has_asked).count()
    }

    /// How many count against the limits.
    pub(super) fn admitted(&self) -> usize {
        self.0.iter().filter(|session| !session.is_reserved).count()
    }

    /// In a child: they are the daemon's.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

impl Daemon {
    /// Gives who connected a session, or says why not.
    pub(super) fn admit(&mut self, client: OwnedFd, peer: Peer) {
        let own = geteuid();
        let could_end_it = peer.uid == 0 || peer.uid == own.as_raw();
        if !own.is_root() && !could_end_it {
            self.counters.refused(RefusalReason::Busy);
            return refuse(client, RefusalReason::Busy, "this broker serves only the user it runs as");
        }
        let now = Instant::now();
        if let Err(error) = principal::confirm_same_namespace(&peer) {
            self.complain(peer.uid, now, &error.to_string());
            self.counters.refused(RefusalReason::NotAllowed);
            return refuse(client, RefusalReason::NotAllowed, &error.to_string());
        }
        // What its runs before have done is known before it is told of their end.
        self.hear_sessions(Some(peer.uid));
        let closed = self.limits.enter(peer.uid, now).err();
        if let Some(refusal) = &closed {
            let reserved = self.sessions.len() - self.sessions.admitted();
            self.complain(peer.uid, now, &refusal.message);
            if !could_end_it || reserved >= RESERVED {
                self.counters.refused(refusal.reason);
                return refuse(client, refusal.reason, &refusal.message);
            }
        }
        tracing::debug!(uid = peer.uid, pid = peer.pid, "client");
        let is_reserved = closed.is_some();
        let ready = if is_reserved { None } else { self.take_ready(&client) };
        let was_ready = ready.is_some();
        let pair = ready.map_or_else(|| self.fork_session(client, closed), Ok);
        match pair {
            Ok(Pair { pid, process, control, group }) => {
                let (reports, uid) = (Some(control), peer.uid);
                self.sessions.0.push(Session {
                    pid,
                    process,
                    uid,
                    reports,
                    group,
                    run: None,
                    is_over: false,
                    is_reserved,
                    was_killed: false,
                    was_ready,
                    has_asked: false,
                });
            }
            Err(error) => {
                tracing::error!("cannot start a session: {error}");
                if !is_reserved {
                    self.limits.leave(peer.uid);
                }
            }
        }
    }

    /// Tells the broker's log of a refusal, now and then.
    fn complain(&mut self, uid: u32, now: Instant, message: &str) {
        if let Some(unsaid) = self.limits.complain(uid, now) {
            tracing::warn!(uid, unsaid, "run refused: {message}");
        }
    }

    /// Hears what sessions tell, of one user or of all, and answers those that ask.
    pub(super) fn hear_sessions(&mut self, of: Option<u32>) {
        let mut sessions = std::mem::take(&mut self.sessions.0);
        let mut asking = Vec::new();
        for (at, session) in sessions.iter_mut().enumerate().filter(|(_, one)| of.is_none_or(|of| one.uid == of)) {
            if self.hear(session) {
                asking.push(at);
            }
        }
        self.sessions.0 = sessions;
        if asking.is_empty() {
            return;
        }
        let Ok(status) = wire::encode(&self.status()) else { return };
        for reports in asking.iter().filter_map(|at| self.sessions.0.get(*at)?.reports.as_ref()) {
            // One that does not take it has given up.
            let _ = socket::send_packet(reports, &status);
        }
    }

    /// Hears what a session tells. Whether it asks for the daemon's status.
    fn hear(&mut self, session: &mut Session) -> bool {
        let mut asks = false;
        while let Some(report) = session.next_report() {
            match report {
                Report::Begun { run, script, client } => {
                    let (uid, pid, since) = (session.uid, session.pid.as_raw(), seconds_now());
                    session.run = Some(RunStatus { run, uid, script, since, session: pid, client });
                    continue;
                }
                Report::Ended { how, allowed, denied, operations } => {
                    self.counters.ended(how, allowed, denied, operations);
                    if how.is_violation() {
                        self.note_violation(session.uid);
                    }
                }
                Report::Refused(reason) => self.counters.refused(reason),
                Report::Asks => {
                    session.has_asked = true;
                    asks = true;
                }
            }
            session.is_over = true;
        }
        asks
    }

    fn note_violation(&mut self, uid: u32) {
        if let Some(penalty) = self.limits.violated(uid, Instant::now()) {
            tracing::warn!(uid, seconds = penalty.as_secs(), "runs of this user are refused: too many violations");
        }
    }

    /// Takes leave of the sessions that have ended.
    pub(super) fn reap(&mut self) {
        let gone: Vec<Session> = self.sessions.0.extract_if(.., Session::has_ended).collect();
        for mut session in gone {
            // Its last words.
            self.hear(&mut session);
            if !session.is_over && (session.run.is_some() || session.was_killed) {
                self.counters.count_ended(counters::LOST);
            }
            if !session.is_reserved {
                self.limits.leave(session.uid);
            }
            self.end_group(session.group);
        }
    }

    /// Ends what is left of a run.
    pub(super) fn end_group(&mut self, group: Option<Group>) {
        if let (Some(group), Ok(groups)) = (group, &mut self.groups) {
            groups.end(group);
        }
    }
}

impl Session {
    /// The next report; nothing while there is none.
    fn next_report(&mut self) -> Option<Report> {
        match Report::hear(self.reports.as_ref()?) {
            Ok(Some(report)) => Some(report),
            Err(Errno::EAGAIN) => None,
            Ok(None) | Err(_) => {
                self.reports = None;
                None
            }
        }
    }

    /// Whether it has ended; waits for it then.
    fn has_ended(&mut self) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
        match socket::retry(|| waitid(Id::PIDFd(self.process.as_fd()), flags)) {
            Ok(WaitStatus::StillAlive) => return false,
            Ok(WaitStatus::Signaled(pid, signal, _)) => {
                tracing::warn!(session = pid.as_raw(), "a session was ended by {}", signal.as_str());
                self.was_killed = true;
            }
            _ => {}
        }
        true
    }
}

/// Seconds since 1970.
pub(super) fn seconds_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Tells a client why it is not served, if it can be told at once.
pub(super) fn refuse(client: OwnedFd, reason: RefusalReason, message: &str) {
    if let Ok(mut connection) = Connection::new(client) {
        connection.send(&ToClient::Refused(Refusal { reason, message: Text::cut(message) }));
    }
}
