//! HTTP requests, from redirect to redirect.

use super::dial::{self, Fault};
use super::helper::{Net, Response, timed_out};
use super::judge::Asked;
use super::names::{self, Way};
use super::*;
use crate::authz::{Granted, Url, told};
use crate::plan::{self, Planned};
use crate::sys::fs::{self, Links, root};
use nix::fcntl::OFlag;
use rex_protocol::Action;
use rex_protocol::change::Act;
use rex_protocol::limits::LimitName;
use rex_protocol::net::{NetRequest, ParsedUrl};
use rex_protocol::network::{Fetch, Fetched, HEADER, Method, RESPONSE_BODY, ReadBody};
use rex_protocol::path::AbsPath;
use rex_protocol::text::{CHUNK, Chunk, Text};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How long a request may take where nothing else is asked for, and at most.
const USUAL: Duration = Duration::from_secs(30);
const MOST: Duration = Duration::from_secs(600);
/// How often a response may lead on.
const REDIRECTS: usize = 10;
/// Where systems keep the certificates they trust, the first that is there: Debian's, Fedora's, openSUSE's.
const ROOTS: &[&str] =
    &["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];
/// The most of them, in bytes.
const ROOTS_SIZE: usize = 4 * 1024 * 1024;
/// Fields that are for one origin, and fields that go with a body.
const PRIVATE: &[&str] = &["authorization", "cookie", "proxy-authorization"];
const OF_BODIES: &[&str] = &["content-type", "content-encoding", "content-language", "content-location"];

/// A body that waits to be taken, with what policy was asked for it.
#[derive(Debug)]
pub(crate) struct KeptBody {
    bytes: Vec<u8>,
    demands: Vec<Demand>,
}

impl KeptBody {
    /// In bytes.
    pub(crate) fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
}

impl Perform for Fetch {
    type Target = Fetch;

    fn target(self, _: &mut State) -> Result<Fetch, Stop> {
        Ok(self)
    }

    // Asked on the way: before the address is known, about each, and again for each redirect.
    fn demands(_: &Fetch) -> Demands {
        Demands::of_what_is_found()
    }

    fn perform(target: Granted<Fetch>, state: &mut State) -> Result<Fetched, Stop> {
        let mut fetch = target.into_inner();
        let time = fetch.time_ms.map_or(USUAL, Duration::from_millis).min(MOST).min(state.time_left());
        let deadline = Instant::now() + time;
        let mut base = None;
        for _ in 0..=REDIRECTS {
            let Hop { response, url, demands } = hop(&mut fetch, base.as_ref(), deadline, state)?;
            let Some(location) = location(&response).filter(|location| location.len() <= rex_protocol::network::URL)
            else {
                return Ok(keep(response, demands, state)?);
            };
            fetch.url = Text::cut(location);
            lead_on(&mut fetch, response.status);
            base = Some(url);
        }
        let url = base.map(|base| base.url.to_string()).unwrap_or_default();
        Err(request_failed(format!("error following redirect for url ({url}): more than {REDIRECTS}")).into())
    }

    // All is asked that is asked before a connection is made. What the server would say is not known: it seems to agree
    // without a word.
    fn plan(target: Granted<Fetch>, state: &mut State) -> Result<Fetched, Stop> {
        let fetch = target.into_inner();
        let time = fetch.time_ms.map_or(USUAL, Duration::from_millis).min(MOST).min(state.time_left());
        judged(&fetch, None, Instant::now() + time, state)?;
        let planned = Planned::other(Act::Request, told::url(&fetch.url, state.is_sensitive()));
        let planned = planned.with("method", None, Some(fetch.method.name().to_owned()));
        let length = fetch.body.as_ref().map_or(0, |body| body.len());
        plan::note(planned.with("body_bytes", None, Some(length.to_string())));
        Ok(Fetched { status: 200, headers: Vec::new(), body: None })
    }
}

/// One request and its response.
struct Hop {
    response: Response,
    url: ParsedUrl,
    demands: Vec<Demand>,
}

/// A request that policy allows.
struct Judged {
    net: Net,
    url: ParsedUrl,
    asked: Asked,
    addresses: Vec<IpAddr>,
}

fn judged(fetch: &Fetch, base: Option<&ParsedUrl>, deadline: Instant, state: &mut State) -> Result<Judged, Failure> {
    let net = Net::start(deadline, state)?;
    let action = fetch.method.action();
    let url = match net.parse(base, &fetch.url, state)? {
        Ok(url) if matches!(&*url.scheme, "http" | "https") && !url.host.is_empty() => url,
        understood => {
            // Policy is asked about what is none, too: it comes first.
            Asked { action, urls: vec![of_text(&fetch.url)], same: None }.before(state)?;
            return Err(Failure::new(FailureKind::NoUrl, understood.err().unwrap_or_default()));
        }
    };
    state.names_host(&url.host);
    let asked = asked(action, &fetch.url, base.is_some(), &url);
    let addresses = match url.host.parse::<IpAddr>() {
        Ok(address) => asked.allowed(&[address], state)?,
        Err(_) => {
            asked.before(state)?;
            // What a name server does to a process must not touch the request, which has another one.
            let asks = Net::start_for_names(deadline, state)?;
            let found = names::addresses(&asks, &url.host, &Way::default(), deadline, state);
            asked.allowed(&found.map_err(as_request)?, state)?
        }
    };
    Ok(Judged { net, url, asked, addresses })
}

fn hop(fetch: &mut Fetch, base: Option<&ParsedUrl>, deadline: Instant, state: &mut State) -> Result<Hop, Failure> {
    let Judged { net, url, asked, addresses } = judged(fetch, base, deadline, state)?;
    let (connection, address) = connect(&addresses, url.port, deadline, state)?;
    let left = deadline.saturating_duration_since(Instant::now());
    dial::limit(&connection, left).map_err(|errno| refused(errno, "limit the connection"))?;
    let other_origin =
        base.is_some_and(|base| (&base.scheme, &base.host, base.port) != (&url.scheme, &url.host, url.port));
    if other_origin {
        // Nor is it sent there again when that leads on.
        fetch.headers.retain(|(name, _)| !names_one_of(name, PRIVATE));
    }
    let request = NetRequest {
        method: fetch.method,
        url: url.url.clone(),
        headers: fetch.headers.clone(),
        body: fetch.body.clone(),
        most: fetch.most.unwrap_or(RESPONSE_BODY).min(RESPONSE_BODY),
        cut: fetch.most.is_some_and(|most| most <= RESPONSE_BODY),
        roots: 0,
    };
    let roots = if &*url.scheme == "https" { roots() } else { Vec::new() };
    let response = net.exchange(request, &connection, &roots, state)?;
    Ok(Hop { response, demands: asked.demands(Some(address)), url })
}

/// What policy is asked about: the text as it was given and, where it was understood to be more than that, what is requested. A
/// path that is empty is one of a slash.
fn asked(action: Action, given: &str, is_redirect: bool, understood: &ParsedUrl) -> Asked {
    let of = |text: &str| Url {
        text: text.to_owned(),
        scheme: understood.scheme.to_string(),
        host: understood.host.to_string(),
        port: understood.port,
        path: understood.path.to_string(),
        query: understood.query.to_string(),
        ip: None,
    };
    let requested = &*understood.plain;
    if is_redirect {
        return Asked { action, urls: vec![of(requested)], same: None };
    }
    let is_it = given == requested || (&*understood.path == "/" && format!("{given}/") == requested);
    match (is_it, understood.only_encoded) {
        (true, _) => Asked { action, urls: vec![of(given)], same: None },
        (false, true) => Asked { action, urls: vec![of(given)], same: Some(of(requested)) },
        (false, false) => Asked { action, urls: vec![of(given), of(requested)], same: None },
    }
}

/// What is no URL has no parts.
fn of_text(text: &str) -> Url {
    let [scheme, host, path, query] = [const { String::new() }; 4];
    Url { text: text.to_owned(), scheme, host, port: 0, path, query, ip: None }
}

/// A connection to the first address that takes one.
fn connect(addresses: &[IpAddr], port: u16, deadline: Instant, state: &State) -> Result<(OwnedFd, IpAddr), Failure> {
    let mut last = timed_out();
    for (at, address) in addresses.iter().enumerate() {
        // Each of those that are left has an equal share of the time.
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len().saturating_sub(at)).unwrap_or(u32::MAX).max(1);
        match dial::stream(SocketAddr::new(*address, port), Instant::now() + share, state) {
            Ok(connection) => return Ok((connection, *address)),
            Err(Fault::Refused(errno)) => last = request_failed(std::io::Error::from_raw_os_error(errno as i32)),
            Err(Fault::Interrupted(failure)) => return Err(failure),
        }
    }
    Err(last)
}

