//! What a dry run would have changed, as JSON and for people.

use rex_client::Change;
use rex_client::change::{Act, CHANGES, Content, Property, Side};
use serde::Serialize;
use similar::{Algorithm, TextDiff};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long is looked for a small diff; after that a larger one will do.
const PATIENCE: Duration = Duration::from_millis(300);
/// How many lines of one diff people are shown.
const LINES: usize = 400;

/// A change. What is not there is absent.
#[derive(Debug, Serialize)]
pub(crate) struct ChangeReport<'a> {
    operation: &'a str,
    act: &'static str,
    object: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    properties: BTreeMap<&'a str, PropertyReport<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<SideReport<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<SideReport<'a>>,
    /// Unified, where both sides are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<String>,
}

#[derive(Debug, Serialize)]
struct PropertyReport<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'a str>,
}

/// What a file holds.
#[derive(Debug, Serialize)]
struct SideReport<'a> {
    /// `none`, `text`, `binary`, `left-out`, `hidden`, `not-known`
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

impl<'a> ChangeReport<'a> {
    /// Of this change.
    pub(crate) fn new(change: &'a Change) -> Self {
        let Change { operation, act, object, properties, content } = change;
        let property = |Property { name, before, after }: &'a Property| {
            (&**name, PropertyReport { before: before.as_deref(), after: after.as_deref() })
        };
        Self {
            operation,
            act: act.name(),
            object,
            properties: properties.iter().map(property).collect(),
            before: content.as_ref().map(|content| SideReport::new(&content.before)),
            after: content.as_ref().map(|content| SideReport::new(&content.after)),
            diff: content.as_ref().and_then(|content| diff(content, file(change))),
        }
    }

    /// In lines for people, the last without an end. What it tells of others' making stays in its line.
    pub(crate) fn lines(&self) -> String {
        let mut text = format!("  {} {}", self.act, one_line(self.object));
        let properties: Vec<String> = self.properties.iter().map(|(name, property)| property.told(name)).collect();
        if !properties.is_empty() {
            text += &format!(" ({})", properties.join(", "));
        }
        match (&self.diff, &self.before, &self.after) {
            (Some(diff), ..) => {
                let lines = diff.lines().count();
                for line in diff.lines().take(LINES) {
                    text += &format!("\n    {line}");
                }
                if lines > LINES {
                    text += &format!("\n    ... and {} lines more", lines - LINES);
                }
            }
            (None, Some(before), Some(after)) => text += &format!("\n    {} -> {}", before.told(), after.told()),
            _ => {}
        }
        text
    }
}

impl PropertyReport<'_> {
    fn told(&self, name: &str) -> String {
        match (self.before, self.after) {
            (Some(before), Some(after)) => format!("{name}: {} -> {}", one_line(before), one_line(after)),
            (Some(only), None) | (None, Some(only)) => format!("{name}: {}", one_line(only)),
            (None, None) => name.to_owned(),
        }
    }
}

impl<'a> SideReport<'a> {
    fn new(side: &'a Side) -> Self {
        let (state, text, bytes) = match side {
            Side::Nothing => ("none", None, None),
            Side::Text(text) => ("text", Some(text.as_str()), Some(text.len() as u64)),
            Side::Binary(bytes) => ("binary", None, Some(*bytes)),
            Side::LeftOut(bytes) => ("left-out", None, Some(*bytes)),
            Side::Hidden => ("hidden", None, None),
            Side::NotKnown => ("not-known", None, None),
        };
        Self { state, text, bytes }
    }

    fn told(&self) -> String {
        match (self.state, self.bytes) {
            ("none", _) => "nothing".to_owned(),
            ("hidden", _) => "content that policy does not let you read".to_owned(),
            ("not-known", _) => "content that is not known".to_owned(),
            ("binary", Some(bytes)) => format!("{bytes} bytes, no text"),
            (_, Some(bytes)) => format!("{bytes} bytes"),
            (state, None) => state.to_owned(),
        }
    }
}

/// A word on all of them: how many, and how many are not listed.
pub(crate) fn summary(count: u64) -> String {
    let told = match count {
        0 => "nothing would be changed".to_owned(),
        1 => "1 change planned, nothing was changed".to_owned(),
        count => format!("{count} changes planned, nothing was changed"),
    };
    match count.checked_sub(CHANGES) {
        Some(more @ 1..) => format!("{told}; the last {more} are not listed"),
        _ => told,
    }
}

/// The file whose content changes.
fn file(change: &Change) -> &str {
    let destination = change.properties.iter().find(|property| &*property.name == "destination");
    match destination.and_then(|property| property.after.as_deref()) {
        Some(destination) if change.act == Act::Move => destination,
        _ => &change.object,
    }
}

