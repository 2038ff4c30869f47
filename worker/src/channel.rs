//! The worker's one way out: its socket to the session.

use crate::sys;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, send};
use rex_protocol::fs::{Donate, Donated};
use rex_protocol::text::CHUNK;
use rex_protocol::worker::{Alarm, Finished, FromWorker, Level, Log, Metric, ToWorker};
use rex_protocol::{Failure, Handle, Listed, VERSION, wire};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

/// How many denials are remembered, see [`Channel::was_denied`].
const DENIALS: usize = 1024;

/// The conversation with the session: one request at a time, and what the script says in between.
///
/// A worker without its session has no purpose: where the conversation breaks, the process ends.
#[derive(Debug)]
pub struct Channel {
    socket: OwnedFd,
    received: RefCell<Vec<u8>>,
    /// Handles that were dropped since the last request, which will tell.
    closed: RefCell<Vec<u64>>,
    denials: RefCell<VecDeque<String>>,
    access_refused: Cell<bool>,
    level: Cell<Level>,
}

impl Channel {
    /// Speaks on `socket`, one end of a `SOCK_SEQPACKET` pair.
    pub fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            // One byte more than the largest packet, so that a larger one shows.
            received: RefCell::new(vec![0; wire::PACKET + 1]),
            closed: RefCell::default(),
            denials: RefCell::default(),
            access_refused: Cell::new(false),
            level: Cell::new(Level::Info),
        }
    }

    /// Asks for an operation and waits for its end.
    pub fn call<O: Listed>(&self, operation: &O) -> Result<O::Reply, Failure> {
        self.ask(operation);
        self.answer::<O>(self.hear())
    }

    /// Asks for a descriptor of a file. None where it could not be taken: so many are held already.
    pub(crate) fn call_for_descriptor(&self, donate: &Donate) -> Result<(Donated, Option<sys::Descriptor>), Failure> {
        self.ask(donate);
        let (reply, descriptor) = self.receive(true);
        self.answer::<Donate>(reply).map(|donated| (donated, descriptor))
    }

    /// Says that the worker is sealed and ready.
    pub fn hello(&self) {
        self.tell(&FromWorker::Hello { version: VERSION });
    }

    /// Sends log messages of this level and above.
    pub fn set_level(&self, least: Level) {
        self.level.set(least);
    }

    /// Sends a log message if its level is wanted.
    pub fn log(&self, log: Log) {
        if log.level >= self.level.get() {
            self.tell(&FromWorker::Log(log));
        }
    }

    /// Whether messages of this level are sent.
    pub fn logs(&self, level: Level) -> bool {
        level >= self.level.get()
    }

    /// Publishes a metric.
    pub fn metric(&self, metric: Metric) {
        self.tell(&FromWorker::Metric(metric));
    }

    /// Raises an alarm.
    pub fn alarm(&self, alarm: Alarm) {
        self.tell(&FromWorker::Alarm(alarm));
    }

    /// Sends the script's result, in as many parts as it takes.
    pub fn output(&self, text: &str) {
        for part in text.as_bytes().chunks(CHUNK) {
            self.tell(&FromWorker::Output(part));
        }
    }

    /// Says how the script has ended. The last message.
    pub fn finish(&self, finished: Finished) {
        self.tell(&FromWorker::Finished(finished));
    }

    /// Whether the session denied a request of this run with exactly this message, lately.
    pub fn was_denied(&self, message: &str) -> bool {
        self.denials.borrow().iter().any(|denial| denial == message)
    }

    /// Whether the kernel refused access (`EACCES`) to a request of this run.
    pub fn was_access_refused(&self) -> bool {
        self.access_refused.get()
    }

    /// The next message of the session.
    pub(crate) fn hear(&self) -> ToWorker {
        self.receive(false).0
    }

    /// The next message of the session; a descriptor comes only with one for which it was asked.
    fn receive(&self, donation: bool) -> (ToWorker, Option<sys::Descriptor>) {
        let mut buffer = self.received.borrow_mut();
        loop {
            match sys::receive(&self.socket, &mut buffer, donation) {
                Ok(received) if received.length == 0 || received.length > wire::PACKET => lost(),
                // A donation that exceeds the limit of descriptors is lost on the way, and that is all.
                Ok(received) if received.cut && !(donation && received.descriptor.is_none()) => lost(),
                Ok(received) => match buffer.get(..received.length) {
                    Some(packet) => return (or_end(wire::decode(packet)), received.descriptor),
                    None => lost(),
                },
                Err(Errno::EINTR) => {}
                Err(_) => lost(),
            }
        }
    }

    fn ask<O: Listed>(&self, operation: &O) {
        let body = or_end(wire::encode(operation));
        let closed = self.closed.take();
        self.tell(&FromWorker::Request { closed, name: O::NAME, body: &body });
    }

    fn answer<O: Listed>(&self, message: ToWorker) -> Result<O::Reply, Failure> {
        match message {
            ToWorker::Reply(Ok(reply)) => Ok(or_end(wire::decode(&reply))),
            ToWorker::Reply(Err(failure)) => {
                self.remember(&failure);
                Err(failure)
            }
            ToWorker::Run(_) | ToWorker::Part(_) => lost(),
        }
    }

    fn tell(&self, message: &FromWorker<'_>) {
        let packet = or_end(wire::encode(message));
        loop {
            match send(self.socket.as_raw_fd(), &packet, MsgFlags::MSG_NOSIGNAL) {
                Ok(_) => return,
                Err(Errno::EINTR) => {}
                Err(_) => lost(),
            }
        }
    }

    fn remember(&self, failure: &Failure) {
        if failure.is_denial() {
            let mut denials = self.denials.borrow_mut();
            if denials.len() == DENIALS {
                denials.pop_front();
            }
            denials.push_back(failure.message.to_string());
        } else if failure.errno() == Some(libc::EACCES) {
            self.access_refused.set(true);
        }
    }
}

/// An object that the session holds open for this run, until the last script value that names it is gone.
#[derive(Debug)]
pub struct Held<K> {
    channel: Rc<Channel>,
    handle: Handle<K>,
}

impl<K> Held<K> {
    /// Takes over an object that the session just opened.
    pub fn new(channel: &Rc<Channel>, handle: Handle<K>) -> Self {
        Self { channel: Rc::clone(channel), handle }
    }

    /// Its handle.
    pub fn handle(&self) -> Handle<K> {
        self.handle
    }

    /// The way to the session that holds it.
    pub fn channel(&self) -> &Rc<Channel> {
        &self.channel
    }
}

impl<K> Drop for Held<K> {
    fn drop(&mut self) {
        self.channel.closed.borrow_mut().push(self.handle.id());
    }
}

fn or_end<T, E>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|_| lost())
}

fn lost() -> ! {
    sys::exit(sys::EXIT_SESSION_LOST)
}
