//! Lines of a text. They end at `\n` or `\r\n`; a last line without one counts.

use std::collections::VecDeque;

/// Each line with its number, right-aligned in six columns, and a tab; no newline at the end.
pub fn numbered(text: &str) -> String {
    let lines = text.lines().enumerate();
    lines.map(|(index, line)| format!("{:6}\t{line}", index + 1)).collect::<Vec<_>>().join("\n")
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
        self.bytes += piece.len() as u64;
        for &byte in piece {
            let space = matches!(byte, b' ' | b'\t'..=b'\r');
            self.lines += u64::from(byte == b'\n');
            self.words += u64::from(self.inside_word && space);
            self.inside_word = !space;
        }
    }

    /// The counts, once all is added.
    pub fn finish(mut self) -> Self {
        self.words += u64::from(std::mem::take(&mut self.inside_word));
        self
    }
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
        for part in piece.split_inclusive(|&byte| byte == b'\n') {
            if !self.wants_more() {
                return false;
            }
            if part.last() != Some(&b'\n') {
                self.partial.extend_from_slice(part);
            } else if self.partial.is_empty() {
                self.line(part);
            } else {
                let mut line = std::mem::take(&mut self.partial);
                line.extend_from_slice(part);
                self.line(&line);
            }
        }
        self.wants_more()
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

/// A line without its end.
pub fn without_end(line: &[u8]) -> &[u8] {
    match line.strip_suffix(b"\n") {
        Some(line) => line.strip_suffix(b"\r").unwrap_or(line),
        None => line,
    }
}

/// The runs of printable ASCII and tabs in a content, those of at least [`STRING`] bytes.
pub fn strings(content: &[u8]) -> impl Iterator<Item = &str> {
    let printable = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t');
    let runs = content.split(move |byte| !printable(byte)).filter(|run| run.len() >= STRING);
    runs.filter_map(|run| std::str::from_utf8(run).ok())
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
        let found: Vec<_> = strings(b"abc\0abcd\xffa\tb c\nlast").collect();
        assert_eq!(found, ["abcd", "a\tb c", "last"]);
    }

    #[test]
    fn numbers_lines() {
        assert_eq!(numbered("x\r\n\ny\n"), "     1\tx\n     2\t\n     3\ty");
        assert_eq!(numbered(""), "");
    }
}
