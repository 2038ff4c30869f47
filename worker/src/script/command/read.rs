//! Commands that read a file: `cat`, `wc`, `tail`, `grep`.

use super::flags::{Flag, Flags, read};
use super::open;
use crate::channel::Channel;
use crate::error::{Error, Io, Result};
use crate::script::file::NO_LINE_ZERO;
use crate::script::{Surface, item, number};
use crate::text::lines::{Numbered, Selection};
use crate::text::search::Search;
use rhai::{Array, ImmutableString, Map, NativeCallContext};
use std::rc::Rc;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Cat {
    Number,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Wc {
    Lines,
    Words,
    Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Tail {
    Count(i64),
    From(i64),
    Range(i64, i64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Grep {
    IgnoreCase,
    Count,
    Invert,
    LineNumber,
    MaxCount(i64),
}

impl Flag for Cat {
    const COMMAND: &'static str = "cat";
    const TYPE: &'static str = "CatFlag";
}
impl Flag for Wc {
    const COMMAND: &'static str = "wc";
    const TYPE: &'static str = "WcFlag";
}
impl Flag for Tail {
    const COMMAND: &'static str = "tail";
    const TYPE: &'static str = "TailFlag";
}
impl Flag for Grep {
    const COMMAND: &'static str = "grep";
    const TYPE: &'static str = "GrepFlag";
}

/// Registers the commands and their flags.
pub(super) fn register(surface: &mut Surface) {
    Flags::new().flag(&["number", "n"], Cat::Number).register(surface);
    Flags::new()
        .flag(&["lines", "l"], Wc::Lines)
        .flag(&["words", "w"], Wc::Words)
        .flag(&["bytes", "c"], Wc::Bytes)
        .register(surface);
    Flags::new().made(&["n"], Tail::Count).made(&["from"], Tail::From).made(&["range"], Tail::Range).register(surface);
    Flags::new()
        .flag(&["ignore_case", "i"], Grep::IgnoreCase)
        .flag(&["count", "c"], Grep::Count)
        .flag(&["invert", "v"], Grep::Invert)
        .flag(&["line_number", "n"], Grep::LineNumber)
        .made(&["max_count", "m"], Grep::MaxCount)
        .register(surface);

    let channel = surface.channel();
    surface.function("cat", move |path: &str| open(&channel, path)?.text());
    let channel = surface.channel();
    surface.function("cat", move |context: NativeCallContext<'_>, flags: Array, path: &str| -> Result<String> {
        let flags: Vec<Cat> = read(&context, &flags)?;
        let file = open(&channel, path)?;
        if flags.is_empty() {
            return file.text();
        }
        let mut numbered = Numbered::default();
        file.each_line(|line| numbered.add(line))?;
        Ok(numbered.finish())
    });

    let channel = surface.channel();
    surface.function("wc", move |path: &str| wc(&channel, &[], path));
    let channel = surface.channel();
    surface.function("wc", move |context: NativeCallContext<'_>, flags: Array, path: &str| {
        wc(&channel, &read(&context, &flags)?, path)
    });

    let channel = surface.channel();
    surface.function("tail", move |path: &str| tail(&channel, &[], path));
    let channel = surface.channel();
    surface.function("tail", move |context: NativeCallContext<'_>, flags: Array, path: &str| {
        tail(&channel, &read(&context, &flags)?, path)
    });

    let channel = surface.channel();
    surface.function("grep", move |pattern: &str, path: &str| grep(&channel, &[], pattern, path));
    let channel = surface.channel();
    surface.function("grep", move |context: NativeCallContext<'_>, flags: Array, pattern: &str, path: &str| {
        grep(&channel, &read(&context, &flags)?, pattern, path)
    });
}

fn wc(channel: &Rc<Channel>, flags: &[Wc], path: &str) -> Result<Map> {
    let counts = open(channel, path)?.counts()?;
    let all = [
        (Wc::Lines, item("lines", number(counts.lines))),
        (Wc::Words, item("words", number(counts.words))),
        (Wc::Bytes, item("bytes", number(counts.bytes))),
    ];
    let wanted = |flag: &Wc| flags.is_empty() || flags.contains(flag);
    Ok(all.into_iter().filter(|(flag, _)| wanted(flag)).map(|(_, item)| item).collect())
}

fn tail(channel: &Rc<Channel>, flags: &[Tail], path: &str) -> Result<Array> {
    let selection = tail_selection(flags)?;
    open(channel, path)?.selected(selection)
}

