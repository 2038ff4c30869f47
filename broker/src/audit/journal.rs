//! Records in the journal, as fields of its own: `journalctl REX_RUN=...`, `journalctl REX_DECISION=deny`.
//!
//! The file is the record; this is for who looks there, and for where journals are collected. It goes only where systemd has
//! connected this process to the journal, and never waits.

use super::Journal;
use super::record::Entry;
use serde_json::{Map, Value};
use std::os::unix::net::UnixDatagram;

/// Where the journal listens (systemd's `JOURNAL_NATIVE_PROTOCOL`).
const SOCKET: &str = "/run/systemd/journal/socket";
/// Syslog's priorities.
const WARNING: &str = "4";
const NOTICE: &str = "5";

/// Tells the journal of these records, as far as it is to know.
pub(super) fn tell(what: Journal, entries: &[Entry]) {
    if what == Journal::None || std::env::var_os("JOURNAL_STREAM").is_none() {
        return;
    }
    let Ok(socket) = UnixDatagram::unbound() else { return };
    if socket.set_nonblocking(true).is_err() {
        return;
    }
    for entry in entries {
        let record = entry.to_map();
        if what == Journal::All || is_notable(&record) {
            // A journal that is full or gone has the file beside it.
            let _ = socket.send_to(&datagram(&record), SOCKET);
        }
    }
}

fn is_notable(record: &Map<String, Value>) -> bool {
    let is = |field: &str, value: &str| record.get(field).and_then(Value::as_str) == Some(value);
    !is("kind", "outcome") && !is("decision", "allow")
}

/// One message in the native protocol: each field's name, the length of its value and the value, so that no content can
/// begin another field.
fn datagram(record: &Map<String, Value>) -> Vec<u8> {
    let is = |field: &str, value: &str| record.get(field).and_then(Value::as_str) == Some(value);
    let serious = is("kind", "violation") || is("decision", "deny") || is("result", "refused");
    let mut bytes = Vec::new();
    let mut add = |name: &str, value: &str| {
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(b'\n');
        bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(b'\n');
    };
    add("MESSAGE", &message(record));
    add("PRIORITY", if serious { WARNING } else { NOTICE });
    add("SYSLOG_IDENTIFIER", "rex");
    for (name, value) in record {
        let value = value.as_str().map_or_else(|| super::json::one_line(value), str::to_owned);
        add(&format!("REX_{}", name.to_ascii_uppercase()), &value);
    }
    bytes
}

/// A line for people.
fn message(record: &Map<String, Value>) -> String {
    let words = ["kind", "user", "decision", "action", "resource", "result", "class", "reason", "message"];
    let told =
        words.iter().filter_map(|word| record.get(*word).and_then(Value::as_str)).filter(|word| !word.is_empty());
    let text = told.collect::<Vec<_>>().join(" ");
    text.chars().map(|character| if super::is_plain(character) { character } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::record::Event;

    #[test]
    fn no_value_begins_another_field() {
        let event = Event::Violation { message: "x\nPRIORITY=0\n" };
        let entry = Entry::of_run("r", "v", &event);
        let bytes = datagram(&entry.to_map());
        let mut rest = bytes.as_slice();
        let mut fields = Vec::new();
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b'\n').unwrap();
            let length = usize::try_from(u64::from_le_bytes(rest[end + 1..end + 9].try_into().unwrap())).unwrap();
            let value = &rest[end + 9..end + 9 + length];
            fields.push((String::from_utf8(rest[..end].to_vec()).unwrap(), String::from_utf8(value.to_vec()).unwrap()));
            rest = &rest[end + 10 + length..];
        }
        let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        assert_eq!(field("PRIORITY"), Some(WARNING));
        assert_eq!(field("REX_MESSAGE"), Some("x\nPRIORITY=0\n"));
        assert_eq!(field("MESSAGE"), Some("violation x?PRIORITY=0?"));
        assert!(is_notable(&entry.to_map()));
    }
}
