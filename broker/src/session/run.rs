//! The loop of a run: the worker's messages, the client's wishes, the clock.

use super::affinity::Affinity;
use super::connection::Connection;
use super::ending;
use super::state::State;
use super::usage::Meter;
use crate::dispatch::{Halt, dispatch};
use crate::jail::Worker;
use crate::sys::process;
use crate::sys::socket::{self, Packet};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use rex_protocol::client::{EndClass, Ending, FromClient, TERMINATION_GRACE_MS, ToClient};
use rex_protocol::limits::{LimitName, RECORD_OVERHEAD};
use rex_protocol::text::Text;
use rex_protocol::worker::{FromWorker, ToWorker};
use rex_protocol::{Violation, wire};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often the clocks are looked at while nothing else happens.
const TICK: Duration = Duration::from_millis(100);

/// How the worker is spoken to and listened to.
pub(crate) struct Run<'a> {
    pub(crate) connection: &'a mut Connection,
    pub(crate) worker: &'a Worker,
    /// The process that submitted the run.
    pub(crate) caller: Option<&'a OwnedFd>,
    pub(crate) state: State,
    pub(crate) meter: Meter,
    pub(crate) affinity: Affinity,
    pub(crate) show_progress: bool,
    started: Instant,
    last_tick: Instant,
    terminate_at: Option<Instant>,
    log_bytes: u64,
    output_bytes: u64,
    /// The first metric or alarm of a reserved name, which fails a run that would have succeeded.
    reserved: Option<Ending>,
    packet: Vec<u8>,
}

impl<'a> Run<'a> {
    /// A run whose script the worker has been sent.
    pub(crate) fn new(
        connection: &'a mut Connection,
        worker: &'a Worker,
        caller: Option<&'a OwnedFd>,
        state: State,
        meter: Meter,
        affinity: Affinity,
        show_progress: bool,
    ) -> Self {
        let now = Instant::now();
        Self {
            connection,
            worker,
            caller,
            state,
            meter,
            affinity,
            show_progress,
            started: now,
            last_tick: now,
            terminate_at: None,
            log_bytes: 0,
            output_bytes: 0,
            reserved: None,
            packet: vec![0; wire::PACKET],
        }
    }

    /// Serves the worker until the run has ended. Nothing when the client is gone and nobody waits for an ending.
    pub(crate) fn serve_to_end(&mut self) -> Option<Ending> {
        // What came together with the submission does not announce itself again.
        let mut step = self.obey_client();
        loop {
            match step {
                Ok(()) => step = self.wait().and_then(|ready| self.serve(&ready)),
                Err(End::With(ending)) => return Some(self.reserved_or(ending)),
                Err(End::ClientGone) => return None,
            }
        }
    }

