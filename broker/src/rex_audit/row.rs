//! One record for people: what it says, in columns.

use crate::filter::{entity, short_action};
use crate::text::Style;
use rex_broker::audit::Record;

/// What a record says, behind its time, run and user.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The decision, the outcome, or what became of it.
    pub(crate) word: String,
    /// How that stands out.
    pub(crate) style: Style,
    /// What was done, or what it is about.
    pub(crate) what: String,
    /// On what, or more about it.
    pub(crate) on: String,
    /// What goes with it.
    pub(crate) aside: String,
}

impl Row {
    /// Of a record. Whether its operation was done is unknown where `is_unknown`.
    pub(crate) fn of(record: &Record, is_unknown: bool) -> Self {
        match record.kind() {
            "decision" => decision(record, is_unknown),
            "outcome" => row(record.text("result"), record.text("operation"), record.text("error").to_owned()),
            "run-start" => row("start", "run", beginning(record)),
            "run-end" => row(record.text("result"), "run", ending(record)),
            "run-refused" => row(record.text("result"), "run", refusal(record)),
            "violation" => row("violation", "run", record.text("message").to_owned()),
            "broker-start" => row("start", "broker", policies(record)),
            "broker-stop" => row("stop", "broker", String::new()),
            "policy-load" if record.text("message").is_empty() => {
                row(record.text("result"), "policies", policies(record))
            }
            "policy-load" => row(record.text("result"), "policies", record.text("message").to_owned()),
            "asked" => {
                let what =
                    format!("{} {} asks for: {}", record.text("user"), record.number("uid"), record.text("what"));
                row(record.text("result"), "policies", what)
            }
            "recovered" | "rotated" | "retired" | "gap" => row(record.kind(), "log", record.text("message").to_owned()),
            other => row(other, "", record.text("message").to_owned()),
        }
    }
}

fn row(word: &str, what: &str, on: String) -> Row {
    let style = match word {
        "denied" | "violation" | "refused" | "gap" => Style::Bad,
        "failed" | "gone" | "recovered" => Style::Doubtful,
        _ => Style::Common,
    };
    Row { word: word.to_owned(), style, what: what.to_owned(), on, aside: String::new() }
}

fn decision(record: &Record, is_unknown: bool) -> Row {
    let (word, style) = match record.text("decision") {
        "allow" if is_unknown => ("unknown", Style::Doubtful),
        "allow" => ("allow", Style::Common),
        // Whatever is not plainly an allow is none.
        other => (other, Style::Bad),
    };
    let policies = record.texts("policies").join(", ");
    Row {
        word: word.to_owned(),
        style,
        what: short_action(record.text("action")),
        on: short_resource(record.text("resource")),
        aside: if policies.is_empty() { "no policy".into() } else { policies },
    }
}

/// A resource without its namespace, which is the action's: `File::"/srv/a"`.
fn short_resource(resource: &str) -> String {
    let (kind, _) = entity(resource);
    let namespace = kind.rsplit_once("::").map_or(0, |(namespace, _)| namespace.len() + 2);
    resource.get(namespace..).unwrap_or(resource).to_owned()
}

fn beginning(record: &Record) -> String {
    let mut told = format!("uid {}, process {}", record.number("uid"), record.number("pid"));
    for (name, field) in
        [("by", "parent"), ("on", "tty"), ("via", "via"), ("with", "ssh_key"), ("signed by", "signed_by")]
    {
        told += &list_item(name, record.text(field));
    }
    told += &list_item("script", record.text("script").get(..12).unwrap_or_default());
    told + &list_item("reason:", record.text("reason"))
}

fn ending(record: &Record) -> String {
    let milliseconds = record.number("milliseconds");
    let class = record.text("class");
    let mut told = if class.is_empty() { String::new() } else { format!("{class}, ") };
    told += &format!("{}.{:03} s", milliseconds / 1000, milliseconds % 1000);
    for (field, one, many) in [
        ("operations", "operation", "operations"),
        ("denied", "denied", "denied"),
        ("bytes_read", "byte read", "bytes read"),
        ("bytes_written", "byte written", "bytes written"),
        ("deleted", "deleted", "deleted"),
    ] {
        let count = record.number(field);
        if count > 0 {
            told += &format!(", {}", counted(count, one, many));
        }
    }
    told
}

fn refusal(record: &Record) -> String {
    format!("{}: {}; {}", record.text("class"), record.text("message"), beginning(record))
}

fn policies(record: &Record) -> String {
    counted(record.number("policies"), "policy", "policies")
}

fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn list_item(name: &str, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(", {name} {text}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(fields: serde_json::Value) -> Row {
        Row::of(&Record::parse(&fields.to_string()).unwrap(), false)
    }

    #[test]
    fn a_decision_is_told_in_short() {
        let fields = json!({"kind": "decision", "decision": "deny", "action": "file_system::Action::\"read\"",
            "resource": "file_system::File::\"/srv/a::b\"", "policies": ["one", "two"]});
        let row = of(fields.clone());
        assert_eq!((row.word.as_str(), row.style, row.what.as_str()), ("deny", Style::Bad, "file_system read"));
        assert_eq!((row.on.as_str(), row.aside.as_str()), ("File::\"/srv/a::b\"", "one, two"));
        // It was not allowed, so nothing is unknown of it.
        assert_eq!(Row::of(&Record::parse(&fields.to_string()).unwrap(), true).word, "deny");
        assert_eq!(of(json!({"kind": "decision", "decision": ""})).style, Style::Bad);
    }

    #[test]
    fn records_of_every_kind_say_something() {
        for (fields, word, what, on) in [
            (
                json!({"kind": "outcome", "result": "failed", "operation": "fs.open", "error": "ENOENT"}),
                "failed",
                "fs.open",
                "ENOENT",
            ),
            (
                json!({"kind": "run-start", "uid": 7, "pid": 8, "via": "socket", "reason": "r"}),
                "start",
                "run",
                "uid 7, process 8, via socket, reason: r",
            ),
            (
                json!({"kind": "run-end", "result": "gone", "milliseconds": 1002, "operations": 3, "denied": 1}),
                "gone",
                "run",
                "1.002 s, 3 operations, 1 denied",
            ),
            (
                json!({"kind": "run-refused", "result": "refused", "class": "signature", "message": "m", "uid": 7, "pid": 8}),
                "refused",
                "run",
                "signature: m; uid 7, process 8",
            ),
            (json!({"kind": "violation", "message": "m"}), "violation", "run", "m"),
            (json!({"kind": "broker-start", "policies": 1}), "start", "broker", "1 policy"),
            (json!({"kind": "policy-load", "result": "refused", "message": "m"}), "refused", "policies", "m"),
            (json!({"kind": "policy-load", "result": "loaded", "policies": 2}), "loaded", "policies", "2 policies"),
            (json!({"kind": "gap", "message": "m"}), "gap", "log", "m"),
            (json!({"kind": "of-the-future", "message": "m"}), "of-the-future", "", "m"),
        ] {
            let row = of(fields);
            assert_eq!((row.word.as_str(), row.what.as_str(), row.on.as_str()), (word, what, on));
        }
    }
}
