//! The times of `valid-after` and `valid-before`: ssh-keygen(1), section ALLOWED SIGNERS.

use super::error::LineFault;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The instant that `YYYYMMDD[Z]` or `YYYYMMDDHHMM[SS][Z]` names: in UTC with the `Z`, else in the local time zone. A
/// time that a change of clocks makes ambiguous or leaves out is taken as RFC 5545 does.
pub(super) fn instant(text: &str, local: impl FnOnce() -> Option<TimeZone>) -> Result<Timestamp, LineFault> {
    let (digits, is_utc) = match text.strip_suffix('Z') {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    if !matches!(digits.len(), 8 | 12 | 14) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(LineFault::Time);
    }
    let zone = if is_utc { TimeZone::UTC } else { local().ok_or(LineFault::NoTimeZone)? };
    // What is left out is zero.
    DateTime::strptime("%Y%m%d%H%M%S", format!("{digits:0<14}"))
        .and_then(|time| zone.to_timestamp(time))
        .map_err(|_| LineFault::Time)
}

/// The system's time zone: of the variable `TZ`, which must be a POSIX rule or a path, or without it `/etc/localtime`.
/// The name of a zone in `TZ` would need jiff's `tzdb-zoneinfo`; it counts as unknown, so that its times are refused.
pub(super) fn system_zone() -> Option<TimeZone> {
    TimeZone::try_system().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_new_york(text: &str) -> Result<String, LineFault> {
        instant(text, || TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").ok()).map(|instant| instant.to_string())
    }

    #[test]
    fn times_are_utc_with_z_and_local_without() {
        for (text, wanted) in [
            ("20240229Z", "2024-02-29T00:00:00Z"),
            ("202407011530Z", "2024-07-01T15:30:00Z"),
            ("20240701153059Z", "2024-07-01T15:30:59Z"),
            ("20240101", "2024-01-01T05:00:00Z"),
            ("202407011530", "2024-07-01T19:30:00Z"),
            ("20240701153059", "2024-07-01T19:30:59Z"),
            ("19600101Z", "1960-01-01T00:00:00Z"),
        ] {
            assert_eq!(in_new_york(text).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "Z",
            "2024",
            "20240101ZZ",
            "20240101z",
            "20240101UTC",
            " 20240101",
            "2024010112",
            "2024010112000",
            "20230229Z",
            "20241301Z",
            "20240100Z",
            "202401012400Z",
            "202401011260Z",
            "+2024010Z",
            "-2024010Z",
            "2024-1-1Z",
            "2024٠١Z",
            "00000000Z",
            "99999999999999Z",
        ] {
            assert_eq!(in_new_york(text), Err(LineFault::Time), "{text}");
        }
    }

    #[test]
    fn local_times_need_a_zone() {
        assert_eq!(instant("20240101", || None), Err(LineFault::NoTimeZone));
        assert!(instant("20240101Z", || None).is_ok());
    }
}
