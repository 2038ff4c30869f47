//! Compressed files: making them, and reading and searching what they hold.

use super::file::{File, Match, ReadLinesOptions, line};
use super::options::{self, Options};
use super::reader::Source;
use super::{Surface, item, number};
use crate::error::{Error, Io, Result, errno_text};
use crate::format::gzip;
use crate::text::lines::{Selector, without_end};
use crate::text::pattern;
use regex::Regex;
use rex_protocol::fs::Placement;
use rhai::{Array, Dynamic, Map};
use serde::Deserialize;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, BufRead, Read, Seek, SeekFrom};

#[derive(Debug, Clone, Deserialize)]
struct CompressGzipOptions {
    #[serde(default = "usual_level")]
    level: u32,
}

fn usual_level() -> u32 {
    6
}

impl Options for CompressGzipOptions {
    const NAME: &'static str = "CompressGzipOptions";

    fn check(&self) -> std::result::Result<(), String> {
        match self.level {
            1..=9 => Ok(()),
            level => Err(format!("Validation error: Compression level must be between 1 and 9, got {level}")),
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct SearchGzipOptions {
    exclude_pattern: Option<String>,
    case_insensitive: bool,
    max_results: i64,
}

impl Options for SearchGzipOptions {
    const NAME: &'static str = "SearchGzipOptions";
}

/// How large a compressed file is, and what it holds.
#[derive(Debug, Clone, Copy)]
struct GzipInfo {
    compressed: u64,
    /// As the end of the file says it.
    uncompressed: u32,
}

impl GzipInfo {
    fn ratio(self) -> f64 {
        if self.compressed == 0 { 0.0 } else { f64::from(self.uncompressed) / self.compressed as f64 }
    }
}

/// Registers the functions on compressed files.
pub fn register(surface: &mut Surface) {
    options::register::<CompressGzipOptions>(surface);
    options::register::<SearchGzipOptions>(surface);
    surface.function("compress_gzip", |file: File, destination: File, options: CompressGzipOptions| {
        compress(&file, &destination, options.level)
    });
    surface.function("read_gzip_lines", |file: File, options: ReadLinesOptions| read_lines(&file, &options));
    surface.function("search_gzip", |file: File, expression: &str, options: SearchGzipOptions| {
        search(&file, expression, &options)
    });
    surface.function("search_gzip_exists", |file: File, expression: &str, options: SearchGzipOptions| {
        let mut exists = false;
        each_match(&file, &Wanted::new(expression, &options)?, |_, _| {
            exists = true;
            false
        })?;
        Ok::<_, Box<rhai::EvalAltResult>>(exists)
    });
    surface.function("gzip_info", |file: File| info(&file));

    surface.shown::<GzipInfo>("GzipInfo");
    surface.property("compressed_size_bytes", |info: &mut GzipInfo| number(info.compressed));
    surface.property("uncompressed_size_bytes", |info: &mut GzipInfo| i64::from(info.uncompressed));
    surface.property("compression_ratio", |info: &mut GzipInfo| info.ratio());
    surface.function("to_map", |info: &mut GzipInfo| {
        Map::from_iter([
            item("compressed_size_bytes", number(info.compressed)),
            item("compression_ratio", info.ratio()),
            item("uncompressed_size_bytes", i64::from(info.uncompressed)),
        ])
    });
}

// Nothing is written before all is compressed: a source that cannot be read to its end leaves the destination as it was.
fn compress(file: &File, destination: &File, level: u32) -> Result<()> {
    let content = Source::of(file);
    let packed = gzip::pack(content.reader(), level).map_err(|error| content.error(&error))?;
    destination.write_bytes(&packed, Placement::InPlace).map(|_| ())
}

fn read_lines(file: &File, options: &ReadLinesOptions) -> Result<Array> {
    let none = || Error::new(Io::ValidationError, "Validation error: Must specify count or start option");
    let mut selector = Selector::new(options.selection().ok_or_else(none)?);
    let content = Source::of(file);
    let mut unpacked = gzip::unpack(content.reader());
    loop {
        let piece = unpacked.fill_buf().map_err(|error| content.error(&error))?;
        let length = piece.len();
        if length == 0 || !selector.add(piece) {
            return selector.finish().into_iter().map(line).collect();
        }
        unpacked.consume(length);
    }
}

/// Which lines a search is for.
struct Wanted {
    with: Regex,
    without: Option<Regex>,
}

impl Wanted {
    fn new(expression: &str, options: &SearchGzipOptions) -> Result<Self> {
        let any_case = if options.case_insensitive { "(?i)" } else { "" };
        let with = pattern::regex(&format!("{any_case}{expression}"), expression)?;
        let without = options.exclude_pattern.as_ref().map(|pattern| pattern::regex(pattern, pattern)).transpose()?;
        Ok(Self { with, without })
    }

    fn matches(&self, line: &str) -> bool {
        self.with.is_match(line) && self.without.as_ref().is_none_or(|without| !without.is_match(line))
    }
}

fn search(file: &File, expression: &str, options: &SearchGzipOptions) -> Result<Array> {
    let most = usize::try_from(options.max_results.unsigned_abs()).unwrap_or(usize::MAX);
    let (first, last) = (options.max_results > 0, options.max_results < 0);
    let mut found = VecDeque::new();
    each_match(file, &Wanted::new(expression, options)?, |number, line| {
        if last && found.len() == most {
            found.pop_front();
        }
        found.push_back(Match { number, content: line.into() });
        !(first && found.len() == most)
    })?;
    Ok(found.into_iter().map(Dynamic::from).collect())
}

/// Calls `each` with the number and text of every line that is wanted, until it says to stop. One line is held at a time.
fn each_match(file: &File, wanted: &Wanted, mut each: impl FnMut(i64, &str) -> bool) -> Result<()> {
    let content = Source::of(file);
    let mut unpacked = gzip::unpack(content.reader());
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if unpacked.read_until(b'\n', &mut line).map_err(|error| content.error(&error))? == 0 {
            break;
        }
        let text = std::str::from_utf8(without_end(&line));
        let text = text.map_err(|_| Error::new(Io::IoError, "stream did not contain valid UTF-8"))?;
        if wanted.matches(text) && !each(number, text) {
            break;
        }
    }
    Ok(())
}

fn info(file: &File) -> Result<GzipInfo> {
    let content = Source::of(file);
    let compressed = content.length()?;
    let too_short = || Error::new(Io::IoError, errno_text(libc::EINVAL));
    let trailer = compressed.checked_sub(gzip::TRAILER as u64).ok_or_else(too_short)?;
    let last = last_bytes(&content, trailer).map_err(|error| content.error(&error))?;
    Ok(GzipInfo { compressed, uncompressed: gzip::length(last) })
}

/// The bytes from `trailer` on, of what must begin as gzip does.
fn last_bytes(content: &Source<'_>, trailer: u64) -> io::Result<[u8; gzip::TRAILER]> {
    let mut reader = content.reader();
    gzip::confirm(&mut reader)?;
    reader.seek(SeekFrom::Start(trailer))?;
    let mut last = [0; gzip::TRAILER];
    reader.read_exact(&mut last)?;
    Ok(last)
}

impl fmt::Display for GzipInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GzipInfo({}, {})", self.compressed, self.uncompressed)
    }
}
