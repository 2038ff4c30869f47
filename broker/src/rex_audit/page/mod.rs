//! One page of HTML about an audit log: plain markup, a style and inline SVG, with no script and nothing to fetch.
//!
//! What scripts and users chose reaches a page only through `escape`. The size of a page is bounded: it tells the
//! counts of all records, but shows only so many of them, and says how many it leaves out.

mod escape;
mod events;
mod html;
mod log;
mod plot;
mod runs;
mod sections;
mod table;
#[cfg(test)]
mod tests;
mod time;
mod timeline;

use html::Html;
use log::Log;
use time::Clock;

/// What a browser may do with a page: apply its own style, show images that are in it, and nothing else.
const HEAD: &str = r#"<!DOCTYPE html>
<html lang="en" dir="ltr">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>"#;

/// Makes the page about `records`, which are in the order of the log.
///
/// The page is complete and stands alone. Any JSON is taken: members that are absent or of another type than the log
/// writes are shown as empty or as JSON, and records of an unknown kind are only counted. Neither `title` nor a record
/// can add markup to the page.
pub(crate) fn page(title: &str, records: &[serde_json::Value]) -> String {
    let log = Log::of(records);
    let clock = Clock::new(log.span);
    let mut operations = Html::new();
    let detailed = runs::operations(&mut operations, &log, clock);
    let mut html = Html::new();
    html.raw(HEAD)
        .plain(title)
        .raw("</title>\n<style>\n")
        .raw(include_str!("style.css"))
        .raw("</style>\n</head>\n<body>\n");
    html.raw(plot::DEFINITIONS);
    sections::header(&mut html, title, &log);
    html.raw("<main>\n");
    sections::timeline(&mut html, &log);
    events::violations(&mut html, &log, clock);
    sections::denials(&mut html, &log, clock);
    runs::table(&mut html, &log, clock, &detailed);
    sections::decisions(&mut html, &log);
    events::log_events(&mut html, &log, clock);
    html.add(&operations).raw("</main>\n");
    sections::footer(&mut html, records.len());
    html.raw("</body>\n</html>\n");
    html.into_string()
}
