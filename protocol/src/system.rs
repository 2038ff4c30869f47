//! Operations on what the system tells of itself: its names, tables and log, and its mounts.

mod identity;
mod interfaces;
mod log;
mod mount;
mod settings;
mod sockets;
mod table;

pub use identity::{OnlineProcessors, SystemNames, Uname};
pub use interfaces::{Interface, Interfaces, ListInterfaces, PAGE as INTERFACES_PAGE};
pub use log::{LogPage, ReadLog};
pub use mount::{MountUsage, StatMount, Unmount};
pub use settings::LoadSettings;
pub use sockets::{DescriptorPlace, ListSocketOwners, OpenSockets, SocketOwner, SocketOwners, SocketTable};
pub use table::{OpenTable, Table};