/// Where a response leads on to, if it does (RFC 9110, 15.4).
fn location(response: &Response) -> Option<String> {
    if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers.iter().find(|(name, _)| &**name == "location");
    location.map(|(_, value)| value.to_string())
}

/// What is asked for where a response leads on: only 307 and 308 keep method and body as they are.
fn lead_on(fetch: &mut Fetch, status: u16) {
    let is_safe = matches!(fetch.method, Method::Get | Method::Head);
    let becomes_get = match status {
        303 => !is_safe,
        301 | 302 => fetch.method == Method::Post,
        _ => false,
    };
    if becomes_get {
        fetch.method = Method::Get;
        fetch.body = None;
        fetch.headers.retain(|(name, _)| !names_one_of(name, OF_BODIES));
    }
}

fn names_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|other| name.eq_ignore_ascii_case(other))
}

fn keep(response: Response, demands: Vec<Demand>, state: &mut State) -> Result<Fetched, Failure> {
    let Response { status, headers, body: bytes } = response;
    // A run holds no more of them than it may hold in memory itself.
    if state.handles.bodies().saturating_add(bytes.len() as u64) > state.limits.memory {
        let message = "limit reached: more bodies are held than fit into the run's memory";
        return Err(Failure::new(FailureKind::Limit(LimitName::Memory), message));
    }
    let body = match bytes.is_empty() {
        true => None,
        false => Some(state.handles.add_body(KeptBody { bytes, demands })?),
    };
    let headers: Vec<(Text<256>, Text<HEADER>)> = headers;
    Ok(Fetched { status, headers, body })
}

