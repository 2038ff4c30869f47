//! A run without a script: the client asks for operations itself, in the place of a worker.
//!
//! It stands under the same policies and limits, and its requests go the same way, [`dispatch`]. The client is trusted
//! as little as a worker: what it must not send ends its own run. Unlike a worker it is given no descriptors.

use super::connection::Connection;
use super::recording::{self, Recording};
use super::start::{self, Caller};
use super::state::State;
use super::submission::{self, Fault, Origin};
use super::{ending, facts, rights};
use crate::authz::Authorizer;
use crate::config::Config;
use crate::dispatch::{Halt, dispatch};
use crate::jail::{Program, SpawnError};
use crate::sys::socket::retry;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rex_protocol::client::{EndClass, Ending, FromClient, LimitRequest, Operate, ToClient, Usage};
use rex_protocol::limits::LimitName;
use rex_protocol::{Violation, wire};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// Serves the client until its run has ended, and tells it how.
pub(super) fn serve(
    config: &Config,
    net: &Result<Program, SpawnError>,
    connection: &mut Connection,
    caller: &Caller,
    origin: &Origin,
    operate: &Operate,
    begun: Instant,
) -> Result<(), Fault> {
    let session = facts::of(origin.via(), caller, None, operate.reason.as_deref(), operate.dry_run);
    let policy = operate.policy.as_ref();
    let recording = Recording { config, origin, caller, session: &session, script: 0, policy };
    let state = prepare(connection, operate, recording).inspect_err(|fault| recording.refuse(fault))?;
    tracing::info!(client = caller.pid, "run without a script begins");
    let limits = state.limits;
    let watched = start::watch(connection, caller.process.as_ref());
    let state = state.without_donations().with_net(net.clone(), watched);
    let deadline = Instant::now() + Duration::from_millis(limits.time_ms);
    let mut direct = Direct { connection, caller: caller.process.as_ref(), state, deadline };
    let ending = direct.serve_to_end();
    let operations = direct.state.authorizer().spent().operations;
    let changes = direct.state.account().changes;
    let ending = recording::end(origin, &mut direct.state, ending, begun.elapsed());
    let Direct { connection, mut state, .. } = direct;
    match ending {
        Some(ending) => {
            let usage =
                Usage { total_ns: ending::nanoseconds(begun.elapsed()), operations, changes, ..Usage::default() };
            ending::tell(connection, ending, usage);
        }
        None => tracing::info!(operations, "run ended: its client is gone"),
    }
    state.trail_mut().sync();
    Ok(())
}

/// Everything that the run needs to begin; its client is told that it does.
fn prepare(connection: &mut Connection, operate: &Operate, recording: Recording<'_>) -> Result<State, Fault> {
    let Recording { config, origin, caller, session, .. } = recording;
    let request = LimitRequest { time_ms: operate.time_ms, memory: None };
    let limits = submission::limits(config, &request, Duration::ZERO)?;
    let stores = submission::stores(connection, operate.policy.as_ref(), operate.strict, origin)?;
    let authorizer = Authorizer::new(caller.principal.clone(), stores.clone());
    rights::give_up(&authorizer.could_do()).map_err(start::unavailable)?;
    let (trail, run) = recording.begin(&stores)?;
    let state = State::new(authorizer.with_session(session.clone()), limits, trail).rehearsing(operate.dry_run);
    let state = state.map_err(submission::unplannable)?;
    connection.send(&ToClient::Accepted { limits, run });
    Ok(state)
}

struct Direct<'a> {
    connection: &'a mut Connection,
    /// The process that opened the connection.
    caller: Option<&'a OwnedFd>,
    state: State,
    deadline: Instant,
}

/// Why nothing more is served.
enum End {
    With(Ending),
    ClientGone,
}

impl From<Violation> for End {
    fn from(violation: Violation) -> Self {
        End::With(ending::client_violation(&violation))
    }
}

impl From<Halt> for End {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Violation(violation) => violation.into(),
            Halt::Unrecorded(fault) => End::With(ending::unrecorded(&fault)),
        }
    }
}

