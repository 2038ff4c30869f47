//! Open files.

use super::metadata::{Metadata, Ownership};
use super::options::{self, Options};
use super::{Surface, item, number, refuse};
use crate::channel::{Channel, Held};
use crate::error::{Error, Io, Result};
use crate::text::lines::{self, Counts, Selection, Selector, split};
use crate::text::pattern;
use rex_protocol::failure::FailureKind;
use rex_protocol::fs::{DeleteFile, Object, OpenedFile, Placement, Read, ReadRedacted, Stat, Write};
use rex_protocol::handle;
use rex_protocol::path::AbsPath;
use rex_protocol::text::{CHUNK, Chunk};
use rex_protocol::{Action, Failure};
use rhai::{Array, Dynamic, ImmutableString, Map};
use serde::Deserialize;
use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

/// An open file.
#[derive(Debug, Clone)]
pub struct File(Rc<Open>);

#[derive(Debug)]
struct Open {
    held: Held<handle::File>,
    path: AbsPath,
    /// The path it was asked for by: with a followed link the link's.
    asked: AbsPath,
    /// Where `read_page` goes on.
    page: Cell<u64>,
}

/// How to open a file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct OpenFileOptions {
    pub(super) read: bool,
    pub(super) write: bool,
    pub(super) create: bool,
    pub(super) follow_symlinks: bool,
    pub(super) permissions: Option<i64>,
}

impl Options for OpenFileOptions {
    const NAME: &'static str = "OpenFileOptions";

    fn implied(field: &str) -> &'static [&'static str] {
        if field == "create" { &["write"] } else { &[] }
    }
}

#[derive(Debug, Clone, Deserialize)]
struct WriteOptions {
    #[serde(default = "yes")]
    preserve_ownership: bool,
}

fn yes() -> bool {
    true
}

impl Options for WriteOptions {
    const NAME: &'static str = "WriteOptions";
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct DeleteFileOptions {
    force: bool,
}

impl Options for DeleteFileOptions {
    const NAME: &'static str = "DeleteFileOptions";
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct ReadLinesOptions {
    count: Option<i64>,
    start: Option<u64>,
}

impl ReadLinesOptions {
    /// Which lines they mean; nothing where they say nothing.
    pub(super) fn selection(&self) -> Option<Selection> {
        let count = |count: i64| count.unsigned_abs();
        Some(match (self.count, self.start) {
            (None, None) => return None,
            (Some(n), None) if n < 0 => Selection::Last(count(n)),
            (Some(n), None) => Selection::First(count(n)),
            (Some(n), Some(start)) if n < 0 => Selection::UpTo(count(n), start),
            (Some(n), Some(start)) => Selection::From(count(n), start),
            (None, Some(start)) => Selection::From(u64::MAX, start),
        })
    }
}

impl Options for ReadLinesOptions {
    const NAME: &'static str = "ReadLinesOptions";

    fn check(&self) -> std::result::Result<(), String> {
        if self.start == Some(0) { Err(format!("{}: 0", NO_LINE_ZERO)) } else { Ok(()) }
    }
}

/// What is said of a first line that is none.
pub(super) const NO_LINE_ZERO: &str =
    "Invalid line to start reading from: must be a positive integer greater than 1 (>= 1)";

#[derive(Debug, Clone, Deserialize)]
struct ReadPageOptions {
    num_lines: u64,
}

impl Options for ReadPageOptions {
    const NAME: &'static str = "ReadPageOptions";

    fn check(&self) -> std::result::Result<(), String> {
        match self.num_lines {
            0 => Err("Read page options require the num_lines option to be set and greater than zero: 0".into()),
            _ => Ok(()),
        }
    }
}

/// A line that was found.
#[derive(Debug, Clone)]
pub(super) struct Match {
    pub(super) number: i64,
    pub(super) content: ImmutableString,
}

#[derive(Debug, Clone)]
struct WordCount(Counts);

impl File {
    /// Takes over a file that the session just opened, asked for by the path `asked`.
    pub(super) fn new(channel: &Rc<Channel>, opened: OpenedFile, asked: AbsPath) -> Self {
        let held = Held::new(channel, opened.file);
        Self(Rc::new(Open { held, path: opened.path, asked, page: Cell::new(0) }))
    }

    /// Its whole text; where only `redacted_read` is allowed, with what the dictionary hides hidden.
    pub(super) fn text(&self) -> Result<String> {
        let denied = match self.try_content() {
            Err(failure) if failure.is_denial() => failure,
            read => return utf8(read.map_err(|failure| self.refused(&failure))?),
        };
        let read = self.redacted().map_err(|failure| match &failure.kind {
            FailureKind::Denied(denial) if *denial.action == Action::FileRedactedRead.to_string() => {
                self.refused(&denied)
            }
            FailureKind::Denied(denial) => refuse::dictionary(&failure, denial),
            _ => self.refused(&failure),
        });
        utf8(read?)
    }

    /// Its whole content.
    pub(super) fn content(&self) -> Result<Vec<u8>> {
        Ok(self.try_content().map_err(|failure| self.refused(&failure))?)
    }

