//! The daemon's status as OpenMetrics (the text format, version 1.0.0).
//!
//! Whatever stands in it is a number or a word of our own, but for the digest of the policies: nothing needs escaping.

use rex_protocol::status::Status;
use std::fmt::{Display, Write};
use std::ops::Deref;

/// What HTTP calls it.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The whole text.
pub(super) fn text(status: &Status) -> String {
    let mut out = Exposition(String::with_capacity(4096));
    let Status { policies, counters, .. } = status;
    out.family("rex_broker", "info", "The broker.");
    out.sample("rex_broker_info", &[("version", &status.version)], 1);
    out.gauge("rex_start_time_seconds", "When the broker was started, in seconds since 1970.", status.started);
    out.gauge("rex_sessions", "Sessions that have a client, also before their runs begin.", status.sessions);
    out.gauge("rex_sessions_limit", "The most sessions that may have a client.", status.most_sessions);
    out.gauge("rex_ready_sessions", "Sessions that are ready for a client.", status.ready);
    out.gauge("rex_ready_sessions_target", "How many sessions should be ready.", status.ready_target);
    out.gauge("rex_barred_users", "Users whose runs are refused for a while.", status.barred.len());
    out.counter("rex_runs", "Runs that have ended, by how.", "end", &counters.ended);
    out.counter("rex_refusals", "Clients that were refused, by why.", "reason", &counters.refused);
    let decisions = [("allow", counters.allowed), ("deny", counters.denied)];
    out.counter("rex_decisions", "Decisions of runs that have ended, by what they were.", "decision", &decisions);
    out.total("rex_operations", "Operations of runs that have ended.", counters.operations);
    out.family("rex_policies", "info", "The policies in force.");
    out.sample("rex_policies_info", &[("revision", &policies.revision)], 1);
    out.gauge("rex_policies_count", "How many policies are in force.", policies.count);
    out.gauge(
        "rex_policies_loaded_timestamp_seconds",
        "When they were loaded, in seconds since 1970.",
        policies.loaded,
    );
    let reloads = [("loaded", counters.reloads), ("refused", counters.reload_faults)];
    out.counter("rex_reloads", "Times that policies were to be loaded anew.", "result", &reloads);
    if let Some(audit) = &status.audit {
        out.gauge("rex_audit_sequence", "The number of the last record of the audit log.", audit.seq);
    }
    out.0.push_str("# EOF\n");
    out.0
}

struct Exposition(String);

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // A `String` takes everything.
        let _ = write!(self.0, "# TYPE {name} {kind}\n# HELP {name} {help}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.sample(name, &[], value);
    }

    fn total(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", help);
        self.sample(&format!("{name}_total"), &[], value);
    }

    fn counter(&mut self, name: &str, help: &str, label: &str, values: &[(impl Deref<Target = str>, u64)]) {
        self.family(name, "counter", help);
        for (word, value) in values {
            self.sample(&format!("{name}_total"), &[(label, word)], value);
        }
    }
}
