//! Redacted reading: the one place where the broker looks into a file.
//!
//! Why it must be here: what is hidden must not reach the worker. Why it is safe: lines are matched by
//! linear-time expressions over bytes, made of the dictionary's escaped literal text and of four fixed patterns.

use super::read::{read_at, readable};
use super::*;
use crate::authz::Granted;
use crate::perform::{Demands, Perform};
use crate::sys::fs::root;
use nix::fcntl::OFlag;
use regex::bytes::{RegexSet, RegexSetBuilder};
use rex_protocol::fs::{REDACTION_DICTIONARY, ReadRedacted, RedactedLines};
use rex_protocol::text::{CHUNK, Chunk};

/// What stands for a hidden line.
const HIDDEN: &[u8] = b"[REDACTED]";
/// The longest line that is matched; a longer one is hidden.
const LINE: usize = 1024 * 1024;
/// How much of a file one request looks through at most.
const WINDOW: usize = 2 * LINE;
/// The largest dictionary, in bytes.
const DICTIONARY: usize = 1024 * 1024;

/// The lines that may be shown.
pub(crate) struct Dictionary {
    shown: RegexSet,
}

impl Perform for ReadRedacted {
    type Target = (Rc<OpenRegularFile>, u64);

    fn target(self, state: &mut State) -> Result<Self::Target, Stop> {
        Ok((state.handles.file(self.file)?, self.offset))
    }

    fn demands((file, _): &Self::Target) -> Demands {
        Demands::all(vec![file.demand(Action::FileRedactedRead)])
    }

    fn perform(target: Granted<Self::Target>, state: &mut State) -> Result<RedactedLines, Stop> {
        let (file, offset) = target.into_inner();
        readable(&file)?;
        if file.path.as_bytes() == REDACTION_DICTIONARY.as_bytes() {
            let message = "trying to read the redaction dictionary in redacted form";
            return Err(Failure::new(FailureKind::DictionaryItself, message).into());
        }
        // It is ours, wherever the script is.
        let dictionary = root::at_home(|| dictionary(state))?;
        let inside = file.inside_line.take() == Some(offset);
        if !inside {
            confirm_line_start(&file, offset)?;
        }
        let window = planned::read(&file.fd, offset, WINDOW).map_err(|errno| refused(errno, "read", &file.path))?;
        let at_end = window.len() < WINDOW;
        let page = dictionary.page(&window, at_end, inside);
        let next = (!page.done).then(|| offset + page.used as u64);
        if page.inside {
            file.inside_line.replace(next);
        }
        state.spent().bytes_read += page.text.len() as u64;
        let text = Chunk::try_from(page.text).map_err(|error| Failure::new(FailureKind::InvalidArguments, error))?;
        Ok(RedactedLines { text, next, any: page.lines > 0 })
    }
}

/// A line that is hidden for its length must not be shown by its end: reading begins where a line does.
fn confirm_line_start(file: &OpenRegularFile, offset: u64) -> Result<(), Failure> {
    let Some(before) = offset.checked_sub(1) else { return Ok(()) };
    match planned::read(&file.fd, before, 1).as_deref() {
        Ok(b"\n") => Ok(()),
        // The file may have changed since the reply that named this place.
        _ => Err(refused(Errno::ESTALE, "read redacted from inside a line of", &file.path)),
    }
}

/// The dictionary, read at the first need with the script's own permissions and kept for the run.
fn dictionary(state: &mut State) -> Result<Rc<Dictionary>, Stop> {
    if let Some(dictionary) = &state.dictionary {
        return Ok(Rc::clone(dictionary));
    }
    let path = AbsPath::parse(REDACTION_DICTIONARY).map_err(|_| unusable(true, "its path"))?;
    let Some((parent, name)) = path.split() else { return Err(unusable(true, "its path").into()) };
    state.demand(&[dir_demand(Action::FileOpen, &parent)])?;
    let dir = follow_dir(&parent, state).map_err(|stop| missing(stop, true))?;
    let path = join(&dir.path, &name)?;
    state.demand(&[file_demand(Action::FileOpen, &path), file_demand(Action::FileRead, &path)])?;
    let text = read_dictionary(&dir, &name, &path).map_err(|failure| missing(failure.into(), false))?;
    let dictionary = Rc::new(Dictionary::parse(&String::from_utf8_lossy(&text)));
    state.dictionary = Some(Rc::clone(&dictionary));
    Ok(dictionary)
}

fn read_dictionary(dir: &OpenDirectory, name: &Name, path: &AbsPath) -> Result<Vec<u8>, Failure> {
    let pin = fs::pin_entry(&*dir.pin, name).map_err(|errno| refused(errno, "open", path))?;
    if look(&pin, path)?.0 != EntryKind::File {
        return Err(not_regular(path));
    }
    let fd = fs::reopen(&pin, OFlag::O_RDONLY).map_err(|errno| refused(errno, "open", path))?;
    read_at(&fd, 0, DICTIONARY).map_err(|errno| refused(errno, "read", path))
}

/// Denials stay what they are; everything else is the dictionary's fault.
fn missing(stop: Stop, directory: bool) -> Stop {
    match stop {
        Stop::Failure(failure) if !failure.is_denial() => {
            let cause = match failure.errno() {
                Some(errno) => std::io::Error::from_raw_os_error(errno).to_string(),
                None => failure.to_string(),
            };
            unusable(directory, &cause).into()
        }
        stop => stop,
    }
}

