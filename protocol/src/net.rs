//! The conversation of a session with the program that speaks HTTP, TLS and DNS for it (`rex-net`).
//!
//! That program parses what strangers send, and is trusted as little as a worker. It has no way to the network: what it speaks over
//! are connections that the session has made, each of which comes with the request that it is for.

use crate::network::{HEADER, HOST, Method, Transport, URL};
use crate::text::{Chunk, Text};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The largest of the system's files about names that is looked at, in bytes.
pub const NAMES: usize = 64 * 1024;

/// From the session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum ToNet {
    /// Understand a URL, where it is relative by the one it stands in.
    Parse {
        /// What it may be relative to.
        base: Option<Text<URL>>,
        /// As it is given.
        url: Text<URL>,
    },
    /// Say how to find a host's addresses.
    Plan {
        /// The name.
        host: Text<HOST>,
        /// `/etc/hosts`
        hosts: Text<NAMES>,
        /// `/etc/resolv.conf`
        configuration: Text<NAMES>,
    },
    /// Ask the name server at the other end of the descriptor that comes along for both kinds of addresses.
    Ask {
        /// Of this name, complete.
        name: Text<HOST>,
        /// Whether it is a stream.
        stream: bool,
    },
    /// Send a request over the descriptor that comes along.
    Request(Box<NetRequest>),
}

/// A request for the other end of a connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NetRequest {
    /// What is wanted.
    pub method: Method,
    /// Of what, as [`FromNet::Parsed`] said it.
    pub url: Text<URL>,
    /// Header fields.
    pub headers: Vec<(Text<256>, Text<HEADER>)>,
    /// What is sent along.
    pub body: Option<Chunk>,
    /// How much of the response's body is wanted at most, in bytes.
    pub most: u64,
    /// Whether a body that is cut there is all that is wanted; else it is an error.
    pub cut: bool,
    /// The certificates to trust (PEM) come as this many messages of [`ToNetPart`]; none for those that are built in.
    pub roots: u32,
}

/// A part of what does not fit into one message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ToNetPart(pub Chunk);

/// From the program.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum FromNet {
    /// It is sealed.
    Hello {
        /// [`crate::VERSION`]
        version: Text<64>,
    },
    /// A URL, understood.
    Parsed(Box<ParsedUrl>),
    /// It is none.
    NotAUrl(Text<1024>),
    /// How to find addresses.
    Plan(NamePlan),
    /// What a name server said.
    Answer(NameAnswer),
    /// A response begins.
    Head {
        /// The status code.
        status: u16,
        /// The header fields, in lower case.
        headers: Vec<(Text<256>, Text<HEADER>)>,
    },
    /// A piece of its body.
    Body(Chunk),
    /// That was all.
    End,
    /// The exchange failed. For people.
    Failed(Text<1024>),
}

/// The parts of a URL, as the WHATWG's standard has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParsedUrl {
    /// All of it.
    pub url: Text<URL>,
    /// The same without a user and a password.
    pub plain: Text<URL>,
    /// Whether it differs from what was given by nothing but the encoding of characters.
    pub only_encoded: bool,
    /// `http` or another.
    pub scheme: Text<64>,
    /// The host, without brackets; empty where it has none.
    pub host: Text<HOST>,
    /// The port, the scheme's own where none is given; 0 where it has none.
    pub port: u16,
    /// The path.
    pub path: Text<URL>,
    /// What stands behind `?`.
    pub query: Text<URL>,
}

/// How to find a host's addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NamePlan {
    /// They are known already.
    Known(Vec<IpAddr>),
    /// Ask these servers for the first of these names that has any.
    Ask {
        /// Complete names.
        names: Vec<Text<HOST>>,
        /// Name servers.
        servers: Vec<IpAddr>,
    },
    /// It is no name. For people.
    Invalid(Text<1024>),
}

/// What a name server said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NameAnswer {
    /// These, of both kinds.
    Addresses(Vec<IpAddr>),
    /// The name has none.
    None,
    /// More than fits into a datagram.
    Truncated,
    /// Nothing in time.
    Silence,
    /// No answer that makes sense. For people.
    Failed(Text<1024>),
}

impl Transport {
    /// Whether datagrams are tried.
    pub const fn datagrams(self) -> bool {
        matches!(self, Transport::Udp | Transport::Auto)
    }
}
