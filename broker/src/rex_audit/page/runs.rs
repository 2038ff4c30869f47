//! The runs: one table of all, and what each asked for.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::Value;

use super::events::DIGITS;
use super::html::{Html, grouped};
use super::log::{self, Log, Operation, Run};
use super::sections;
use super::table::{Column, Table, select};
use super::time::{self, Clock};

/// The most runs in the table, and the most with their operations.
const ROWS: usize = 500;
const DETAILED: usize = 300;

/// The most operations of a run that is not alone on the page.
const OPERATIONS: usize = 500;

/// About the most operations on a page of many runs, which share them.
const SHARED: usize = 8000;

/// Past this many bytes no more operations are written.
const BYTES: usize = 3_000_000;

/// A run and its place in the log.
type Placed<'l, 'a> = (usize, &'l Run<'a>);

fn placed<'l, 'a>(log: &'l Log<'a>, limit: usize) -> Vec<Placed<'l, 'a>> {
    select(log.runs.iter().map(|(place, run)| (*place, run)).collect(), limit, |(_, run)| run.is_notable())
}

/// The table of runs. Where not all have room, those with denials, violations or no success come first. Those in
/// `detailed` get a link to their details.
pub(crate) fn table(html: &mut Html, log: &Log, clock: Clock, detailed: &BTreeSet<usize>) {
    const COLUMNS: &[Column] = &[
        Column::Short("Run"),
        Column::Short("When"),
        Column::Code("User"),
        Column::Short("Via"),
        Column::Text("Reason"),
        Column::Name("Script"),
        Column::Count("Operations"),
        Column::Count("Denials"),
        Column::Text("Result"),
    ];
    html.raw("<section id=\"runs\" aria-labelledby=\"runs-h\"><h2 id=\"runs-h\">Runs</h2>\n");
    if log.runs.is_empty() {
        html.raw("<p class=\"none\">No runs.</p>\n</section>\n");
        return;
    }
    let mut table = Table::new("Runs in the order of their first records", COLUMNS, ROWS);
    let shown = placed(log, ROWS);
    table.leave_out((log.runs.len() - shown.len()) as u64);
    for (place, run) in shown {
        table.row(|| row(place, run, clock, detailed.contains(&place)));
    }
    table.finish(html, "wide runs");
    html.raw("</section>\n");
}

fn row(place: usize, run: &Run, clock: Clock, is_detailed: bool) -> [Html; 9] {
    let mut number = Html::of_count(place as u64 + 1);
    if is_detailed {
        let mut link = Html::new();
        link.raw("<a href=\"#run-").number(place as u64 + 1).raw("\">").add(&number).raw("</a>");
        number = link;
    }
    [
        number,
        clock.cell(run.span.map(time::Span::first)),
        Html::of(&run.user()),
        Html::of(&run.started_with("via")),
        Html::of(&run.started_with("reason")),
        Html::of(&digits(&run.started_with("script"))),
        Html::of_count(run.operations.len() as u64),
        denials(run.tally.denied),
        result(run),
    ]
}

/// The first digits of a hash, or a dash for none.
fn digits(hash: &str) -> String {
    if hash.is_empty() { "—".to_owned() } else { hash.chars().take(DIGITS).collect() }
}

fn denials(count: u64) -> Html {
    let mut html = Html::new();
    match count {
        0 => html.raw("0"),
        _ => html.raw("<strong class=\"denied\">✕ ").count(count).raw("</strong>"),
    };
    html
}

fn result(run: &Run) -> Html {
    let mut html = Html::new();
    match &*run.result() {
        "succeeded" => html.raw("succeeded"),
        "" if run.end.is_none() => html.raw("<em>no end recorded</em>"),
        other => html.raw("<strong class=\"denied\">").text(other).raw("</strong>"),
    };
    if !run.violations.is_empty() {
        let count = run.violations.len() as u64;
        html.raw(" <strong class=\"denied\">▲ ").counted(count, "violation", "violations").raw("</strong>");
    }
    html
}

/// What each run asked for. A single run is shown whole and open; many share the room there is.
/// Returns the places of the runs shown.
pub(crate) fn operations(html: &mut Html, log: &Log, clock: Clock) -> BTreeSet<usize> {
    html.raw("<section id=\"operations\" aria-labelledby=\"operations-h\"><h2 id=\"operations-h\">Operations</h2>\n");
    let is_alone = log.runs.len() == 1;
    let shown = placed(log, DETAILED);
    let limit = if is_alone { usize::MAX } else { (SHARED / shown.len().max(1)).min(OPERATIONS) };
    let end = html.len() + BYTES;
    let mut detailed = BTreeSet::new();
    for (place, run) in shown {
        let bytes = end.saturating_sub(html.len());
        if bytes == 0 {
            break;
        }
        detailed.insert(place);
        detail(html, place, run, clock, Room { is_alone, rows: limit, bytes });
    }
    if log.runs.is_empty() {
        html.raw("<p class=\"none\">No operations.</p>\n");
    }
    let left_out = log.runs.len() - detailed.len();
    if left_out > 0 {
        html.raw("<p class=\"note\">").counted(left_out as u64, "further run", "further runs");
        html.raw(" left out. A report on a single run shows more of it.</p>\n");
    }
    html.raw("</section>\n");
    detailed
}

/// How much of a run is shown.
struct Room {
    is_alone: bool,
    rows: usize,
    bytes: usize,
}

