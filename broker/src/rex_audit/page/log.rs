//! The records of a log, gathered for a report: what belongs to one run together, and all counted.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::time::{Moment, Span};

/// The text of a member. Nothing for a member that is absent; the JSON of one that is no text.
pub(crate) fn text<'a>(record: &'a Value, name: &str) -> Cow<'a, str> {
    match record.get(name) {
        None | Some(Value::Null) => Cow::Borrowed(""),
        Some(Value::String(text)) => Cow::Borrowed(text),
        Some(other) => Cow::Owned(other.to_string()),
    }
}

/// The number of a member, if it has one that is whole and not negative.
pub(crate) fn number(record: &Value, name: &str) -> Option<u64> {
    record.get(name).and_then(Value::as_u64)
}

/// The texts of a member that is a list.
pub(crate) fn list(record: &Value, name: &str) -> Vec<String> {
    let items = record.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect()
}

/// When a record was written, if that can be read.
pub(crate) fn at(record: &Value) -> Option<Moment> {
    Moment::parse(record.get("at")?.as_str()?)
}

/// Whether a record of kind `decision` allowed. Whatever is not plainly an allow counts as a denial.
pub(crate) fn allows(decision: &Value) -> bool {
    decision.get("decision").and_then(Value::as_str) == Some("allow")
}

/// How often something was allowed and denied.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) allowed: u64,
    pub(crate) denied: u64,
}

impl Tally {
    pub(crate) fn total(self) -> u64 {
        self.allowed + self.denied
    }

    pub(crate) fn add(&mut self, allowed: bool) {
        *(if allowed { &mut self.allowed } else { &mut self.denied }) += 1;
    }
}

/// What a script asked for at one time: the decisions on it, and how it came out.
#[derive(Debug)]
pub(crate) struct Operation<'a> {
    pub(crate) number: Option<u64>,
    pub(crate) decisions: Vec<&'a Value>,
    pub(crate) outcome: Option<&'a Value>,
}

impl Operation<'_> {
    pub(crate) fn is_denied(&self) -> bool {
        self.decisions.iter().any(|decision| !allows(decision))
    }
}

/// One run of a script. A log may lack its start, its end, or both.
#[derive(Debug, Default)]
pub(crate) struct Run<'a> {
    pub(crate) id: Cow<'a, str>,
    pub(crate) start: Option<&'a Value>,
    pub(crate) end: Option<&'a Value>,
    /// From its first record to its last.
    pub(crate) span: Option<Span>,
    /// By their place in the order of their first records.
    pub(crate) operations: BTreeMap<usize, Operation<'a>>,
    pub(crate) tally: Tally,
    /// When it was denied something.
    pub(crate) denied_at: Vec<Moment>,
    pub(crate) violations: Vec<&'a Value>,
    by_number: HashMap<u64, usize>,
}

impl<'a> Run<'a> {
    /// The result its end records, or nothing.
    pub(crate) fn result(&self) -> Cow<'a, str> {
        self.end.map(|end| text(end, "result")).unwrap_or_default()
    }

    pub(crate) fn has_succeeded(&self) -> bool {
        self.result() == "succeeded"
    }

    /// A member of its start; nothing if the start is not in the log.
    pub(crate) fn started_with(&self, name: &str) -> Cow<'a, str> {
        self.start.map(|start| text(start, name)).unwrap_or_default()
    }

    /// Who ran it, by the first record that says so.
    pub(crate) fn user(&self) -> Cow<'a, str> {
        let decision = || self.operations.values().find_map(|operation| operation.decisions.first().copied());
        self.start.or(self.end).or_else(decision).map(|record| text(record, "user")).unwrap_or_default()
    }

    /// Whether an auditor should see it before others, where not all can be shown.
    pub(crate) fn is_notable(&self) -> bool {
        self.tally.denied > 0 || !self.violations.is_empty() || !self.has_succeeded()
    }

    /// The operation a record belongs to. A record without a number has one of its own.
    fn operation(&mut self, record: &Value) -> &mut Operation<'a> {
        let number = number(record, "op");
        let next = self.operations.len();
        let place = number.map_or(next, |number| *self.by_number.entry(number).or_insert(next));
        self.operations.entry(place).or_insert_with(|| Operation { number, decisions: Vec::new(), outcome: None })
    }
}

/// Denials that differ only in time.
#[derive(Debug, Default)]
pub(crate) struct Denial {
    pub(crate) count: u64,
    pub(crate) span: Option<Span>,
}

/// What denials are grouped by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DenialKey<'a> {
    pub(crate) user: Cow<'a, str>,
    pub(crate) action: Cow<'a, str>,
    pub(crate) resource: Cow<'a, str>,
    pub(crate) policies: Vec<String>,
}

