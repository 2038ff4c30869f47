//! The two written forms of a date.

use crate::error::{CommonUtils, Error};
use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Weekday};
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::tz::Offset;
use std::fmt;

/// A written form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// `2025-10-21T14:30:05.000000007Z`
    Rfc3339,
    /// `Tue, 21 Oct 2025 14:30:05 +0000`
    Rfc2822,
}

impl Format {
    pub(super) const ALL: &'static [Format] = &[Format::Rfc3339, Format::Rfc2822];

    /// The form of `date`, which is UTC.
    pub(super) fn write(self, date: DateTime) -> Result<String, Error> {
        let fail = |reason: &str| {
            Error::new(CommonUtils::FormatError, format!("Format Error: Failed to format datetime as {self}: {reason}"))
        };
        let (year, month, day) = (date.year(), date.month(), date.day());
        let time = format!("{:02}:{:02}:{:02}", date.hour(), date.minute(), date.second());
        match self {
            Format::Rfc3339 if year < 0 => Err(fail("the year is before 0")),
            Format::Rfc3339 => {
                let fraction = match date.subsec_nanosecond() {
                    0 => String::new(),
                    nanos => format!(".{nanos:09}").trim_end_matches('0').to_owned(),
                };
                Ok(format!("{year:04}-{month:02}-{day:02}T{time}{fraction}Z"))
            }
            Format::Rfc2822 if year < 1900 => Err(fail("the year is before 1900")),
            Format::Rfc2822 => {
                let weekday = match date.weekday() {
                    Weekday::Monday => "Mon",
                    Weekday::Tuesday => "Tue",
                    Weekday::Wednesday => "Wed",
                    Weekday::Thursday => "Thu",
                    Weekday::Friday => "Fri",
                    Weekday::Saturday => "Sat",
                    Weekday::Sunday => "Sun",
                };
                let index = usize::try_from(month - 1).unwrap_or(0);
                let month = super::MONTHS.get(index).and_then(|name| name.get(..3)).unwrap_or_default();
                Ok(format!("{weekday}, {day:02} {month} {year:04} {time} +0000"))
            }
        }
    }

    /// The date that `text` means, in UTC.
    pub(super) fn read(self, text: &str) -> Result<DateTime, Error> {
        let read = match self {
            Format::Rfc3339 => rfc3339(text),
            Format::Rfc2822 => DateTimeParser::new()
                .parse_timestamp(text)
                .map(|timestamp| Offset::UTC.to_datetime(timestamp))
                .map_err(|error| error.to_string()),
        };
        read.map_err(|reason| {
            let message = format!("Parse Error: Failed to parse {self} datetime from '{text}': {reason}");
            Error::new(CommonUtils::ParseError, message)
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Rfc3339 => "RFC3339",
            Format::Rfc2822 => "RFC2822",
        })
    }
}

/// RFC 3339, section 5.6; nothing around it and nothing left out.
fn rfc3339(text: &str) -> Result<DateTime, String> {
    let mut rest = text;
    let year = number(&mut rest, 4, "year")?;
    literal(&mut rest, &['-'])?;
    let month = number(&mut rest, 2, "month")?;
    literal(&mut rest, &['-'])?;
    let day = number(&mut rest, 2, "day")?;
    literal(&mut rest, &['T', 't', ' '])?;
    let hour = number(&mut rest, 2, "hour")?;
    literal(&mut rest, &[':'])?;
    let minute = number(&mut rest, 2, "minute")?;
    literal(&mut rest, &[':'])?;
    let second = number(&mut rest, 2, "second")?;
    let nanos = fraction(&mut rest)?;
    let east = offset(&mut rest)?;
    if !rest.is_empty() {
        return Err(format!("unexpected text after the end: `{rest}`"));
    }
    let small = |value: i32| i8::try_from(value).map_err(|error| error.to_string());
    let year = i16::try_from(year).map_err(|error| error.to_string())?;
    let date = Date::new(year, small(month)?, small(day)?).map_err(|error| error.to_string())?;
    let time = jiff::civil::Time::new(small(hour)?, small(minute)?, small(second)?, nanos);
    let time = time.map_err(|error| error.to_string())?;
    date.to_datetime(time).checked_sub(SignedDuration::from_secs(east)).map_err(|error| error.to_string())
}

fn number(rest: &mut &str, digits: usize, what: &str) -> Result<i32, String> {
    let (head, tail) = rest.split_at_checked(digits).ok_or_else(|| format!("the {what} is missing"))?;
    if !head.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("the {what} is not a number of {digits} digits"));
    }
    *rest = tail;
    head.parse().map_err(|error| format!("{what}: {error}"))
}

fn literal(rest: &mut &str, allowed: &[char]) -> Result<char, String> {
    let mut chars = rest.chars();
    match chars.next().filter(|found| allowed.contains(found)) {
        Some(found) => {
            *rest = chars.as_str();
            Ok(found)
        }
        None => Err(format!("`{}` is missing", allowed.first().unwrap_or(&' '))),
    }
}

/// Nanoseconds; digits beyond the ninth do not count.
fn fraction(rest: &mut &str) -> Result<i32, String> {
    let Some(tail) = rest.strip_prefix('.') else { return Ok(0) };
    let length = tail.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, tail) = tail.split_at_checked(length).unwrap_or((tail, ""));
    if digits.is_empty() {
        return Err("the fraction of the second has no digits".into());
    }
    *rest = tail;
    format!("{:0<9.9}", digits).parse().map_err(|error| format!("fraction: {error}"))
}

/// Seconds east of UTC.
fn offset(rest: &mut &str) -> Result<i64, String> {
    let sign = match literal(rest, &['Z', 'z', '+', '-'])? {
        '+' => 1,
        '-' => -1,
        _ => return Ok(0),
    };
    let hours = number(rest, 2, "hour of the offset")?;
    literal(rest, &[':'])?;
    let minutes = number(rest, 2, "minute of the offset")?;
    if hours > 23 || minutes > 59 {
        return Err("the offset is not in range".into());
    }
    Ok(sign * i64::from(hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_is_turned_into_utc_and_strict() {
        let read = |text| Format::Rfc3339.read(text).and_then(|date| Format::Rfc3339.write(date));
        for (text, utc) in [
            ("2025-10-21T14:30:05Z", "2025-10-21T14:30:05Z"),
            ("2025-10-21t14:30:05.12z", "2025-10-21T14:30:05.12Z"),
            ("2025-10-21T01:30:00+02:00", "2025-10-20T23:30:00Z"),
            ("2025-12-31T23:59:59.9999999999-00:30", "2026-01-01T00:29:59.999999999Z"),
        ] {
            assert_eq!(read(text).unwrap(), utc);
        }
        for text in [
            "",
            "bad",
            "2025-10-21",
            "2025-10-21T14:30Z",
            "2025-10-21T14:30:05",
            "2025-02-30T00:00:00Z",
            "2025-10-21T14:30:05Z ",
            "2025-10-21T14:30:05.Z",
            "2025-10-21T24:00:00Z",
            "2025-10-21T14:30:05+99:00",
            "2025-1é-21T14:30:05Z",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rfc2822() {
        let date = Format::Rfc2822.read("Tue, 21 Oct 2025 16:30:05 +0200").unwrap();
        assert_eq!(Format::Rfc2822.write(date).unwrap(), "Tue, 21 Oct 2025 14:30:05 +0000");
        assert!(Format::Rfc2822.read("bad").is_err());
    }
}
