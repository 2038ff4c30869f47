//! Records in the journal, as fields of its own: `journalctl REX_RUN=...`, `journalctl REX_DECISION=deny`.
//!
//! The file is the record; this is for who looks there, and for where journals are collected. It goes only where systemd has
//! connected this process to the journal, and never waits.

use super::log::Log;
use super::record::Entry;
use super::{AuditError, Journal};
use crate::authz::beginning;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
use serde_json::{Map, Value};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

/// Where the journal listens (systemd's `JOURNAL_NATIVE_PROTOCOL`).
const SOCKET: &str = "/run/systemd/journal/socket";
/// Syslog's priorities.
const WARNING: &str = "4";
const NOTICE: &str = "5";
/// How much of a field is told where no room is left for all of a record, in bytes.
const CUT: usize = 1024;

/// Appends a record that is no run's, where there is room for it, and tells the journal of it.
pub(crate) fn append_and_tell(log: &mut Log, entry: Entry) -> Result<(), AuditError> {
    let entries = [entry];
    log.confirm_room()?;
    log.append(&entries)?;
    if let Some(herald) = Herald::new(log.settings().journal) {
        herald.tell(&entries);
    }
    Ok(())
}

/// What tells the journal. It is made when a run begins, so that nothing that the run holds keeps it from that.
#[derive(Debug)]
pub(super) struct Herald {
    what: Journal,
    socket: UnixDatagram,
    journal: PathBuf,
}

impl Herald {
    /// Nothing where the journal is to hear nothing, or does not listen to this process.
    pub(super) fn new(what: Journal) -> Option<Self> {
        if what == Journal::None || std::env::var_os("JOURNAL_STREAM").is_none() {
            return None;
        }
        Self::to(what, SOCKET.into())
    }

    fn to(what: Journal, journal: PathBuf) -> Option<Self> {
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_nonblocking(true).ok()?;
        Some(Self { what, socket, journal })
    }

    /// Tells of these records, as far as it is to know.
    pub(super) fn tell(&self, entries: &[Entry]) {
        for entry in entries {
            let record = entry.to_map();
            if self.what == Journal::All || is_notable(&record) {
                // A journal that is full or gone has the file beside it.
                let _ = self.send(&record);
            }
        }
    }

    fn send(&self, record: &Map<String, Value>) -> nix::Result<()> {
        let message = message(record, usize::MAX);
        match self.socket.send_to(&message, &self.journal).map_err(Errno::try_from) {
            Ok(_) => Ok(()),
            Err(Ok(Errno::EMSGSIZE | Errno::ENOBUFS)) => self.send_large(&message).or_else(|_| {
                // Not even a descriptor is left for it.
                let cut = self.socket.send_to(&self::message(record, CUT), &self.journal);
                cut.map(drop).map_err(|error| Errno::try_from(error).unwrap_or(Errno::EIO))
            }),
            Err(Ok(errno)) => Err(errno),
            Err(Err(_)) => Err(Errno::EIO),
        }
    }

