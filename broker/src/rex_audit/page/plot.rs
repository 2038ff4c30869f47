//! Plots as inline SVG. Lengths along x are in per cent, so a plot fits any width and its letters keep their size.

use super::html::Html;
use super::log::Tally;
use super::table::{Column, Table};
use super::time::{Moment, Span};

/// About how many ticks an axis of time has.
const TICKS: i64 = 6;

/// The most bars over time.
const BUCKETS: i64 = 60;

/// The height that the bars of a plot over time share, in pixels.
const HEIGHT: f64 = 150.0;

/// Bars below this height would not be seen.
const LEAST: f64 = 3.0;

/// Patterns and shapes that the plots of a page use, to be written once before all plots.
///
/// Denials differ from what is allowed by hatching, and violations from denials by shape: never by colour alone.
pub(crate) const DEFINITIONS: &str = r#"<svg class="definitions" width="0" height="0" aria-hidden="true" focusable="false"><defs>
<pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
<rect class="deny-back" width="5" height="5"/><rect class="deny-line" width="2.5" height="5"/></pattern>
<pattern id="hatch-run" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)">
<rect class="run-back" width="6" height="6"/><rect class="run-line" width="2" height="6"/></pattern>
<g id="denial"><path class="halo" d="M-4-4 4 4M4-4-4 4"/><path class="cross" d="M-4-4 4 4M4-4-4 4"/></g>
<g id="violation"><path class="triangle" d="M0-8 8.5 7H-8.5Z"/><path class="bang" d="M0-3V2M0 4V5.5"/></g>
</defs></svg>
"#;

/// Opens a plot of a height in pixels; readers of the screen hear the title and the description.
pub(crate) fn open(html: &mut Html, height: f64, title: &'static str, description: &Html) {
    html.raw("<svg class=\"plot\" role=\"img\" width=\"100%\" height=\"").decimal(height).raw("\"><title>").raw(title);
    html.raw("</title><desc>").add(description).raw("</desc>\n");
}

/// Draws an axis of time: lines from `top` to `bottom`, and the labels under them.
pub(crate) fn time_axis(html: &mut Html, span: Span, top: f64, bottom: f64) {
    for (place, (moment, label)) in span.ticks(TICKS).into_iter().enumerate() {
        time_tick(html, span.share(moment), &label, place % 2 == 1, (top, bottom));
    }
}

/// `is_minor` marks the labels that give way where the page is narrow.
fn time_tick(html: &mut Html, x: f64, label: &str, is_minor: bool, (top, bottom): (f64, f64)) {
    html.raw("<line class=\"grid\" x1=\"").percent(x).raw("\" x2=\"").percent(x).raw("\" y1=\"").decimal(top);
    html.raw("\" y2=\"").decimal(bottom + 4.0).raw("\"/><text x=\"").percent(x).raw("\" y=\"").decimal(bottom + 17.0);
    html.raw("\" class=\"tick").raw(if is_minor { " minor" } else { "" });
    html.raw(anchor(x)).raw("\">").plain(label).raw("</text>\n");
}

/// The class that keeps a text at `x` inside the plot.
fn anchor(x: f64) -> &'static str {
    match x {
        ..9.0 => " start",
        91.0.. => " end",
        _ => " middle",
    }
}

/// A rectangle `(x, y, width, height)`, x and width in per cent.
pub(crate) fn rect(html: &mut Html, class: &'static str, (x, y, width, height): (f64, f64, f64, f64)) {
    html.raw("<rect class=\"").raw(class).raw("\" x=\"").percent(x).raw("\" y=\"").decimal(y).raw("\" width=\"");
    html.percent(width).raw("\" height=\"").decimal(height).raw("\"/>");
}

