//! Moments of the log, spans of them, and how a page writes them. All in UTC, as the log is.

use jiff::Timestamp;

use super::html::Html;

const MILLISECOND: i64 = 1000;
const SECOND: i64 = 1000 * MILLISECOND;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The distances between ticks that people read easily. Beyond the last: whole multiples of it.
const STEPS: [i64; 31] = [
    MILLISECOND,
    2 * MILLISECOND,
    5 * MILLISECOND,
    10 * MILLISECOND,
    20 * MILLISECOND,
    50 * MILLISECOND,
    100 * MILLISECOND,
    200 * MILLISECOND,
    500 * MILLISECOND,
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    28 * DAY,
    364 * DAY,
];

/// Microseconds since 1970 began, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(i64);

impl Moment {
    /// Reads RFC 3339 text; `None` for any other.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        text.parse::<Timestamp>().ok().map(|at| Self(at.as_microsecond()))
    }

    /// This moment by a format of `strftime`, or nothing where the calendar does not reach.
    fn format(self, format: &str) -> String {
        Timestamp::from_microsecond(self.0).map(|at| at.strftime(format).to_string()).unwrap_or_default()
    }

    /// The date and the time to the second.
    pub(crate) fn to_second(self) -> String {
        self.format("%Y-%m-%d %H:%M:%S")
    }
}

/// From one moment to another that is not before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    first: Moment,
    last: Moment,
}

impl Span {
    /// The span of one moment.
    pub(crate) fn at(moment: Moment) -> Self {
        Self { first: moment, last: moment }
    }

    /// This span, widened to hold `moment`.
    pub(crate) fn with(self, moment: Moment) -> Self {
        Self { first: self.first.min(moment), last: self.last.max(moment) }
    }

    pub(crate) fn first(self) -> Moment {
        self.first
    }

    pub(crate) fn last(self) -> Moment {
        self.last
    }

    fn length(self) -> i64 {
        self.last.0.saturating_sub(self.first.0)
    }

    /// How far into the span a moment is, in per cent; the ends for moments outside.
    pub(crate) fn share(self, moment: Moment) -> f64 {
        let part = moment.0.saturating_sub(self.first.0) as f64;
        (100.0 * part / (self.length().max(1) as f64)).clamp(0.0, 100.0)
    }

    /// Whether all of it lies in one day, so that times need no date.
    fn is_in_a_day(self) -> bool {
        self.first.0.div_euclid(DAY) == self.last.0.div_euclid(DAY)
    }

    /// The smallest step of [`STEPS`] that cuts the span in no more than `pieces`.
    fn step(self, pieces: i64) -> i64 {
        let longest = STEPS.last().copied().unwrap_or(DAY);
        let fits = |step: &i64| self.length() / step < pieces;
        let beyond = longest * (self.length() / longest / pieces.max(1) + 1);
        STEPS.into_iter().find(fits).unwrap_or(beyond)
    }

    /// The span widened to whole steps and cut in at most about `pieces` buckets.
    pub(crate) fn buckets(self, pieces: i64) -> Buckets {
        let step = self.step(pieces);
        let first = self.first.0.div_euclid(step) * step;
        let count = (self.last.0.saturating_sub(first) / step).saturating_add(1);
        let span = Self { first: Moment(first), last: Moment(first.saturating_add(count * step)) };
        Buckets { span, step, count: usize::try_from(count).unwrap_or(1) }
    }

    /// The round moments in the span for an axis, about `pieces` of them, with their labels.
    pub(crate) fn ticks(self, pieces: i64) -> Vec<(Moment, String)> {
        let step = self.step(pieces);
        let format = match (step, self.is_in_a_day()) {
            (DAY.., _) => "%Y-%m-%d",
            (MINUTE.., false) => "%m-%d %H:%M",
            (MINUTE.., true) => "%H:%M",
            (SECOND.., _) => "%H:%M:%S",
            _ => "%H:%M:%S%.3f",
        };
        let start = self.first.0.div_euclid(step).saturating_add(i64::from(self.first.0.rem_euclid(step) != 0));
        (start..)
            .map(|index| Moment(index.saturating_mul(step)))
            .take_while(|moment| *moment <= self.last)
            .take(usize::try_from(pieces).unwrap_or_default() + 1)
            .map(|moment| (moment, moment.format(format)))
            .collect()
    }
}

