//! Cost by the number of policies, as a picture: both axes by powers of ten.

use crate::harness::{POLICIES, Table};
use std::fmt::Write;

/// The picture and, in it, where the lines are.
const SIZE: (f64, f64) = (760.0, 420.0);
const LEFT: f64 = 80.0;
const RIGHT: f64 = 560.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 360.0;
/// What the axes show: numbers of policies, and seconds.
const X: (f64, f64) = (2.0, 5_000.0);
const Y: (f64, f64) = (1e-6, 1e-1);

/// How far apart names of lines are, at least.
const LINE: f64 = 16.0;

/// The dearest first. A line: the table, its row, how many operations a value of it stands for, what it is called, and its colour.
const LINES: &[(&str, &str, f64, &str, &str)] = &[
    ("ops-evaluated", "one process", 3.0, "one process", "#b3482c"),
    ("ops-evaluated", "Rex", 3.0, "Rex, decided anew", "#1f5f8b"),
    ("ops-remembered", "Rex", 1.0, "Rex, decided before", "#5b9a5b"),
];

/// The picture of these tables, if they have what it shows.
pub(crate) fn by_policies(tables: &[Table]) -> Option<String> {
    let (mut picture, mut below) = (frame(), TOP);
    for (key, row, operations, name, colour) in LINES {
        let table = tables.iter().find(|table| table.key == *key)?;
        let points: Vec<(f64, f64)> = POLICIES
            .iter()
            .filter_map(|count| {
                let seconds = table.values.get(&format!("{row} at {count}"))? / operations;
                Some((x(*count as f64), y(seconds)))
            })
            .collect();
        below = line(&mut picture, &points, (name, colour), below)? + LINE;
    }
    picture.push_str("</svg>\n");
    Some(picture)
}

/// Draws a line with its name, which stands no higher than `below`. Gives where it stands.
fn line(picture: &mut String, points: &[(f64, f64)], (name, colour): (&str, &str), below: f64) -> Option<f64> {
    let (end_x, end_y) = points.last()?;
    let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let path = path.join(" ");
    let _ = writeln!(picture, r#"<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>"#);
    for (x, y) in points {
        let _ = writeln!(picture, r#"<circle cx="{x:.1}" cy="{y:.1}" r="4" fill="{colour}"/>"#);
    }
    let (x, y) = (end_x + 12.0, (end_y + 4.0).max(below));
    let _ = writeln!(picture, r#"<text x="{x:.1}" y="{y:.1}" fill="{colour}">{name}</text>"#);
    Some(y)
}

/// All but the lines.
fn frame() -> String {
    let (width, height) = SIZE;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <title>What one operation costs, by the number of policies</title>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"28\" font-size=\"15\">What one operation costs, by the number of policies</text>\n"
    );
    let seconds =
        [("1 µs", 1e-6), ("10 µs", 1e-5), ("100 µs", 1e-4), ("1 ms", 1e-3), ("10 ms", 1e-2), ("100 ms", 1e-1)];
    for (label, value) in seconds {
        let at = y(value);
        let _ = writeln!(text, r##"<line x1="{LEFT}" y1="{at:.1}" x2="{RIGHT}" y2="{at:.1}" stroke="#dddddd"/>"##);
        let (x, y) = (LEFT - 8.0, at + 4.0);
        let _ = writeln!(text, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="end">{label}</text>"#);
    }
    for count in POLICIES {
        let (at, below) = (x(count as f64), BOTTOM + 20.0);
        let _ = writeln!(text, r##"<line x1="{at:.1}" y1="{TOP}" x2="{at:.1}" y2="{BOTTOM}" stroke="#eeeeee"/>"##);
        let _ = writeln!(text, r#"<text x="{at:.1}" y="{below:.1}" text-anchor="middle">{count}</text>"#);
    }
    let (middle, below) = (f64::midpoint(LEFT, RIGHT), BOTTOM + 42.0);
    let _ = writeln!(text, r#"<text x="{middle:.1}" y="{below:.1}" text-anchor="middle">policies</text>"#);
    text
}

fn x(count: f64) -> f64 {
    LEFT + (RIGHT - LEFT) * part(count, X)
}

fn y(seconds: f64) -> f64 {
    BOTTOM - (BOTTOM - TOP) * part(seconds, Y)
}

/// Where a value is between two others, by its powers of ten.
fn part(value: f64, (from, to): (f64, f64)) -> f64 {
    (value.max(from) / from).ln() / (to / from).ln()
}
