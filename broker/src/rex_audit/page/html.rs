//! Markup as a type: what a page's author wrote goes in as it stands, all other text only escaped.

use std::fmt::Write as _;

use super::escape::{self, Place};

/// A piece of a page.
///
/// Only literals of this program enter unescaped, for `raw` takes no shorter-lived text; a record cannot get there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Html(String);

impl Html {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A piece that holds only `text`, escaped.
    pub(crate) fn of(text: &str) -> Self {
        let mut html = Self::new();
        html.text(text);
        html
    }

    /// A piece that holds only a name or a path, escaped.
    pub(crate) fn of_name(name: &str) -> Self {
        let mut html = Self::new();
        html.name(name);
        html
    }

    /// A piece that holds only a number, in groups of three digits.
    pub(crate) fn of_count(number: u64) -> Self {
        let mut html = Self::new();
        html.count(number);
        html
    }

    /// Markup of this program.
    pub(crate) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text from anywhere, for a place between tags.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        escape::append(&mut self.0, text, escape::LIMIT, Place::Body);
        self
    }

    /// As `text`, for names and paths: lines break where their parts meet.
    pub(crate) fn name(&mut self, name: &str) -> &mut Self {
        escape::append(&mut self.0, name, escape::LIMIT, Place::Name);
        self
    }

    /// Text from anywhere, for an attribute, `<title>` or `<desc>`.
    pub(crate) fn plain(&mut self, text: &str) -> &mut Self {
        escape::append(&mut self.0, text, escape::LIMIT, Place::Plain);
        self
    }

    /// Another piece.
    pub(crate) fn add(&mut self, other: &Self) -> &mut Self {
        self.0.push_str(&other.0);
        self
    }

    /// A number for people.
    pub(crate) fn count(&mut self, number: u64) -> &mut Self {
        self.0.push_str(&grouped(number));
        self
    }

    /// A number with its noun: `1 run`, `2 runs`.
    pub(crate) fn counted(&mut self, number: u64, one: &'static str, many: &'static str) -> &mut Self {
        self.count(number).raw(" ").raw(if number == 1 { one } else { many })
    }

    /// A number for the browser: a coordinate, or a part of an identifier.
    pub(crate) fn number(&mut self, number: u64) -> &mut Self {
        let _ = write!(self.0, "{number}");
        self
    }

    /// A coordinate with two decimals.
    pub(crate) fn decimal(&mut self, number: f64) -> &mut Self {
        let text = format!("{number:.2}");
        self.0.push_str(text.trim_end_matches('0').trim_end_matches('.'));
        self
    }

    /// A coordinate in per cent of a plot's width.
    pub(crate) fn percent(&mut self, number: f64) -> &mut Self {
        self.decimal(number).raw("%")
    }

    /// The length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text of the finished page.
    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn coordinates_are_short() {
        let mut html = Html::new();
        html.percent(12.5).raw(" ").percent(100.0).raw(" ").decimal(0.0).raw(" ").decimal(1.0 / 3.0);
        assert_eq!(html.into_string(), "12.5% 100% 0 0.33");
    }
}