fn diff(content: &Content, file: &str) -> Option<String> {
    let text = |side: &'_ Side| match side {
        Side::Nothing => Some(("/dev/null".to_owned(), String::new())),
        Side::Text(text) => Some((one_line(file).into_owned(), text.clone())),
        _ => None,
    };
    let ((old_name, old), (new_name, new)) = (text(&content.before)?, text(&content.after)?);
    let diff = TextDiff::configure().algorithm(Algorithm::Myers).timeout(PATIENCE).diff_lines(&*old, &*new);
    Some(diff.unified_diff().context_radius(3).header(&old_name, &new_name).to_string())
}

/// The text without line ends that would seem to end it.
fn one_line(text: &str) -> Cow<'_, str> {
    if text.contains(['\n', '\r']) {
        Cow::Owned(text.replace('\n', "\\n").replace('\r', "\\r"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rex_client::Text;
    use serde_json::json;

    fn change(act: Act, properties: Vec<Property>, content: Option<Content>) -> Change {
        Change { operation: Text::cut("fs.write"), act, object: Text::cut("/srv/a\nb"), properties, content }
    }

    fn text(text: &str) -> Side {
        Side::Text(text.to_owned())
    }

    #[test]
    fn a_change_of_content_has_both_sides_and_a_diff() {
        let content = Content { before: text("one\ntwo\nthree\n"), after: text("one\n2\nthree\n") };
        let change = change(Act::Write, Vec::new(), Some(content));
        let diff = "--- /srv/a\\nb\n+++ /srv/a\\nb\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n";
        assert_eq!(
            serde_json::to_value(ChangeReport::new(&change)).unwrap(),
            json!({"operation": "fs.write", "act": "write", "object": "/srv/a\nb",
                "before": {"state": "text", "text": "one\ntwo\nthree\n", "bytes": 14},
                "after": {"state": "text", "text": "one\n2\nthree\n", "bytes": 12}, "diff": diff})
        );
        assert_eq!(
            ChangeReport::new(&change).lines(),
            "  write /srv/a\\nb\n    --- /srv/a\\nb\n    +++ /srv/a\\nb\n    @@ -1,3 +1,3 @@\n     one\n    -two\n    +2\n     three"
        );
    }

    #[test]
    fn what_is_not_told_has_no_diff() {
        for (side, state) in [
            (Side::Binary(7), "binary"),
            (Side::LeftOut(7), "left-out"),
            (Side::Hidden, "hidden"),
            (Side::NotKnown, "not-known"),
        ] {
            let change = change(Act::Write, Vec::new(), Some(Content { before: side, after: text("x") }));
            let value = serde_json::to_value(ChangeReport::new(&change)).unwrap();
            assert_eq!((&value["before"]["state"], value.get("diff")), (&json!(state), None));
        }
        let new = change(Act::Create, Vec::new(), Some(Content { before: Side::Nothing, after: text("x\n") }));
        let value = serde_json::to_value(ChangeReport::new(&new)).unwrap();
        assert_eq!(value["diff"], json!("--- /dev/null\n+++ /srv/a\\nb\n@@ -0,0 +1 @@\n+x\n"));
    }

    #[test]
    fn properties_are_told_as_old_and_new() {
        let property = |before: Option<&str>| Property {
            name: Text::cut("mode"),
            before: before.map(Text::cut),
            after: Some(Text::cut("0600")),
        };
        let set = change(Act::Set, vec![property(Some("0644"))], None);
        assert_eq!(ChangeReport::new(&set).lines(), "  set /srv/a\\nb (mode: 0644 -> 0600)");
        let set = change(Act::Set, vec![property(None)], None);
        let value = serde_json::to_value(ChangeReport::new(&set)).unwrap();
        assert_eq!(value["properties"], json!({"mode": {"after": "0600"}}));
    }

    #[test]
    fn a_diff_of_hostile_texts_comes_soon() {
        let lines = |step: usize| (0..20_000).map(|at| format!("{}\n", at * step % 7919)).collect::<String>();
        let content = Content { before: text(&lines(3)), after: text(&lines(5)) };
        assert!(diff(&content, "/x").is_some());
    }

    #[test]
    fn what_is_not_listed_is_counted() {
        assert_eq!(summary(0), "nothing would be changed");
        assert_eq!(summary(1), "1 change planned, nothing was changed");
        assert_eq!(summary(CHANGES + 2), "10002 changes planned, nothing was changed; the last 2 are not listed");
    }
}