fn detail(html: &mut Html, place: usize, run: &Run, clock: Clock, room: Room) {
    html.raw("<details").raw(if room.is_alone { " open" } else { "" }).raw("><summary>Run ").count(place as u64 + 1);
    html.raw(" <bdi>").text(&run.user()).raw("</bdi>: ").counted(
        run.operations.len() as u64,
        "operation",
        "operations",
    );
    html.raw(", ").count(run.tally.denied).raw(" denied, ").add(&result(run)).raw("</summary>\n<div id=\"run-");
    html.number(place as u64 + 1).raw("\" class=\"run-body\">\n");
    facts(html, run);
    if run.operations.is_empty() {
        html.raw("<p class=\"none\">No operations.</p>\n");
    } else {
        sequence(html, place, run, clock, &room);
    }
    html.raw("</div></details>\n");
}

/// What the records of its start and its end tell of a run.
fn facts(html: &mut Html, run: &Run) {
    html.raw("<dl class=\"facts\">\n");
    fact(html, "Run", &run.id);
    for (name, member) in [("Reason", "reason"), ("Uid", "uid")] {
        fact(html, name, &run.started_with(member));
    }
    fact(html, "Groups", &run.start.map(|start| log::list(start, "groups").join(", ")).unwrap_or_default());
    for (name, member) in [
        ("Via", "via"),
        ("SSH key", "ssh_key"),
        ("Terminal", "tty"),
        ("Process", "pid"),
        ("Parent", "parent"),
        ("Script", "script"),
        ("Script bytes", "script_bytes"),
        ("Policy revision", "revision"),
        ("Own policy", "own_policy"),
    ] {
        fact(html, name, &run.started_with(member));
    }
    ending(html, run);
    html.raw("</dl>\n");
}

fn ending(html: &mut Html, run: &Run) {
    let Some(end) = run.end else { return };
    let milliseconds = log::number(end, "milliseconds");
    fact(html, "Took", &milliseconds.map(time::duration).unwrap_or_default());
    for (name, member) in [("Bytes read", "bytes_read"), ("Bytes written", "bytes_written"), ("Deleted", "deleted")] {
        fact(html, name, &log::number(end, member).map(grouped).unwrap_or_default());
    }
    fact(html, "Class", &log::text(end, "class"));
    fact(html, "Message", &log::text(end, "message"));
    for violation in run.violations.iter().take(20) {
        fact(html, "Violation", &log::text(violation, "message"));
    }
}

/// A fact that the log has; those it has not are left out.
fn fact(html: &mut Html, name: &'static str, text: &str) {
    if !text.is_empty() {
        html.raw("<div><dt>").raw(name).raw("</dt><dd>").text(text).raw("</dd></div>\n");
    }
}

/// The operations in their order, a row for each decision on one.
fn sequence(html: &mut Html, place: usize, run: &Run, clock: Clock, room: &Room) {
    const COLUMNS: &[Column] = &[
        Column::Count("No."),
        Column::Short("When"),
        Column::Name("Operation"),
        Column::Name("Action"),
        Column::Code("Resource"),
        Column::Short("Decision"),
        Column::Code("Policies"),
        Column::Text("Outcome"),
    ];
    let caption = format!("Operations of run {}", grouped(place as u64 + 1));
    let mut table = Table::new(&caption, COLUMNS, usize::MAX).with_bytes(room.bytes);
    let mut left_out = (0, 0);
    for (index, operation) in run.operations.values().enumerate() {
        if index >= room.rows || !rows(&mut table, operation, run.end.is_some(), clock) {
            left_out.0 += 1;
            left_out.1 += u64::from(operation.is_denied());
        }
    }
    table.finish(html, "wide operations");
    if left_out.0 > 0 {
        html.raw("<p class=\"note\">").counted(left_out.0, "further operation", "further operations");
        html.raw(" left out, ").count(left_out.1).raw(" of them denied.</p>\n");
    }
}

/// Adds the rows of an operation of a run that has ended or not, and tells whether there was room.
fn rows(table: &mut Table, operation: &Operation, has_ended: bool, clock: Clock) -> bool {
    if operation.decisions.is_empty() {
        return operation
            .outcome
            .is_some_and(|outcome| table.row(|| cells(operation, outcome, None, has_ended, clock)));
    }
    operation
        .decisions
        .iter()
        .all(|decision| table.row(|| cells(operation, decision, Some(decision), has_ended, clock)))
}

fn cells(operation: &Operation, record: &Value, decision: Option<&Value>, has_ended: bool, clock: Clock) -> [Html; 8] {
    let of_decision = |name| decision.map_or(Cow::Borrowed(""), |decision| log::text(decision, name));
    [
        operation.number.map_or_else(|| Html::of("—"), Html::of_count),
        clock.exact(log::at(record)),
        Html::of(&log::text(record, "operation")),
        Html::of(&of_decision("action")),
        Html::of_name(&of_decision("resource")),
        decision.map_or_else(|| Html::of("—"), verdict),
        decision.map(policies).unwrap_or_default(),
        operation.outcome.map_or_else(|| missing(operation, has_ended), outcome),
    ]
}

fn verdict(decision: &Value) -> Html {
    let mut html = Html::new();
    html.raw(if log::allows(decision) { "allow" } else { "<strong class=\"denied\">✕ deny</strong>" });
    html
}

fn policies(decision: &Value) -> Html {
    sections::policies(&log::list(decision, "policies"))
}

/// What stands where no outcome is recorded. Whether something was done that was allowed, nobody knows then.
fn missing(operation: &Operation, has_ended: bool) -> Html {
    let mut html = Html::new();
    html.raw(if operation.is_denied() || has_ended { "—" } else { "<strong class=\"denied\">unknown</strong>" });
    html
}

/// The result, and the error if there was one.
fn outcome(record: &Value) -> Html {
    let mut html = Html::new();
    let (result, error) = (log::text(record, "result"), log::text(record, "error"));
    html.text(&result);
    if !error.is_empty() {
        html.raw(": <span class=\"error\">").text(&error).raw("</span>");
    }
    html
}
