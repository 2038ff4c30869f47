//! Tables that stay small however long the log is, and that say what they leave out.

use super::html::Html;

/// Past this many bytes a table takes no more rows. Hostile texts make rows long.
const BYTES: usize = 600_000;

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Text(&'static str),
    /// Moments and words of this program: kept in one line.
    Short(&'static str),
    /// Names and paths, in a font that tells similar letters apart.
    Code(&'static str),
    /// Names that the policies' schema gives: as `Code`, but kept in one line.
    Name(&'static str),
    Count(&'static str),
}

impl Column {
    fn name(self) -> &'static str {
        match self {
            Self::Text(name) | Self::Short(name) | Self::Code(name) | Self::Name(name) | Self::Count(name) => name,
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Text(_) => "",
            Self::Short(_) => " class=\"t\"",
            Self::Name(_) => " class=\"c t\"",
            Self::Code(_) => " class=\"c\"",
            Self::Count(_) => " class=\"n\"",
        }
    }
}

/// A table under construction.
pub(crate) struct Table {
    caption: String,
    columns: &'static [Column],
    rows: Html,
    rows_left: usize,
    bytes: usize,
    left_out: u64,
}

impl Table {
    /// A table of at most `rows` rows.
    pub(crate) fn new(caption: &str, columns: &'static [Column], rows: usize) -> Self {
        Self { caption: caption.to_owned(), columns, rows: Html::new(), rows_left: rows, bytes: BYTES, left_out: 0 }
    }

    /// This table with another bound on the bytes of its rows.
    pub(crate) fn with_bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// Counts rows that were not even offered.
    pub(crate) fn leave_out(&mut self, rows: u64) {
        self.left_out += rows;
    }

    /// Adds a row, one cell for each column, the first its header. The cells are made only if there is room for them;
    /// else the row counts as left out, and the answer is `false`.
    pub(crate) fn row<const N: usize>(&mut self, cells: impl FnOnce() -> [Html; N]) -> bool {
        if self.rows_left == 0 || self.rows.len() >= self.bytes {
            self.left_out += 1;
            return false;
        }
        self.rows_left -= 1;
        self.rows.raw("<tr>");
        for (place, (cell, column)) in cells().iter().zip(self.columns).enumerate() {
            if place == 0 {
                self.rows.raw("<th scope=\"row\"").raw(column.class()).raw(">").add(cell).raw("</th>");
            } else {
                self.rows.raw("<td").raw(column.class()).raw(">").add(cell).raw("</td>");
            }
        }
        self.rows.raw("</tr>\n");
        true
    }

    /// Writes the table, which scrolls by itself where it is wider than the page. `class` names its look.
    pub(crate) fn finish(self, html: &mut Html, class: &'static str) {
        html.raw("<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"").plain(&self.caption);
        html.raw("\"><table class=\"").raw(class).raw("\">\n<caption>");
        html.text(&self.caption).raw("</caption>\n<thead><tr>");
        for column in self.columns {
            html.raw("<th scope=\"col\"").raw(column.class()).raw(">").raw(column.name()).raw("</th>");
        }
        html.raw("</tr></thead>\n<tbody>\n").add(&self.rows).raw("</tbody></table></div>\n");
        if self.left_out > 0 {
            html.raw("<p class=\"note\">")
                .counted(self.left_out, "further row", "further rows")
                .raw(" left out.</p>\n");
        }
    }
}

/// At most `limit` of the items, in their order, the important ones before the others where not all have room.
pub(crate) fn select<T>(items: Vec<T>, limit: usize, is_important: impl Fn(&T) -> bool) -> Vec<T> {
    let important = items.iter().filter(|item| is_important(item)).count();
    let mut room = (important.min(limit), limit.saturating_sub(important));
    let mut has_room = |item: &T| {
        let room = if is_important(item) { &mut room.0 } else { &mut room.1 };
        let is_kept = *room > 0;
        *room = room.saturating_sub(1);
        is_kept
    };
    items.into_iter().filter(|item| has_room(item)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_important_are_selected_first_and_keep_their_order() {
        let odd = |n: &u32| n % 2 == 1;
        assert_eq!(select((0..10).collect(), 7, odd), [0, 1, 2, 3, 5, 7, 9]);
        assert_eq!(select((0..10).collect(), 3, odd), [1, 3, 5]);
        assert_eq!(select((0..3).collect(), 9, odd), [0, 1, 2]);
    }

    #[test]
    fn a_full_table_counts_what_it_leaves_out() {
        let mut table = Table::new("Numbers", &[Column::Count("Number")], 2);
        let taken: Vec<bool> = (0..5).map(|n| table.row(|| [Html::of_count(n)])).collect();
        assert_eq!(taken, [true, true, false, false, false]);
        let mut html = Html::new();
        table.finish(&mut html, "plain");
        assert!(html.into_string().contains("3 further rows left out"));
    }
}