fn unusable(directory: bool, cause: &str) -> Failure {
    Failure::new(FailureKind::Dictionary { directory }, cause)
}

/// What one request shows.
struct Page {
    text: Vec<u8>,
    lines: usize,
    used: usize,
    /// Whether the file ends with what was used.
    done: bool,
    /// Whether `used` stops inside a line that is hidden already.
    inside: bool,
}

impl Dictionary {
    /// One pattern a line; empty lines and comments are passed over, and so is a line that is no pattern.
    fn parse(text: &str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let patterns: Vec<String> = lines.filter_map(expression).collect();
        let set = RegexSetBuilder::new(&patterns).size_limit(32 * 1024 * 1024).build();
        // A dictionary too large to compile shows nothing.
        Self { shown: set.unwrap_or_else(|_| RegexSet::empty()) }
    }

    /// The next lines of `window`, as many as fit one reply.
    fn page(&self, window: &[u8], at_end: bool, mut inside: bool) -> Page {
        let mut page = Page { text: Vec::new(), lines: 0, used: 0, done: false, inside: false };
        loop {
            let rest = window.get(page.used..).unwrap_or_default();
            if rest.is_empty() {
                page.done = at_end;
                page.inside = inside;
                return page;
            }
            let end = memchr_newline(rest);
            let (line, used, whole) = match end {
                Some(end) => (rest.get(..end).unwrap_or_default(), end + 1, true),
                None if at_end => (rest, rest.len(), true),
                // The line goes on beyond the window: read again from its start, unless it is too long to be matched.
                None if page.used > 0 && rest.len() < LINE => return page,
                None => (rest, rest.len(), false),
            };
            if inside {
                // The rest of a line that was hidden before.
                inside = !whole;
                page.used += used;
                continue;
            }
            let shown = if whole && line.len() <= LINE { self.show(line) } else { HIDDEN };
            if page.text.len() + shown.len() + 1 > CHUNK {
                if page.lines > 0 {
                    return page;
                }
                // A single line that no reply can carry.
                page.text.extend_from_slice(HIDDEN);
            } else {
                if page.lines > 0 {
                    page.text.push(b'\n');
                }
                page.text.extend_from_slice(shown);
            }
            page.lines += 1;
            page.used += used;
            inside = !whole;
        }
    }

    fn show<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if self.shown.is_match(line) { line } else { HIDDEN }
    }
}

fn memchr_newline(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&byte| byte == b'\n')
}

/// A `printf` format (printf(3)) as an expression: literal text escaped, `%s` a word, `%d` and `%u` integers, `%m`
/// anything. Any other conversion voids the line.
fn expression(format: &str) -> Option<String> {
    let mut expression = String::new();
    let mut rest = format;
    while let Some((literal, conversion)) = rest.split_once('%') {
        expression.push_str(&regex::escape(literal));
        let decoration = |c: char| c.is_ascii_digit() || "-+ #0.*hlzjtL".contains(c);
        let conversion = conversion.trim_start_matches(decoration);
        let mut chars = conversion.chars();
        expression.push_str(match chars.next()? {
            's' => r"(\S+)",
            'd' => r"(-?\d+)",
            'u' => r"(\d+)",
            'm' => r".*?",
            _ => return None,
        });
        rest = chars.as_str();
    }
    expression.push_str(&regex::escape(rest));
    Some(expression)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(dictionary: &Dictionary, content: &[u8], window: usize) -> String {
        let (mut lines, mut offset, mut inside) = (Vec::new(), 0, false);
        loop {
            let rest = &content[offset..];
            let piece = &rest[..rest.len().min(window)];
            let page = dictionary.page(piece, piece.len() < window, inside);
            if page.lines > 0 {
                lines.push(String::from_utf8(page.text).unwrap());
            }
            offset += page.used;
            inside = page.inside;
            if page.done {
                return lines.join("\n");
            }
            assert!(page.used > 0, "no progress");
        }
    }

    #[test]
    fn shows_what_matches_and_hides_the_rest() {
        let dictionary =
            Dictionary::parse("# c\nerror %d: failed for \"%s\"\n\nlost %s because of %m\nunknown %f\n100%%\n");
        let content =
            b"start\nerror -5: failed for \"bob\"\nerror x: failed\n\nlost a because of rain, again\nunknown 1.0\n";
        let shown = "[REDACTED]\nerror -5: failed for \"bob\"\n[REDACTED]\n[REDACTED]\nlost a because of rain, again\n[REDACTED]";
        for window in [7, 64, 4096] {
            if window > 40 {
                assert_eq!(all(&dictionary, content, window), shown, "{window}");
            }
        }
    }

    #[test]
    fn literal_text_is_no_expression() {
        let dictionary = Dictionary::parse("a.b (%d)");
        assert_eq!(all(&dictionary, b"a.b (5)\naxb (5)\na.b 5", 4096), "a.b (5)\n[REDACTED]\n[REDACTED]");
    }

    #[test]
    fn overlong_lines_are_hidden_once() {
        let dictionary = Dictionary::parse("x");
        let content = [b"x\n".as_slice(), &vec![b'x'; 3 * LINE], b"\nx"].concat();
        assert_eq!(all(&dictionary, &content, WINDOW), "x\n[REDACTED]\nx");
    }

    #[test]
    fn many_short_lines_come_in_pages() {
        let dictionary = Dictionary::parse("keep");
        let content = "\n".repeat(40_000);
        assert_eq!(all(&dictionary, content.as_bytes(), WINDOW).lines().count(), 40_000);
    }
}