    /// A message above what a datagram holds goes as a file in memory that nobody can change any more, as sd_journal_send(3) does it.
    fn send_large(&self, message: &[u8]) -> nix::Result<()> {
        let file = memfd_create(c"rex-record", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
        let mut file = File::from(file);
        file.write_all(message).map_err(|_| Errno::ENOSPC)?;
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
        let descriptors = [file.as_raw_fd()];
        let control = [ControlMessage::ScmRights(&descriptors)];
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        let to = UnixAddr::new(&self.journal)?;
        sendmsg(self.socket.as_raw_fd(), &[], &control, flags, Some(&to)).map(drop)
    }
}

fn is_notable(record: &Map<String, Value>) -> bool {
    let is = |field: &str, value: &str| record.get(field).and_then(Value::as_str) == Some(value);
    !is("kind", "outcome") && !is("decision", "allow")
}

/// One message in the native protocol: each field's name, the length of its value and the value, so that no content can
/// begin another field. Values go as far as `most` bytes.
fn message(record: &Map<String, Value>, most: usize) -> Vec<u8> {
    let is = |field: &str, value: &str| record.get(field).and_then(Value::as_str) == Some(value);
    let serious = is("kind", "violation") || is("decision", "deny") || is("result", "refused");
    let (mut bytes, mut is_cut) = (Vec::new(), false);
    let mut add = |name: &str, value: &str| {
        let told = beginning(value, most);
        is_cut |= told.len() < value.len();
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(b'\n');
        bytes.extend_from_slice(&(told.len() as u64).to_le_bytes());
        bytes.extend_from_slice(told.as_bytes());
        bytes.push(b'\n');
    };
    add("MESSAGE", &words(record));
    add("PRIORITY", if serious { WARNING } else { NOTICE });
    add("SYSLOG_IDENTIFIER", "rex");
    for (name, value) in record {
        let value = value.as_str().map_or_else(|| super::json::one_line(value), str::to_owned);
        add(&format!("REX_{}", name.to_ascii_uppercase()), &value);
    }
    if is_cut {
        bytes.extend_from_slice(b"REX_CUT=1\n");
    }
    bytes
}

/// A line for people.
fn words(record: &Map<String, Value>) -> String {
    let words = ["kind", "user", "decision", "action", "resource", "what", "result", "class", "reason", "message"];
    let told =
        words.iter().filter_map(|word| record.get(*word).and_then(Value::as_str)).filter(|word| !word.is_empty());
    let text = told.collect::<Vec<_>>().join(" ");
    text.chars().map(|character| if super::is_plain(character) { character } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::record::Event;
    use nix::sys::socket::{ControlMessageOwned, RecvMsg, recvmsg};
    use std::io::{IoSliceMut, Read, Seek};
    use std::os::fd::{FromRawFd, OwnedFd};

    fn fields(mut rest: &[u8]) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b'\n').unwrap();
            if let Some((name, value)) = std::str::from_utf8(&rest[..end]).unwrap().split_once('=') {
                fields.push((name.to_owned(), value.to_owned()));
                rest = &rest[end + 1..];
                continue;
            }
            let length = usize::try_from(u64::from_le_bytes(rest[end + 1..end + 9].try_into().unwrap())).unwrap();
            let value = &rest[end + 9..end + 9 + length];
            fields.push((String::from_utf8(rest[..end].to_vec()).unwrap(), String::from_utf8(value.to_vec()).unwrap()));
            rest = &rest[end + 10 + length..];
        }
        fields
    }

    fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
        fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn violation(message: &str) -> Entry {
        Entry::of_run("r", "v", &Event::Violation { message })
    }

    #[test]
    fn no_value_begins_another_field() {
        let entry = violation("x\nPRIORITY=0\n");
        let fields = fields(&message(&entry.to_map(), usize::MAX));
        assert_eq!(field(&fields, "PRIORITY"), Some(WARNING));
        assert_eq!(field(&fields, "REX_MESSAGE"), Some("x\nPRIORITY=0\n"));
        assert_eq!(field(&fields, "MESSAGE"), Some("violation x?PRIORITY=0?"));
        assert_eq!(field(&fields, "REX_CUT"), None);
        assert!(is_notable(&entry.to_map()));
    }

    #[allow(clippy::disallowed_methods, reason = "a file that only this test has")]
    #[test]
    fn a_record_above_what_a_datagram_holds_reaches_the_journal() {
        let folder = tempfile::tempdir().unwrap();
        let journal = UnixDatagram::bind(folder.path().join("socket")).unwrap();
        let herald = Herald::to(Journal::Denials, folder.path().join("socket")).unwrap();
        let long = "x".repeat(4 << 20);
        herald.tell(&[violation("short"), violation(&long)]);
        let mut buffer = vec![0; 65536];
        let length = journal.recv(&mut buffer).unwrap();
        assert_eq!(field(&fields(&buffer[..length]), "REX_MESSAGE"), Some("short"));
        let mut pieces = [IoSliceMut::new(&mut buffer)];
        let mut control = nix::cmsg_space!(i32);
        let received: RecvMsg<'_, '_, ()> =
            recvmsg(journal.as_raw_fd(), &mut pieces, Some(&mut control), MsgFlags::empty()).unwrap();
        assert_eq!(received.bytes, 0);
        let Some(ControlMessageOwned::ScmRights(descriptors)) = received.cmsgs().unwrap().next() else {
            panic!("no descriptor")
        };
        // SAFETY: the kernel has just made it for us.
        let mut file = File::from(unsafe { OwnedFd::from_raw_fd(descriptors[0]) });
        let mut whole = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut whole).unwrap();
        assert_eq!(field(&fields(&whole), "REX_MESSAGE"), Some(long.as_str()));
        assert!(file.set_len(1).is_err(), "nobody can change it any more");
    }

    #[test]
    fn what_is_cut_says_so() {
        let fields = fields(&message(&violation(&"é".repeat(CUT)).to_map(), CUT));
        assert_eq!(field(&fields, "REX_MESSAGE").map(str::len), Some(CUT));
        assert_eq!((field(&fields, "REX_RUN"), field(&fields, "REX_CUT")), (Some("r"), Some("1")));
    }
}
