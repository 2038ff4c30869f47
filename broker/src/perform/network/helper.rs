//! The sealed program that understands what comes from the network, `rex-net`: one for each request, ended with it.

use super::{refused, request_failed};
use crate::jail::{self, Jail, Program, Worker};
use crate::session::{State, end_worker};
use crate::sys::socket::{self, Packet};
use nix::errno::Errno;
use nix::poll::PollFlags;
use rex_protocol::failure::Failure;
use rex_protocol::net::{FromNet, NameAnswer, NamePlan, NetRequest, ParsedUrl, ToNet, ToNetPart};
use rex_protocol::text::{CHUNK, Chunk, Text};
use rex_protocol::{VERSION, wire};
use serde::Serialize;
use std::os::fd::OwnedFd;
use std::time::Instant;

/// What it may use: memory in bytes, processor time in milliseconds.
const JAIL: Jail = Jail { memory: 256 * 1024 * 1024, cpu_ms: 30_000 };

/// The program, sealed and looked at. Dropped, it is ended.
pub(super) struct Net {
    process: Worker,
    deadline: Instant,
}

/// A response as it came.
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<(Text<256>, Text<{ rex_protocol::network::HEADER }>)>,
    pub(super) body: Vec<u8>,
}

impl Net {
    /// Starts one for a request, for what must be done by `deadline`.
    pub(super) fn start(deadline: Instant, state: &State) -> Result<Self, Failure> {
        Self::run(state.net().cloned(), deadline, state)
    }

    /// Starts one for a name; there may be another one for a request beside it.
    pub(super) fn start_for_names(deadline: Instant, state: &State) -> Result<Self, Failure> {
        Self::run(state.net().map(Program::for_names), deadline, state)
    }

    fn run(program: Result<Program, String>, deadline: Instant, state: &State) -> Result<Self, Failure> {
        let fault =
            |error: &dyn std::fmt::Display| request_failed(format!("cannot start the network's program: {error}"));
        let program = program.map_err(|error| fault(&error))?;
        let process = JAIL.spawn(&program).map_err(|error| fault(&error))?;
        let net = Self { process, deadline };
        match net.hear(state)? {
            FromNet::Hello { version } if &*version == VERSION => {}
            _ => return Err(fault(&"it did not say hello")),
        }
        // Anything unexpected, and it hears nothing.
        jail::verify(&net.process).map_err(|error| fault(&error))?;
        Ok(net)
    }

    /// The parts of a URL, or why it is none.
    pub(super) fn parse(
        &self,
        base: Option<&ParsedUrl>,
        url: &str,
        state: &State,
    ) -> Result<Result<ParsedUrl, String>, Failure> {
        let base = base.map(|base| base.url.clone());
        self.tell(&ToNet::Parse { base, url: Text::cut(url) }, None, state)?;
        match self.hear(state)? {
            FromNet::Parsed(parsed) => Ok(Ok(*parsed)),
            FromNet::NotAUrl(why) => Ok(Err(why.into_string())),
            _ => Err(nonsense()),
        }
    }

    /// How to find the addresses of a host.
    pub(super) fn plan(
        &self,
        host: &str,
        hosts: String,
        configuration: String,
        state: &State,
    ) -> Result<NamePlan, Failure> {
        let plan =
            ToNet::Plan { host: Text::cut(host), hosts: Text::cut(hosts), configuration: Text::cut(configuration) };
        self.tell(&plan, None, state)?;
        match self.hear(state)? {
            FromNet::Plan(plan) => Ok(plan),
            _ => Err(nonsense()),
        }
    }

    /// What the name server at the other end of `connection` says of a name.
    pub(super) fn ask(
        &self,
        name: &str,
        connection: &OwnedFd,
        stream: bool,
        state: &State,
    ) -> Result<NameAnswer, Failure> {
        self.tell(&ToNet::Ask { name: Text::cut(name), stream }, Some(connection), state)?;
        match self.hear(state)? {
            FromNet::Answer(answer) => Ok(answer),
            _ => Err(nonsense()),
        }
    }

    /// Sends a request over `connection` and takes the response, with the certificates of `roots` to trust, if there are any.
    pub(super) fn exchange(
        &self,
        mut request: NetRequest,
        connection: &OwnedFd,
        roots: &[u8],
        state: &State,
    ) -> Result<Response, Failure> {
        let most = request.most;
        let parts: Vec<&[u8]> = roots.chunks(CHUNK).collect();
        request.roots = u32::try_from(parts.len()).unwrap_or(0);
        self.tell(&ToNet::Request(Box::new(request)), Some(connection), state)?;
        for part in parts {
            let part = Chunk::try_from(part.to_vec()).map_err(|_| nonsense())?;
            self.tell(&ToNetPart(part), None, state)?;
        }
        let FromNet::Head { status, headers } = self.hear(state)? else { return Err(nonsense()) };
        let mut response = Response { status, headers, body: Vec::new() };
        loop {
            match self.hear(state)? {
                FromNet::Body(piece) => response.body.extend_from_slice(&piece),
                FromNet::End => return Ok(response),
                _ => return Err(nonsense()),
            }
            if response.body.len() as u64 > most {
                return Err(nonsense());
            }
        }
    }

    fn tell(&self, message: &impl Serialize, along: Option<&OwnedFd>, state: &State) -> Result<(), Failure> {
        let packet = wire::encode(message).map_err(|_| nonsense())?;
        let socket = &self.process.socket;
        loop {
            let sent = match along {
                None => socket::send_packet(socket, &packet),
                Some(descriptor) => socket::send_packet_with(socket, &packet, descriptor),
            };
            match sent {
                // More than fits waits to be heard.
                Err(Errno::EAGAIN) if state.wait(socket, PollFlags::POLLOUT, self.deadline)? => {}
                Err(Errno::EAGAIN) => return Err(timed_out()),
                sent => return sent.map_err(|errno| refused(errno, "speak to the network's program")),
            }
        }
    }

    /// What it says next; a failure that it tells of is one here.
    fn hear(&self, state: &State) -> Result<FromNet, Failure> {
        let mut packet = vec![0; wire::PACKET];
        let length = loop {
            match socket::receive_packet(&self.process.socket, &mut packet) {
                Ok(Packet::Bytes(length)) => break length,
                Err(Errno::EAGAIN) => {}
                Ok(Packet::Malformed) => return Err(nonsense()),
                Ok(Packet::End) | Err(_) => return Err(request_failed("the network's program has ended")),
            }
            if !state.wait(&self.process.socket, PollFlags::POLLIN, self.deadline)? {
                return Err(timed_out());
            }
        };
        match wire::decode(packet.get(..length).unwrap_or_default()) {
            Ok(FromNet::Failed(why)) => Err(request_failed(why)),
            Ok(message) => Ok(message),
            Err(_) => Err(nonsense()),
        }
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        end_worker(&self.process);
    }
}

/// That time is up.
pub(super) fn timed_out() -> Failure {
    request_failed("operation timed out")
}

fn nonsense() -> Failure {
    request_failed("the network's program makes no sense: it was ended")
}
