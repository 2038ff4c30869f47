//! What a terminal may be shown, and how.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// A run that takes longer shows what it is doing.
const PATIENCE: Duration = Duration::from_millis(500);

/// Standard output or standard error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Channel {
    is_terminal: bool,
    has_colours: bool,
}

/// How a word stands out.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Style {
    /// Bold red.
    Bad,
    /// Yellow.
    Doubtful,
    /// Faint.
    Aside,
}

impl Channel {
    /// Standard output.
    pub(crate) fn stdout() -> Self {
        Self::new(io::stdout().is_terminal())
    }

    /// Standard error.
    pub(crate) fn stderr() -> Self {
        Self::new(io::stderr().is_terminal())
    }

    fn new(is_terminal: bool) -> Self {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        Self { is_terminal, has_colours: is_terminal && !is_set("NO_COLOR") && !is_dumb() }
    }

    /// Whether it is one.
    pub(crate) fn is_terminal(self) -> bool {
        self.is_terminal
    }

    /// Whether the cursor can be moved there.
    pub(crate) fn is_live(self) -> bool {
        self.is_terminal && !is_dumb()
    }

    /// Text from a script as it may be written there: on a terminal [`visible`], else as it is.
    pub(crate) fn text(self, text: &str) -> Cow<'_, str> {
        if self.is_terminal { visible(text) } else { Cow::Borrowed(text) }
    }

    /// A word in a style, where the terminal has any.
    pub(crate) fn paint(self, style: Style, word: &str) -> Cow<'_, str> {
        let code = match style {
            Style::Bad => "1;31",
            Style::Doubtful => "33",
            Style::Aside => "2",
        };
        if self.has_colours { Cow::Owned(format!("\x1b[{code}m{word}\x1b[0m")) } else { Cow::Borrowed(word) }
    }
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term == "dumb")
}

/// The text with everything written out that a terminal would obey or hide: control characters but for line
/// ends and tabs, and what turns the direction of text.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_hostile(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

fn is_hostile(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => character.is_control(),
    }
}

/// A line on standard error that tells what a long run is doing, and goes away.
#[derive(Debug)]
pub(crate) struct Progress {
    begun: Instant,
    shown: bool,
    operations: u64,
    current: String,
}

impl Progress {
    /// How often it is drawn anew.
    pub(crate) const TICK: Duration = Duration::from_millis(200);

    /// Nothing is shown yet.
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), shown: false, operations: 0, current: String::new() }
    }

    /// Takes in what the run is doing; [`Self::draw`] shows it.
    pub(crate) fn update(&mut self, operations: u64, current: &str) {
        self.operations = operations;
        self.current = visible(current).replace(['\n', '\t'], " ");
    }

    /// Draws the line, if the run is a long one.
    pub(crate) fn draw(&mut self, channel: Channel) {
        let elapsed = self.begun.elapsed();
        if elapsed < PATIENCE {
            return;
        }
        self.shown = true;
        // Cut by the terminal itself: without wrapping what does not fit is not shown.
        let line = channel.paint(Style::Aside, &self.line(elapsed)).into_owned();
        let _ = write!(io::stderr().lock(), "\r\x1b[?7l{line}\x1b[K\x1b[?7h");
    }

    /// Takes the line away.
    pub(crate) fn clear(&mut self) {
        if self.shown {
            self.shown = false;
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }

    fn line(&self, elapsed: Duration) -> String {
        let current = self.current.trim();
        let what = match (self.operations, current) {
            (_, "") => "running".into(),
            (1, current) => format!("1 operation, {current}"),
            (count, current) => format!("{count} operations, {current}"),
        };
        format!("{}s {what}", elapsed.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_a_terminal_that_it_would_obey() {
        assert_eq!(visible("plain é 語 \n\t"), "plain é 語 \n\t");
        assert_eq!(visible("a\x1b[31mb\x07\r\x7f"), "a\\u{1b}[31mb\\u{7}\\r\\u{7f}");
        assert_eq!(visible("\u{9b}31m\u{85}"), "\\u{9b}31m\\u{85}");
        assert_eq!(visible("a\u{202e}b\u{2066}c\u{200f}\u{61c}"), "a\\u{202e}b\\u{2066}c\\u{200f}\\u{61c}");
        assert_eq!(visible("\0\x08"), "\\u{0}\\u{8}");
    }

    #[test]
    fn every_control_character_is_written_out() {
        for character in (0..=0x10ffff).filter_map(char::from_u32).filter(|character| character.is_control()) {
            let text = character.to_string();
            assert_eq!(visible(&text) == text, matches!(character, '\n' | '\t'), "{character:?}");
        }
    }

    #[test]
    fn a_pipe_gets_text_as_it_is() {
        let pipe = Channel { is_terminal: false, has_colours: false };
        assert_eq!(pipe.text("\x1b[31m"), "\x1b[31m");
        assert_eq!(pipe.paint(Style::Bad, "error:"), "error:");
        let terminal = Channel { is_terminal: true, has_colours: true };
        assert_eq!(terminal.text("\x1b[31m"), "\\u{1b}[31m");
        assert_eq!(terminal.paint(Style::Bad, "error:"), "\x1b[1;31merror:\x1b[0m");
    }

    #[test]
    fn the_progress_line_is_one_line() {
        let mut progress = Progress::new();
        assert_eq!(progress.line(Duration::from_secs(2)), "2s running");
        progress.update(3, "fs.read /tmp/a\nb\x1b[2J");
        assert_eq!(progress.line(Duration::from_secs(2)), "2s 3 operations, fs.read /tmp/a b\\u{1b}[2J");
    }
}
