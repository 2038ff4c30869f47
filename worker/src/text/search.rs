//! Lines that match a regular expression, in texts that come as blocks of whole lines.

use super::lines::text_without_end;
use super::pattern;
use crate::error::Error;
use regex::Regex;
use regex_syntax::hir::{self, Class, Hir, HirKind, Look};
use std::cell::OnceCell;
use std::ops::Range;

/// Blocks of this many bytes are searched as a whole; for smaller ones that does not pay.
const LARGE: usize = if cfg!(test) { 8 } else { 32 * 1024 };

/// Finds lines. A line matches if the expression matches anywhere in it, with its end taken off.
pub struct Search {
    line: Regex,
    /// Finds where in a block to look, see [`in_block`]; nothing where it cannot be made.
    block: OnceCell<Option<Regex>>,
    /// Lines that do not match are found.
    invert: bool,
    /// How many more are to be found.
    left: usize,
    /// How many lines have come.
    seen: u64,
}

impl Search {
    /// Finds lines that match `expression`; an error names `shown`, as the script wrote it.
    pub fn new(expression: &str, shown: &str) -> Result<Self, Error> {
        let line = pattern::regex(expression, shown)?;
        Ok(Self { line, block: OnceCell::new(), invert: false, left: usize::MAX, seen: 0 })
    }

    /// Finds the lines that do not match instead.
    pub fn inverted(self, invert: bool) -> Self {
        Self { invert, ..self }
    }

    /// Finds no more than so many.
    pub fn at_most(self, most: usize) -> Self {
        Self { left: most, ..self }
    }

    /// Searches the next block, and calls `found` with the number of each line, counted from 1, and the line.
    pub fn add(&mut self, block: &str, mut found: impl FnMut(u64, &str)) {
        let mut at = 0;
        while at < block.len() && self.left > 0 {
            let matching = self.next(block, at);
            let between = block.get(at..matching.as_ref().map_or(block.len(), |line| line.start)).unwrap_or_default();
            if self.invert {
                for line in between.lines().take(self.left) {
                    self.left -= 1;
                    self.seen += 1;
                    found(self.seen, line);
                }
            } else {
                self.seen += memchr::memchr_iter(b'\n', between.as_bytes()).count() as u64;
            }
            let Some(matching) = matching else { return };
            at = matching.end;
            self.seen += 1;
            if !self.invert {
                self.left -= 1;
                found(self.seen, shown(block, &matching));
            }
        }
    }

    /// Where the next line that matches stands, with its end; `from` is the beginning of a line.
    fn next(&self, block: &str, mut from: usize) -> Option<Range<usize>> {
        let scan = if block.len() < LARGE { None } else { self.block.get_or_init(|| self.for_blocks()).as_ref() };
        while from < block.len() {
            // The earliest end of a match lies in the first line that can have one.
            let inside = scan.map_or(Some(from), |scan| scan.shortest_match_at(block, from))?;
            let line = line_around(block, from, inside);
            if !line.is_empty() && self.line.is_match(shown(block, &line)) {
                return Some(line);
            }
            from = line.end;
        }
        None
    }

    fn for_blocks(&self) -> Option<Regex> {
        let expression = in_block(&regex_syntax::parse(self.line.as_str()).ok()?)?;
        pattern::regex(&expression.to_string(), "").ok()
    }
}

/// The line, its end taken off.
fn shown<'b>(block: &'b str, line: &Range<usize>) -> &'b str {
    text_without_end(block.get(line.clone()).unwrap_or_default())
}

/// The line around a place, which is not before `from`, the beginning of a line.
fn line_around(block: &str, from: usize, place: usize) -> Range<usize> {
    let (before, after) = (block.as_bytes().get(from..place), block.as_bytes().get(place..));
    let start = memchr::memrchr(b'\n', before.unwrap_or_default()).map_or(from, |newline| from + newline + 1);
    let end = memchr::memchr(b'\n', after.unwrap_or_default()).map_or(block.len(), |newline| place + newline + 1);
    start..end
}

/// An expression that matches in a line of a block wherever `expression` matches in that line alone, and never
/// across lines. It may match elsewhere too. Nothing where there is doubt.
fn in_block(expression: &Hir) -> Option<Hir> {
    let all = |parts: &[Hir]| parts.iter().map(in_block).collect::<Option<Vec<_>>>();
    Some(match expression.kind() {
        HirKind::Empty => Hir::empty(),
        // No line has one inside.
        HirKind::Literal(hir::Literal(bytes)) if bytes.contains(&b'\n') => Hir::fail(),
        HirKind::Literal(hir::Literal(bytes)) => Hir::literal(bytes.clone()),
        HirKind::Class(class) => Hir::class(without_newline(class)),
        HirKind::Look(Look::Start | Look::StartLF) => Hir::look(Look::StartLF),
        // A line ends before a carriage return too, where a newline follows it.
        HirKind::Look(Look::End | Look::EndLF | Look::EndCRLF) => Hir::look(Look::EndCRLF),
        HirKind::Look(Look::StartCRLF) => return None,
        // Words end at the ends of a line: what stands around it is in no word.
        HirKind::Look(word) => Hir::look(*word),
        HirKind::Repetition(repetition) => Hir::repetition(repetition.with(in_block(&repetition.sub)?)),
        // Nobody asks what a group caught.
        HirKind::Capture(capture) => in_block(&capture.sub)?,
        HirKind::Concat(parts) => Hir::concat(all(parts)?),
        HirKind::Alternation(parts) => Hir::alternation(all(parts)?),
    })
}

