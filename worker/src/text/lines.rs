//! Lines of a text. They end at `\n` or `\r\n`; a last line without one counts.

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

impl Selection {
    /// The lines of `content`, their ends taken off.
    pub fn of(self, content: &[u8]) -> Vec<&[u8]> {
        let take = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        match self {
            Selection::First(count) => split(content).take(take(count)).collect(),
            Selection::From(count, start) => {
                split(content).skip(take(start.saturating_sub(1))).take(take(count)).collect()
            }
            Selection::Last(count) => last(split(content).collect(), take(count)),
            Selection::UpTo(count, end) => last(split(content).take(take(end)).collect(), take(count)),
        }
    }
}

fn last(mut lines: Vec<&[u8]>, count: usize) -> Vec<&[u8]> {
    lines.split_off(lines.len().saturating_sub(count))
}

/// The lines of a content that may not be text, their ends taken off.
pub fn split(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content.split_inclusive(|&byte| byte == b'\n').map(|line| match line.strip_suffix(b"\n") {
        Some(line) => line.strip_suffix(b"\r").unwrap_or(line),
        None => line,
    })
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
    fn selects_lines() {
        let content = b"1\n2\r\n\n4\n5";
        let lines = |selection: Selection| {
            selection.of(content).iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(lines(Selection::First(2)), ["1", "2"]);
        assert_eq!(lines(Selection::From(2, 3)), ["", "4"]);
        assert_eq!(lines(Selection::From(9, 5)), ["5"]);
        assert_eq!(lines(Selection::Last(2)), ["4", "5"]);
        assert_eq!(lines(Selection::Last(9)).len(), 5);
        assert_eq!(lines(Selection::UpTo(2, 3)), ["2", ""]);
        assert_eq!(lines(Selection::UpTo(2, 99)), ["4", "5"]);
        assert_eq!(lines(Selection::First(0)), [""; 0]);
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