/// A span in equal parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buckets {
    pub(crate) span: Span,
    pub(crate) count: usize,
    step: i64,
}

impl Buckets {
    /// The part a moment falls in. Moments of the span the buckets came from have one.
    pub(crate) fn index(&self, moment: Moment) -> Option<usize> {
        let index = moment.0.checked_sub(self.span.first.0)?.div_euclid(self.step);
        usize::try_from(index).ok().filter(|index| *index < self.count)
    }

    /// The length of a part, in words.
    pub(crate) fn width(&self) -> String {
        let (number, unit) = match self.step {
            DAY.. => (self.step / DAY, "day"),
            HOUR.. => (self.step / HOUR, "hour"),
            MINUTE.. => (self.step / MINUTE, "minute"),
            SECOND.. => (self.step / SECOND, "second"),
            _ => (self.step / MILLISECOND, "millisecond"),
        };
        if number == 1 { format!("one {unit}") } else { format!("{number} {unit}s") }
    }
}

/// How the cells of a page write moments: with the date only when the log spans more than a day.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    cell: &'static str,
    exact: &'static str,
}

impl Clock {
    pub(crate) fn new(span: Option<Span>) -> Self {
        let in_a_day = span.is_none_or(Span::is_in_a_day);
        if in_a_day {
            Self { cell: "%H:%M:%S", exact: "%H:%M:%S%.3f" }
        } else {
            Self { cell: "%Y-%m-%d %H:%M:%S", exact: "%Y-%m-%d %H:%M:%S%.3f" }
        }
    }

    /// The moment to the second, or a dash for a record that has no readable time.
    pub(crate) fn cell(self, moment: Option<Moment>) -> Html {
        written(moment, self.cell)
    }

    /// The moment to the millisecond, or a dash.
    pub(crate) fn exact(self, moment: Option<Moment>) -> Html {
        written(moment, self.exact)
    }
}

fn written(moment: Option<Moment>, format: &str) -> Html {
    Html::of(&moment.map_or_else(|| "—".to_owned(), |moment| moment.format(format)))
}

/// A count of milliseconds for people: `12 ms`, `3.4 s`, `2 min 5 s`, `1 h 2 min`.
pub(crate) fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match milliseconds {
        0..1000 => format!("{milliseconds} ms"),
        1000..60_000 => format!("{seconds}.{} s", milliseconds % 1000 / 100),
        60_000..3_600_000 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(first: &str, last: &str) -> Span {
        Span::at(Moment::parse(first).unwrap()).with(Moment::parse(last).unwrap())
    }

    fn labels(first: &str, last: &str) -> Vec<String> {
        span(first, last).ticks(6).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(
            labels("2026-03-01T00:10:00Z", "2026-03-01T21:00:00Z"),
            ["06:00", "12:00", "18:00"].map(str::to_owned)
        );
        assert_eq!(labels("2026-03-01T23:59:50.5Z", "2026-03-02T00:00:00.1Z").first().unwrap(), "23:59:52");
        assert_eq!(labels("2026-03-01T10:00:00.000001Z", "2026-03-01T10:00:00.004Z").len(), 4);
    }

    #[test]
    fn no_span_is_too_short_or_too_long() {
        assert_eq!(labels("2026-03-01T10:00:00Z", "2026-03-01T10:00:00Z").len(), 1);
        for (first, last) in
            [("-009999-01-03T00:00:00Z", "9999-12-01T00:00:00Z"), ("1970-01-01T00:00:00Z", "2026-01-01T00:00:00Z")]
        {
            let span = span(first, last);
            assert!(span.ticks(6).len() <= 7);
            let buckets = span.buckets(60);
            assert!(buckets.count <= 62);
            assert!(buckets.index(span.first()).is_some() && buckets.index(span.last()).is_some());
        }
    }

    #[test]
    fn durations_are_short() {
        let written = [0, 999, 1999, 61_000, 3_660_000].map(duration);
        assert_eq!(written, ["0 ms", "999 ms", "1.9 s", "1 min 1 s", "1 h 1 min"].map(str::to_owned));
    }
}
