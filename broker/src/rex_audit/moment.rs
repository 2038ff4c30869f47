//! Moments as people name them, in the time zone of the machine.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, ZonedDateTime};

/// What is taken.
const WRONG: &str =
    "is not a moment such as 2026-11-25, 10:30, 2026-11-25T10:30, 2026-11-25T10:30:00Z, or 2h or 3d for so long ago";

/// The moment from which on something is meant: of a day its beginning.
pub(crate) fn since(text: &str) -> Result<Timestamp, String> {
    named(text, &ZonedDateTime::now()).map(|(first, _)| first)
}

/// The moment up to which something is meant: of a day its end.
pub(crate) fn until(text: &str) -> Result<Timestamp, String> {
    named(text, &ZonedDateTime::now()).map(|(_, last)| last)
}

/// The first and the last moment of a day.
pub(crate) fn day(text: &str) -> Result<(Timestamp, Timestamp), String> {
    let date = date(text).ok_or("is not a day such as 2026-11-25")?;
    span_of(date, &TimeZone::system())
}

/// The first and the last moment of what a text names, which are the same unless it is a day.
fn named(text: &str, now: &ZonedDateTime) -> Result<(Timestamp, Timestamp), String> {
    if let Some(date) = date(text) {
        return span_of(date, now.time_zone());
    }
    let moment = if has_date(text) {
        let zoned = |civil: DateTime| civil.to_zoned_datetime(now.time_zone().clone()).map(|zoned| zoned.timestamp());
        text.parse::<Timestamp>().or_else(|_| text.parse().and_then(zoned))
    } else if text.contains(':') {
        text.parse::<Time>().and_then(|time| now.with().time(time).build()).map(|zoned| zoned.timestamp())
    } else {
        text.parse::<Span>().and_then(|span| now.checked_sub(span.abs())).map(|zoned| zoned.timestamp())
    };
    moment.map(|moment| (moment, moment)).map_err(|_| WRONG.into())
}

/// Whether a text begins with a date, and goes on.
fn has_date(text: &str) -> bool {
    text.get(..10).and_then(date).is_some()
}

/// `2026-11-25` and nothing else: a parser of dates takes them also out of longer texts.
fn date(text: &str) -> Option<Date> {
    let is_plain = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    is_plain.then(|| text.parse().ok()).flatten()
}

fn span_of(date: Date, zone: &TimeZone) -> Result<(Timestamp, Timestamp), String> {
    let begins = |date: Date| date.to_zoned_datetime(zone.clone()).map(|zoned| zoned.timestamp());
    let next = date.tomorrow().and_then(begins);
    let last = next.and_then(|next| next.checked_sub(SignedDuration::from_nanos(1)));
    begins(date).and_then(|first| Ok((first, last?))).map_err(|_| format!("`{date}` is beyond the calendar"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<(String, String), String> {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let now = "2026-11-25T12:00:00Z".parse::<Timestamp>().unwrap().to_zoned_datetime(zone);
        named(text, &now).map(|(first, last)| (first.to_string(), last.to_string()))
    }

    #[test]
    fn moments_are_read_as_people_write_them() {
        for (text, moment) in [
            ("2026-11-24T10:30:00Z", "2026-11-24T10:30:00Z"),
            ("2026-11-24T10:30:00.25+05:00", "2026-11-24T05:30:00.25Z"),
            ("2026-11-24T10:30", "2026-11-24T08:30:00Z"),
            ("2026-11-24 10:30:05", "2026-11-24T08:30:05Z"),
            ("10:30", "2026-11-25T08:30:00Z"),
            ("10:30:07", "2026-11-25T08:30:07Z"),
            ("2h", "2026-11-25T10:00:00Z"),
            ("3d", "2026-11-22T12:00:00Z"),
            ("1h30m", "2026-11-25T10:30:00Z"),
            ("90s ago", "2026-11-25T11:58:30Z"),
            ("2 weeks", "2026-11-11T12:00:00Z"),
        ] {
            assert_eq!(of(text), Ok((moment.into(), moment.into())), "{text}");
        }
    }

    #[test]
    fn a_day_is_meant_as_a_whole() {
        let whole = ("2026-11-23T22:00:00Z".into(), "2026-11-24T21:59:59.999999999Z".into());
        assert_eq!(of("2026-11-24"), Ok(whole));
    }

    #[test]
    fn what_names_no_moment_is_refused() {
        for text in [
            "",
            "yesterday",
            "25:00",
            "2026-13-01",
            "2026-11-25T",
            "2026",
            "10",
            "-",
            "9999999d",
            "2026-11-25x",
            "é:",
            "1111111111é",
        ] {
            assert!(of(text).is_err(), "{text}: {:?}", of(text));
        }
        for text in ["", "2026-02-30", "10:30", "2026-11-25T10:30", "2026-1-1", "20261125"] {
            assert!(day(text).is_err(), "{text}");
        }
        assert!(day("9999-12-31").is_err());
    }
}
