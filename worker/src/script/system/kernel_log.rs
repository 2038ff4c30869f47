//! `dmesg_info`: the kernel's log.

use super::refused;
use crate::channel::{Channel, Held};
use crate::error::{Result, Systeminfo};
use crate::format::kernel::log::{self, Message};
use crate::script::Surface;
use crate::script::options::{self, Options};
use crate::script::record::{self, Property};
use jiff::SignedDuration;
use jiff::civil::date;
use rex_protocol::path::AbsPath;
use rex_protocol::system::{LogPage, ReadLog};
use rhai::{Array, Dynamic};
use serde::Deserialize;
use std::fmt;
use std::rc::Rc;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct DmesgOptions {
    pub(super) human_readable_time: bool,
}

impl Options for DmesgOptions {
    const NAME: &'static str = "DmesgOptions";
}

/// A message of the kernel, with its time as it is to be shown.
#[derive(Debug, Clone)]
struct Entry {
    time: String,
    message: String,
}

const ENTRY: &[Property<Entry>] = &[
    ("message", |entry| entry.message.clone().into()),
    ("timestamp_from_system_start", |entry| entry.time.clone().into()),
];

/// The messages of the log, the oldest first.
pub(in crate::script) fn read(channel: &Rc<Channel>, human_readable: bool) -> Result<Array> {
    let mut entries = Array::new();
    let mut log = None;
    loop {
        let request = ReadLog { log: log.as_ref().map(Held::handle) };
        let page = channel
            .call(&request)
            .map_err(|failure| refused(&failure, &AbsPath::root(), Systeminfo::PermissionDenied, Systeminfo::Other))?;
        entries.extend(log::read(&page.records).map(|Message { micros, text: message }| {
            let time = if human_readable { local_time(&page, micros) } else { seconds(micros) };
            Dynamic::from(Entry { time, message })
        }));
        match page.more {
            None => return Ok(entries),
            // It goes on with the one that it has.
            Some(_) if log.is_some() => {}
            Some(more) => log = Some(Held::new(channel, more)),
        }
    }
}

fn seconds(micros: u64) -> String {
    format!("{:>12}", format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000))
}

/// The local time, as far as it is ahead of UTC now.
fn local_time(page: &LogPage, micros: u64) -> String {
    let since = i64::try_from(micros / 1_000_000).unwrap_or(0);
    let local = page.booted.saturating_add(since).saturating_add(page.utc_offset.into());
    let time = date(1970, 1, 1).at(0, 0, 0, 0).checked_add(SignedDuration::from_secs(local));
    time.map_or_else(|_| seconds(micros), |time| time.strftime("%a %b %d %H:%M:%S %Y").to_string())
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.time, self.message)
    }
}

/// Registers the options and what the log gives.
pub(super) fn register(surface: &mut Surface) {
    options::register::<DmesgOptions>(surface);
    surface.shown::<Entry>("DmesgEntry");
    record::register(surface, ENTRY);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_seconds_or_as_a_date() {
        assert_eq!(seconds(5_140_900), "    5.140900");
        assert_eq!(seconds(12_345_678_000_001), "12345678.000001");
        let page = LogPage { records: Default::default(), booted: 1_700_000_000, utc_offset: 3600, more: None };
        assert_eq!(local_time(&page, 1_999_999), "Tue Nov 14 23:13:21 2023");
    }
}
