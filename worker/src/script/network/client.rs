//! HTTP: a client makes requests, a request is sent, and gives a response.

use crate::channel::{Channel, Held};
use crate::error::{Error, Network, Result, errno_text};
use crate::script::options::OUT_OF_RANGE;
use crate::script::record::{self, Property};
use crate::script::{Surface, number};
use rex_protocol::Failure;
use rex_protocol::failure::FailureKind;
use rex_protocol::network::{Fetch, HEADER, Method, REQUEST_BODY, ReadBody, URL};
use rex_protocol::text::{Chunk, Text};
use rhai::{Dynamic, Map};
use std::rc::Rc;

/// The most header fields of a request.
const HEADERS: usize = 64;
/// Fields that are made of the request itself, or that are for one connection (RFC 9110, 7.6.1).
const RESERVED: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What requests have in common.
#[derive(Debug, Clone)]
struct Client {
    channel: Rc<Channel>,
    most: Option<u64>,
    time_ms: Option<u64>,
}

/// A request that can be sent, and again.
#[derive(Debug, Clone)]
struct Request {
    client: Client,
    method: Method,
    url: Rc<str>,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

/// What came back.
#[derive(Debug, Clone)]
pub(in crate::script) struct Response {
    status: i64,
    text: Rc<str>,
    headers: Rc<Map>,
}

const REQUEST: &[Property<Request>] = &[
    ("max_text_size", |request| request.client.most.map_or(Dynamic::UNIT, |most| number(most).into())),
    ("method", |request| shown(request.method).into()),
    ("url", |request| request.url.to_string().into()),
];

const RESPONSE: &[Property<Response>] =
    &[("status", |response| response.status.into()), ("text", |response| response.text.to_string().into())];

/// As requests show it: `Get`, and others as they are sent.
const fn shown(method: Method) -> &'static str {
    match method {
        Method::Get => "Get",
        other => other.name(),
    }
}

impl Client {
    fn new(channel: &Rc<Channel>) -> Self {
        Self { channel: Rc::clone(channel), most: None, time_ms: None }
    }

    fn request(&self, method: Method, url: &str) -> Request {
        Request { client: self.clone(), method, url: Rc::from(url), headers: Vec::new(), body: None }
    }
}

impl Request {
    fn header(&self, name: &str, value: &str) -> Result<Request> {
        let invalid = |why: &str| Err(Error::new(Network::Other, format!("Invalid header `{name}`: {why}")).into());
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || name.len() > 256 || !name.bytes().all(token) {
            return invalid("it is no name of a header");
        }
        if RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
            return invalid("it is set by the request itself");
        }
        if value.len() > HEADER || value.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f) {
            return invalid("its value is too long, or has control characters");
        }
        if self.headers.len() >= HEADERS {
            return invalid("there are too many");
        }
        let mut request = self.clone();
        request.headers.push((name.to_owned(), value.to_owned()));
        Ok(request)
    }

    fn body(&self, body: &str) -> Result<Request> {
        if body.len() > REQUEST_BODY {
            let message = format!("the request's body has {} bytes, at most {REQUEST_BODY} are sent", body.len());
            return Err(Error::new(Network::Other, message).into());
        }
        Ok(Request { body: Some(body.to_owned()), ..self.clone() })
    }

    fn send(&self) -> Result<Response> {
        let url = Text::<URL>::try_from(self.url.to_string())
            .map_err(|_| failed(&self.url, &format!("the URL has more than {URL} bytes")))?;
        let headers = self.headers.iter().map(|(name, value)| (Text::cut(name.as_str()), Text::cut(value.as_str())));
        let body = self.body.as_ref().map(|body| Chunk::try_from(body.clone().into_bytes()));
        let fetch = Fetch {
            method: self.method,
            url,
            headers: headers.collect(),
            body: body.transpose().map_err(|error| Error::new(Network::Other, error.to_string()))?,
            most: self.client.most,
            time_ms: self.client.time_ms,
        };
        let channel = &self.client.channel;
        let fetched = channel.call(&fetch).map_err(|failure| error_of(&failure, &self.url))?;
        let mut bytes = Vec::new();
        if let Some(body) = fetched.body {
            let body = Held::new(channel, body);
            loop {
                let request = ReadBody { body: body.handle(), offset: bytes.len() as u64 };
                match channel.call(&request).map_err(|failure| error_of(&failure, &self.url))? {
                    piece if piece.is_empty() => break,
                    piece => bytes.extend_from_slice(&piece),
                }
            }
        }
        let mut headers = Map::new();
        for (name, value) in &fetched.headers {
            // A field that comes several times is one list (RFC 9110, 5.3).
            let text = match headers.get(name as &str).map(ToString::to_string) {
                Some(before) => format!("{before}, {value}"),
                None => value.to_string(),
            };
            headers.insert((name as &str).into(), text.into());
        }
        let text = Rc::from(String::from_utf8_lossy(&bytes));
        Ok(Response { status: fetched.status.into(), text, headers: Rc::new(headers) })
    }
}