impl Direct<'_> {
    /// Nothing when the client is gone and nobody waits for an ending.
    fn serve_to_end(&mut self) -> Option<Ending> {
        loop {
            match self.step() {
                Ok(()) => {}
                Err(End::With(ending)) => return Some(ending),
                Err(End::ClientGone) => return None,
            }
        }
    }

    /// Waits until something happens, and serves it.
    fn step(&mut self) -> Result<(), End> {
        // While a reply waits to be taken nothing more is heard: so never more than one is kept.
        let frame = if self.connection.has_backlog() { None } else { self.connection.next_frame()? };
        let patience = match frame {
            Some(_) => Duration::ZERO,
            None => {
                let left = self.deadline.saturating_duration_since(Instant::now());
                self.state.trail().patience().map_or(left, |patience| patience.min(left))
            }
        };
        let ready = self.wait(patience)?;
        // Outcomes do not wait until the client asks for something else.
        self.state.trail_mut().tick();
        if let Some(fault) = self.state.trail().fault() {
            return Err(End::With(ending::unrecorded(fault)));
        }
        // Looked at before each request: a connection that is passed on to another process carries no rights there.
        if ready.caller_gone || self.connection.is_gone() {
            return Err(End::ClientGone);
        }
        if Instant::now() >= self.deadline {
            return Err(self.reached(LimitName::Time));
        }
        if let Some(frame) = frame {
            return self.take(&frame);
        }
        if ready.client {
            self.connection.flush();
            if !self.connection.has_backlog() {
                self.connection.receive()?;
            }
        }
        Ok(())
    }

    fn wait(&self, patience: Duration) -> Result<Ready, End> {
        let events = if self.connection.has_backlog() { PollFlags::POLLOUT } else { PollFlags::POLLIN };
        let mut polled = vec![PollFd::new(self.connection.as_fd(), events)];
        polled.extend(self.caller.as_ref().map(|caller| PollFd::new(caller.as_fd(), PollFlags::POLLIN)));
        let timeout = PollTimeout::try_from(patience.as_nanos().div_ceil(1_000_000)).unwrap_or(PollTimeout::MAX);
        match retry(|| poll(&mut polled, timeout)) {
            Ok(_) => {
                let any = |at: usize| polled.get(at).and_then(PollFd::any).unwrap_or(false);
                Ok(Ready { client: any(0), caller_gone: any(1) })
            }
            Err(error) => {
                Err(End::With(ending::failed(EndClass::Internal, format!("cannot wait for the client: {error}"))))
            }
        }
    }

    fn take(&mut self, frame: &[u8]) -> Result<(), End> {
        match wire::decode::<FromClient>(frame)? {
            FromClient::Request { closed, name, body } => self.answer(&closed, &name, &body),
            FromClient::End => Err(End::With(Ending::Succeeded)),
            FromClient::Submit(_)
            | FromClient::Operate(_)
            | FromClient::Terminate
            | FromClient::Cancel
            | FromClient::List
            | FromClient::Inspect
            | FromClient::Reload
            | FromClient::Status => Err(Violation::new("sent what is no request").into()),
        }
    }

    /// Decides and performs a request, and answers it.
    fn answer(&mut self, closed: &[u64], name: &str, body: &[u8]) -> Result<(), End> {
        if self.state.authorizer().spent().operations >= self.state.limits.operations {
            return Err(self.reached(LimitName::Operations));
        }
        self.state.handles.close(closed)?;
        let reply = dispatch(name, body, &mut self.state)?;
        // One request is in flight: whatever came before its answer was not waited for.
        if self.connection.has_unread() {
            return Err(Violation::new("did not wait for an answer").into());
        }
        for change in self.state.take_changes() {
            self.connection.send(&ToClient::Change(Box::new(change)));
        }
        self.connection.send(&ToClient::Reply(reply.map(serde_bytes::ByteBuf::from)));
        Ok(())
    }

    fn reached(&self, name: LimitName) -> End {
        let message = ending::reached(name, &self.state.limits);
        End::With(ending::failed(EndClass::Limit(name), message))
    }
}

/// What has happened.
struct Ready {
    client: bool,
    caller_gone: bool,
}
