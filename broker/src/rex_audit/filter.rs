//! Which records are meant.

use crate::options::Filters;
use jiff::Timestamp;
use regex::Regex;
use rex_broker::audit::Record;
use std::collections::HashMap;
use std::convert::Infallible;
use std::str::FromStr;

/// Takes the records that are meant out of all, which it has to see in their order.
#[derive(Debug)]
pub(crate) struct Filter {
    wanted: Filters,
    users: Users,
}

impl Filter {
    /// Of what is wanted.
    pub(crate) fn new(wanted: &Filters) -> Self {
        Self { wanted: wanted.clone(), users: Users::default() }
    }

    /// Whether a record is meant.
    pub(crate) fn takes(&mut self, record: &Record) -> bool {
        let user = self.users.of(record);
        let wanted = &self.wanted;
        let is = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|wanted| wanted == is);
        wanted.run.as_ref().is_none_or(|prefix| record.run().starts_with(prefix))
            && is(&wanted.user, &user)
            && is(&wanted.kind, record.kind())
            && wanted.decision.is_none_or(|verdict| record.text("decision") == verdict.name())
            && wanted.action.as_ref().is_none_or(|action| is_action(record.text("action"), action))
            && wanted.resource.as_ref().is_none_or(|pattern| pattern.fits(record.text("resource")))
            && self.is_in_time(record.at())
    }

    fn is_in_time(&self, at: Option<Timestamp>) -> bool {
        let Filters { since, until, .. } = &self.wanted;
        since.is_none_or(|since| at.is_some_and(|at| at >= since))
            && until.is_none_or(|until| at.is_some_and(|at| at <= until))
    }
}

/// Whose runs they are: not every record says so itself.
#[derive(Debug, Default)]
pub(crate) struct Users {
    /// By run, of those that have not ended.
    known: HashMap<String, String>,
}

impl Users {
    /// The user that a record is about, from it or from one before; empty where nothing says so.
    pub(crate) fn of(&mut self, record: &Record) -> String {
        let (run, own) = (record.run(), record.text("user"));
        let known = || self.known.get(run).map(String::as_str).unwrap_or_default();
        let user = if own.is_empty() { known() } else { own }.to_owned();
        if record.kind() == "run-end" {
            self.known.remove(run);
        } else if !run.is_empty() && !own.is_empty() && !self.known.contains_key(run) {
            self.known.insert(run.to_owned(), user.clone());
        }
        user
    }
}

/// What a resource has to be like.
#[derive(Debug, Clone)]
pub(crate) enum Pattern {
    /// It contains this.
    Part(String),
    /// All of it, or of its id, is like this.
    Like(Regex),
}

impl Pattern {
    fn fits(&self, resource: &str) -> bool {
        match self {
            _ if resource.is_empty() => false,
            Self::Part(part) => resource.contains(part),
            Self::Like(regex) => regex.is_match(resource) || regex.is_match(entity(resource).1),
        }
    }
}

/// A text with `*`, which stands for anything, is about the whole of a resource.
impl FromStr for Pattern {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let parts: Vec<String> = text.split('*').map(regex::escape).collect();
        let regex = if parts.len() > 1 { Regex::new(&format!("(?s)^{}$", parts.join(".*"))).ok() } else { None };
        Ok(regex.map_or_else(|| Self::Part(text.to_owned()), Self::Like))
    }
}

/// An entity's type and id, as in `file_system::Action::"read"`. A text that is none is all id.
pub(crate) fn entity(text: &str) -> (&str, &str) {
    let inner = text.strip_suffix('"').and_then(|text| text.split_once("::\""));
    inner.unwrap_or(("", text))
}

/// An action for people: `file_system read`.
pub(crate) fn short_action(action: &str) -> String {
    let (kind, id) = entity(action);
    match kind.strip_suffix("Action").map(|namespace| namespace.trim_end_matches("::")) {
        Some("") | None => id.to_owned(),
        Some(namespace) => format!("{namespace} {id}"),
    }
}