impl Response {
    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// The response to a request for a URL.
pub(in crate::script) fn curl(channel: &Rc<Channel>, url: &str) -> Result<Response> {
    Client::new(channel).request(Method::Get, url).send()
}

fn failed(url: &str, why: &str) -> Error {
    Error::new(
        Network::RequestError,
        format!("Failed to send a request: reason: error sending request for url ({url}): {why}"),
    )
}

/// What is told when a request has no response.
pub(in crate::script) fn error_of(failure: &Failure, url: &str) -> Error {
    let message = &*failure.message;
    let (kind, text) = match &failure.kind {
        FailureKind::Denied(_) => (Network::PermissionDenied, message.to_owned()),
        FailureKind::NoUrl => {
            let why = if message.is_empty() { "only http and https can be requested" } else { message };
            let text = format!("Failed to send a request: reason: builder error for url ({url}): {why}");
            (Network::RequestError, text)
        }
        FailureKind::Request => {
            let text = format!("Failed to send a request: reason: error sending request for url ({url}): {message}");
            (Network::RequestError, text)
        }
        FailureKind::Refused { errno } => (Network::Other, errno_text(*errno)),
        _ => (Network::Other, message.to_owned()),
    };
    Error::because(failure, kind, text)
}

/// Registers clients, requests and responses.
pub(super) fn register(surface: &mut Surface) {
    surface.named::<Client>("rust_safe_network::client::Client");
    surface.named::<Request>("rust_safe_network::client::Request");
    surface.named::<Response>("rust_safe_network::client::Response");
    record::register(surface, REQUEST);
    record::register(surface, RESPONSE);
    let channel = surface.channel();
    surface.function("Client", move || Client::new(&channel));
    surface.function("max_text_bytes", |client: &mut Client, size: i64| -> Result<Client> {
        let most = u64::try_from(size).map_err(|_| format!("Parameter 'size' conversion failed: {OUT_OF_RANGE}"))?;
        Ok(Client { most: Some(most), ..client.clone() })
    });
    surface.function("timeout", |client: &mut Client, seconds: i64| -> Result<Client> {
        let seconds =
            u64::try_from(seconds).map_err(|_| format!("Parameter 'seconds' conversion failed: {OUT_OF_RANGE}"))?;
        Ok(Client { time_ms: Some(seconds.saturating_mul(1000)), ..client.clone() })
    });
    surface.function("get", |client: &mut Client, url: &str| client.request(Method::Get, url));
    surface.function("request", |client: &mut Client, method: &str, url: &str| -> Result<Request> {
        let known = Method::ALL.iter().find(|known| known.name() == method);
        let none = || Error::new(Network::Other, format!("`{method}` is no method that can be sent"));
        Ok(client.request(*known.ok_or_else(none)?, url))
    });
    surface.function("header", |request: &mut Request, name: &str, value: &str| request.header(name, value));
    surface.function("body", |request: &mut Request, body: &str| request.body(body));
    surface.function("send", |request: &mut Request| request.send());
    surface.property("headers", |response: &mut Response| (*response.headers).clone());
    surface.property("is_success", |response: &mut Response| response.is_success());
}
