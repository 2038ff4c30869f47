//! The parts of a page that count: its head, the plots, the denials, and its foot.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::html::Html;
use super::log::{Denial, DenialKey, Log, Tally};
use super::plot;
use super::table::{Column, Table};
use super::time::{Clock, Span};
use super::timeline;

/// The most rows of the table of denials.
const DENIALS: usize = 300;

/// The most bars of a plot that is not over time.
const BARS: usize = 20;

/// What stands for the policies of a decision that no policy determined.
const NO_POLICY: &str = "no policy";

/// The title, the time the log spans, the main numbers, and the ways into the page.
pub(crate) fn header(html: &mut Html, title: &str, log: &Log) {
    html.raw("<header>\n<p class=\"kind\">Rex audit report</p>\n<h1>").text(title).raw("</h1>\n<p class=\"span\">");
    match log.span {
        None => html.raw("No record with a time."),
        Some(span) => html.text(&span.first().to_second()).raw(" to ").text(&span.last().to_second()).raw(" UTC"),
    };
    html.raw("</p>\n<dl class=\"numbers\">\n");
    number(html, "Runs", log.runs.len() as u64, "");
    number(html, "Operations", log.operations(), "");
    number(html, "Decisions", log.tally.total(), "");
    number(html, "Denials", log.tally.denied, "bad");
    number(html, "Violations", log.violations(), "bad");
    html.raw("</dl>\n");
    gaps(html, log);
    html.raw("<nav aria-label=\"Sections\"><a href=\"#timeline\">Timeline</a> <a href=\"#violations\">Violations</a> ");
    html.raw("<a href=\"#denials\">Denials</a> <a href=\"#runs\">Runs</a> <a href=\"#decisions\">Decisions</a> ");
    html.raw("<a href=\"#events\">Log</a> <a href=\"#operations\">Operations</a></nav>\n</header>\n");
}

/// One of the main numbers; its class applies if it is not zero.
fn number(html: &mut Html, name: &'static str, count: u64, class: &'static str) {
    html.raw("<div class=\"").raw(if count > 0 { class } else { "" }).raw("\"><dt>").raw(name).raw("</dt><dd>");
    html.count(count).raw("</dd></div>\n");
}

/// A reader must know first that the log is not whole.
fn gaps(html: &mut Html, log: &Log) {
    let gaps = log.events_of("gap");
    if gaps > 0 {
        html.raw("<p class=\"alert\"><strong>The log is not complete.</strong> It has ").counted(gaps, "gap", "gaps");
        html.raw(": see <a href=\"#events\">the events of the log</a>.</p>\n");
    }
}

pub(crate) fn timeline(html: &mut Html, log: &Log) {
    html.raw("<section id=\"timeline\" aria-labelledby=\"timeline-h\"><h2 id=\"timeline-h\">Timeline</h2>\n");
    let before = html.len();
    timeline::draw(html, log);
    if html.len() == before {
        html.raw("<p class=\"none\">No runs.</p>\n");
    }
    html.raw("</section>\n");
}

/// What was denied, the most frequent first.
pub(crate) fn denials(html: &mut Html, log: &Log, clock: Clock) {
    const COLUMNS: &[Column] = &[
        Column::Code("User"),
        Column::Name("Action"),
        Column::Code("Resource"),
        Column::Code("Policies"),
        Column::Count("Count"),
        Column::Short("First"),
        Column::Short("Last"),
    ];
    html.raw("<section id=\"denials\" aria-labelledby=\"denials-h\"><h2 id=\"denials-h\">Denials</h2>\n");
    let mut groups: Vec<(&DenialKey, &Denial)> = log.denials.iter().collect();
    groups.sort_by_key(|(key, denial)| (Reverse(denial.count), denial.span.map(Span::first), *key));
    if groups.is_empty() {
        html.raw("<p class=\"none\">Nothing was denied.</p>\n</section>\n");
        return;
    }
    let mut table = Table::new("Denials by user, action, resource and policies", COLUMNS, DENIALS);
    for (key, denial) in groups {
        table.row(|| {
            [
                Html::of(&key.user),
                Html::of(&key.action),
                Html::of_name(&key.resource),
                policies(&key.policies),
                Html::of_count(denial.count),
                clock.cell(denial.span.map(Span::first)),
                clock.cell(denial.span.map(Span::last)),
            ]
        });
    }
    table.finish(html, "wide");
    html.raw("</section>\n");
}

/// The names of the policies that determined a decision.
pub(crate) fn policies(names: &[String]) -> Html {
    if names.is_empty() { plot::Name::Own(NO_POLICY).html() } else { Html::of_name(&names.join(", ")) }
}

/// All decisions counted: over time, by action, by resource, and by policy.
pub(crate) fn decisions(html: &mut Html, log: &Log) {
    const ACTIONS: &[Column; 3] = &[Column::Code("Action"), Column::Count("Allowed"), Column::Count("Denied")];
    const RESOURCES: &[Column; 3] = &[Column::Code("Resource"), Column::Count("Allowed"), Column::Count("Denied")];
    const POLICIES: &[Column; 3] = &[Column::Code("Policy"), Column::Count("Allowed"), Column::Count("Denied")];
    html.raw("<section id=\"decisions\" aria-labelledby=\"decisions-h\"><h2 id=\"decisions-h\">Decisions</h2>\n");
    if log.tally.total() == 0 {
        html.raw("<p class=\"none\">No decisions.</p>\n</section>\n");
        return;
    }
    html.raw("<h3>Over time</h3>\n<div class=\"over-time\">");
    if let Some(span) = log.span {
        plot::decisions_over_time(html, span, &log.decided_at);
    }
    html.raw("</div>\n<div class=\"pair\">\n<div><h3>By action</h3>\n");
    plot::bars(html, "Decisions by action", ACTIONS, most(&log.actions, "no action"));
    html.raw("</div>\n<div><h3>By policy</h3>\n");
    plot::bars(html, "Policies that determined decisions", POLICIES, most(&log.policies, NO_POLICY));
    html.raw("</div>\n</div>\n<h3>Resources most used</h3>\n");
    plot::bars(html, "Decisions by resource", RESOURCES, most(&log.resources, "no resource"));
    html.raw("</section>\n");
}

/// The most frequent keys with their tallies, and how many keys are less frequent. `nameless` stands for the empty key.
fn most<'k, K: AsRef<str> + Ord>(
    tallies: &'k HashMap<K, Tally>,
    nameless: &'static str,
) -> (Vec<plot::Row<'k>>, usize) {
    let order = |a: &(&K, &Tally), b: &(&K, &Tally)| b.1.total().cmp(&a.1.total()).then_with(|| a.0.cmp(b.0));
    let mut first: Vec<(&K, &Tally)> = tallies.iter().collect();
    if first.len() > BARS {
        // A log may name very many resources: only those shown are sorted.
        first.select_nth_unstable_by(BARS, order);
        first.truncate(BARS);
    }
    first.sort_by(order);
    let left_out = tallies.len() - first.len();
    let name = |key: &'k str| if key.is_empty() { plot::Name::Own(nameless) } else { plot::Name::Logged(key) };
    (first.into_iter().map(|(key, tally)| (name(key.as_ref()), *tally)).collect(), left_out)
}

pub(crate) fn footer(html: &mut Html, records: usize) {
    html.raw("<footer><p>Made by <code>rex-audit report</code> from ").counted(records as u64, "record", "records");
    html.raw(
        ". All times are in UTC. Characters that would not show, or would change how others show, are written as ",
    );
    html.raw("<span class=\"hid\">\\u{202e}</span>.</p></footer>\n");
}
