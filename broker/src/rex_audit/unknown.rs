//! Operations of which nobody knows whether they were done.

use rex_broker::audit::Record;
use std::collections::HashMap;

/// Operations that were allowed and of which no outcome is recorded, in runs that have no end.
#[derive(Debug, Default)]
pub(crate) struct Unknown {
    /// By run, the number of the operation: a run has one at a time.
    operations: HashMap<String, u64>,
}

impl Unknown {
    /// Takes in the next record.
    pub(crate) fn take(&mut self, record: &Record) {
        match record.kind() {
            "decision" if record.text("decision") == "allow" => {
                self.operations.insert(record.run().to_owned(), record.number("op"));
            }
            "decision" | "outcome" | "run-start" | "run-end" => drop(self.operations.remove(record.run())),
            _ => {}
        }
    }

    /// Whether it is unknown if the operation of a decision was done.
    pub(crate) fn holds(&self, record: &Record) -> bool {
        record.kind() == "decision" && self.operations.get(record.run()) == Some(&record.number("op"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record(kind: &str, run: &str, op: u64, decision: &str) -> Record {
        Record::parse(&json!({"kind": kind, "run": run, "op": op, "decision": decision}).to_string()).unwrap()
    }

    #[test]
    fn what_has_an_outcome_or_an_end_is_known() {
        let mut unknown = Unknown::default();
        let allowed = |run, op| record("decision", run, op, "allow");
        for record in [
            allowed("open", 1),
            record("outcome", "open", 1, ""),
            allowed("open", 2),
            allowed("open", 2),
            allowed("ended", 1),
            record("run-end", "ended", 0, ""),
            allowed("denied", 1),
            record("decision", "denied", 1, "deny"),
        ] {
            unknown.take(&record);
        }
        assert!(unknown.holds(&allowed("open", 2)));
        for known in [allowed("open", 1), allowed("ended", 1), allowed("denied", 1), record("outcome", "open", 2, "")] {
            assert!(!unknown.holds(&known), "{known:?}");
        }
    }
}