    /// How long the script has run.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn reserved_or(&mut self, ending: Ending) -> Ending {
        match (ending, self.reserved.take()) {
            (Ending::Succeeded, Some(reserved)) => reserved,
            (ending, _) => ending,
        }
    }

    /// Waits until something happens or the next tick is due.
    fn wait(&mut self) -> Result<Ready, End> {
        let now = Instant::now();
        let due = (self.last_tick + TICK).min(self.deadline().0).saturating_duration_since(now);
        let mut client = PollFlags::POLLIN;
        client.set(PollFlags::POLLOUT, self.connection.has_backlog());
        // A client that does not take what it is sent makes its worker wait.
        let from_worker = if self.connection.is_congested() { PollFlags::empty() } else { PollFlags::POLLIN };
        let mut polled = vec![
            PollFd::new(self.worker.socket.as_fd(), from_worker),
            PollFd::new(self.connection.as_fd(), client),
            PollFd::new(self.worker.process.as_fd(), PollFlags::POLLIN),
        ];
        polled.extend(self.caller.as_ref().map(|caller| PollFd::new(caller.as_fd(), PollFlags::POLLIN)));
        let timeout = PollTimeout::try_from(due.as_millis().saturating_add(1)).unwrap_or(PollTimeout::MAX);
        match socket::retry(|| poll(&mut polled, timeout)) {
            Ok(_) => {
                let any = |at: usize| polled.get(at).and_then(PollFd::any).unwrap_or(false);
                Ok(Ready { worker: any(0), client: any(1), death: any(2), caller_gone: any(3) })
            }
            Err(error) => Err(internal(format!("cannot wait for its worker: {error}"))),
        }
    }

    fn serve(&mut self, ready: &Ready) -> Result<(), End> {
        if ready.caller_gone {
            return Err(End::ClientGone);
        }
        if ready.client {
            self.hear_client()?;
        }
        if ready.worker {
            self.hear_worker()?;
        }
        if ready.death && !ready.worker {
            return Err(End::With(ending::died(reap(self.worker), &self.state.limits)));
        }
        self.look_at_the_clock()
    }

    fn hear_client(&mut self) -> Result<(), End> {
        self.connection.flush();
        self.connection.receive().map_err(|_| End::ClientGone)?;
        self.obey_client()
    }

    /// Does what the client wants. It may only end the run.
    fn obey_client(&mut self) -> Result<(), End> {
        while let Some(frame) = self.connection.next_frame().map_err(|_| End::ClientGone)? {
            match wire::decode::<FromClient>(&frame).map_err(|_| End::ClientGone)? {
                FromClient::Submit(_)
                | FromClient::Operate(_)
                | FromClient::Request { .. }
                | FromClient::End
                | FromClient::List
                | FromClient::Inspect
                | FromClient::Reload
                | FromClient::Status => {
                    return Err(End::ClientGone);
                }
                FromClient::Cancel => {
                    return Err(End::With(ending::failed(EndClass::Cancelled, "Script terminated: cancelled")));
                }
                FromClient::Terminate => {
                    let grace = Duration::from_millis(TERMINATION_GRACE_MS);
                    self.terminate_at.get_or_insert_with(|| Instant::now() + grace);
                }
            }
        }
        if self.connection.is_gone() { Err(End::ClientGone) } else { Ok(()) }
    }

    /// One packet of the worker.
    fn hear_worker(&mut self) -> Result<(), End> {
        let mut packet = std::mem::take(&mut self.packet);
        let result = match socket::receive_packet(&self.worker.socket, &mut packet) {
            Ok(Packet::Bytes(length)) => self.take(packet.get(..length).unwrap_or_default()),
            Ok(Packet::Malformed) => {
                Err(Violation::new("sent a packet that is too large or carries descriptors").into())
            }
            // Its end of the socket closes when it dies, just before the process is gone.
            Ok(Packet::End) | Err(Errno::ECONNRESET) => Err(End::With(self.after_death())),
            Err(Errno::EAGAIN) => Ok(()),
            Err(error) => Err(internal(format!("cannot hear its worker: {error}"))),
        };
        self.packet = packet;
        result
    }

    fn take(&mut self, packet: &[u8]) -> Result<(), End> {
        match wire::decode_borrowed::<FromWorker<'_>>(packet)? {
            FromWorker::Hello { .. } => Err(Violation::new("said hello twice").into()),
            FromWorker::Request { closed, name, body } => self.answer(&closed, name, body),
            FromWorker::Log(log) => {
                self.charge(log.message.len())?;
                self.connection.send(&ToClient::Log { at: now_ns(), log });
                Ok(())
            }
            FromWorker::Metric(metric) => {
                let dimensions: usize = metric.dimensions.iter().map(|(key, value)| key.len() + value.len()).sum();
                self.charge(metric.name.len() + dimensions)?;
                if ending::is_reserved(&metric.name) {
                    let what = format!("Invalid metric name '{}': Script metrics cannot start with Rex", metric.name);
                    self.reserve(EndClass::ReservedMetric, format!("Script metric validation failed: {what}"));
                }
                self.connection.send(&ToClient::Metric { at: now_ns(), metric });
                Ok(())
            }
            FromWorker::Alarm(alarm) => {
                self.charge(alarm.kind.len() + alarm.details.as_ref().map_or(0, |details| details.len()))?;
                if ending::is_reserved(&alarm.kind) {
                    let what = format!("Invalid alarm type '{}': Script alarms cannot start with Rex", alarm.kind);
                    self.reserve(EndClass::ReservedAlarm, format!("Script alarm validation failed: {what}"));
                }
                self.connection.send(&ToClient::Alarm(alarm));
                Ok(())
            }
            FromWorker::Output(part) => {
                self.output_bytes = self.output_bytes.saturating_add(part.len() as u64);
                self.within(self.output_bytes, self.state.limits.output, LimitName::Output)?;
                self.connection.send(&ToClient::Output(part.to_vec()));
                Ok(())
            }
            FromWorker::Finished(finished) => Err(End::With(ending::finished(finished, self.state.account()))),
        }
    }

    /// Decides and performs a request, and answers it.
    fn answer(&mut self, closed: &[u64], name: &str, body: &[u8]) -> Result<(), End> {
        self.state.handles.close(closed)?;
        let reply = dispatch(name, body, &mut self.state)?;
        for change in self.state.take_changes() {
            self.connection.send(&ToClient::Change(Box::new(change)));
        }
        // With anything but the reply that tells of it no descriptor goes out.
        let donation = self.state.take_donation().filter(|_| reply.is_ok());
        let reply = ToWorker::Reply(reply.map(serde_bytes::ByteBuf::from));
        // One request is in flight: whatever came before its answer was not waited for.
        if socket::has_packet(&self.worker.socket) {
            return Err(Violation::new("did not wait for an answer").into());
        }
        match donation {
            Some(descriptor) => give(self.worker, &reply, &descriptor)?,
            None => send_to(self.worker, &reply)?,
        }
        self.affinity.called();
        Ok(())
    }

    fn charge(&mut self, bytes: usize) -> Result<(), End> {
        self.log_bytes = self.log_bytes.saturating_add(bytes as u64 + RECORD_OVERHEAD);
        self.within(self.log_bytes, self.state.limits.log, LimitName::Log)
    }

    fn within(&self, used: u64, most: u64, name: LimitName) -> Result<(), End> {
        if used <= most { Ok(()) } else { Err(End::With(ending::limit(name, &self.state.limits))) }
    }

    /// Metrics are looked at before alarms, whichever came first.
    fn reserve(&mut self, class: EndClass, message: String) {
        let earlier = match (&self.reserved, class) {
            (None, _) => false,
            (Some(Ending::Failed { class: EndClass::ReservedAlarm, .. }), EndClass::ReservedMetric) => false,
            (Some(_), _) => true,
        };
        if !earlier {
            self.reserved = Some(ending::failed(class, message));
        }
    }

    /// When the run ends at the latest, and how.
    fn deadline(&self) -> (Instant, LimitName) {
        let time = self.started + Duration::from_millis(self.state.limits.time_ms);
        (self.terminate_at.map_or(time, |terminate| terminate.min(time)), LimitName::Time)
    }

    fn look_at_the_clock(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if self.terminate_at.is_some_and(|end| now >= end) {
            return Err(End::With(ending::failed(EndClass::Terminated, "Script terminated: SIGTERM timeout exceeded")));
        }
        let (deadline, limit) = self.deadline();
        if now >= deadline {
            return Err(End::With(ending::limit(limit, &self.state.limits)));
        }
        if now.duration_since(self.last_tick) >= TICK {
            self.last_tick = now;
            self.state.trail_mut().write();
            if let Some(fault) = self.state.trail().fault() {
                return Err(End::With(ending::unrecorded(fault)));
            }
            self.affinity.tick();
            self.meter.tick(now);
            let cpu = u64::try_from(self.meter.cpu().as_millis()).unwrap_or(u64::MAX);
            self.within(cpu, self.state.limits.cpu_ms, LimitName::Cpu)?;
            if self.show_progress && !self.connection.has_backlog() {
                let account = self.state.account();
                let current = Text::cut(format!("{} {}", account.name, account.about));
                self.connection
                    .send(&ToClient::Progress { operations: self.state.authorizer().spent().operations, current });
            }
        }
        Ok(())
    }

    /// How the run ended, given that the worker closed its conversation.
    fn after_death(&self) -> Ending {
        // It has closed its socket, so it has ended or is about to: it cannot do so and live on, but for a moment.
        let end = Instant::now() + Duration::from_millis(500);
        while Instant::now() < end {
            match reap(self.worker) {
                Some(WaitStatus::StillAlive) | None => std::thread::sleep(Duration::from_millis(2)),
                status => return ending::died(status, &self.state.limits),
            }
        }
        ending::died(None, &self.state.limits)
    }
}

