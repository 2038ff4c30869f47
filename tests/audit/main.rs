//! The audit log from outside: what stands in it, who can bend it, and what happens where it cannot be written.

mod budget;
mod content;
mod faults;
mod reading;
mod tampering;
mod telling;

use rex_broker::audit::Record;

/// The records of one kind.
fn of_kind<'a>(records: &'a [Record], kind: &'a str) -> impl Iterator<Item = &'a Record> {
    records.iter().filter(move |record| record.kind() == kind)
}
