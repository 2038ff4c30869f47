//! Dates: `DateTime` and what makes one. Always UTC; nothing is a date before it is used.

mod format;

use super::Surface;
use super::options::OUT_OF_RANGE;
use crate::error::{CommonUtils, Error, Result};
use format::Format;
use jiff::SignedDuration;
use jiff::civil::{Date, DateTime as Civil, date};
use std::cmp::Ordering;
use std::fmt;
use std::time::SystemTime;

const EPOCH: Civil = date(1970, 1, 1).at(0, 0, 0, 0);

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The parts of a date and time as a script gave them, which may make no date at all.
#[derive(Debug, Clone, Copy)]
pub(super) struct DateTime {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    nanosecond: i64,
}

impl DateTime {
    /// The date that the parts make.
    fn civil(&self) -> std::result::Result<Civil, Error> {
        let out = |part: &str| invalid(&format!("Invalid time component: {part} was not in range"));
        fn within<T: TryFrom<i64>>(value: i64, least: i64, most: i64) -> Option<T> {
            if (least..=most).contains(&value) { T::try_from(value).ok() } else { None }
        }
        let year = within(self.year, -9999, 9999).ok_or_else(|| out("year"))?;
        let month = within(self.month, 1, 12).ok_or_else(|| out("month"))?;
        let day = within(self.day, 1, 31).ok_or_else(|| out("day"))?;
        let hour = within(self.hour, 0, 23).ok_or_else(|| out("hour"))?;
        let minute = within(self.minute, 0, 59).ok_or_else(|| out("minute"))?;
        let second = within(self.second, 0, 59).ok_or_else(|| out("second"))?;
        let nanosecond = within(self.nanosecond, 0, 999_999_999).ok_or_else(|| out("nanosecond"))?;
        let date = Date::new(year, month, day).map_err(|_| out("day"))?;
        Ok(date.at(hour, minute, second, nanosecond))
    }

    fn of(civil: Civil) -> Self {
        Self {
            year: civil.year().into(),
            month: civil.month().into(),
            day: civil.day().into(),
            hour: civil.hour().into(),
            minute: civil.minute().into(),
            second: civil.second().into(),
            nanosecond: civil.subsec_nanosecond().into(),
        }
    }

    fn from_epoch(seconds: i64, nanos: i64) -> std::result::Result<Self, Error> {
        let nanos = i32::try_from(nanos)
            .ok()
            .filter(|nanos| (0..1_000_000_000).contains(nanos))
            .ok_or_else(|| invalid(&format!("Invalid nanos portion: {nanos}. Must be 0-999,999,999")))?;
        EPOCH
            .checked_add(SignedDuration::from_secs(seconds))
            .and_then(|civil| civil.checked_add(SignedDuration::from_nanos(nanos.into())))
            .map(Self::of)
            .map_err(|_| invalid("Invalid time component: timestamp was not in range"))
    }

    /// Whole seconds since 1970.
    pub(super) fn epoch_seconds(&self) -> std::result::Result<i64, Error> {
        let whole = Self { nanosecond: 0, ..*self };
        // The part below the second must make sense too.
        self.civil()?;
        Ok(whole.civil()?.duration_since(EPOCH).as_secs())
    }

    fn plus(&self, seconds: Option<i64>) -> Result<Self> {
        let seconds = seconds.ok_or_else(|| invalid("Invalid time component: seconds were not in range"))?;
        let sum = self.epoch_seconds()?.checked_add(seconds);
        let sum = sum.ok_or_else(|| invalid("Invalid time component: timestamp was not in range"))?;
        Ok(Self::from_epoch(sum, self.nanosecond)?)
    }

    fn compare(&self, other: &Self) -> Result<Ordering> {
        Ok(self.civil()?.cmp(&other.civil()?))
    }

    fn month_name(&self) -> Result<&'static str> {
        let index = usize::try_from(self.month).ok().and_then(|month| month.checked_sub(1));
        let name = index.and_then(|index| MONTHS.get(index)).copied();
        Ok(name.ok_or_else(|| invalid(&format!("Invalid month: {}. Must be 1-12", self.month)))?)
    }
}

/// In the form of RFC 3339 where it is a date.
impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.civil().and_then(|civil| Format::Rfc3339.write(civil)) {
            Ok(text) => f.write_str(&text),
            Err(_) => f.write_str("DateTime"),
        }
    }
}

fn invalid(reason: &str) -> Error {
    Error::new(CommonUtils::InvalidArguments, format!("Invalid arguments: {reason}"))
}

fn from_parts(
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    nanosecond: i64,
) -> Result<DateTime> {
    let parts = [("month", month), ("day", day), ("hour", hour), ("minute", minute), ("second", second)];
    for (name, value) in parts {
        if value < 0 {
            return Err(format!("Parameter '{name}' conversion failed: {OUT_OF_RANGE}").into());
        }
    }
    Ok(DateTime { year, month, day, hour, minute, second, nanosecond })
}

/// The present, in whole seconds and nanoseconds since 1970.
fn present() -> (i64, i64) {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (i64::try_from(since.as_secs()).unwrap_or(0), since.subsec_nanos().into())
}