/// What has happened.
struct Ready {
    worker: bool,
    client: bool,
    death: bool,
    caller_gone: bool,
}

/// Why the loop ends.
pub(crate) enum End {
    With(Ending),
    ClientGone,
}

impl From<Violation> for End {
    fn from(violation: Violation) -> Self {
        End::With(ending::violation(&violation))
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

fn internal(message: String) -> End {
    End::With(ending::failed(EndClass::Internal, message))
}

/// Sends a worker one packet. It waits for it, so it must take it.
pub(crate) fn send_to(worker: &Worker, message: &ToWorker) -> Result<(), Violation> {
    taken(socket::send_packet(&worker.socket, &wire::encode(message)?))
}

/// As [`send_to`], with a descriptor.
fn give(worker: &Worker, message: &ToWorker, descriptor: &OwnedFd) -> Result<(), Violation> {
    taken(socket::send_packet_with(&worker.socket, &wire::encode(message)?, descriptor))
}

fn taken(sent: nix::Result<()>) -> Result<(), Violation> {
    match sent {
        // A worker that is gone is found so by the loop.
        Ok(()) | Err(Errno::EPIPE | Errno::ECONNRESET) => Ok(()),
        Err(Errno::EAGAIN) => Err(Violation::new("does not read its answers")),
        Err(error) => Err(Violation::new(format!("cannot be answered: {error}"))),
    }
}

/// Ends a worker and waits for its end.
pub(crate) fn end(worker: &Worker) {
    stop(worker);
    let _ = socket::retry(|| waitid(Id::PIDFd(worker.process.as_fd()), WaitPidFlag::WEXITED));
}

/// Ends a worker and does not wait for that: a process that is killed (SIGKILL, signal(7)) does not come to run its program again.
pub(super) fn stop(worker: &Worker) {
    let _ = process::signal(&worker.process, Signal::SIGKILL);
}

/// How a worker ended, if it has; it stays to be waited for.
pub(crate) fn reap(worker: &Worker) -> Option<WaitStatus> {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    socket::retry(|| waitid(Id::PIDFd(worker.process.as_fd()), flags)).ok()
}

/// Nanoseconds since 1970.
fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
