//! `connect`: a connection that is held and not used, to see whether it can be made.

use super::error_of;
use crate::channel::Held;
use crate::error::{Error, Network, Result};
use crate::script::Surface;
use crate::script::options::OUT_OF_RANGE;
use crate::script::transport::TransportProtocol;
use rex_protocol::failure::FailureKind;
use rex_protocol::handle;
use rex_protocol::network::Connect;
use rex_protocol::text::Text;
use std::rc::Rc;

/// A connection. It ends with its last copy.
#[derive(Debug, Clone)]
struct Connection {
    _held: Rc<Held<handle::Connection>>,
}

/// Registers `connect`.
pub(super) fn register(surface: &mut Surface) {
    surface.named::<Connection>("rust_safe_network::network::Connection");
    let channel = surface.channel();
    surface.function("connect", move |host: &str, port: i64, protocol: TransportProtocol| -> Result<Connection> {
        let port = u16::try_from(port).map_err(|_| format!("Parameter 'port' conversion failed: {OUT_OF_RANGE}"))?;
        let invalid = || Error::new(Network::Other, format!("Invalid address format: {host}:{port}"));
        let request =
            Connect { host: Text::try_from(host.to_owned()).map_err(|_| invalid())?, port, transport: protocol.into() };
        let connection = channel.call(&request).map_err(|failure| match failure.kind {
            FailureKind::NoHost => Error::because(&failure, Network::Other, invalid().message()),
            _ => error_of(&failure, host),
        })?;
        Ok(Connection { _held: Rc::new(Held::new(&channel, connection)) })
    });
}
