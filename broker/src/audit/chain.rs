//! The chain: each record's line ends with the SHA-256 of the line before it.

use super::head::Position;
use crate::digest::sha256;
use nix::dir::Dir;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::path::Path;

/// How the field begins that holds the hash of the line before, the last one of each line.
pub(super) const LINK: &str = ",\"prev\":\"";
/// How a line begins; its number follows.
pub(super) const NUMBER: &str = "{\"seq\":";

/// The hash of a line, without its end.
pub(super) fn hash(line: &[u8]) -> String {
    sha256([line])
}

/// Goes on from `position` over the whole lines of `tail`, as far as they continue the chain; an error where one does not.
pub(super) fn follow(position: &mut Position, tail: &[u8]) -> Result<(), String> {
    for line in tail.split_inclusive(|byte| *byte == b'\n') {
        let Some(line) = line.strip_suffix(b"\n") else { break };
        let seq = position.seq + 1;
        let (number, before) = number_and_link(line).ok_or_else(|| format!("record {seq} is malformed"))?;
        if number != seq {
            return Err(format!("record {number} stands where record {seq} should"));
        }
        if before != position.hash {
            return Err(format!("record {seq} does not continue the chain"));
        }
        *position = Position { seq, length: position.length + line.len() as u64 + 1, hash: hash(line) };
    }
    Ok(())
}

/// What the first line of a file continues.
pub(super) fn predecessor(text: &[u8]) -> Option<Position> {
    let line = text.split(|byte| *byte == b'\n').next()?;
    let (number, before) = number_and_link(line)?;
    Some(Position { seq: number.checked_sub(1)?, length: 0, hash: before.to_owned() })
}

/// The number of a line, and the hash that it ends with. A string in it holds no bare quotation mark, so that nothing of what
/// a record tells reads like these.
fn number_and_link(line: &[u8]) -> Option<(u64, &str)> {
    let line = std::str::from_utf8(line).ok()?;
    let number = line.strip_prefix(NUMBER)?.split(',').next()?.parse().ok()?;
    let (_, link) = line.rsplit_once(LINK)?;
    let hash = link.strip_suffix("\"}")?;
    (hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some((number, hash))
}

/// The full files in a directory, by their first record's number, the oldest first.
pub(super) fn archives(directory: &Path) -> nix::Result<Vec<u64>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut found = Vec::new();
    for entry in Dir::open(directory, flags, Mode::empty())?.iter() {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy();
        let number = name.strip_prefix("audit-").and_then(|rest| rest.strip_suffix(".jsonl"));
        found.extend(number.filter(|digits| digits.len() == 20).and_then(|digits| digits.parse::<u64>().ok()));
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::head::BEGINNING;

    fn line(seq: u64, before: &str) -> String {
        format!("{{\"seq\":{seq},\"at\":\"now\",\"prev\":\"{before}\"}}\n")
    }

    fn beginning() -> Position {
        Position { seq: 0, length: 0, hash: BEGINNING.into() }
    }

    #[test]
    fn whole_lines_that_continue_the_chain_are_followed() {
        let first = line(1, BEGINNING);
        let second = line(2, &hash(first.trim_end().as_bytes()));
        let all = format!("{first}{second}");
        for cut in 0..=all.len() {
            let mut position = beginning();
            follow(&mut position, &all.as_bytes()[..cut]).unwrap();
            let whole = all[..cut].matches('\n').count() as u64;
            assert_eq!(position.seq, whole);
            assert_eq!(position.length, if whole == 2 { all.len() as u64 } else { whole * first.len() as u64 });
        }
        assert_eq!(predecessor(second.as_bytes()).map(|before| before.seq), Some(1));
    }

    #[test]
    fn what_does_not_continue_it_is_found() {
        let first = line(1, BEGINNING);
        for (text, reason) in [
            (line(2, BEGINNING), "record 2 stands where record 1"),
            (format!("{first}{}", line(2, BEGINNING)), "record 2 does not continue"),
            ("nonsense\n".to_owned(), "record 1 is malformed"),
            (line(1, "short"), "record 1 is malformed"),
        ] {
            let found = follow(&mut beginning(), text.as_bytes()).unwrap_err();
            assert!(found.starts_with(reason), "{found}");
        }
    }
}