fn is_action(action: &str, wanted: &str) -> bool {
    !action.is_empty() && (action == wanted || entity(action).1 == wanted || short_action(action) == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Verdict;
    use serde_json::json;

    fn record(fields: serde_json::Value) -> Record {
        Record::parse(&fields.to_string()).unwrap()
    }

    fn decision(run: &str, at: &str, resource: &str) -> Record {
        record(
            json!({"at": at, "kind": "decision", "run": run, "user": "ada", "decision": "deny", "resource": resource,
            "action": "file_system::Action::\"read\""}),
        )
    }

    fn takes(wanted: Filters, record: &Record) -> bool {
        Filter::new(&wanted).takes(record)
    }

    #[test]
    fn all_that_is_wanted_must_hold() {
        let record = decision("0123456789abcdef", "2026-11-25T10:00:00Z", "file_system::File::\"/srv/a\"");
        let all = || Filters::default();
        let text = |text: &str| Some(text.to_owned());
        let at = |text: &str| Some(text.parse().unwrap());
        assert!(takes(all(), &record));
        assert!(takes(Filters { run: text("0123"), user: text("ada"), ..all() }, &record));
        assert!(!takes(Filters { run: text("0123"), user: text("bob"), ..all() }, &record));
        assert!(!takes(Filters { run: text("1234"), ..all() }, &record));
        assert!(takes(Filters { decision: Some(Verdict::Deny), kind: text("decision"), ..all() }, &record));
        assert!(!takes(Filters { decision: Some(Verdict::Allow), ..all() }, &record));
        assert!(!takes(Filters { kind: text("outcome"), ..all() }, &record));
        for action in ["read", "file_system read", "file_system::Action::\"read\""] {
            assert!(takes(Filters { action: text(action), ..all() }, &record), "{action}");
        }
        assert!(!takes(Filters { action: text("rea"), ..all() }, &record));
        assert!(takes(
            Filters { since: at("2026-11-25T10:00:00Z"), until: at("2026-11-25T10:00:00Z"), ..all() },
            &record
        ));
        assert!(!takes(Filters { since: at("2026-11-25T10:00:01Z"), ..all() }, &record));
        assert!(!takes(Filters { until: at("2026-11-25T09:59:59Z"), ..all() }, &record));
    }

    #[test]
    fn resources_are_found_by_a_part_or_as_a_whole() {
        let fits = |pattern: &str, resource: &str| pattern.parse::<Pattern>().unwrap().fits(resource);
        let file = "file_system::File::\"/srv/a.txt\"";
        for pattern in ["/srv", "File", "/srv/*", "*.txt", "file_system::*", "/*/a.*t", "*"] {
            assert!(fits(pattern, file), "{pattern}");
        }
        for pattern in ["/etc", "srv/*", "*.tx", "/srv/aXtxt*", "/srv/a.txt?"] {
            assert!(!fits(pattern, file), "{pattern}");
        }
        assert!(!fits("*", "") && !fits("", ""), "a record without a resource");
    }

    #[test]
    fn a_record_that_names_no_user_is_its_runs() {
        let mut users = Users::default();
        let of = |fields| record(fields);
        assert_eq!(users.of(&of(json!({"kind": "run-start", "run": "r", "user": "ada"}))), "ada");
        assert_eq!(users.of(&of(json!({"kind": "outcome", "run": "r"}))), "ada");
        assert_eq!(users.of(&of(json!({"kind": "outcome", "run": "s"}))), "");
        assert_eq!(users.of(&of(json!({"kind": "run-end", "run": "r", "user": "ada"}))), "ada");
        assert!(users.known.is_empty());
    }

    #[test]
    fn actions_are_short() {
        assert_eq!(short_action("file_system::Action::\"read\""), "file_system read");
        assert_eq!(short_action("Action::\"read\""), "read");
        assert_eq!(short_action("anything"), "anything");
        assert_eq!(entity("a::b::\"c::\\\"d\""), ("a::b", "c::\\\"d"));
    }
}