    /// Calls `each` with every piece of the content from `offset` on, until it says to stop.
    pub(super) fn pieces(&self, offset: u64, mut each: impl FnMut(&[u8]) -> bool) -> Result<()> {
        Ok(self.try_pieces(offset, |chunk| each(&chunk)).map_err(|failure| self.refused(&failure))?)
    }

    /// Gives it new content. For an atomic placement the new file is returned.
    pub(super) fn write(&self, text: &str, placement: Placement) -> Result<Option<File>> {
        self.write_bytes(text.as_bytes(), placement)
    }

    /// As [`Self::write`], with content that may be no text.
    pub(super) fn write_bytes(&self, content: &[u8], placement: Placement) -> Result<Option<File>> {
        let mut rest = content;
        loop {
            let (piece, after) = rest.split_at_checked(CHUNK).unwrap_or((rest, &[]));
            let more = !after.is_empty();
            let content = Chunk::try_from(piece.to_vec()).unwrap_or_default();
            let request = Write { file: self.0.held.handle(), placement, content, more };
            let written = self.channel().call(&request).map_err(|failure| self.refused(&failure))?;
            if !more {
                return Ok(written.file.map(|opened| File::new(self.channel(), opened, self.0.asked.clone())));
            }
            rest = after;
        }
    }

    /// Removes the name it was opened by.
    pub(super) fn delete(&self, force: bool) -> Result<()> {
        match self.channel().call(&DeleteFile { file: self.0.held.handle() }) {
            Ok(()) => Ok(()),
            Err(failure) if force && refuse::is_gone(&failure) => Ok(()),
            Err(failure) => Err(refuse::remove(&failure, &self.0.path, false).into()),
        }
    }

    /// What it is like.
    pub(super) fn metadata(&self) -> Result<Metadata> {
        Metadata::new(self.stat()?)
    }

    /// Fails where it may not be read: asks, and reads nothing.
    pub(super) fn may_read(&self) -> Result<()> {
        let request = Read { file: self.handle(), offset: 0, length: 0 };
        Ok(self.channel().call(&request).map(drop).map_err(|failure| self.refused(&failure))?)
    }

    /// Its handle.
    pub(super) fn handle(&self) -> rex_protocol::Handle<handle::File> {
        self.0.held.handle()
    }

    /// Its path as policy judged it.
    pub(super) fn path(&self) -> &AbsPath {
        &self.0.path
    }

    /// The path it was asked for by: with a followed link the link's.
    pub(super) fn asked(&self) -> &AbsPath {
        &self.0.asked
    }

    pub(super) fn channel(&self) -> &Rc<Channel> {
        self.0.held.channel()
    }

    /// How many lines, words and bytes it has.
    pub(super) fn counts(&self) -> Result<Counts> {
        let mut counts = Counts::default();
        self.pieces(0, |piece| {
            counts.add(piece);
            true
        })?;
        Ok(counts.finish())
    }

    fn try_content(&self) -> std::result::Result<Vec<u8>, Failure> {
        let mut content = Vec::new();
        self.try_pieces(0, |chunk| {
            if content.is_empty() {
                content = chunk.into_bytes();
            } else {
                content.extend_from_slice(&chunk);
            }
            true
        })?;
        Ok(content)
    }

    // Reads until nothing comes: files of kernel file systems may give less than asked for before their end.
    fn try_pieces(&self, mut offset: u64, mut each: impl FnMut(Chunk) -> bool) -> std::result::Result<(), Failure> {
        loop {
            let request = Read { file: self.0.held.handle(), offset, length: CHUNK as u32 };
            let chunk = self.channel().call(&request)?;
            offset += chunk.len() as u64;
            if chunk.is_empty() || !each(chunk) {
                return Ok(());
            }
        }
    }

    fn redacted(&self) -> std::result::Result<Vec<u8>, Failure> {
        let (mut text, mut offset, mut first) = (Vec::new(), 0, true);
        loop {
            let lines = self.channel().call(&ReadRedacted { file: self.0.held.handle(), offset })?;
            if lines.any {
                if !std::mem::take(&mut first) {
                    text.push(b'\n');
                }
                text.extend_from_slice(&lines.text);
            }
            match lines.next {
                Some(next) => offset = next,
                None => return Ok(text),
            }
        }
    }

    fn lines(&self, options: &ReadLinesOptions) -> Result<Array> {
        let none = || Error::new(Io::InvalidArguments, "Invalid arguments: No read line mode specified");
        self.selected(options.selection().ok_or_else(none)?)
    }

    /// Some of its lines.
    pub(super) fn selected(&self, selection: Selection) -> Result<Array> {
        let mut selector = Selector::new(selection);
        self.pieces(0, |piece| selector.add(piece))?;
        selector.finish().into_iter().map(line).collect()
    }

