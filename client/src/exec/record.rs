//! What a run has said so far.

use rex_client::{Alarm, Change, Event, Level, Log, Metric};
use std::collections::VecDeque;

/// How many log messages are kept; of more, the latest.
pub(crate) const LOGS: usize = 1000;
/// The message that stands in for those that went.
pub(crate) const LOGS_LOST: &str =
    "Warning: Log buffer capacity exceeded. Some earlier log entries were removed to fit new logs.";

/// Output, metrics, alarms and log of a run, in the order in which they came. Times are nanoseconds since 1970.
#[derive(Debug, Default)]
pub(crate) struct Record {
    output: Vec<u8>,
    /// One for each name.
    pub(crate) metrics: Vec<(u64, Metric)>,
    pub(crate) alarms: Vec<Alarm>,
    /// What would have been changed.
    pub(crate) changes: Vec<Change>,
    logs: VecDeque<(u64, Log)>,
    logs_lost: bool,
}

impl Record {
    /// Keeps what an event brings.
    pub(crate) fn add(&mut self, event: Event) {
        match event {
            Event::Output(part) => self.output.extend(part),
            Event::Metric(at, metric) => {
                self.metrics.retain(|(_, earlier)| earlier.name != metric.name);
                self.metrics.push((at, metric));
            }
            Event::Alarm(alarm) => self.alarms.push(alarm),
            Event::Change(change) => self.changes.push(change),
            Event::Log(at, log) => {
                self.logs.push_back((at, log));
                if self.logs.len() > LOGS {
                    self.logs.pop_front();
                    self.logs_lost = true;
                }
            }
            Event::Accepted(_) | Event::Warning(_) | Event::Progress { .. } | Event::Outcome(_) => {}
        }
    }

    /// The script's result. It counts only if the run succeeded.
    pub(crate) fn output(&self) -> &[u8] {
        &self.output
    }

    /// The log messages, after a word on those that went.
    pub(crate) fn logs(&self) -> impl Iterator<Item = LogLine<'_>> {
        let lost = self.logs.front().filter(|_| self.logs_lost).map(|(at, _)| LogLine {
            at: *at,
            level: Level::Warn,
            message: LOGS_LOST,
            line: 0,
            function: None,
        });
        lost.into_iter().chain(self.logs.iter().map(|(at, log)| LogLine {
            at: *at,
            level: log.level,
            message: &log.message,
            line: log.line,
            function: log.function.as_deref(),
        }))
    }
}

/// A log message of the run or about it.
pub(crate) struct LogLine<'a> {
    pub(crate) at: u64,
    pub(crate) level: Level,
    pub(crate) message: &'a str,
    pub(crate) line: u32,
    pub(crate) function: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use rex_client::Unit;
    use rex_protocol::text::Text;

    fn log(message: String) -> Event {
        Event::Log(1, Log { level: Level::Info, message: Text::cut(message), line: 3, function: None })
    }

    #[test]
    fn the_latest_thousand_messages_are_kept() {
        let mut record = Record::default();
        (0..1000).for_each(|number| record.add(log(number.to_string())));
        assert_eq!(record.logs().count(), 1000);
        assert_eq!(record.logs().next().unwrap().message, "0");
        (1000..1500).for_each(|number| record.add(log(number.to_string())));
        let messages: Vec<&str> = record.logs().map(|log| log.message).collect();
        assert_eq!(messages.len(), 1001);
        assert_eq!((messages[0], messages[1], messages[1000]), (LOGS_LOST, "500", "1499"));
        let first = record.logs().next().unwrap();
        assert_eq!((first.level, first.line), (Level::Warn, 0));
    }

    #[test]
    fn of_equal_metrics_the_last_counts() {
        let mut record = Record::default();
        for (name, value) in [("a", 1.0), ("b", 2.0), ("a", 3.0)] {
            let metric = Metric { name: Text::cut(name), value, unit: Unit::Count, dimensions: vec![] };
            record.add(Event::Metric(1, metric));
        }
        let values: Vec<f64> = record.metrics.iter().map(|(_, metric)| metric.value).collect();
        assert_eq!(values, [2.0, 3.0]);
    }
}
