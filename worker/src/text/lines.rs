//! Lines of a text. They end at `\n` or `\r\n`; a last line without one counts.

use std::collections::VecDeque;
use std::fmt::Write;

/// Lines with their numbers, right-aligned in six columns, and a tab; no newline at the end.
#[derive(Debug, Default)]
pub struct Numbered {
    text: String,
    lines: u64,
}

impl Numbered {
    /// The next line.
    pub fn add(&mut self, line: &str) {
        if self.lines > 0 {
            self.text.push('\n');
        }
        self.lines += 1;
        // A text takes all that it is given.
        let _ = write!(self.text, "{:6}\t{line}", self.lines);
    }

    /// All of them.
    pub fn finish(self) -> String {
        self.text
    }
}

/// How many lines (`\n`), words and bytes there are. Words are runs of bytes that are not white space.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Newlines.
    pub lines: u64,
    /// Words.
    pub words: u64,
    /// Bytes.
    pub bytes: u64,
    inside_word: bool,
}

impl Counts {
    /// Counts the next piece of a content.
    pub fn add(&mut self, piece: &[u8]) {
        let (Some((&first, rest)), Some(&last)) = (piece.split_first(), piece.last()) else { return };
        self.bytes += piece.len() as u64;
        self.lines += u64::from(first == b'\n');
        self.words += u64::from(self.inside_word && is_space(first));
        self.inside_word = !is_space(last);
        // Each byte beside the one before it. So many at a time that a byte holds their number: the compiler then counts
        // many of them with one instruction.
        const FEW: usize = 192;
        for (bytes, before) in rest.chunks(FEW).zip(piece.chunks(FEW)) {
            let (mut lines, mut words) = (0_u8, 0_u8);
            for (&byte, &before) in bytes.iter().zip(before) {
                lines = lines.wrapping_add(u8::from(byte == b'\n'));
                words = words.wrapping_add(u8::from(is_space(byte) & !is_space(before)));
            }
            self.lines += u64::from(lines);
            self.words += u64::from(words);
        }
    }

    /// The counts, once all is added.
    pub fn finish(mut self) -> Self {
        self.words += u64::from(std::mem::take(&mut self.inside_word));
        self
    }
}

fn is_space(byte: u8) -> bool {
    (byte == b' ') | (byte.wrapping_sub(b'\t') < 5)
}

/// Which lines of a content are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// The first ones.
    First(u64),
    /// So many, from this line on; lines count from 1.
    From(u64, u64),
    /// The last ones.
    Last(u64),
    /// So many, ending with this line; with the last one where it is beyond it.
    UpTo(u64, u64),
}

/// Selects lines from a content that comes in pieces. It holds no more than what it selects, and the line
/// that is not whole yet.
#[derive(Debug)]
pub struct Selector {
    selection: Selection,
    lines: VecDeque<Vec<u8>>,
    /// The beginning of a line whose end has not come.
    partial: Vec<u8>,
    /// How many lines have come.
    seen: u64,
}

impl Selector {
    /// Selects what `selection` says.
    pub fn new(selection: Selection) -> Self {
        Self { selection, lines: VecDeque::new(), partial: Vec::new(), seen: 0 }
    }

    /// Takes the next piece. Whether any more could matter.
    pub fn add(&mut self, piece: &[u8]) -> bool {
        let mut rest = self.last_lines(piece);
        while self.wants_more() {
            let Some(newline) = memchr::memchr(b'\n', rest) else {
                self.partial.extend_from_slice(rest);
                return true;
            };
            let (line, after) = rest.split_at_checked(newline + 1).unwrap_or((rest, &[]));
            rest = after;
            if self.partial.is_empty() {
                self.line(line);
            } else {
                let mut whole = std::mem::take(&mut self.partial);
                whole.extend_from_slice(line);
                self.line(&whole);
            }
        }
        false
    }

