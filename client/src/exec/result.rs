//! The result of a run, in the form that its JSON has.

use super::changes::ChangeReport;
use super::exit::Exit;
use super::record::{LogLine, Record};
use jiff::Timestamp;
use rex_client::{EndClass, Ending, Error, Metric, Outcome, Unit};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

/// How a run ended, or why there was none.
#[derive(Debug)]
pub(crate) enum End {
    /// It has an outcome.
    Outcome(Outcome),
    /// A file of script or arguments cannot be used.
    Input(String),
    /// The policy's file cannot be used.
    PolicyFile(String),
    /// It could not be submitted or followed.
    Broker(Error),
}

/// The result. Fields in this order; what is not there is absent.
#[derive(Debug, Serialize)]
pub(crate) struct Report<'a> {
    output: Cow<'a, str>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorReport>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alarms: Vec<AlarmReport<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<MetricReport<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logs: Option<Vec<LogReport<'a>>>,
    /// Whether anything was changed, or in a dry run would have been. A program that was run counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<bool>,
    /// How many operations have changed something; in a dry run, how many changes there would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    change_count: Option<u64>,
    /// Of a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<ChangeReport<'a>>>,
}

#[derive(Debug, Serialize)]
struct ErrorReport {
    error_type: &'static str,
    message: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct AlarmReport<'a> {
    pub(crate) alarm_type: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) alarm_details: Option<Cow<'a, str>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct MetricReport<'a> {
    pub(crate) metric_name: Cow<'a, str>,
    pub(crate) metric_value: f64,
    metric_unit: &'static str,
    metric_dimension: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    metric_timestamp: String,
}

#[derive(Debug, Serialize)]
struct LogReport<'a> {
    attributes: LogAttributes<'a>,
}

#[derive(Debug, Serialize)]
struct LogAttributes<'a> {
    timestamp: String,
    level: &'static str,
    message: &'a str,
    line_number: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rhai_api_name: Option<&'a str>,
}

/// The longest error message in JSON, in characters; a longer one loses its end to [`CUT`].
const MESSAGE: usize = 1024;
const CUT: &str = "...";

impl End {
    /// The exit code that goes with it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            End::Outcome(outcome) => Exit::of_ending(&outcome.ending),
            End::Input(_) => Exit::Unusable,
            End::PolicyFile(_) => Exit::Policy,
            End::Broker(error) => Exit::of_error(error),
        }
    }

    /// What went wrong, for people.
    pub(crate) fn told(&self) -> Option<String> {
        match self {
            End::Outcome(Outcome { ending: Ending::Failed { class: EndClass::Policy, message }, .. }) => {
                Some(format!("the policy cannot be used: {message}"))
            }
            _ => self.message(),
        }
    }

    /// What went wrong, whole, as programs expect it.
    pub(crate) fn message(&self) -> Option<String> {
        match self {
            End::Outcome(Outcome { ending: Ending::Succeeded, .. }) => None,
            End::Outcome(Outcome { ending: Ending::Failed { class: EndClass::Policy, message }, .. }) => Some(format!(
                "Failed to create Rhai engine: Failed to parse Cedar policy - check syntax and structure: {message}"
            )),
            End::Outcome(Outcome { ending: Ending::Failed { message, .. }, .. }) => Some(message.to_string()),
            End::Input(message) | End::PolicyFile(message) => Some(format!("Failed to load input files: {message}")),
            End::Broker(error) => Some(error.to_string()),
        }
    }

    /// The kind of what went wrong, as JSON tells it, and as metrics and alarms do.
    fn fault(&self) -> Option<(&'static str, Fault)> {
        let class = match self {
            End::Outcome(Outcome { ending: Ending::Succeeded, .. }) => return None,
            End::Outcome(Outcome { ending: Ending::Failed { class, .. }, .. }) => class,
            End::Broker(Error::TimeLimit(_)) => return Some(("SCRIPT_EXCEPTION", Fault::Script)),
            End::Input(_) | End::PolicyFile(_) | End::Broker(_) => {
                return Some(("COMMUNICATION_EXCEPTION", Fault::Before));
            }
        };
        Some(match class {
            EndClass::Policy => ("INTERNAL_EXCEPTION", Fault::Before),
            EndClass::Arguments => ("VALIDATION_EXCEPTION", Fault::Arguments),
            EndClass::Denied | EndClass::AccessRefused => ("ACCESS_DENIED_EXCEPTION", Fault::Denied),
            EndClass::Compile => ("SCRIPT_EXCEPTION", Fault::Compile),
            EndClass::ReservedMetric | EndClass::ReservedAlarm => ("SCRIPT_EXCEPTION", Fault::Reserved),
            EndClass::Script
            | EndClass::Limit(_)
            | EndClass::Terminated
            | EndClass::Cancelled
            | EndClass::WorkerDied
            | EndClass::Violation
            | EndClass::ClientViolation
            | EndClass::Unrecorded
            | EndClass::Signature
            | EndClass::Internal => ("SCRIPT_EXCEPTION", Fault::Script),
        })
    }
}

