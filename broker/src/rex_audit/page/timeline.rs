//! The timeline: each run a bar, its denials and violations marked on it.

use super::html::{Html, grouped};
use super::log::{self, Log, Run};
use super::plot;
use super::time::{Moment, Span};

/// The most runs drawn.
const RUNS: usize = 400;

/// Up to this many runs have a lane and a label each; more share lanes, without labels.
const LABELLED: usize = 16;

/// The most lanes that runs share.
const LANES: usize = 40;

/// About the most marks of denials in the whole plot.
const MARKS: usize = 3000;

/// The most marks of violations on a run.
const VIOLATIONS: usize = 20;

/// The narrowest bar and the least distance of marks, in per cent of the width.
const NARROWEST: f64 = 0.4;

/// The space above the lanes, in pixels.
const TOP: f64 = 6.0;

/// How the lanes look, in pixels.
struct Lanes {
    height: f64,
    /// From the top of a lane to its bar.
    bar_at: f64,
    bar_height: f64,
    is_labelled: bool,
}

const LABELLED_LANES: Lanes = Lanes { height: 38.0, bar_at: 19.0, bar_height: 11.0, is_labelled: true };
const SHARED_LANES: Lanes = Lanes { height: 18.0, bar_at: 4.0, bar_height: 10.0, is_labelled: false };

/// A run with its place in the plot.
struct Bar<'r, 'a> {
    number: usize,
    run: &'r Run<'a>,
    x: f64,
    width: f64,
    lane: usize,
}

/// Draws the timeline of a log, or nothing for a log without runs whose times are known.
pub(crate) fn draw(html: &mut Html, log: &Log) {
    let Some(span) = log.span else { return };
    let shown = choose(log);
    let lanes = if shown.len() <= LABELLED { LABELLED_LANES } else { SHARED_LANES };
    let (bars, count) = arrange(&shown, span, &lanes);
    if bars.is_empty() {
        return;
    }
    let bottom = TOP + count as f64 * lanes.height;
    plot::open(html, bottom + 24.0, "Timeline of runs", &description(log, span));
    plot::time_axis(html, span, TOP, bottom);
    let mark_count = (MARKS / bars.len()).max(8);
    bars.iter().for_each(|bar| violation_lines(html, span, bar, bottom));
    bars.iter().for_each(|bar| draw_bar(html, &lanes, bar));
    bars.iter().for_each(|bar| marks(html, span, &lanes, bar, mark_count));
    html.raw("</svg>\n");
    legend(html);
    let left_out = log.runs.len() - bars.len();
    if left_out > 0 {
        html.raw("<p class=\"note\">").counted(left_out as u64, "further run", "further runs");
        html.raw(" not drawn. Runs with violations, denials or no success are drawn before others.</p>\n");
    }
}

/// The runs to draw with their numbers, in the order of their starts. Violations come first, then other notable runs;
/// where not all of a class have room, those drawn are spread over the log, so that no part of it looks idle.
fn choose<'l, 'a>(log: &'l Log<'a>) -> Vec<(usize, &'l Run<'a>)> {
    let mut classes: [Vec<_>; 3] = Default::default();
    let [violating, notable, others] = &mut classes;
    for (place, run) in log.runs.iter().filter(|(_, run)| run.span.is_some()) {
        let class = match run {
            _ if !run.violations.is_empty() => &mut *violating,
            _ if run.is_notable() => &mut *notable,
            _ => &mut *others,
        };
        class.push((place + 1, run));
    }
    let mut shown = Vec::new();
    for class in classes {
        let room = RUNS - shown.len();
        shown.extend(spread(class, room));
    }
    shown.sort_by_key(|(_, run)| run.span.map(Span::first));
    shown
}

/// At most `limit` of the items, at even distances.
fn spread<T>(items: Vec<T>, limit: usize) -> impl Iterator<Item = T> {
    let (count, limit) = (items.len(), limit.min(items.len()));
    let is_kept = move |place: usize| (place + 1) * limit / count > place * limit / count;
    items.into_iter().enumerate().filter(move |(place, _)| is_kept(*place)).map(|(_, item)| item)
}

fn description(log: &Log, span: Span) -> Html {
    let mut html = Html::new();
    html.counted(log.runs.len() as u64, "run", "runs").raw(" from ").plain(&span.first().to_second()).raw(" to ");
    html.plain(&span.last().to_second()).raw(" UTC, with ").counted(log.tally.denied, "denial", "denials").raw(" and ");
    html.counted(log.violations(), "violation", "violations").raw(". The table of runs has the same in text.");
    html
}

/// Gives each run a lane; `shown` is in the order of the runs' starts. Returns the bars and the number of lanes.
fn arrange<'r, 'a>(shown: &[(usize, &'r Run<'a>)], span: Span, lanes: &Lanes) -> (Vec<Bar<'r, 'a>>, usize) {
    let mut ends: Vec<f64> = Vec::new();
    let mut bars = Vec::new();
    for (number, run) in shown {
        let Some(own) = run.span else { continue };
        let start = span.share(own.first());
        let end = if run.end.is_some() { span.share(own.last()) } else { 100.0 };
        let width = (end - start).max(NARROWEST);
        let x = start.min(100.0 - width);
        let lane = if lanes.is_labelled { ends.len() } else { free_lane(&ends, x) };
        match ends.get_mut(lane) {
            Some(taken) => *taken = taken.max(x + width),
            None => ends.push(x + width),
        }
        bars.push(Bar { number: *number, run, x, width, lane });
    }
    (bars, ends.len())
}