    /// As much of `piece` as can hold what is wanted: where only the last lines are, all before them is forgotten.
    fn last_lines<'p>(&mut self, piece: &'p [u8]) -> &'p [u8] {
        let Selection::Last(count) = self.selection else { return piece };
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        match memchr::memrchr_iter(b'\n', piece).nth(count) {
            Some(newline) => {
                self.lines.clear();
                self.partial.clear();
                piece.get(newline + 1..).unwrap_or_default()
            }
            None => piece,
        }
    }

    /// The lines, their ends taken off, once all pieces were taken.
    pub fn finish(mut self) -> Vec<Vec<u8>> {
        if !self.partial.is_empty() && self.wants_more() {
            let line = std::mem::take(&mut self.partial);
            self.line(&line);
        }
        self.lines.into()
    }

    fn wants_more(&self) -> bool {
        match self.selection {
            Selection::First(count) => self.seen < count,
            Selection::From(count, start) => self.seen < start.saturating_sub(1).saturating_add(count),
            Selection::Last(_) => true,
            Selection::UpTo(_, end) => self.seen < end,
        }
    }

    fn line(&mut self, line: &[u8]) {
        self.seen += 1;
        let most = match self.selection {
            Selection::First(_) => u64::MAX,
            Selection::From(_, start) if self.seen < start => return,
            Selection::From(..) => u64::MAX,
            Selection::Last(count) | Selection::UpTo(count, _) => count,
        };
        self.lines.push_back(without_end(line).to_vec());
        if self.lines.len() as u64 > most {
            self.lines.pop_front();
        }
    }
}

/// The lines of a content that may not be text, their ends taken off.
pub fn split(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content.split_inclusive(|&byte| byte == b'\n').map(without_end)
}

/// A line, its end taken off.
pub(super) fn text_without_end(line: &str) -> &str {
    match line.strip_suffix('\n') {
        Some(line) => line.strip_suffix('\r').unwrap_or(line),
        None => line,
    }
}

/// As [`text_without_end`], for a line that may not be text.
pub fn without_end(line: &[u8]) -> &[u8] {
    match line.strip_suffix(b"\n") {
        Some(line) => line.strip_suffix(b"\r").unwrap_or(line),
        None => line,
    }
}

/// Finds the runs of printable ASCII and tabs in a content that comes in pieces, those of at least [`STRING`] bytes.
#[derive(Debug, Default)]
pub struct Strings {
    /// A run whose end has not come.
    run: String,
}

impl Strings {
    /// Takes the next piece and calls `found` with each run that ends in it.
    pub fn add(&mut self, piece: &[u8], mut found: impl FnMut(&str)) {
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|byte| !matches!(byte, b' '..=b'~' | b'\t')) {
            let (run, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            if self.run.is_empty() {
                give(ascii(run), &mut found);
            } else {
                self.run.push_str(ascii(run));
                give(&std::mem::take(&mut self.run), &mut found);
            }
            rest = after.get(1..).unwrap_or_default();
        }
        self.run.push_str(ascii(rest));
    }

    /// The last run, once all pieces were taken.
    pub fn finish(self, mut found: impl FnMut(&str)) {
        give(&self.run, &mut found);
    }
}

fn ascii(run: &[u8]) -> &str {
    std::str::from_utf8(run).unwrap_or_default()
}

fn give(run: &str, found: &mut impl FnMut(&str)) {
    if run.len() >= STRING {
        found(run);
    }
}

