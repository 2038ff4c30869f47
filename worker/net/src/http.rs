//! HTTP over a connection that the session has made, with or without TLS.

use crate::channel::Channel;
use crate::stream::Connection;
use rex_protocol::net::{FromNet, NetRequest};
use rex_protocol::network::HEADER;
use rex_protocol::text::{CHUNK, Chunk, Text};
use rex_worker::sys::Descriptor;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, RustlsConnector, Transport,
};
use ureq::{Agent, Body};

/// The most that the head of a response takes, in bytes.
const HEAD: usize = 64 * 1024;
/// The most header fields that are told.
const HEADERS: usize = 256;
/// How much of a connection is read and written at once, in bytes.
const BUFFER: usize = 64 * 1024;

/// Sends a request, and tells the response piece by piece; or why there is none.
pub(crate) fn exchange(channel: &Channel, request: NetRequest, connection: Descriptor, roots: Vec<u8>) {
    let (most, cut) = (request.most, request.cut);
    let response = match run(request, connection, &roots) {
        Ok(response) => response,
        Err(error) => return fail(channel, &error),
    };
    let headers = response.headers().iter().take(HEADERS);
    let headers = headers.map(|(name, value)| {
        (Text::cut(name.as_str()), Text::<HEADER>::cut(String::from_utf8_lossy(value.as_bytes())))
    });
    channel.tell(&FromNet::Head { status: response.status().as_u16(), headers: headers.collect() });
    let mut body = response.into_body().into_reader();
    if let Err(error) = pass_on(channel, &mut body, most, cut) {
        fail(channel, &error);
    }
}

/// The body, up to `most` bytes. What goes beyond is not read where that is all that is wanted; else it is an error.
fn pass_on(channel: &Channel, body: &mut impl Read, most: u64, cut: bool) -> io::Result<()> {
    let mut left = most;
    let mut piece = vec![0; CHUNK];
    loop {
        // One more byte than is left tells whether there are more.
        let room = usize::try_from(left.saturating_add(u64::from(!cut))).unwrap_or(CHUNK).min(CHUNK);
        let Some(room) = piece.get_mut(..room).filter(|room| !room.is_empty()) else { break };
        let length = match body.read(room) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(io::Error::other(format!("error decoding response body: {error}"))),
        };
        left = left.checked_sub(length as u64).ok_or_else(|| {
            io::Error::other(format!(
                "the response's body has more than {most} bytes; `max_text_bytes` takes a part of it"
            ))
        })?;
        let told = piece.get(..length).unwrap_or_default().to_vec();
        channel.tell(&FromNet::Body(Chunk::try_from(told).map_err(io::Error::other)?));
    }
    channel.tell(&FromNet::End);
    Ok(())
}

fn fail(channel: &Channel, error: &dyn std::fmt::Display) {
    channel.tell(&FromNet::Failed(Text::cut(error.to_string())));
}

fn run(request: NetRequest, connection: Descriptor, roots: &[u8]) -> Result<ureq::http::Response<Body>, ureq::Error> {
    let NetRequest { method, url, headers, body, .. } = request;
    let tls = TlsConfig::builder().provider(TlsProvider::Rustls).root_certs(trusted(roots)).build();
    let config = Config::builder()
        .tls_config(tls)
        // Whoever starts this process gives it no environment; nor is any looked at.
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .max_response_header_size(HEAD)
        .user_agent("")
        .accept("*/*")
        .accept_encoding("")
        .build();
    let connector = Handed(Mutex::new(Some(connection))).chain(RustlsConnector::default());
    let agent = Agent::with_parts(config, connector, Nowhere);
    let mut sent = ureq::http::Request::builder().method(method.name()).uri(&*url);
    for (name, value) in &headers {
        sent = sent.header(&**name, &**value);
    }
    match body {
        Some(body) => agent.run(sent.body(body.into_bytes())?),
        None => agent.run(sent.body(())?),
    }
}

/// The certificates in a bundle of the system's; those that are built in where it has none.
fn trusted(bundle: &[u8]) -> RootCerts {
    let certificates: Vec<Certificate<'static>> = parse_pem(bundle)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    // One that holds none trusts nobody.
    if bundle.is_empty() { RootCerts::WebPki } else { RootCerts::Specific(Arc::new(certificates)) }
}

/// Knows one connection, which is made already.
#[derive(Debug)]
struct Handed(Mutex<Option<Descriptor>>);

impl Connector for Handed {
    type Out = Line;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Line>, ureq::Error> {
        let handed = self.0.lock().ok().and_then(|mut handed| handed.take());
        let connection = handed.ok_or(ureq::Error::ConnectionFailed)?;
        let buffers = LazyBuffers::new(
            details.config.input_buffer_size().min(BUFFER),
            details.config.output_buffer_size().min(BUFFER),
        );
        Ok(Some(Line { connection: Connection::new(connection), buffers, open: true }))
    }
}

/// Addresses are no matter here.
#[derive(Debug)]
struct Nowhere;

impl Resolver for Nowhere {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        addresses.push(SocketAddr::from(([0, 0, 0, 0], 0)));
        Ok(addresses)
    }
}

/// A connection with its buffers.
#[derive(Debug)]
struct Line {
    connection: Connection,
    buffers: LazyBuffers,
    open: bool,
}

impl Transport for Line {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        Ok(self.connection.write_all(output)?)
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        let length = self.connection.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(length);
        self.open = length > 0;
        Ok(self.open)
    }

    fn is_open(&mut self) -> bool {
        self.open
    }
}