fn without_newline(class: &Class) -> Class {
    let mut class = class.clone();
    match &mut class {
        Class::Unicode(class) => class.difference(&hir::ClassUnicode::new([hir::ClassUnicodeRange::new('\n', '\n')])),
        Class::Bytes(class) => class.difference(&hir::ClassBytes::new([hir::ClassBytesRange::new(b'\n', b'\n')])),
    }
    class
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(expression: &str, blocks: &[&str], invert: bool, most: usize) -> Vec<(u64, String)> {
        let (mut lines, mut search) = (Vec::new(), Search::new(expression, expression).unwrap());
        search = search.inverted(invert).at_most(most);
        blocks.iter().for_each(|block| search.add(block, |number, line| lines.push((number, line.to_owned()))));
        lines
    }

    fn line_by_line(expression: &str, text: &str, invert: bool, most: usize) -> Vec<(u64, String)> {
        let regex = Regex::new(expression).unwrap();
        let lines = text.lines().zip(1..).filter(|(line, _)| regex.is_match(line) != invert).take(most);
        lines.map(|(line, number)| (number, line.to_owned())).collect()
    }

    /// Whole lines, in blocks of at least `size` bytes.
    fn blocks(text: &str, size: usize) -> Vec<&str> {
        let (mut blocks, mut rest) = (Vec::new(), text);
        while !rest.is_empty() {
            let end = rest.as_bytes().iter().skip(size).position(|byte| *byte == b'\n');
            let (block, after) = rest.split_at(end.map_or(rest.len(), |end| size + end + 1));
            blocks.push(block);
            rest = after;
        }
        blocks
    }

    #[test]
    fn an_expression_is_held_to_the_lines() {
        let text = "one\r\ntwo\n\n\r\nthree four\na\rb\nlast\r";
        for expression in [
            "",
            "^",
            "$",
            "^$",
            r"\A\z",
            "e$",
            "^t",
            r"\s",
            r"o\s",
            r"\r",
            r"\n",
            r"e\nf|two",
            r"[^x]",
            r"[^x]+$",
            "(?s).+",
            "(?s)e.t",
            r"\bfour\b",
            r"\B",
            r"\B$",
            r"^\B",
            r"\b{end}$",
            r"(?m)^a$",
            "(?Rm)^b",
            "(?Rm)a$",
            "(?R)a$",
            r"\W$",
            r"(?-u:\s)",
            r"\D{3}",
            "(?i)TWO|LAST",
            "(e|o)$",
            r"a\r",
            r"t\r?$",
            "x*",
            r"\P{L}",
            r"(?x) t w o # two",
            r"[\n]",
            r"two[\n\r]*three",
            "(?U)o.*$",
        ] {
            for (invert, most) in [(false, usize::MAX), (true, usize::MAX), (false, 2), (true, 1)] {
                assert_eq!(
                    found(expression, &[text], invert, most),
                    line_by_line(expression, text, invert, most),
                    "{expression} {invert} {most}"
                );
            }
        }
    }

    #[test]
    fn what_is_made_for_blocks_never_crosses_a_line() {
        for expression in [r"a\s+b", "(?s)a.*b", r"a[^c]*b", r"a\Wb", "a\nb", r"(?-u:a\sb)"] {
            let search = Search::new(expression, expression).unwrap();
            let scan = search.for_blocks().unwrap();
            assert!(!scan.is_match("a\nb and more"), "{expression}");
        }
    }

    proptest! {
        #[test]
        fn finds_what_a_search_of_each_line_finds(
            expression in r"(\^|\$|\\b|\\B|a|b|é|\.|\\s|\\S|\\w|\\W|\[\^a\]|\\n|\\r|\(a\|\$\)|\(\^\|b\)|\(\?s:\.\)|\(\?m:\$\)|b\*|\\s\+|\(\?R:\.\)){0,5}",
            text in "([aébc _]|\r|\n|\n|\r\n){0,80}",
            size in 0..90_usize,
            invert: bool,
            most in prop_oneof![Just(usize::MAX), 1..4_usize],
        ) {
            prop_assume!(Regex::new(&expression).is_ok());
            prop_assert_eq!(
                found(&expression, &blocks(&text, size), invert, most),
                line_by_line(&expression, &text, invert, most)
            );
        }
    }
}
