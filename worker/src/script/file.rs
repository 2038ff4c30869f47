//! Open files.

use super::metadata::{Metadata, Ownership};
use super::options::{self, Options};
use super::reading::{Blocks, Content};
use super::{Surface, item, number, refuse};
use crate::channel::{Channel, Held};
use crate::error::{Error, Io, Result};
use crate::sys::Descriptor;
use crate::text::lines::{Counts, Selection, Selector, Strings, split};
use crate::text::search::Search;
use rex_protocol::Failure;
use rex_protocol::fs::{DeleteFile, Donate, Object, OpenedFile, Placement, Read, Stat, Write};
use rex_protocol::handle;
use rex_protocol::path::AbsPath;
use rex_protocol::text::{CHUNK, Chunk};
use rhai::{Array, Dynamic, ImmutableString, Map};
use serde::Deserialize;
use std::cell::{Cell, OnceCell};
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
    /// Its length when it was donated, and the descriptor; nothing where it was not.
    donation: OnceCell<Option<(u64, Descriptor)>>,
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
        Self(Rc::new(Open { held, path: opened.path, asked, page: Cell::new(0), donation: OnceCell::new() }))
    }

    /// Its whole text; where only `redacted_read` is allowed, with what the dictionary hides hidden.
    pub(super) fn text(&self) -> Result<String> {
        utf8(Content::open_text(self)?.all()?)
    }

    /// The lines of its text, many at a time. That it may be read is decided here.
    pub(super) fn blocks(&self) -> Result<Blocks<'_>> {
        Ok(Blocks::new(Content::open_text(self)?))
    }

    /// Calls `each` with every line of its text, their ends taken off.
    pub(super) fn each_line(&self, mut each: impl FnMut(&str)) -> Result<()> {
        let mut blocks = self.blocks()?;
        while let Some(block) = blocks.next()? {
            block.lines().for_each(&mut each);
        }
        Ok(())
    }

    /// Calls `found` with the number and the text of each line that a search finds. `search` makes it once the text may be
    /// read; the text must be one to its end even where nothing more is to be found.
    pub(super) fn find(
        &self,
        search: impl FnOnce() -> std::result::Result<Search, Error>,
        mut found: impl FnMut(u64, &str),
    ) -> Result<()> {
        let mut blocks = self.blocks()?;
        let mut search = match search() {
            Ok(search) => search,
            Err(error) => return blocks.skip().and(Err(error.into())),
        };
        while let Some(block) = blocks.next()? {
            search.add(block, &mut found);
        }
        Ok(())
    }

    /// Its whole content.
    pub(super) fn content(&self) -> Result<Vec<u8>> {
        Content::open(self, 0)?.all()
    }

    /// Calls `each` with every piece of the content from `offset` on, until it says to stop.
    pub(super) fn pieces(&self, offset: u64, mut each: impl FnMut(&[u8]) -> bool) -> Result<()> {
        let (mut content, mut piece) = (Content::open(self, offset)?, Vec::new());
        while content.append(&mut piece)? && each(&piece) {
            piece.clear();
        }
        Ok(())
    }

    /// A descriptor to read it with, and its length then; asked for once. Nothing where none came.
    pub(super) fn donation(&self) -> Option<&(u64, Descriptor)> {
        let ask = || {
            let (donated, descriptor) = self.channel().call_for_descriptor(&Donate { file: self.handle() }).ok()?;
            Some((donated.size, descriptor?))
        };
        self.0.donation.get_or_init(ask).as_ref()
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
            let request = Write { file: self.handle(), placement, content, more };
            let written = self.channel().call(&request).map_err(|failure| self.refused(&failure))?;
            if !more {
                return Ok(written.file.map(|opened| File::new(self.channel(), opened, self.0.asked.clone())));
            }
            rest = after;
        }
    }

    /// Removes the name it was opened by.
    pub(super) fn delete(&self, force: bool) -> Result<()> {
        match self.channel().call(&DeleteFile { file: self.handle() }) {
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
        let (mut strings, mut found) = (Strings::default(), Array::new());
        self.pieces(0, |piece| {
            strings.add(piece, |text| found.push(ImmutableString::from(text).into()));
            true
        })?;
        strings.finish(|text| found.push(ImmutableString::from(text).into()));
        Ok(found)
    }

    fn search(&self, expression: &str) -> Result<Array> {
        let mut found = Array::new();
        self.find(
            || Search::new(expression, expression),
            |line, content| found.push(Dynamic::from(Match { number: number(line), content: content.into() })),
        )?;
        Ok(found)
    }

    /// What it is like, with the session's own answer.
    pub(super) fn try_stat(&self) -> std::result::Result<rex_protocol::fs::Metadata, Failure> {
        self.channel().call(&Stat { object: Object::File(self.0.held.handle()) })
    }

    fn stat(&self) -> Result<rex_protocol::fs::Metadata> {
        Ok(self.try_stat().map_err(|failure| self.refused(&failure))?)
    }

    /// What a script is told of a failure.
    pub(super) fn refused(&self, failure: &Failure) -> Error {
        refuse::general(failure, &self.0.path)
    }
}

/// Bytes as text.
pub(super) fn text_of(bytes: &[u8]) -> Result<&str> {
    Ok(std::str::from_utf8(bytes).map_err(|_| not_utf8())?)
}

/// As [`text_of`], without a copy.
pub(super) fn utf8(bytes: Vec<u8>) -> Result<String> {
    Ok(String::from_utf8(bytes).map_err(|_| not_utf8())?)
}

fn not_utf8() -> Error {
    Error::new(Io::IoError, "stream did not contain valid UTF-8")
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
