//! Operations on the network. What speaks HTTP, TLS and DNS is a sealed program ([`crate::net`]); the session decides, makes the
//! connections, and hands them over.

use crate::handle::{Body, Connection, Handle};
use crate::text::{Chunk, Text};
use crate::{Action, Effect, Operation};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The longest URL, in bytes.
pub const URL: usize = 8192;
/// The longest host name or address as text, in bytes; names of hosts are shorter.
pub const HOST: usize = 1024;
/// The most that one header takes, in bytes.
pub const HEADER: usize = 16 * 1024;
/// The most bytes of a request's body.
pub const REQUEST_BODY: usize = 64 * 1024;
/// The most bytes of a response's body.
pub const RESPONSE_BODY: u64 = 16 * 1024 * 1024;

/// What a request wants done (RFC 9110, 9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Patch,
    Options,
}

impl Method {
    /// Each of them.
    pub const ALL: &'static [Method] =
        &[Method::Get, Method::Head, Method::Post, Method::Put, Method::Delete, Method::Patch, Method::Options];

    /// As it stands in a request: `GET`.
    pub const fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
            Method::Patch => "PATCH",
            Method::Options => "OPTIONS",
        }
    }

    /// Whether it asks for nothing to be changed: it is safe, as RFC 9110, 9.2.1 calls that.
    pub const fn only_looks(self) -> bool {
        match self {
            Method::Get | Method::Head | Method::Options => true,
            Method::Post | Method::Put | Method::Delete | Method::Patch => false,
        }
    }

    /// What policy is asked for it.
    pub const fn action(self) -> Action {
        match self {
            Method::Get => Action::HttpGet,
            Method::Head => Action::HttpHead,
            Method::Post => Action::HttpPost,
            Method::Put => Action::HttpPut,
            Method::Delete => Action::HttpDelete,
            Method::Patch => Action::HttpPatch,
            Method::Options => Action::HttpOptions,
        }
    }
}

/// Send an HTTP request and take the response.
///
/// Asks the method on the URL as it is given and, where its parts read otherwise once they are understood, on the URL that is
/// requested; first as far as that can be said without its address, so that no name server is asked for what policy denies,
/// and again with each address before it is tried. A redirect is a new request to another URL and is decided anew.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fetch {
    /// What is wanted.
    pub method: Method,
    /// Of what.
    pub url: Text<URL>,
    /// Header fields besides those that are always sent; names and values.
    pub headers: Vec<(Text<256>, Text<HEADER>)>,
    /// What is sent along.
    pub body: Option<Chunk>,
    /// How much of the response's body is wanted at most, in bytes; the rest is not read. Without, all of it: one larger than
    /// [`RESPONSE_BODY`] is a failure.
    pub most: Option<u64>,
    /// How long all of it may take, redirects and names included, in milliseconds; no more than 30 seconds without.
    pub time_ms: Option<u64>,
}

/// A response whose body waits to be taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fetched {
    /// The status code.
    pub status: u16,
    /// The header fields, in lower case.
    pub headers: Vec<(Text<256>, Text<HEADER>)>,
    /// The body, if it has one.
    pub body: Option<Handle<Body>>,
}

impl Operation for Fetch {
    type Reply = Fetched;
    const NAME: &'static str = "network.fetch";
    const EFFECT: Effect<Self> = Effect::Depends(|request| !request.method.only_looks());
    const ACTIONS: &'static [Action] = &[
        Action::HttpGet,
        Action::HttpHead,
        Action::HttpPost,
        Action::HttpPut,
        Action::HttpDelete,
        Action::HttpPatch,
        Action::HttpOptions,
    ];
}

/// Take a piece of a response's body. Asks again what was asked for the request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReadBody {
    /// The body.
    pub body: Handle<Body>,
    /// From this byte on.
    pub offset: u64,
}

impl Operation for ReadBody {
    /// Empty at the end.
    type Reply = Chunk;
    const NAME: &'static str = "network.read_body";
    const EFFECT: Effect<Self> = Effect::Looks;
    // What `HEAD` gives has no body.
    const ACTIONS: &'static [Action] = &[
        Action::HttpGet,
        Action::HttpPost,
        Action::HttpPut,
        Action::HttpDelete,
        Action::HttpPatch,
        Action::HttpOptions,
    ];
}

/// How bytes get to the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Transport {
    /// As datagrams.
    Udp,
    /// As a stream.
    Tcp,
    /// Whichever does, in the order that is usual for what is asked.
    Auto,
}

/// Connect to a host. Asks `connect` on the host as it is given, as [`Fetch`] asks its method.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Connect {
    /// A name or an address.
    pub host: Text<HOST>,
    /// The port.
    pub port: u16,
    /// How. `Auto` tries TCP, and UDP where that fails.
    pub transport: Transport,
}

impl Operation for Connect {
    type Reply = Handle<Connection>;
    const NAME: &'static str = "network.connect";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[Action::Connect];
}

/// Ask for the addresses of a host. Asks `resolve_hostname` on the name as it is given.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Resolve {
    /// The name.
    pub host: Text<HOST>,
    /// How name servers are asked. `Auto` asks by UDP, and by TCP where an answer is too long for that.
    pub transport: Transport,
    /// The one name server to ask; without, those of the system.
    pub server: Option<IpAddr>,
    /// How long one is waited for, in seconds; each is asked three times.
    pub timeout_seconds: u32,
}

impl Operation for Resolve {
    /// Its addresses, each once.
    type Reply = Vec<IpAddr>;
    const NAME: &'static str = "network.resolve";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[Action::ResolveHostname];
}
