//! What an auditor must not miss: violations, and the events of the broker and of the log itself.

use serde_json::Value;

use super::html::Html;
use super::log::{self, Log, Run};
use super::table::{Column, Table, select};
use super::time::Clock;

/// The most rows of each table.
const ROWS: usize = 300;

/// How many of the digits of a hash tell enough.
pub(crate) const DIGITS: usize = 12;

pub(crate) fn violations(html: &mut Html, log: &Log, clock: Clock) {
    const COLUMNS: &[Column] =
        &[Column::Short("When"), Column::Short("Run"), Column::Code("User"), Column::Text("Violation")];
    html.raw("<section id=\"violations\" aria-labelledby=\"violations-h\"><h2 id=\"violations-h\">Violations</h2>\n");
    if log.violations() == 0 {
        html.raw("<p class=\"none\">No violations.</p>\n</section>\n");
        return;
    }
    let mut table = Table::new("Workers that broke the protocol or their limits", COLUMNS, ROWS);
    for (place, run) in &log.runs {
        for record in &run.violations {
            table.row(|| violation(record, *place, run, clock));
        }
    }
    table.finish(html, "wide");
    html.raw("</section>\n");
}

fn violation(record: &Value, place: usize, run: &Run, clock: Clock) -> [Html; 4] {
    let mut message = Html::new();
    message.raw("<strong class=\"denied\">▲</strong> ").text(&log::text(record, "message"));
    [clock.exact(log::at(record)), Html::of_count(place as u64 + 1), Html::of(&run.user()), message]
}

pub(crate) fn log_events(html: &mut Html, log: &Log, clock: Clock) {
    const COLUMNS: &[Column] = &[Column::Short("When"), Column::Short("Event"), Column::Text("Details")];
    html.raw("<section id=\"events\" aria-labelledby=\"events-h\"><h2 id=\"events-h\">Events of the broker and its log</h2>\n");
    if log.events.is_empty() {
        html.raw("<p class=\"none\">No such events.</p>\n");
    } else {
        let mut table = Table::new("Starts, policy loads, refused runs, rotations, recoveries and gaps", COLUMNS, ROWS);
        let events = select(log.events.clone(), ROWS, |event| is_trouble(event));
        let left_out = log.events.len() - events.len();
        for event in events {
            table.row(|| [clock.cell(log::at(event)), name(event), details(event)]);
        }
        table.leave_out(left_out as u64);
        table.finish(html, "wide");
    }
    unknown(html, log);
    html.raw("</section>\n");
}

/// Whether an event tells that something went wrong.
fn is_trouble(event: &Value) -> bool {
    match &*log::text(event, "kind") {
        "gap" | "recovered" => true,
        "policy-load" => log::text(event, "result") != "loaded",
        _ => false,
    }
}

fn name(event: &Value) -> Html {
    let mut html = Html::new();
    let is_trouble = is_trouble(event);
    html.raw(if is_trouble { "<strong class=\"denied\">▲ " } else { "" });
    match &*log::text(event, "kind") {
        "broker-start" => html.raw("Broker started"),
        "broker-stop" => html.raw("Broker stopped"),
        "policy-load" if is_trouble => html.raw("Policies refused"),
        "policy-load" => html.raw("Policies loaded"),
        "run-refused" => html.raw("Run refused"),
        "asked" => html.raw("Policies asked for"),
        "recovered" => html.raw("Log recovered"),
        "rotated" => html.raw("Log rotated"),
        "retired" => html.raw("Log file retired"),
        "gap" => html.raw("Gap in the log"),
        other => html.text(other),
    };
    html.raw(if is_trouble { "</strong>" } else { "" });
    html
}

/// The members of an event: those that all records have aside, each with its name.
fn details(event: &Value) -> Html {
    let mut html = Html::new();
    html.text(&log::text(event, "message"));
    let members = event.as_object().into_iter().flatten();
    let special = ["seq", "at", "kind", "message", "result", "files", "prev"];
    for (name, _) in members.filter(|(name, _)| !special.contains(&name.as_str())).take(8) {
        html.raw(if html.is_empty() { "" } else { "; " }).text(name).raw(" <code>");
        html.text(&shortened(name, &log::text(event, name))).raw("</code>");
    }
    files(&mut html, event);
    html
}

/// A revision is a hash, of which the first digits do. Other texts stay whole.
fn shortened(name: &str, text: &str) -> String {
    text.chars().take(if name == "revision" { DIGITS } else { usize::MAX }).collect()
}

/// The policy files of an event, each with its digest.
fn files(html: &mut Html, event: &Value) {
    let files = event.get("files").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if files.is_empty() {
        return;
    }
    html.raw("<details><summary>").counted(files.len() as u64, "policy file", "policy files").raw("</summary><ul>");
    for file in files.iter().take(50) {
        let part = |at: usize| file.get(at).and_then(Value::as_str).unwrap_or_default();
        html.raw("<li><code>").text(part(0)).raw("</code> <code class=\"hash\">").text(part(1)).raw("</code></li>");
    }
    html.raw("</ul>");
    let left_out = files.len().saturating_sub(50);
    if left_out > 0 {
        html.counted(left_out as u64, "further file", "further files").raw(" left out.");
    }
    html.raw("</details>");
}

/// Counts the records that this program cannot tell more about.
fn unknown(html: &mut Html, log: &Log) {
    if log.unknown.is_empty() {
        return;
    }
    html.raw("<p class=\"note\">Records of other kinds, not shown:");
    for (place, (kind, count)) in log.unknown.iter().take(20).enumerate() {
        html.raw(if place > 0 { ", " } else { " " }).raw("<code>").text(kind).raw("</code> (").count(*count).raw(")");
    }
    let left_out = log.unknown.len().saturating_sub(20);
    if left_out > 0 {
        html.raw(", and ").counted(left_out as u64, "further kind", "further kinds");
    }
    html.raw(".</p>\n");
}