/// Everything a report tells, counted.
#[derive(Debug, Default)]
pub(crate) struct Log<'a> {
    pub(crate) span: Option<Span>,
    /// By their place in the order of their first records.
    pub(crate) runs: BTreeMap<usize, Run<'a>>,
    pub(crate) tally: Tally,
    pub(crate) decided_at: Vec<(Moment, bool)>,
    pub(crate) denials: HashMap<DenialKey<'a>, Denial>,
    pub(crate) actions: HashMap<Cow<'a, str>, Tally>,
    pub(crate) resources: HashMap<Cow<'a, str>, Tally>,
    /// By the policies' names. The empty name stands for decisions that no policy determined.
    pub(crate) policies: HashMap<String, Tally>,
    /// Records about the broker and its log, not about a run.
    pub(crate) events: Vec<&'a Value>,
    /// How many records there are of kinds this program does not know.
    pub(crate) unknown: BTreeMap<Cow<'a, str>, u64>,
    /// The latest run of each identifier.
    by_id: HashMap<Cow<'a, str>, usize>,
}

impl<'a> Log<'a> {
    /// Gathers records that are in the order of the log. No record is refused.
    pub(crate) fn of(records: &'a [Value]) -> Self {
        let mut log = Self::default();
        for record in records {
            log.add(record);
        }
        log
    }

    pub(crate) fn operations(&self) -> u64 {
        self.runs.values().map(|run| run.operations.len() as u64).sum()
    }

    pub(crate) fn violations(&self) -> u64 {
        self.runs.values().map(|run| run.violations.len() as u64).sum()
    }

    /// How many events of a kind there are.
    pub(crate) fn events_of(&self, kind: &str) -> u64 {
        self.events.iter().filter(|event| text(event, "kind") == kind).count() as u64
    }

    fn add(&mut self, record: &'a Value) {
        let at = at(record);
        widen(&mut self.span, at);
        match &*text(record, "kind") {
            "run-start" => self.start(record, at),
            "decision" => self.decide(record, at),
            "outcome" => self.run(record, at).operation(record).outcome = Some(record),
            "violation" => self.run(record, at).violations.push(record),
            "run-end" => self.run(record, at).end = Some(record),
            "broker-start" | "broker-stop" | "policy-load" | "run-refused" | "asked" | "recovered" | "rotated"
            | "retired" | "gap" => {
                self.events.push(record);
            }
            _ => *self.unknown.entry(text(record, "kind")).or_default() += 1,
        }
    }

    /// Begins a run, even if one of the same identifier is there: the identifier was used again.
    fn start(&mut self, record: &'a Value, at: Option<Moment>) {
        self.by_id.remove(&text(record, "run"));
        self.run(record, at).start = Some(record);
    }

    fn decide(&mut self, record: &'a Value, at: Option<Moment>) {
        let allowed = allows(record);
        let run = self.run(record, at);
        run.operation(record).decisions.push(record);
        run.tally.add(allowed);
        if !allowed {
            run.denied_at.extend(at);
        }
        self.tally.add(allowed);
        self.decided_at.extend(at.map(|at| (at, allowed)));
        self.actions.entry(text(record, "action")).or_default().add(allowed);
        self.resources.entry(text(record, "resource")).or_default().add(allowed);
        let policies = list(record, "policies");
        self.count_policies(&policies, allowed);
        if !allowed {
            self.deny(record, at, policies);
        }
    }

    fn count_policies(&mut self, policies: &[String], allowed: bool) {
        if policies.is_empty() {
            self.policies.entry(String::new()).or_default().add(allowed);
        }
        for policy in policies {
            self.policies.entry(policy.clone()).or_default().add(allowed);
        }
    }

    fn deny(&mut self, record: &'a Value, at: Option<Moment>, policies: Vec<String>) {
        let (user, action, resource) = (text(record, "user"), text(record, "action"), text(record, "resource"));
        let denial = self.denials.entry(DenialKey { user, action, resource, policies }).or_default();
        denial.count += 1;
        widen(&mut denial.span, at);
    }

    /// The run a record belongs to, begun if the log has not told of it.
    fn run(&mut self, record: &'a Value, at: Option<Moment>) -> &mut Run<'a> {
        let id = text(record, "run");
        let next = self.runs.len();
        let place = *self.by_id.entry(id.clone()).or_insert(next);
        let run = self.runs.entry(place).or_insert_with(|| Run { id, ..Run::default() });
        widen(&mut run.span, at);
        run
    }
}

fn widen(span: &mut Option<Span>, at: Option<Moment>) {
    if let Some(at) = at {
        *span = Some(span.map_or(Span::at(at), |span| span.with(at)));
    }
}