/// The first lane that is free at `x`, else a new one, else, when there are enough lanes, the one free soonest.
fn free_lane(ends: &[f64], x: f64) -> usize {
    let free = ends.iter().position(|end| end + NARROWEST <= x);
    let soonest = || ends.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(lane, _)| lane);
    free.unwrap_or_else(|| if ends.len() < LANES { ends.len() } else { soonest() })
}

fn draw_bar(html: &mut Html, lanes: &Lanes, bar: &Bar) {
    let y = TOP + bar.lane as f64 * lanes.height;
    html.raw("<g><title>").plain(&label(bar)).raw(": ").counted(
        bar.run.operations.len() as u64,
        "operation",
        "operations",
    );
    html.raw(", ").count(bar.run.tally.denied).raw(" denied, ");
    html.counted(bar.run.violations.len() as u64, "violation", "violations").raw("</title>");
    plot::rect(html, class(bar.run), (bar.x, y + lanes.bar_at, bar.width, lanes.bar_height));
    if lanes.is_labelled {
        let (x, anchor) = if bar.x < 50.0 { (bar.x, "start") } else { (bar.x + bar.width, "end") };
        html.raw("<text class=\"lane ")
            .raw(anchor)
            .raw("\" x=\"")
            .percent(x)
            .raw("\" y=\"")
            .decimal(y + 14.0)
            .raw("\">");
        html.plain(&label(bar)).raw("</text>");
    }
    html.raw("</g>\n");
}

/// Number, user and result, short enough for half of a narrow page.
fn label(bar: &Bar) -> String {
    let user: String = bar.run.user().chars().take(12).collect();
    let result = bar.run.result();
    let result = match &*result {
        "" => "no end recorded",
        known @ ("succeeded" | "failed" | "gone") => known,
        _ => "other result",
    };
    format!("{} {user}: {result}", grouped(bar.number as u64))
}

fn class(run: &Run) -> &'static str {
    match &*run.result() {
        "succeeded" => "run",
        "" => "run open",
        _ => "run failed",
    }
}

/// Where moments fall, in per cent; of those closer than `gap` to one before them only the first.
fn places(span: Span, moments: impl Iterator<Item = Moment>, gap: f64) -> Vec<f64> {
    let mut places: Vec<f64> = moments.map(|moment| span.share(moment)).collect();
    places.sort_by(f64::total_cmp);
    places.dedup_by(|next, kept| *next - *kept < gap);
    places
}

fn violation_places(span: Span, bar: &Bar) -> Vec<f64> {
    let gap = gap(bar, VIOLATIONS);
    places(span, bar.run.violations.iter().filter_map(|record| log::at(record)), gap)
}

/// The least distance between marks that lets no more than about `count` fit on a bar.
fn gap(bar: &Bar, count: usize) -> f64 {
    (bar.width / count.max(1) as f64).max(NARROWEST)
}

/// A line through all lanes at each violation, so that none is missed.
fn violation_lines(html: &mut Html, span: Span, bar: &Bar, bottom: f64) {
    for x in violation_places(span, bar) {
        html.raw("<line class=\"violation\" x1=\"").percent(x).raw("\" x2=\"").percent(x).raw("\" y1=\"0\" y2=\"");
        html.decimal(bottom).raw("\"/>");
    }
}

fn marks(html: &mut Html, span: Span, lanes: &Lanes, bar: &Bar, count: usize) {
    let y = TOP + bar.lane as f64 * lanes.height + lanes.bar_at + lanes.bar_height / 2.0;
    for x in places(span, bar.run.denied_at.iter().copied(), gap(bar, count)) {
        html.raw("<use href=\"#denial\" x=\"").percent(x).raw("\" y=\"").decimal(y).raw("\"/>");
    }
    for x in violation_places(span, bar) {
        html.raw("<use href=\"#violation\" x=\"").percent(x).raw("\" y=\"").decimal(y).raw("\"/>");
    }
}

fn legend(html: &mut Html) {
    html.raw(
        r##"<p class="legend">
<span><svg class="key" aria-hidden="true"><rect class="run" width="100%" height="100%"/></svg> succeeded</span>
<span><svg class="key" aria-hidden="true"><rect class="run failed" width="100%" height="100%"/></svg> failed or gone</span>
<span><svg class="key" aria-hidden="true"><rect class="run open" x="1" y="1" width="20" height="9"/></svg> no end recorded</span>
<span><svg class="key" aria-hidden="true"><use href="#denial" x="11" y="5.5"/></svg> denial</span>
<span><svg class="key tall" aria-hidden="true"><use href="#violation" x="11" y="9"/></svg> violation</span></p>
"##,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_spread_evenly() {
        assert_eq!(spread((0..10).collect(), 5).collect::<Vec<_>>(), [1, 3, 5, 7, 9]);
        assert_eq!(spread((0..3).collect(), 5).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(spread(vec![0; 0], 5).count() + spread(vec![0; 9], 0).count(), 0);
    }
}