/// Which lines the flags mean; of repeated flags the first counts.
fn tail_selection(flags: &[Tail]) -> Result<Selection> {
    let invalid = |reason: String| -> Result<Selection> {
        Err(Error::new(Io::InvalidArguments, format!("Invalid arguments: {reason}")).into())
    };
    let count = flags.iter().find_map(|flag| if let Tail::Count(count) = flag { Some(*count) } else { None });
    let from = flags.iter().find_map(|flag| if let Tail::From(line) = flag { Some(*line) } else { None });
    let range = flags.iter().find_map(|flag| if let Tail::Range(a, b) = flag { Some((*a, *b)) } else { None });
    let start = from.or(range.map(|(start, _)| start));
    let Some(start) = start else {
        return Ok(match count {
            None => Selection::Last(10),
            Some(count) if count < 0 => Selection::Last(count.unsigned_abs()),
            Some(count) => Selection::First(count.unsigned_abs()),
        });
    };
    if start == 0 {
        // The words are those of the builder of `read_lines`, which raises them bare.
        return Err(Error::new(Io::InvalidArguments, format!("{NO_LINE_ZERO}: 0")).into());
    }
    let Ok(line) = u64::try_from(start) else { return invalid(format!("tail: line {start} does not exist")) };
    match (count, range) {
        (Some(count), _) if count < 0 => invalid(format!("tail: n({count}) cannot start from a line")),
        (Some(count), _) => Ok(Selection::From(count.unsigned_abs(), line)),
        (None, Some((first, last))) => match u64::try_from(last.saturating_sub(first)) {
            Ok(more) => Ok(Selection::From(more.saturating_add(1), line)),
            Err(_) => invalid(format!("tail: range {first}..{last} is empty")),
        },
        (None, None) => Ok(Selection::From(u64::MAX, line)),
    }
}

fn grep(channel: &Rc<Channel>, flags: &[Grep], pattern: &str, path: &str) -> Result<Array> {
    let has = |flag| flags.contains(&flag);
    let most = flags.iter().find_map(|flag| if let Grep::MaxCount(most) = flag { Some(*most) } else { None });
    let most = most.and_then(|most| usize::try_from(most).ok()).filter(|most| *most > 0).unwrap_or(usize::MAX);
    let (count, numbers) = (has(Grep::Count), has(Grep::LineNumber));
    let search = || {
        let expression = if has(Grep::IgnoreCase) { format!("(?i){pattern}") } else { pattern.to_owned() };
        Ok(Search::new(&expression, pattern)?.inverted(has(Grep::Invert)).at_most(most))
    };
    let (mut lines, mut found) = (Array::new(), 0_u64);
    // What is hidden from the script is hidden before it is searched.
    open(channel, path)?.find(search, |number, line| {
        found += 1;
        if count {
            return;
        }
        lines.push(if numbers { format!("{number}:{line}").into() } else { ImmutableString::from(line).into() });
    })?;
    Ok(if count { vec![found.to_string().into()] } else { lines })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_flags() {
        let selection = |flags: &[Tail]| tail_selection(flags).ok();
        for (flags, expected) in [
            (&[][..], Some(Selection::Last(10))),
            (&[Tail::Count(-3)], Some(Selection::Last(3))),
            (&[Tail::Count(3), Tail::Count(-1)], Some(Selection::First(3))),
            (&[Tail::From(4)], Some(Selection::From(u64::MAX, 4))),
            (&[Tail::Range(3, 5)], Some(Selection::From(3, 3))),
            (&[Tail::Range(3, 9), Tail::Count(2)], Some(Selection::From(2, 3))),
            (&[Tail::Range(3, 9), Tail::From(7)], Some(Selection::From(7, 7))),
            (&[Tail::From(0)], None),
            (&[Tail::Range(0, 3)], None),
            (&[Tail::From(-1)], None),
            (&[Tail::Range(5, 3)], None),
            (&[Tail::Range(1, i64::MAX)], Some(Selection::From(i64::MAX as u64, 1))),
            (&[Tail::Count(-2), Tail::From(3)], None),
            (&[Tail::Count(i64::MIN)], Some(Selection::Last(i64::MIN.unsigned_abs()))),
        ] {
            assert_eq!(selection(flags), expected, "{flags:?}");
        }
    }
}
