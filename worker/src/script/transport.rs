//! The protocols of connections and of name servers.

use super::Surface;

/// How bytes get to the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TransportProtocol {
    Udp,
    Tcp,
    /// Whichever of them does.
    Auto,
}

/// Registers the protocols.
pub fn register(surface: &mut Surface) {
    const ALL: &[(&str, TransportProtocol)] =
        &[("UDP", TransportProtocol::Udp), ("TCP", TransportProtocol::Tcp), ("AUTO", TransportProtocol::Auto)];
    surface.named::<TransportProtocol>("TransportProtocol");
    surface.comparable::<TransportProtocol>();
    surface.constants("TransportProtocol", ALL.iter().map(|(name, protocol)| ((*name).to_owned(), *protocol)));
}