/// What went wrong, as far as metrics, alarms and logs are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Before there was anything to run.
    Before,
    Arguments,
    Compile,
    Script,
    Denied,
    Reserved,
}

impl<'a> Report<'a> {
    /// The result of a run that ended so and said this. `measured` tells whether the run's use of the machine belongs
    /// into it; `elapsed` is the time it took where no outcome tells that.
    pub(crate) fn new(end: &End, record: &'a Record, dry_run: bool, measured: bool, elapsed: Duration) -> Self {
        let fault = end.fault();
        let kind = fault.map(|(_, kind)| kind);
        let output = match kind {
            None => String::from_utf8_lossy(record.output()),
            Some(_) => Cow::Borrowed(""),
        };
        let message = end.message().unwrap_or_default();
        let mut metrics: Vec<_> = record
            .metrics
            .iter()
            .filter(|(_, metric)| !is_reserved(&metric.name))
            .map(|(at, metric)| MetricReport::of_script(*at, metric))
            .collect();
        metrics.extend(own_metrics(end, kind, measured, elapsed));
        let kept = record.alarms.iter().filter(|alarm| !is_reserved(&alarm.kind));
        let mut alarms: Vec<_> = kept
            .map(|alarm| AlarmReport {
                alarm_type: Cow::Borrowed(&*alarm.kind),
                alarm_details: alarm.details.as_deref().map(Cow::Borrowed),
            })
            .collect();
        alarms.extend(own_alarms(kind, &message));
        let count = match end {
            End::Outcome(outcome) => Some(outcome.usage.changes),
            _ => None,
        };
        let has_logs = !matches!(kind, Some(Fault::Before | Fault::Arguments | Fault::Reserved));
        Self {
            output,
            status: if fault.is_none() { "SUCCESS" } else { "ERROR" },
            error: fault.map(|(error_type, _)| ErrorReport { error_type, message: cut(&message) }),
            alarms,
            metrics,
            logs: has_logs.then(|| record.logs().map(LogReport::new).collect()),
            changed: count.map(|count| count > 0),
            change_count: count,
            changes: dry_run.then(|| record.changes.iter().map(ChangeReport::new).collect()),
        }
    }

    /// The alarms, the script's before ours.
    pub(crate) fn alarms(&self) -> &[AlarmReport<'a>] {
        &self.alarms
    }

