//! `resolve`, `resolve_hostname`: the addresses of hosts.

use crate::channel::Channel;
use crate::error::{Error, Result, Systeminfo};
use crate::script::Surface;
use crate::script::options::{self, Options, Setters};
use crate::script::transport::TransportProtocol;
use rex_protocol::failure::FailureKind;
use rex_protocol::network::{Resolve, Transport};
use rex_protocol::text::Text;
use rhai::{Array, Dynamic};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::rc::Rc;

/// How long a name server is waited for, in seconds.
const USUAL: i64 = 5;

/// What to ask, whom and how.
#[derive(Debug, Clone, Deserialize)]
pub(in crate::script) struct ResolveOptions {
    hostname: String,
    resolver: Option<String>,
    timeout: Option<u32>,
    #[serde(skip)]
    protocol: Option<TransportProtocol>,
}

impl Options for ResolveOptions {
    const NAME: &'static str = "ResolveOptions";

    fn missing(field: &str) -> String {
        format!("`{field}` must be initialized")
    }

    fn setters(setters: &mut Setters<'_, Self>) {
        setters.value("protocol", |options, protocol| options.protocol = Some(protocol));
    }
}

/// The addresses of a host, as the system's name servers tell them.
pub(in crate::script) fn resolve(channel: &Rc<Channel>, hostname: &str) -> Result<Array> {
    let options = ResolveOptions { hostname: hostname.to_owned(), resolver: None, timeout: None, protocol: None };
    options.ask(channel)
}

impl ResolveOptions {
    /// The addresses as texts, in their order, each once.
    pub(in crate::script) fn ask(&self, channel: &Rc<Channel>) -> Result<Array> {
        let failed = |why: &str| format!("DNS resolution failed for hostname: {}, reason: {why}", self.hostname);
        let host = Text::try_from(self.hostname.clone())
            .map_err(|_| Error::new(Systeminfo::Other, failed("the name is too long")))?;
        // Said only to whom may ask: what is no address is asked about as if there were none.
        let server = self.resolver.as_deref().map(str::parse::<IpAddr>);
        let request = Resolve {
            host,
            transport: self.protocol.map_or(Transport::Auto, Into::into),
            server: server.as_ref().and_then(|server| server.as_ref().ok()).copied(),
            timeout_seconds: self.timeout.unwrap_or(u32::try_from(USUAL).unwrap_or(u32::MAX)),
        };
        if matches!(server, Some(Err(_))) {
            let why = "failed to parse resolver IP address: invalid IP address syntax";
            return Err(Error::new(Systeminfo::Other, failed(why)).into());
        }
        let addresses = channel.call(&request).map_err(|failure| match &failure.kind {
            FailureKind::Denied(_) => {
                Error::because(&failure, Systeminfo::PermissionDenied, failure.message.to_string())
            }
            _ => Error::because(&failure, Systeminfo::Other, failed(&failure.message)),
        })?;
        let texts: BTreeSet<String> = addresses.iter().map(ToString::to_string).collect();
        Ok(texts.into_iter().map(Dynamic::from).collect())
    }
}

/// Registers the options; who asks is registered where it belongs.
pub(super) fn register(surface: &mut Surface) {
    options::register::<ResolveOptions>(surface);
}