/// Registers dates.
pub fn register(surface: &mut Surface) {
    surface.shown::<Format>("DateTimeFormat");
    surface.constants("DateTimeFormat", Format::ALL.iter().map(|format| (format.to_string(), *format)));
    surface.shown::<DateTime>("DateTime");
    surface.function("DateTime", from_parts);
    surface
        .function("from_epoch_seconds", |seconds: i64| -> Result<DateTime> { Ok(DateTime::from_epoch(seconds, 0)?) });
    surface.function("from_epoch_nanos", |seconds: i64, nanos: i64| -> Result<DateTime> {
        Ok(DateTime::from_epoch(seconds, nanos)?)
    });
    surface.function("now", || -> Result<DateTime> { Ok(DateTime::from_epoch(present().0, 0)?) });
    surface.function("now_nanos", || -> Result<DateTime> {
        let (seconds, nanos) = present();
        Ok(DateTime::from_epoch(seconds, nanos)?)
    });
    surface.function("parse_datetime", |text: &str, format: Format| -> Result<DateTime> {
        Ok(DateTime::of(format.read(text)?))
    });
    surface
        .function("to_string", |date: DateTime, format: Format| -> Result<String> { Ok(format.write(date.civil()?)?) });
    surface.function("epoch_seconds", |date: DateTime| -> Result<i64> { Ok(date.epoch_seconds()?) });
    surface.function("nanos", |date: DateTime| date.nanosecond);
    surface.function("month_str", |date: DateTime| date.month_name());
    surface.function("month_str_short", |date: DateTime| -> Result<&str> {
        date.month_name().map(|name| name.get(..3).unwrap_or(name))
    });
    surface.function("+", |date: DateTime, seconds: i64| date.plus(Some(seconds)));
    surface.function("-", |date: DateTime, seconds: i64| date.plus(seconds.checked_neg()));
    surface.function("-", |date: DateTime, other: DateTime| -> Result<i64> {
        // Both lie within some twenty thousand years.
        Ok(date.epoch_seconds()? - other.epoch_seconds()?)
    });
    surface.function("==", |a: DateTime, b: DateTime| a.compare(&b).map(Ordering::is_eq));
    surface.function("!=", |a: DateTime, b: DateTime| a.compare(&b).map(Ordering::is_ne));
    surface.function("<", |a: DateTime, b: DateTime| a.compare(&b).map(Ordering::is_lt));
    surface.function("<=", |a: DateTime, b: DateTime| a.compare(&b).map(Ordering::is_le));
    surface.function(">", |a: DateTime, b: DateTime| a.compare(&b).map(Ordering::is_gt));
    surface.function(">=", |a: DateTime, b: DateTime| a.compare(&b).map(Ordering::is_ge));
    surface.property("year", |date: &mut DateTime| date.year);
    surface.property("month", |date: &mut DateTime| date.month);
    surface.property("day", |date: &mut DateTime| date.day);
    surface.property("hour", |date: &mut DateTime| date.hour);
    surface.property("minute", |date: &mut DateTime| date.minute);
    surface.property("second", |date: &mut DateTime| date.second);
    surface.property("nanosecond", |date: &mut DateTime| date.nanosecond);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(date: std::result::Result<DateTime, Error>) -> String {
        date.map_or_else(|error| error.message().to_owned(), |date| date.to_string())
    }

    #[test]
    fn counts_from_1970() {
        assert_eq!(shown(DateTime::from_epoch(0, 0)), "1970-01-01T00:00:00Z");
        assert_eq!(shown(DateTime::from_epoch(-1, 500_000_000)), "1969-12-31T23:59:59.5Z");
        assert_eq!(shown(DateTime::from_epoch(253_402_300_799, 0)), "9999-12-31T23:59:59Z");
        assert_eq!(
            shown(DateTime::from_epoch(i64::MAX, 0)),
            "Invalid arguments: Invalid time component: timestamp was not in range"
        );
        for seconds in [-62_135_596_800, -1, 0, 1, 951_782_400, 4_102_444_799] {
            assert_eq!(DateTime::from_epoch(seconds, 7).unwrap().epoch_seconds().unwrap(), seconds);
        }
    }

    #[test]
    fn parts_that_make_no_date_are_found_when_used() {
        let date = from_parts(2025, 2, 30, 0, 0, 0, 0).unwrap();
        assert_eq!(
            date.epoch_seconds().unwrap_err().message(),
            "Invalid arguments: Invalid time component: day was not in range"
        );
        assert!(from_parts(2025, 257, 1, 0, 0, 0, 0).unwrap().civil().is_err());
        assert!(from_parts(2025, -1, 1, 0, 0, 0, 0).is_err());
    }

    #[test]
    fn sums_keep_nanoseconds_and_are_checked() {
        let date = from_parts(2024, 12, 31, 23, 59, 59, 5).unwrap();
        assert_eq!(date.plus(Some(1)).unwrap().to_string(), "2025-01-01T00:00:00.000000005Z");
        assert!(date.plus(Some(i64::MAX)).is_err());
        assert!(date.plus(i64::MIN.checked_neg()).is_err());
    }
}