/// The shortest run that counts as a string, in bytes.
const STRING: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_across_pieces() {
        let counts = |pieces: &[&str]| {
            let mut counts = Counts::default();
            pieces.iter().for_each(|piece| counts.add(piece.as_bytes()));
            let counts = counts.finish();
            (counts.lines, counts.words, counts.bytes)
        };
        assert_eq!(counts(&[]), (0, 0, 0));
        assert_eq!(counts(&["one two\n", "th", "ree\x0b", "four\n five"]), (2, 5, 24));
        assert_eq!(counts(&["\u{a0}x y"]), (0, 2, 5));
    }

    #[test]
    fn selects_lines_wherever_the_pieces_end() {
        let content = b"1\n2\r\n\n4\n5";
        for size in 1..=content.len() {
            let lines = |selection: Selection| {
                let mut selector = Selector::new(selection);
                let mut pieces = content.chunks(size);
                while pieces.next().is_some_and(|piece| selector.add(piece)) {}
                let lines = selector.finish().into_iter();
                lines.map(|line| String::from_utf8(line).unwrap()).collect::<Vec<_>>()
            };
            assert_eq!(lines(Selection::First(2)), ["1", "2"]);
            assert_eq!(lines(Selection::From(2, 3)), ["", "4"]);
            assert_eq!(lines(Selection::From(9, 5)), ["5"]);
            assert_eq!(lines(Selection::From(u64::MAX, 4)), ["4", "5"]);
            assert_eq!(lines(Selection::Last(2)), ["4", "5"]);
            assert_eq!(lines(Selection::Last(9)).len(), 5);
            assert_eq!(lines(Selection::UpTo(2, 3)), ["2", ""]);
            assert_eq!(lines(Selection::UpTo(2, 99)), ["4", "5"]);
            assert_eq!(lines(Selection::First(0)), [""; 0]);
            assert_eq!(lines(Selection::Last(0)), [""; 0]);
        }
    }

    #[test]
    fn stops_when_it_has_enough() {
        let mut selector = Selector::new(Selection::First(1));
        assert!(selector.add(b"on"));
        assert!(!selector.add(b"e\ntwo"));
        assert_eq!(selector.finish(), [b"one"]);
    }

    #[test]
    fn finds_strings() {
        let content = b"abc\0abcd\xffa\tb c\nlast";
        for size in 1..=content.len() {
            let (mut strings, mut found) = (Strings::default(), Vec::new());
            content.chunks(size).for_each(|piece| strings.add(piece, |text| found.push(text.to_owned())));
            strings.finish(|text| found.push(text.to_owned()));
            assert_eq!(found, ["abcd", "a\tb c", "last"]);
        }
    }

    #[test]
    fn numbers_lines() {
        let numbered = |lines: &[&str]| {
            let mut numbered = Numbered::default();
            lines.iter().for_each(|line| numbered.add(line));
            numbered.finish()
        };
        assert_eq!(numbered(&["x", "", "y"]), "     1\tx\n     2\t\n     3\ty");
        assert_eq!(numbered(&[]), "");
    }

    proptest::proptest! {
        #[test]
        fn counts_and_selects_as_if_all_came_at_once(
            content in proptest::collection::vec(proptest::sample::select(b"ab \t\r\n\n\x0b\xff".to_vec()), 0..600),
            size in 1..300_usize,
            count in 0..12_u64,
            start in 1..20_u64,
        ) {
            let mut counts = Counts::default();
            content.chunks(size).for_each(|piece| counts.add(piece));
            let counts = counts.finish();
            let space = |byte: &u8| b" \t\n\x0b\x0c\r".contains(byte);
            assert_eq!(counts.bytes, content.len() as u64);
            assert_eq!(counts.lines, content.iter().filter(|byte| **byte == b'\n').count() as u64);
            assert_eq!(counts.words, content.split(space).filter(|word| !word.is_empty()).count() as u64);

            let all: Vec<_> = split(&content).collect();
            let (number, first) = (count as usize, start as usize - 1);
            for (selection, expected) in [
                (Selection::Last(count), &all[all.len().saturating_sub(number)..]),
                (Selection::First(count), &all[..number.min(all.len())]),
                (Selection::From(count, start), {
                    let rest = &all[first.min(all.len())..];
                    &rest[..number.min(rest.len())]
                }),
                (Selection::UpTo(count, start), {
                    let end = all.len().min(first + 1);
                    &all[end.saturating_sub(number)..end]
                }),
            ] {
                let mut selector = Selector::new(selection);
                let mut pieces = content.chunks(size);
                while pieces.next().is_some_and(|piece| selector.add(piece)) {}
                assert_eq!(selector.finish(), expected, "{selection:?}");
            }
        }
    }
}