    /// What would have been changed, and how much that is in all; nothing but in a dry run that has an outcome.
    pub(crate) fn changes(&self) -> Option<(u64, &[ChangeReport<'a>])> {
        self.change_count.zip(self.changes.as_deref())
    }

    /// The metrics, the script's before ours.
    pub(crate) fn metrics(&self) -> &[MetricReport<'a>] {
        &self.metrics
    }
}

impl<'a> MetricReport<'a> {
    fn of_script(at: u64, metric: &'a Metric) -> Self {
        let unit = match metric.unit {
            Unit::Undefined => "UNDEFINED",
            Unit::Count => "COUNT",
            Unit::Time => "TIME",
            Unit::Megabytes => "MEGABYTES",
            Unit::Percent => "PERCENT",
        };
        let dimensions = metric.dimensions.iter().map(|(key, value)| (Cow::Borrowed(&**key), Cow::Borrowed(&**value)));
        Self {
            metric_name: Cow::Borrowed(&*metric.name),
            metric_value: metric.value,
            metric_unit: unit,
            metric_dimension: dimensions.collect(),
            metric_timestamp: format!("{:.9}", timestamp(at)),
        }
    }
}

impl<'a> LogReport<'a> {
    fn new(log: LogLine<'a>) -> Self {
        let timestamp = format!("{:.9}", timestamp(log.at)).replace('T', " ").replace('Z', " UTC");
        Self {
            attributes: LogAttributes {
                timestamp,
                level: log.level.name(),
                message: log.message,
                line_number: log.line.to_string(),
                rhai_api_name: log.function,
            },
        }
    }
}

fn own_metrics(end: &End, kind: Option<Fault>, measured: bool, elapsed: Duration) -> Vec<MetricReport<'static>> {
    let usage = match end {
        End::Outcome(outcome) => Some(outcome.usage),
        _ => None,
    };
    let mut metrics = Vec::new();
    let now = format!("{:.9}", Timestamp::now());
    let mut add = |name: &'static str, metric_value: f64, metric_unit, info: &'static str| {
        metrics.push(MetricReport {
            metric_name: Cow::Borrowed(name),
            metric_value,
            metric_unit,
            metric_dimension: [("MetricInfo".into(), info.into())].into(),
            metric_timestamp: now.clone(),
        });
    };
    let counts: &[&str] = match kind {
        None => &[],
        Some(Fault::Before | Fault::Reserved) => &[],
        Some(Fault::Arguments) => &["RexRunnerScriptArgumentValidationFailureCount"],
        Some(Fault::Compile) => &["RexRunnerScriptCompilationFailureCount", "RexRunnerScriptExecutionFailureCount"],
        Some(Fault::Script) => &["RexRunnerScriptExecutionFailureCount"],
        Some(Fault::Denied) => &["RexRunnerPrivilegeEscalationCount"],
    };
    if kind.is_none() {
        add("RexRunnerScriptExecutionSuccessCount", 1.0, "COUNT", "SuccessCount");
    }
    counts.iter().for_each(|name| add(name, 1.0, "COUNT", "FailureCount"));
    if let Some(script) = usage.and_then(|usage| usage.script_ns) {
        add("RexRunnerScriptExecutionTime", script as f64, "TIME", "Duration");
    }
    let total = usage.map_or(elapsed.as_nanos() as f64, |usage| usage.total_ns as f64);
    add("RexRunnerTotalExecutionTime", total, "TIME", "Duration");
    let reached = !matches!(kind, Some(Fault::Before | Fault::Arguments));
    if let Some(usage) = usage.filter(|_| measured && reached) {
        let span = usage.script_ns.unwrap_or(usage.total_ns).max(1) as f64;
        add("RexRunnerProcessCpuUsage", usage.cpu_ns as f64 / span * 100.0, "PERCENT", "ProcessMonitoring");
        for (name, bytes) in [
            ("RexRunnerProcessRssMemoryUsageAverage", usage.resident),
            ("RexRunnerProcessVirtualMemoryUsageAverage", usage.virtual_memory),
        ] {
            if let Some(bytes) = bytes.filter(|_| usage.script_ns.is_some()) {
                add(name, bytes as f64 / (1024.0 * 1024.0), "MEGABYTES", "ProcessMonitoring");
            }
        }
    }
    metrics
}

fn own_alarms(kind: Option<Fault>, message: &str) -> Vec<AlarmReport<'static>> {
    let alarm = |name: &'static str, details: String| AlarmReport {
        alarm_type: name.into(),
        alarm_details: Some(details.into()),
    };
    let failed = || format!("Failed to execute script: {message}");
    match kind {
        None | Some(Fault::Before) => Vec::new(),
        Some(Fault::Arguments) => vec![alarm("RexRunnerScriptArgumentValidationFailure", message.to_owned())],
        Some(Fault::Compile) => vec![
            alarm("RexRunnerScriptCompilationFailure", format!("Failed to compile script: {message}")),
            alarm("RexRunnerScriptExecutionFailure", failed()),
        ],
        Some(Fault::Script) => vec![alarm("RexRunnerScriptExecutionFailure", failed())],
        Some(Fault::Reserved) => vec![alarm("RexRunnerScriptExecutionFailure", message.to_owned())],
        Some(Fault::Denied) => vec![alarm("RexRunnerPrivilegeEscalation", failed())],
    }
}

/// Metrics and alarms of these names are ours; the session fails a run whose script uses one.
fn is_reserved(name: &str) -> bool {
    name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("rex"))
}

fn cut(message: &str) -> String {
    if message.chars().count() <= MESSAGE {
        return message.to_owned();
    }
    let kept: String = message.chars().take(MESSAGE - CUT.len()).collect();
    kept + CUT
}

fn timestamp(nanoseconds: u64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests;
