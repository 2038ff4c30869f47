//! `ip_addresses`: network interfaces and their addresses.

use crate::channel::Channel;
use crate::error::{Result, Systeminfo};
use crate::script::Surface;
use crate::script::record::{self, Property};
use rex_protocol::path::AbsPath;
use rex_protocol::system::{INTERFACES_PAGE, Interface, ListInterfaces};
use rhai::{Array, Dynamic};
use std::net::IpAddr;
use std::rc::Rc;

/// An interface.
#[derive(Debug, Clone)]
struct Network(Rc<Interface>);

const PROPERTIES: &[Property<Network>] = &[
    ("addresses", |network| {
        network.0.addresses.iter().map(|address| Dynamic::from(address.to_string())).collect::<Array>().into()
    }),
    ("interface_name", |network| network.0.name.to_string().into()),
];

/// All interfaces, each once.
pub(in crate::script) fn list(channel: &Rc<Channel>) -> Result<Array> {
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut request = ListInterfaces { skip: 0 };
    loop {
        let page = channel.call(&request).map_err(|failure| {
            super::refused(&failure, &AbsPath::root(), Systeminfo::PermissionDenied, Systeminfo::Other)
        })?;
        page.interfaces.into_iter().for_each(|interface| add(&mut interfaces, interface));
        if !page.more {
            break;
        }
        request.skip += INTERFACES_PAGE;
    }
    Ok(interfaces.into_iter().map(|interface| Dynamic::from(Network(Rc::new(interface)))).collect())
}

/// Adds an interface, or to one that is there already those of its addresses that are not.
fn add(interfaces: &mut Vec<Interface>, new: Interface) {
    match interfaces.iter_mut().find(|known| known.name == new.name) {
        None => interfaces.push(new),
        Some(known) => {
            let others: Vec<IpAddr> =
                new.addresses.into_iter().filter(|address| !known.addresses.contains(address)).collect();
            known.addresses.extend(others);
        }
    }
}

/// Registers interfaces.
pub(super) fn register(surface: &mut Surface) {
    surface.named::<Network>("Network");
    record::register(surface, PROPERTIES);
    let channel = surface.channel();
    surface.function("ip_addresses", move || list(&channel));
}

#[cfg(test)]
mod tests {
    use super::*;
    use rex_protocol::text::Text;

    #[test]
    fn an_interface_that_comes_again_is_one() {
        let interface = |name: &str, ends: &[u8]| Interface {
            name: Text::cut(name),
            addresses: ends.iter().map(|end| IpAddr::from([10, 0, 0, *end])).collect(),
        };
        let mut all = Vec::new();
        for part in [interface("a", &[1]), interface("b", &[2, 3]), interface("b", &[3, 4]), interface("c", &[])] {
            add(&mut all, part);
        }
        assert_eq!(all, [interface("a", &[1]), interface("b", &[2, 3, 4]), interface("c", &[])]);
    }
}
