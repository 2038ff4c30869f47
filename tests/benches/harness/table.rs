//! What was measured, as it is printed, kept and plotted.

use super::measure::{Row, Sample, measure, time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Where a row cannot be measured.
const NOT_HERE: &str = "not here";

/// One table of results.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Table {
    /// What it is called in files: `start`, `ops-evaluated`.
    pub(crate) key: String,
    /// What it is about.
    pub(crate) title: String,
    /// The heads of its columns; the first is that of the rows' names.
    pub(crate) columns: Vec<String>,
    /// Its cells, the name first.
    pub(crate) rows: Vec<Vec<String>>,
    /// The same as numbers, by `row` or `row at column`: seconds, unless the key says something else.
    pub(crate) values: BTreeMap<String, f64>,
}

impl Table {
    /// An empty table.
    pub(crate) fn new(key: &str, title: &str, columns: &[&str]) -> Self {
        let columns = columns.iter().map(ToString::to_string).collect();
        Self { key: key.into(), title: title.into(), columns, rows: Vec::new(), values: BTreeMap::new() }
    }

    /// Rows against the first: median, shortest, and how much of each the first takes.
    pub(crate) fn compare(key: &str, title: &str, mut rows: Vec<Row>, rounds: usize) -> Self {
        let samples = measure(&mut rows, rounds);
        let mut table = Self::new(key, title, &["", "median", "shortest", "the first takes"]);
        let first = samples.first().copied().flatten();
        for (row, sample) in rows.iter().zip(samples) {
            table.sample(&row.name, sample, first);
        }
        table
    }

    fn sample(&mut self, name: &str, sample: Option<Sample>, first: Option<Sample>) {
        let mut cells = vec![name.to_owned()];
        match sample {
            None => cells.push(NOT_HERE.into()),
            Some(Sample { median, least }) => {
                let ratio = first.map_or(f64::NAN, |first| first.median.as_secs_f64() / median.as_secs_f64());
                cells.extend([time(median), time(least), format!("{ratio:.2} of it")]);
                self.values.insert(name.to_owned(), median.as_secs_f64());
            }
        }
        self.row(cells);
    }

    /// A table with a column for each number of policies, and a row for each runner: `rows` makes the rows of one column.
    pub(crate) fn by_policies(
        key: &str,
        title: &str,
        counts: &[usize],
        rounds: usize,
        rows: impl Fn(usize) -> Vec<Row>,
    ) -> Self {
        let heads: Vec<String> = counts.iter().map(|count| format!("{count} policies")).collect();
        let columns: Vec<&str> = std::iter::once("").chain(heads.iter().map(String::as_str)).collect();
        let mut table = Self::new(key, title, &columns);
        let mut found: Vec<(String, Vec<Option<Sample>>)> = Vec::new();
        for (at, count) in counts.iter().enumerate() {
            let mut rows = rows(*count);
            let samples = measure(&mut rows, rounds);
            for (row, sample) in rows.iter().zip(samples) {
                let place = found.iter().position(|(name, _)| *name == row.name).unwrap_or_else(|| {
                    found.push((row.name.clone(), Vec::new()));
                    found.len() - 1
                });
                found[place].1.resize(at, None);
                found[place].1.push(sample);
            }
        }
        let first: Vec<Option<Sample>> = found.first().map(|(_, samples)| samples.clone()).unwrap_or_default();
        for (number, (name, samples)) in found.iter().enumerate() {
            let mut cells = vec![name.clone()];
            for (at, count) in counts.iter().enumerate() {
                let sample = samples.get(at).copied().flatten();
                cells.push(sample.map_or(NOT_HERE.into(), |sample| time(sample.median)));
                if let Some(sample) = sample {
                    table.values.insert(format!("{name} at {count}"), sample.median.as_secs_f64());
                }
            }
            table.row(cells);
            if number > 0 {
                table.row(ratios(name, &first, samples, counts.len()));
            }
        }
        table
    }

    /// One more row.
    pub(crate) fn row(&mut self, mut cells: Vec<String>) {
        cells.resize(self.columns.len(), String::new());
        self.rows.push(cells);
    }

    /// One more row of one number, with what it stands for.
    pub(crate) fn number(&mut self, name: &str, value: f64, unit: &str) {
        self.values.insert(name.to_owned(), value);
        self.row(vec![name.to_owned(), format!("{value:.2} {unit}").trim_end().to_owned()]);
    }

    /// One more row of one duration.
    pub(crate) fn duration(&mut self, name: &str, sample: Option<Sample>) {
        if let Some(sample) = sample {
            self.values.insert(name.to_owned(), sample.median.as_secs_f64());
        }
        self.row(vec![name.to_owned(), sample.map_or(NOT_HERE.into(), |sample| time(sample.median))]);
    }

    /// As Markdown, which terminals show as well.
    pub(crate) fn markdown(&self) -> String {
        let all: Vec<&Vec<String>> = std::iter::once(&self.columns).chain(&self.rows).collect();
        let width = |column: usize| {
            all.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0).max(3)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut text = String::new();
        for (number, row) in all.iter().enumerate() {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!(" {cell:width$} "));
            let _ = writeln!(text, "|{}|", cells.collect::<Vec<_>>().join("|"));
            if number == 0 {
                let rules = widths.iter().map(|width| format!(" {} ", "-".repeat(*width)));
                let _ = writeln!(text, "|{}|", rules.collect::<Vec<_>>().join("|"));
            }
        }
        text
    }
}

/// How much of each sample the first takes.
fn ratios(name: &str, first: &[Option<Sample>], samples: &[Option<Sample>], columns: usize) -> Vec<String> {
    let ratio = |at: usize| match (first.get(at).copied().flatten(), samples.get(at).copied().flatten()) {
        (Some(first), Some(other)) => format!("{:.3}", first.median.as_secs_f64() / other.median.as_secs_f64()),
        _ => String::new(),
    };
    std::iter::once(format!("— Rex takes of {name}")).chain((0..columns).map(ratio)).collect()
}
