//! Fields and ranges of lines: `awk_*`, and `seq`.

use super::flags::{Flag, Flags, read};
use super::open;
use crate::channel::Channel;
use crate::error::{Error, Io, Result};
use crate::script::Surface;
use rhai::{Array, Dynamic, ImmutableString, Map, NativeCallContext};
use std::collections::BTreeMap;
use std::rc::Rc;

/// The longest array that `seq` makes.
const SEQUENCE: i128 = 10_000_000;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Seq {
    Step(i64),
}

impl Flag for Seq {
    const COMMAND: &'static str = "seq";
    const TYPE: &'static str = "SeqFlag";
}

/// Registers the commands.
pub(super) fn register(surface: &mut Surface) {
    let channel = surface.channel();
    surface.function("awk_field", move |n: i64, delimiter: &str, path: &str| -> Result<Array> {
        let n = field_number(n)?;
        lines(&channel, path, |line| field(line, delimiter, n).map(value))
    });
    let channel = surface.channel();
    surface.function("awk_filter", move |wanted: &str, path: &str| -> Result<Array> {
        let wanted = memchr::memmem::Finder::new(wanted);
        lines(&channel, path, |line| wanted.find(line.as_bytes()).map(|_| value(line)))
    });
    let channel = surface.channel();
    surface.function("awk_filter_field", move |n: i64, delimiter: &str, wanted: &str, path: &str| -> Result<Array> {
        let n = field_number(n)?;
        let matches = |line: &str| field(line, delimiter, n).is_some_and(|field| field.contains(wanted));
        lines(&channel, path, |line| matches(line).then(|| value(line)))
    });
    let channel = surface.channel();
    surface.function("awk_filter_range", move |start: i64, end: i64, path: &str| -> Result<Array> {
        let (first, count) = range(start, end)?;
        let mut at = 0..;
        let wanted = first..first.saturating_add(count);
        lines(&channel, path, |line| at.next().is_some_and(|at: usize| wanted.contains(&at)).then(|| value(line)))
    });
    let channel = surface.channel();
    surface.function("awk_sum", move |n: i64, delimiter: &str, path: &str| -> Result<f64> {
        let n = field_number(n)?;
        let mut sum = 0.0;
        open(&channel, path)?.each_line(|line| {
            let number = field(line, delimiter, n).and_then(|field| field.trim().parse::<f64>().ok());
            sum += number.unwrap_or_default();
        })?;
        Ok(sum)
    });
    let channel = surface.channel();
    surface.function("awk_count_unique", move |n: i64, delimiter: &str, path: &str| -> Result<Map> {
        let n = field_number(n)?;
        let mut counts: BTreeMap<String, i64> = BTreeMap::new();
        open(&channel, path)?.each_line(|line| {
            let Some(field) = field(line, delimiter, n) else { return };
            match counts.get_mut(field) {
                Some(count) => *count += 1,
                None => _ = counts.insert(field.to_owned(), 1),
            }
        })?;
        Ok(counts.into_iter().map(|(field, count)| (field.into(), count.into())).collect())
    });
    surface.function("awk_split", |text: &str, delimiter: &str| text.split(delimiter).map(value).collect::<Array>());

    Flags::new().made(&["step"], Seq::Step).register(surface);
    surface.function("seq", |start: i64, end: i64| sequence(start, end, 1));
    surface.function("seq", |context: NativeCallContext<'_>, flags: Array, start: i64, end: i64| {
        let flags: Vec<Seq> = read(&context, &flags)?;
        let step = flags.first().map_or(1, |Seq::Step(step)| *step);
        sequence(start, end, step)
    });
}

/// What `of` makes of the lines of a file, those that it makes something of.
fn lines(channel: &Rc<Channel>, path: &str, mut of: impl FnMut(&str) -> Option<Dynamic>) -> Result<Array> {
    let mut made = Array::new();
    open(channel, path)?.each_line(|line| made.extend(of(line)))?;
    Ok(made)
}

fn value(text: &str) -> Dynamic {
    ImmutableString::from(text).into()
}

/// The index of the field that a script counts from 1.
fn field_number(n: i64) -> Result<usize> {
    let index = n.checked_sub(1).and_then(|index| usize::try_from(index).ok());
    index.ok_or_else(|| invalid("awk: field number must be >= 1"))
}

fn field<'t>(line: &'t str, delimiter: &str, index: usize) -> Option<&'t str> {
    line.split(delimiter).nth(index)
}

/// How many lines to leave out and how many to take.
fn range(start: i64, end: i64) -> Result<(usize, usize)> {
    let none = || invalid(&format!("awk: invalid range {start}..{end}"));
    if start < 1 || end < start {
        return Err(none());
    }
    let first = usize::try_from(start - 1).map_err(|_| none())?;
    let last = usize::try_from(end).map_err(|_| none())?;
    Ok((first, last - first))
}

/// From `start` to `end`, both included.
fn sequence(start: i64, end: i64, step: i64) -> Result<Array> {
    let (start, end, step) = (i128::from(start), i128::from(end), i128::from(step));
    if step == 0 {
        return Err(invalid("seq: step cannot be zero"));
    }
    let length = ((end - start) / step + 1).max(0);
    if (end - start).signum() * step.signum() < 0 {
        return Ok(Array::new());
    }
    if length > SEQUENCE {
        return Err(invalid(&format!("seq: {length} numbers are more than {SEQUENCE}")));
    }
    Ok((0..length).filter_map(|index| i64::try_from(start + index * step).ok()).map(Dynamic::from).collect())
}

fn invalid(reason: &str) -> Box<rhai::EvalAltResult> {
    Error::new(Io::InvalidArguments, format!("Invalid arguments: {reason}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_stop_at_the_end_of_the_numbers() {
        let numbers = |start, end, step| {
            sequence(start, end, step)
                .ok()
                .map(|items| items.iter().map(|item| item.as_int().unwrap()).collect::<Vec<_>>())
        };
        assert_eq!(numbers(1, 3, 1), Some(vec![1, 2, 3]));
        assert_eq!(numbers(5, 1, -2), Some(vec![5, 3, 1]));
        assert_eq!(numbers(1, 6, 3), Some(vec![1, 4]));
        assert_eq!(numbers(3, 1, 1), Some(vec![]));
        assert_eq!(numbers(2, 2, -7), Some(vec![2]));
        assert_eq!(numbers(1, 3, 0), None);
        assert_eq!(numbers(i64::MAX - 1, i64::MAX, 1), Some(vec![i64::MAX - 1, i64::MAX]));
        assert_eq!(numbers(i64::MIN, i64::MAX, 1), None);
        assert_eq!(numbers(i64::MIN, i64::MAX, i64::MAX), Some(vec![i64::MIN, -1, i64::MAX - 1]));
    }

    #[test]
    fn ranges_of_lines() {
        assert_eq!(range(2, 4).unwrap(), (1, 3));
        assert!(range(0, 4).is_err());
        assert!(range(4, 3).is_err());
    }
}
