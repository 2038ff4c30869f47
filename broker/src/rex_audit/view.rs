//! How records are put out: lines for people, or JSON.

use crate::filter::Users;
use crate::options::Format;
use crate::row::Row;
use crate::text::{Line, Style};
use crate::unknown::Unknown;
use jiff::tz::TimeZone;
use rex_broker::audit::Record;
use std::io::{self, IsTerminal};

/// How many characters of a run's id tell it apart.
const RUN: usize = 8;

/// Puts records into lines. It has to see all of them in their order.
pub(crate) struct View {
    format: Format,
    columns: Option<usize>,
    has_colours: bool,
    zone: TimeZone,
    users: Users,
    unknown: Unknown,
}

impl View {
    /// For standard output, in the format that was asked for, or the one that goes with it.
    pub(crate) fn for_stdout(format: Option<Format>, unknown: Unknown) -> Self {
        let stdout = io::stdout();
        let is_terminal = stdout.is_terminal();
        let columns = terminal_size::terminal_size_of(stdout).map(|(width, _)| usize::from(width.0));
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self {
            format: usual(format, is_terminal),
            // One that does not tell how wide it is shows everything.
            columns: columns.filter(|columns| is_terminal && *columns > 0),
            has_colours: is_terminal && !is_set("NO_COLOR") && !is_dumb,
            zone: TimeZone::system(),
            users: Users::default(),
            unknown,
        }
    }

    /// Takes notice of a record that is not put out.
    pub(crate) fn pass(&mut self, record: &Record) {
        self.users.of(record);
    }

    /// The line of a record, without its end.
    pub(crate) fn line(&mut self, record: &Record) -> String {
        let user = self.users.of(record);
        match self.format {
            Format::Json => record.to_json().into_owned(),
            Format::Human => self.human(record, &user),
        }
    }

    fn human(&self, record: &Record, user: &str) -> String {
        let at =
            record.at().map(|at| at.to_zoned_datetime(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string());
        let run: String = record.run().chars().take(RUN).collect();
        let row = Row::of(record, self.unknown.holds(record));
        let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        let mut line = Line::new(self.columns, self.has_colours);
        line.column(Style::Aside, &at.unwrap_or_default(), 19);
        line.column(Style::Aside, &or_dash(&run), RUN);
        line.column(Style::Common, &or_dash(user), 8);
        line.column(row.style, &or_dash(&row.word), 9);
        line.column(Style::Common, &or_dash(&row.what), 25);
        line.column(Style::Common, &row.on, 0);
        line.add(Style::Aside, &row.aside);
        line.finish()
    }
}

/// The format that was asked for, or that goes with where it is shown.
pub(crate) fn usual(format: Option<Format>, is_terminal: bool) -> Format {
    format.unwrap_or(if is_terminal { Format::Human } else { Format::Json })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rex_broker::audit::is_plain;

    fn view(columns: Option<usize>, has_colours: bool) -> View {
        View {
            format: Format::Human,
            columns,
            has_colours,
            zone: TimeZone::fixed(jiff::tz::offset(1)),
            users: Users::default(),
            unknown: Unknown::default(),
        }
    }

    fn decision(user: &str) -> Record {
        let fields = serde_json::json!({"at": "2026-11-25T09:30:00.123456Z", "kind": "decision", "run": "0123456789abcdef",
            "user": user, "decision": "deny", "action": "file_system::Action::\"read\"",
            "resource": "file_system::File::\"/srv/a\"", "policies": ["no-secrets"]});
        Record::parse(&fields.to_string()).unwrap()
    }

    #[test]
    fn a_decision_fills_its_columns() {
        let expected = "2026-11-25 10:30:00  01234567  ada       deny       file_system read           File::\"/srv/a\"  no-secrets";
        assert_eq!(view(None, false).line(&decision("ada")), expected);
        assert_eq!(view(Some(60), false).line(&decision("ada")), format!("{}…", &expected[..59]));
        assert!(view(None, true).line(&decision("ada")).contains("\u{1b}[1;31mdeny\u{1b}[0m"));
    }

    #[test]
    fn hostile_words_come_out_harmless_in_every_field() {
        let hostile = "\u{1b}]0;x\u{7}\n\u{202e}\u{9b}2J\u{2066}";
        for kind in ["decision", "outcome", "run-start", "run-end", "violation", "policy-load", "gap", hostile] {
            let mut fields = serde_json::Map::new();
            for field in [
                "run",
                "user",
                "decision",
                "action",
                "resource",
                "result",
                "operation",
                "error",
                "message",
                "class",
                "parent",
                "tty",
                "via",
                "signed_by",
                "ssh_key",
                "script",
                "reason",
                "at",
            ] {
                fields.insert(field.into(), hostile.into());
            }
            fields.insert("policies".into(), vec![hostile].into());
            fields.insert("kind".into(), kind.into());
            let record = Record::parse(&serde_json::Value::from(fields).to_string()).unwrap();
            let line = view(None, false).line(&record);
            assert!(line.chars().all(is_plain), "{line}");
            assert!(line.contains("\\u{202e}"), "{line}");
        }
    }
}
