//! Text that came from elsewhere, and lines that fit a terminal.

use rex_broker::audit::is_plain;
use std::borrow::Cow;
use unicode_width::UnicodeWidthChar;

/// What stands where a line was cut.
const CUT: char = '…';

/// A text with everything written out that a terminal might obey, hide or turn around.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_plain(character) {
            shown.push(character);
        } else {
            shown.extend(character.escape_unicode());
        }
    }
    Cow::Owned(shown)
}

/// How a part of a line stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Not at all.
    Common,
    /// Bold red.
    Bad,
    /// Yellow.
    Doubtful,
    /// Faint.
    Aside,
}

/// A line under construction. What is added to it comes out as [`shown`].
#[derive(Debug)]
pub(crate) struct Line {
    text: String,
    /// How many columns are left; nothing where there is no end to them.
    room: Option<usize>,
    has_colours: bool,
    is_cut: bool,
}

impl Line {
    /// An empty one of at most so many columns.
    pub(crate) fn new(columns: Option<usize>, has_colours: bool) -> Self {
        Self { text: String::with_capacity(160), room: columns, has_colours, is_cut: false }
    }

    /// Adds a part.
    pub(crate) fn add(&mut self, style: Style, part: &str) -> &mut Self {
        let code = match style {
            _ if self.is_cut || !self.has_colours => None,
            Style::Common => None,
            Style::Bad => Some("1;31"),
            Style::Doubtful => Some("33"),
            Style::Aside => Some("2"),
        };
        if let Some(code) = code {
            self.text += &format!("\x1b[{code}m");
        }
        for character in shown(part).chars() {
            self.push(character);
        }
        if code.is_some() {
            self.text += "\x1b[0m";
        }
        self
    }

    /// Adds a part that takes at least so many columns, and two more behind it.
    pub(crate) fn column(&mut self, style: Style, part: &str, columns: usize) -> &mut Self {
        let taken: usize = shown(part).chars().map(width).sum();
        self.add(style, part).add(Style::Common, &" ".repeat(columns.saturating_sub(taken) + 2))
    }

    /// The line, without its end.
    pub(crate) fn finish(self) -> String {
        if self.is_cut { self.text } else { self.text.trim_end().to_owned() }
    }

    fn push(&mut self, character: char) {
        if self.is_cut {
            return;
        }
        match &mut self.room {
            None => {}
            // The last column is kept for the sign that more would follow.
            Some(room) if *room <= width(character) && !(character == ' ' && *room > 0) => {
                self.is_cut = true;
                if *room > 0 {
                    self.text.push(CUT);
                }
                return;
            }
            Some(room) => *room -= width(character),
        }
        self.text.push(character);
    }
}

fn width(character: char) -> usize {
    character.width().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(columns: Option<usize>, parts: &[&str]) -> String {
        let mut line = Line::new(columns, false);
        for part in parts {
            line.add(Style::Common, part);
        }
        line.finish()
    }

    #[test]
    fn nothing_reaches_a_terminal_that_it_would_obey() {
        assert_eq!(shown("plain é 語 \\"), "plain é 語 \\");
        assert_eq!(shown("a\n\t\r\u{1b}[31m\u{7f}"), "a\\u{a}\\u{9}\\u{d}\\u{1b}[31m\\u{7f}");
        assert_eq!(shown("\u{202e}\u{9b}\u{2028}\u{200b}🦀"), "\\u{202e}\\u{9b}\\u{2028}\\u{200b}\\u{1f980}");
        let all: String = (0..=0x10ffff).filter_map(char::from_u32).collect();
        assert!(shown(&all).chars().all(is_plain));
    }

    #[test]
    fn a_line_ends_at_the_terminals_edge() {
        assert_eq!(line(Some(6), &["abc", "de"]), "abcde");
        assert_eq!(line(Some(6), &["abc", "defgh", "ij"]), "abcde…");
        assert_eq!(line(Some(5), &["漢字漢字"]), "漢字…");
        assert_eq!(line(Some(4), &["a\n"]), "a\\u…");
        assert_eq!(line(Some(0), &["abc"]), "");
        assert_eq!(line(None, &["abc", "   "]), "abc");
    }

    #[test]
    fn colours_take_no_room() {
        let mut line = Line::new(Some(8), true);
        line.column(Style::Bad, "deny", 4).add(Style::Aside, "more").add(Style::Bad, "x");
        assert_eq!(line.finish(), "\u{1b}[1;31mdeny\u{1b}[0m  \u{1b}[2mm…\u{1b}[0m");
    }
}
