//! The protocols of connections and of name servers.

use super::Surface;
use rex_protocol::network::Transport;

/// How bytes get to the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TransportProtocol {
    Udp,
    Tcp,
    /// Whichever of them does.
    Auto,
}

impl From<TransportProtocol> for Transport {
    fn from(protocol: TransportProtocol) -> Self {
        match protocol {
            TransportProtocol::Udp => Transport::Udp,
            TransportProtocol::Tcp => Transport::Tcp,
            TransportProtocol::Auto => Transport::Auto,
        }
    }
}

/// Registers the protocols.
pub fn register(surface: &mut Surface) {
    const ALL: &[(&str, TransportProtocol)] =
        &[("UDP", TransportProtocol::Udp), ("TCP", TransportProtocol::Tcp), ("AUTO", TransportProtocol::Auto)];
    surface.named::<TransportProtocol>("TransportProtocol");
    surface.comparable::<TransportProtocol>();
    surface.constants("TransportProtocol", ALL.iter().map(|(name, protocol)| ((*name).to_owned(), *protocol)));
}
