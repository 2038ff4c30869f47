//! Something that the service manager is asked: a process of its own asks it, and the session looks now and then.
//!
//! So neither a bus that hangs nor a unit that takes its time keeps the session from noticing that its client is gone or
//! its time is up: then the process is ended. Before anything is done with a unit, the process tells the unit's own
//! name and waits for the session's word.

use super::manager::{Manager, failure, failure_of_question};
use crate::authz::Demand;
use crate::bus::{Address, Connection};
use crate::perform::systemd::demand;
use crate::session::State;
use crate::sys::process::{self, Forked};
use crate::sys::socket::{self, Packet, retry};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use rex_protocol::failure::{Failure, FailureKind};
use rex_protocol::systemd::TaskEnd;
use rex_protocol::text::Text;
use rex_protocol::{Action, wire};
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

/// How long one look waits for something to happen.
const LOOK: Duration = Duration::from_millis(100);
/// The first descriptor that is no standard stream.
const FIRST: i32 = 3;
/// The word to go on.
const GO: &[u8] = b"go";

/// What is asked.
#[derive(Debug, Clone)]
pub(super) enum Question {
    /// A job on a unit: the manager's method that makes it.
    Job { method: &'static str, name: Rc<str> },
    /// What a unit is like.
    Status { name: Rc<str> },
    /// To read all units anew.
    Reload,
    /// Whether it knows a unit, and nothing else: what a dry run asks in the place of a job.
    Known { name: Rc<str> },
    /// Whether it can be asked at all, likewise.
    Reached,
}

/// A task under way. Dropped, it is not followed any more.
#[derive(Debug)]
pub(crate) struct Task {
    /// What policy is asked, of the name as it was given.
    pub(super) demand: Demand,
    action: Action,
    name: Option<Rc<str>>,
    process: OwnedFd,
    line: OwnedFd,
}

/// What the process tells.
#[derive(Serialize, Deserialize)]
enum Told {
    /// The unit has this name of its own.
    Unit(String),
    /// The end.
    End(Result<TaskEnd, Failure>),
}

impl Task {
    /// Begins a task that policy has granted.
    pub(super) fn begin(question: Question, demand: Demand, state: &State) -> Result<Self, Failure> {
        let fault = |errno: Errno| {
            let message = format!("cannot start a process to ask the service manager: {}", errno.desc());
            Failure::new(FailureKind::Refused { errno: errno as i32 }, message)
        };
        let address = if state.is_standalone() { Address::from_environment() } else { Ok(Address::system()) };
        let address = address.map_err(|fault| failure(fault, None))?;
        let (line, theirs) = socket::packet_pair().map_err(fault)?;
        match process::fork().map_err(fault)? {
            Forked::Child => {
                ask(&question, &address, &theirs);
                process::exit_now(0)
            }
            Forked::Parent { process, .. } => {
                let action = demand.action;
                let name = match question {
                    Question::Job { name, .. } | Question::Status { name } | Question::Known { name } => Some(name),
                    Question::Reload | Question::Reached => None,
                };
                Ok(Self { demand, action, name, process, line })
            }
        }
    }

    /// How it ended; nothing while it goes on.
    pub(super) fn follow(&self, state: &mut State) -> Result<Option<TaskEnd>, Failure> {
        let mut polled = [PollFd::new(self.line.as_fd(), PollFlags::POLLIN)];
        // Interrupted is as good as nothing: the worker asks again.
        let _ = poll(&mut polled, PollTimeout::try_from(LOOK).unwrap_or(PollTimeout::ZERO));
        let mut packet = vec![0; wire::PACKET];
        let length = match socket::receive_packet(&self.line, &mut packet) {
            Ok(Packet::Bytes(length)) => length,
            Err(Errno::EAGAIN) => return Ok(None),
            Ok(Packet::End | Packet::Malformed) | Err(_) => return Err(died()),
        };
        match wire::decode(packet.get(..length).unwrap_or_default()).map_err(|_| died())? {
            Told::Unit(id) => {
                self.confirm(&id, state)?;
                socket::send_packet(&self.line, GO).map_err(|_| died())?;
                Ok(None)
            }
            Told::End(end) => end.map(Some),
        }
    }

    /// Asks policy about the unit's own name, where that is another. What is denied here is not done: the process waits for a
    /// word that it never gets.
    fn confirm(&self, id: &str, state: &mut State) -> Result<(), Failure> {
        if self.name.as_deref() == Some(id) {
            return Ok(());
        }
        state.demand(&[demand(self.action, id)])
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let _ = process::signal(&self.process, Signal::SIGKILL);
        let _ = retry(|| waitid(Id::PIDFd(self.process.as_fd()), WaitPidFlag::WEXITED));
    }
}

fn died() -> Failure {
    let error = Text::cut("org.freedesktop.DBus.Error.Failed");
    Failure::new(FailureKind::Bus { error }, "the process that asks the service manager has ended")
}

/// The process's part. Nothing of the session stays open in it, and it ends with the session.
fn ask(question: &Question, address: &Address, line: &OwnedFd) {
    let alone = prctl::set_pdeathsig(Signal::SIGKILL);
    let alone = alone.and_then(|()| process::close_all_but(FIRST, &[line.as_raw_fd()]));
    if alone.and_then(|()| socket::set_blocking(line)).is_err() {
        return;
    }
    let end = answer(question, address, line);
    // Nobody is left to tell where it fails.
    let _ = tell(line, &Told::End(end));
}

fn answer(question: &Question, address: &Address, line: &OwnedFd) -> Result<TaskEnd, Failure> {
    let bus = Connection::open(address).map_err(|fault| failure(fault, None))?;
    let mut manager = Manager::new(bus);
    match question {
        Question::Reload => manager.reload().map(|()| TaskEnd::Done).map_err(|fault| failure(fault, None)),
        Question::Reached => Ok(TaskEnd::Done),
        Question::Known { name } => {
            let unit = manager.load(name).map_err(|fault| failure(fault, Some(name)))?;
            await_word(&unit.id, line)?;
            Ok(TaskEnd::Done)
        }
        Question::Job { method, name } => {
            let unit = manager.load(name).map_err(|fault| failure(fault, Some(name)))?;
            await_word(&unit.id, line)?;
            manager.run_job(method, &unit).map(|()| TaskEnd::Done)
        }
        Question::Status { name } => {
            let unit = manager.load(name).map_err(|fault| failure_of_question(fault, name))?;
            await_word(&unit.id, line)?;
            let status = manager.status(&unit).map_err(|fault| failure(fault, None))?;
            Ok(TaskEnd::Unit(Box::new(status)))
        }
    }
}

/// Tells the unit's own name, and waits until the session lets it be worked on.
fn await_word(id: &str, line: &OwnedFd) -> Result<(), Failure> {
    let gone = |_| died();
    tell(line, &Told::Unit(id.to_owned())).map_err(gone)?;
    let mut word = [0; GO.len()];
    let length = retry(|| nix::unistd::read(line, &mut word)).map_err(gone)?;
    if word.get(..length) == Some(GO) { Ok(()) } else { Err(died()) }
}

fn tell(line: &OwnedFd, told: &Told) -> nix::Result<()> {
    let packet = wire::encode(told).map_err(|_| Errno::EMSGSIZE)?;
    socket::send_packet(line, &packet)
}
