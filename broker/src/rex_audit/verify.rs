//! `rex-audit verify`.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::options::{self, Format};
use crate::text::shown;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rex_broker::audit::{self, Verified};
use serde_json::json;
use std::io::{self, Write};
use std::path::Path;

/// Tells whether the log is whole.
pub(crate) fn verify(directory: &Path, options: &options::Verify) -> Result<Exit, Failure> {
    let found = audit::verify(directory).map_err(Failure::of_log(directory))?;
    let written = match options.output_format {
        Format::Human => tell(&found),
        Format::Json => put(&json(&found)),
    };
    match written {
        // The exit code tells it all the same.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(if found.is_whole() { Exit::Success } else { Exit::Found }),
    }
}

fn tell(found: &Verified) -> io::Result<()> {
    for fault in &found.faults {
        writeln!(io::stderr().lock(), "fault: {}", shown(fault))?;
    }
    if found.is_whole() {
        put(&summary(found, &TimeZone::system()))?;
    }
    found.remarks.iter().try_for_each(|remark| put(&format!("remark: {}", shown(remark))))
}

fn put(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

fn summary(found: &Verified, zone: &TimeZone) -> String {
    let Verified { records, first, last, head, .. } = found;
    let moment = |at: &Timestamp| at.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S%:z").to_string();
    let counted = match records {
        0 => return "whole: no record yet".into(),
        1 => format!("1 record ({last})"),
        _ => format!("{records} records ({first} to {last})"),
    };
    let times = found.from.as_ref().zip(found.to.as_ref());
    let times = times.map(|(from, to)| format!(", from {} to {}", moment(from), moment(to))).unwrap_or_default();
    format!("whole: {counted}{times}, head {head}")
}

fn json(found: &Verified) -> String {
    let Verified { records, first, last, from, to, head, faults, remarks } = found;
    let moment = |at: &Option<Timestamp>| at.map(|at| format!("{at:.6}"));
    json!({
        "whole": found.is_whole(), "records": records, "first": first, "last": last, "from": moment(from), "to": moment(to),
        "head": head, "faults": faults.iter().map(|fault| shown(fault)).collect::<Vec<_>>(),
        "remarks": remarks.iter().map(|remark| shown(remark)).collect::<Vec<_>>(),
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_log_is_told_in_a_line() {
        let at = |text: &str| Some(text.parse().unwrap());
        let (from, to) = (at("2026-11-24T10:00:00Z"), at("2026-11-25T11:00:00Z"));
        let found = Verified { records: 3, first: 2, last: 4, from, to, head: "abc".into(), ..Verified::default() };
        let expected =
            "whole: 3 records (2 to 4), from 2026-11-24 10:00:00+00:00 to 2026-11-25 11:00:00+00:00, head abc";
        assert_eq!(summary(&found, &TimeZone::UTC), expected);
        assert_eq!(summary(&Verified::default(), &TimeZone::UTC), "whole: no record yet");
    }
}