fn as_request(failure: Failure) -> Failure {
    match failure.kind {
        FailureKind::NoHost => request_failed(failure.message),
        _ => failure,
    }
}

/// The certificates that this system trusts; none where it has no such file, and those that are built in are taken.
fn roots() -> Vec<u8> {
    let read = |path: &&str| {
        let path = AbsPath::parse(*path).ok()?;
        let pin = root::at_home(|| fs::pin(&path, Links::Follow)).ok()?;
        crate::perform::fs::read_at(&fs::reopen(pin, OFlag::O_RDONLY).ok()?, 0, ROOTS_SIZE).ok()
    };
    // An empty one is there all the same: who made it so trusts nobody.
    let found = ROOTS.iter().find_map(read);
    found.map_or_else(Vec::new, |bundle| if bundle.is_empty() { b"\n".to_vec() } else { bundle })
}

impl Perform for ReadBody {
    type Target = (Rc<KeptBody>, u64);

    fn target(self, state: &mut State) -> Result<Self::Target, Stop> {
        Ok((state.handles.body(self.body)?, self.offset))
    }

    fn demands((body, _): &Self::Target) -> Demands {
        Demands::all(body.demands.clone())
    }

    fn perform(target: Granted<Self::Target>, _: &mut State) -> Result<Chunk, Stop> {
        let (body, offset) = target.into_inner();
        let rest = usize::try_from(offset).ok().and_then(|offset| body.bytes.get(offset..)).unwrap_or_default();
        let piece = rest.get(..CHUNK).unwrap_or(rest).to_vec();
        Chunk::try_from(piece).map_err(|error| Failure::new(FailureKind::InvalidArguments, error).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str, path: &str) -> ParsedUrl {
        ParsedUrl {
            url: Text::cut(text),
            plain: Text::cut(text),
            only_encoded: false,
            scheme: Text::cut("http"),
            host: Text::cut("a"),
            port: 80,
            path: Text::cut(path),
            query: Text::default(),
        }
    }

    #[test]
    fn what_is_understood_otherwise_is_asked_about_too() {
        let asked = |given: &str, is_redirect, understood: &str, path: &str| -> Vec<String> {
            let asked = super::asked(Action::HttpGet, given, is_redirect, &url(understood, path));
            asked.urls.into_iter().map(|url| url.text).collect()
        };
        assert_eq!(asked("http://a", false, "http://a/", "/"), ["http://a"]);
        assert_eq!(asked("http://a/x", false, "http://a/x", "/x"), ["http://a/x"]);
        assert_eq!(asked("http://a/y/../x", false, "http://a/x", "/x"), ["http://a/y/../x", "http://a/x"]);
        assert_eq!(asked("HTTP://A", false, "http://a/", "/"), ["HTTP://A", "http://a/"]);
        assert_eq!(asked("../x", true, "http://a/x", "/x"), ["http://a/x"]);
    }

    #[test]
    fn only_some_redirects_keep_what_is_sent() {
        let after = |method, status| {
            let mut fetch = Fetch {
                method,
                url: Text::default(),
                headers: vec![(Text::cut("Content-Type"), Text::cut("x")), (Text::cut("accept"), Text::cut("y"))],
                body: Chunk::try_from(b"body".to_vec()).ok(),
                most: None,
                time_ms: None,
            };
            lead_on(&mut fetch, status);
            (fetch.method, fetch.body.is_some(), fetch.headers.len())
        };
        assert_eq!(after(Method::Post, 303), (Method::Get, false, 1));
        assert_eq!(after(Method::Put, 303), (Method::Get, false, 1));
        assert_eq!(after(Method::Post, 301), (Method::Get, false, 1));
        assert_eq!(after(Method::Put, 302), (Method::Put, true, 2));
        assert_eq!(after(Method::Post, 307), (Method::Post, true, 2));
        assert_eq!(after(Method::Head, 303), (Method::Head, true, 2));
    }
}
