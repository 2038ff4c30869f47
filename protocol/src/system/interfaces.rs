//! Network interfaces.

use crate::text::Text;
use crate::{Action, Effect, Operation};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// How many entries of the kernel's list, which has one for each interface and one for each address, make a page.
pub const PAGE: u32 = 1024;

/// List the network interfaces of the session's network namespace with their addresses, a page at a time. Asks `list` on the
/// system's information.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListInterfaces {
    /// To go on: how many entries of the kernel's list came before, [`PAGE`] for each page.
    pub skip: u32,
}

/// Network interfaces, some of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Interfaces {
    /// In the kernel's order. One may come again on another page with more of its addresses.
    pub interfaces: Vec<Interface>,
    /// Whether there are more.
    pub more: bool,
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// What it is called.
    pub name: Text<64>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

impl Operation for ListInterfaces {
    type Reply = Interfaces;
    const NAME: &'static str = "system.list_interfaces";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[Action::SysinfoList];
}
