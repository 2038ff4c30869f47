//! Network interfaces.

use super::*;
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::sys::socket::SockaddrStorage;
use rex_protocol::Failure;
use rex_protocol::failure::FailureKind;
use rex_protocol::system::{INTERFACES_PAGE as PAGE, Interface, Interfaces, ListInterfaces};
use rex_protocol::text::Text;
use std::collections::HashMap;
use std::net::IpAddr;

impl Perform for ListInterfaces {
    type Target = usize;

    fn target(self, _: &mut State) -> Result<usize, Stop> {
        Ok(self.skip as usize)
    }

    fn demands(_: &usize) -> Demands {
        Demands::all(vec![Demand::new(Action::SysinfoList, Resource::Sysinfo)])
    }

    fn perform(skip: Granted<usize>, _: &mut State) -> Result<Interfaces, Stop> {
        let found = getifaddrs().map_err(|errno| {
            let message = format!("cannot list the network interfaces: {}", errno.desc());
            Failure::new(FailureKind::Refused { errno: errno as i32 }, message)
        })?;
        let mut rest = found.skip(skip.into_inner());
        let interfaces = by_name(rest.by_ref().take(PAGE as usize));
        Ok(Interfaces { interfaces, more: rest.next().is_some() })
    }
}

/// The interfaces, each once, with their addresses. The kernel's list has an entry for each of them and one for each address.
fn by_name(found: impl Iterator<Item = InterfaceAddress>) -> Vec<Interface> {
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut places = HashMap::new();
    for InterfaceAddress { interface_name, address, .. } in found {
        let place = *places.entry(interface_name).or_insert_with_key(|name| {
            interfaces.push(Interface { name: Text::cut(name.as_str()), addresses: Vec::new() });
            interfaces.len() - 1
        });
        if let (Some(interface), Some(address)) = (interfaces.get_mut(place), address.as_ref().and_then(ip)) {
            interface.addresses.push(address);
        }
    }
    interfaces
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| IpAddr::from(address.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::from(address.ip())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_comes_once() {
        let interfaces = by_name(getifaddrs().unwrap());
        assert_eq!(interfaces.iter().filter(|interface| &*interface.name == "lo").count(), 1);
    }
}
