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
    let Verified { records, first, last, head, removed, removed_early, .. } = found;
    let moment = |at: &Timestamp| at.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S%:z").to_string();
    let counted = match records {
        0 => return "whole: no record yet".into(),
        1 => format!("1 record ({last})"),
        _ => format!("{records} records ({first} to {last})"),
    };
    let times = found.from.as_ref().zip(found.to.as_ref());
    let times = times.map(|(from, to)| format!(", from {} to {}", moment(from), moment(to))).unwrap_or_default();
    let reach = match removed {
        0 => String::new(),
        1 => "; 1 older record was removed".into(),
        _ => format!("; {removed} older records were removed"),
    };
    let whole = if *removed == 0 { "whole" } else { "whole as far back as it goes" };
    let early = if *removed_early { ", among them some younger than `audit.keep_days`" } else { "" };
    format!("{whole}: {counted}{times}, head {head}{reach}{early}")
}

fn json(found: &Verified) -> String {
    let Verified { records, first, last, removed, removed_early, from, to, head, faults, remarks } = found;
    let moment = |at: &Option<Timestamp>| at.map(|at| format!("{at:.6}"));
    json!({
        "whole": found.is_whole(), "records": records, "first": first, "last": last, "removed": removed, "removed_early": removed_early,
        "from": moment(from), "to": moment(to),
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
        let all = Verified { records: 3, first: 1, last: 3, from, to, head: "abc".into(), ..Verified::default() };
        let expected =
            "whole: 3 records (1 to 3), from 2026-11-24 10:00:00+00:00 to 2026-11-25 11:00:00+00:00, head abc";
        assert_eq!(summary(&all, &TimeZone::UTC), expected);
        let some = summary(&Verified { first: 8, last: 10, removed: 7, ..all }, &TimeZone::UTC);
        assert!(some.starts_with("whole as far back as it goes: 3 records (8 to 10), from"), "{some}");
        assert!(some.ends_with("; 7 older records were removed"), "{some}");
        assert_eq!(summary(&Verified::default(), &TimeZone::UTC), "whole: no record yet");
    }
}