/// Part of a whole in per cent; nothing of nothing is nothing.
fn share(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// The decisions over time: allowed ones grow up from a line, denials down. Nothing if there is no decision.
pub(crate) fn decisions_over_time(html: &mut Html, span: Span, decided_at: &[(Moment, bool)]) {
    let buckets = span.buckets(BUCKETS);
    let mut tallies = vec![Tally::default(); buckets.count];
    for (at, allowed) in decided_at {
        if let Some(tally) = buckets.index(*at).and_then(|index| tallies.get_mut(index)) {
            tally.add(*allowed);
        }
    }
    let allowed = tallies.iter().map(|tally| tally.allowed).max().unwrap_or_default();
    let denied = tallies.iter().map(|tally| tally.denied).max().unwrap_or_default();
    if allowed + denied == 0 {
        return;
    }
    let scale = Scale::new(allowed, denied);
    let mut description = Html::of("Each bar is ");
    description.plain(&buckets.width()).raw(". The most in one: ").count(allowed).raw(" allowed, ");
    description.count(denied).raw(" denied.");
    open(html, scale.bottom + 24.0, "Decisions over time", &description);
    time_axis(html, buckets.span, scale.top, scale.bottom);
    let step = 100.0 / buckets.count as f64;
    for (place, tally) in tallies.into_iter().enumerate() {
        scale.bar(html, (place as f64 * step, step), tally);
    }
    scale.labels(html, allowed, denied);
    html.raw("</svg>\n<p class=\"legend\"><span><svg class=\"key\" aria-hidden=\"true\"><rect class=\"allow\" width=\"100%\" ");
    html.raw("height=\"100%\"/></svg> allowed, upwards</span> <span><svg class=\"key\" aria-hidden=\"true\"><rect ");
    html.raw("class=\"deny\" width=\"100%\" height=\"100%\"/></svg> denied, downwards</span> <span>Each bar is ");
    html.plain(&buckets.width()).raw(".</span></p>\n");
}

/// Where the bars of the decisions over time stand, in pixels.
struct Scale {
    unit: f64,
    top: f64,
    zero: f64,
    bottom: f64,
}

impl Scale {
    fn new(allowed: u64, denied: u64) -> Self {
        let unit = HEIGHT / (allowed + denied).max(1) as f64;
        let reach = |count: u64| if count == 0 { 0.0 } else { (count as f64 * unit).max(16.0) };
        let top = 10.0;
        let zero = top + reach(allowed);
        Self { unit, top, zero, bottom: zero + reach(denied) }
    }

    fn height(&self, count: u64) -> f64 {
        if count == 0 { 0.0 } else { (count as f64 * self.unit).max(LEAST) }
    }

    fn bar(&self, html: &mut Html, (x, width): (f64, f64), tally: Tally) {
        let gap = width * 0.08;
        let (x, width) = (x + gap, width - 2.0 * gap);
        if tally.allowed > 0 {
            let height = self.height(tally.allowed);
            rect(html, "allow", (x, self.zero - height, width, height));
        }
        if tally.denied > 0 {
            rect(html, "deny", (x, self.zero, width, self.height(tally.denied)));
        }
    }

    /// The line of zero and, left of the plot, what the longest bars stand for.
    fn labels(&self, html: &mut Html, allowed: u64, denied: u64) {
        html.raw("\n<line class=\"axis\" x1=\"0\" x2=\"100%\" y1=\"").decimal(self.zero).raw("\" y2=\"");
        html.decimal(self.zero).raw("\"/>");
        let up = (allowed > 0).then_some((self.top, allowed));
        let down = (denied > 0).then_some((self.bottom, denied));
        for (y, count) in [up, Some((self.zero, 0)), down].into_iter().flatten() {
            html.raw("<text class=\"tick end\" x=\"-6\" y=\"").decimal(y + 4.0).raw("\">").count(count).raw("</text>");
        }
    }
}

/// What a bar is about.
#[derive(Clone, Copy)]
pub(crate) enum Name<'a> {
    /// A name from the log.
    Logged(&'a str),
    /// Words of this program where a name would stand, so styled that they are not taken for one.
    Own(&'static str),
}

impl Name<'_> {
    pub(crate) fn html(self) -> Html {
        let mut html = Html::new();
        match self {
            Self::Logged(name) => html.name(name),
            Self::Own(words) => html.raw("<em>").raw(words).raw("</em>"),
        };
        html
    }
}

/// A name and what was decided about it.
pub(crate) type Row<'a> = (Name<'a>, Tally);

/// A table of names, each with a bar: the allowed part plain, the denied part hatched. `left_out` rows are not shown.
pub(crate) fn bars(
    html: &mut Html,
    caption: &'static str,
    columns: &'static [Column; 3],
    (rows, left_out): (Vec<Row>, usize),
) {
    let longest = rows.iter().map(|(_, tally)| tally.total()).max().unwrap_or_default();
    let mut table = Table::new(caption, columns, rows.len());
    table.leave_out(left_out as u64);
    for (name, tally) in rows {
        table.row(|| {
            let mut cell = name.html();
            bar(&mut cell, tally, longest);
            [cell, Html::of_count(tally.allowed), Html::of_count(tally.denied)]
        });
    }
    table.finish(html, "bars");
}

fn bar(html: &mut Html, tally: Tally, longest: u64) {
    let (allowed, denied) = (share(tally.allowed, longest), share(tally.denied, longest));
    html.raw("<svg class=\"bar\" role=\"img\" width=\"100%\" height=\"9\"><title>").count(tally.allowed);
    html.raw(" allowed, ").count(tally.denied).raw(" denied</title>");
    if tally.allowed > 0 {
        rect(html, "allow", (0.0, 0.0, allowed, 9.0));
    }
    if tally.denied > 0 {
        rect(html, "deny", (allowed, 0.0, denied, 9.0));
    }
    html.raw("</svg>");
}