    /// The next lines; the place in the file is the handle's own.
    fn page(&self, count: u64) -> Result<Array> {
        let (start, mut content, mut newlines) = (self.0.page.get(), Vec::new(), 0);
        self.pieces(start, |piece| {
            content.extend_from_slice(piece);
            newlines += piece.iter().filter(|&&byte| byte == b'\n').count() as u64;
            newlines < count
        })?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let length: usize = content.split_inclusive(|&byte| byte == b'\n').take(count).map(<[u8]>::len).sum();
        let lines = split(&content).take(count).map(|bytes| line(bytes.to_vec())).collect::<Result<_>>()?;
        self.0.page.set(start + length as u64);
        Ok(lines)
    }

    fn strings(&self) -> Result<Array> {
        Ok(lines::strings(&self.content()?).map(|text| ImmutableString::from(text).into()).collect())
    }

    fn search(&self, expression: &str) -> Result<Array> {
        let text = self.text()?;
        let regex = pattern::regex(expression, expression)?;
        let lines = text.lines().zip(1..).filter(|(line, _)| regex.is_match(line));
        Ok(lines.map(|(line, number)| Dynamic::from(Match { number, content: line.into() })).collect())
    }

    /// What it is like, with the session's own answer.
    pub(super) fn try_stat(&self) -> std::result::Result<rex_protocol::fs::Metadata, Failure> {
        self.channel().call(&Stat { object: Object::File(self.0.held.handle()) })
    }

    fn stat(&self) -> Result<rex_protocol::fs::Metadata> {
        Ok(self.try_stat().map_err(|failure| self.refused(&failure))?)
    }

    fn refused(&self, failure: &Failure) -> Error {
        refuse::general(failure, &self.0.path)
    }
}

/// Bytes as text.
pub(super) fn utf8(bytes: Vec<u8>) -> Result<String> {
    Ok(String::from_utf8(bytes).map_err(|_| Error::new(Io::IoError, "stream did not contain valid UTF-8"))?)
}

/// A line as a value.
pub(super) fn line(bytes: Vec<u8>) -> Result<Dynamic> {
    Ok(utf8(bytes)?.into())
}

macro_rules! display {
    ($($type:ty: |$value:ident, $f:ident| $write:expr;)*) => {
        $(impl fmt::Display for $type {
            fn fmt(&self, $f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let $value = self;
                $write
            }
        })*
    };
}
display! {
    File: |file, f| write!(f, "FileHandle({})", file.0.path);
    Match: |found, f| write!(f, "Match({}: {})", found.number, found.content);
    WordCount: |counts, f| write!(f, "WordCount({}, {}, {})", counts.0.lines, counts.0.words, counts.0.bytes);
}

/// Registers files.
pub fn register(surface: &mut Surface) {
    options::register::<OpenFileOptions>(surface);
    options::register::<WriteOptions>(surface);
    options::register::<DeleteFileOptions>(surface);
    options::register::<ReadLinesOptions>(surface);
    options::register::<ReadPageOptions>(surface);
    surface.shown::<File>("FileHandle");
    surface.function("read", |file: File| file.text());
    surface.function("read_lines", |file: File, options: ReadLinesOptions| file.lines(&options));
    surface.function("read_page", |file: File, options: ReadPageOptions| file.page(options.num_lines));
    surface.function("search", |file: File, expression: &str| file.search(expression));
    surface.function("extract_strings", |file: File| file.strings());
    surface.function("counts", |file: File| file.counts().map(WordCount));
    surface.function("write", |file: File, text: &str| replace(&file, text, true));
    surface.function("write", |file: File, text: &str, options: WriteOptions| {
        replace(&file, text, options.preserve_ownership)
    });
    surface.function("write_in_place", |file: File, text: &str| file.write(text, Placement::InPlace).map(|_| ()));
    surface.function("delete", |file: File, options: DeleteFileOptions| file.delete(options.force));
    surface.function("metadata", |file: File| file.metadata());
    surface.function("get_ownership", |file: File| Ownership::new(&file.stat()?));
    surface.function("get_last_modified_time", |file: File| -> Result<i64> {
        let stat = file.stat()?;
        let seconds = stat.modified_seconds.saturating_mul(1_000_000_000);
        Ok(seconds.saturating_add(stat.modified_nanos.into()))
    });

    surface.shown::<WordCount>("WordCount");
    surface.property("line_count", |counts: &mut WordCount| number(counts.0.lines));
    surface.property("word_count", |counts: &mut WordCount| number(counts.0.words));
    surface.property("byte_count", |counts: &mut WordCount| number(counts.0.bytes));
    surface.function("to_map", |counts: &mut WordCount| {
        Map::from_iter([
            item("byte_count", number(counts.0.bytes)),
            item("line_count", number(counts.0.lines)),
            item("word_count", number(counts.0.words)),
        ])
    });

    surface.shown::<Match>("Match");
    surface.property("line_number", |found: &mut Match| found.number);
    surface.property("line_content", |found: &mut Match| found.content.clone());
}

fn replace(file: &File, text: &str, preserve_ownership: bool) -> Result<File> {
    // The session gives no new file only where it breaks its word; the old one still stands then.
    Ok(file.write(text, Placement::Atomic { preserve_ownership })?.unwrap_or_else(|| file.clone()))
}
