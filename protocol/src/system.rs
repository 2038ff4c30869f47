//! Operations on what the system tells of itself: its names, tables and log, and its mounts.

mod identity;
mod log;
mod mount;
mod settings;
mod table;

pub use identity::{OnlineProcessors, SystemNames, Uname};
pub use log::{LogPage, ReadLog};
pub use mount::{MountUsage, StatMount, Unmount};
pub use settings::LoadSettings;
pub use table::{OpenTable, Table};
