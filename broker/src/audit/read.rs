//! Reading the log, from its oldest file to the newest.

use super::chain;
use super::files::LINE;
use super::json::{is_plain, one_line};
use super::log::{CURRENT, archive};
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// One record as it stands in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    line: String,
    fields: Map<String, Value>,
}

impl Record {
    /// The record of a line; nothing where it is none.
    pub fn parse(line: &str) -> Option<Self> {
        let line = line.trim_end_matches('\n');
        serde_json::from_str(line).ok().map(|fields| Self { line: line.to_owned(), fields })
    }

    /// Its line as it stands in the log. One that no broker wrote, and that a terminal would obey, comes with the same fields and
    /// all of that escaped.
    pub fn to_json(&self) -> Cow<'_, str> {
        if self.line.chars().all(is_plain) { Cow::Borrowed(&self.line) } else { Cow::Owned(one_line(&self.fields)) }
    }

    /// Its number.
    pub fn seq(&self) -> u64 {
        self.number("seq")
    }

    /// When it was made.
    pub fn at(&self) -> Option<Timestamp> {
        self.text("at").parse().ok()
    }

    /// What it is of: `decision`.
    pub fn kind(&self) -> &str {
        self.text("kind")
    }

    /// The run that it belongs to; empty for the broker's own.
    pub fn run(&self) -> &str {
        self.text("run")
    }

    /// A field that is a text; empty where it is missing.
    pub fn text(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// A field that is a number; 0 where it is missing.
    pub fn number(&self, field: &str) -> u64 {
        self.fields.get(field).and_then(Value::as_u64).unwrap_or_default()
    }

    /// The texts of a field that is a list.
    pub fn texts(&self, field: &str) -> Vec<&str> {
        self.fields.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// All fields.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }
}

/// Reads records in their order, from file to file, also while the log is written and its files are put aside or removed. A line
/// that is no record, such as one that is being written, is passed over.
pub struct Reader {
    directory: PathBuf,
    open: Option<BufReader<File>>,
    /// The number of the newest full file that is behind it, or that it reads; 0 before the first.
    reached: u64,
    line: Vec<u8>,
}

impl Reader {
    /// Of the log in a directory.
    pub fn open(directory: &Path) -> io::Result<Self> {
        if files(directory)?.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "there is no audit log"));
        }
        Ok(Self { directory: directory.to_owned(), open: None, reached: 0, line: Vec::new() })
    }

    /// The next record; nothing at the end. What is written afterwards comes when it is asked again.
    pub fn next_record(&mut self) -> io::Result<Option<Record>> {
        loop {
            if let Some(record) = self.record()? {
                return Ok(Some(record));
            }
            let Some((number, file)) = self.following()? else { return Ok(None) };
            // What was written to the one before until it was put aside.
            if let Some(record) = self.record()? {
                return Ok(Some(record));
            }
            (self.reached, self.open) = (number, Some(BufReader::new(file)));
        }
    }

    /// The next record of the file that is open.
    fn record(&mut self) -> io::Result<Option<Record>> {
        let Some(reader) = &mut self.open else { return Ok(None) };
        loop {
            self.line.clear();
            let length = io::Read::take(&mut *reader, LINE).read_until(b'\n', &mut self.line)?;
            if self.line.last() != Some(&b'\n') && (length as u64) < LINE {
                // What is not whole yet is read again.
                reader.seek(SeekFrom::Current(-i64::try_from(length).unwrap_or(0)))?;
                return Ok(None);
            }
            if let Some(record) = std::str::from_utf8(&self.line).ok().and_then(Record::parse) {
                return Ok(Some(record));
            }
        }
    }

    /// The file behind the one that is open, with its number; nothing where that is the last.
    fn following(&self) -> io::Result<Option<(u64, File)>> {
        loop {
            let archives = chain::archives(&self.directory)?;
            for number in archives.iter().copied().filter(|number| *number > self.reached) {
                match open(&self.directory.join(archive(number))) {
                    // It was put aside while it was read.
                    Ok(file) if self.is_open(&file)? => {}
                    Ok(file) => return Ok(Some((number, file))),
                    // It was removed, as there are newer ones enough.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            let file = match open(&self.directory.join(CURRENT)) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            if self.is_open(&file)? {
                return Ok(None);
            }
            // Where another one was put aside in between, that comes before this one.
            if chain::archives(&self.directory)? == archives {
                return Ok(Some((archives.last().copied().unwrap_or(0).max(self.reached), file)));
            }
        }
    }

    fn is_open(&self, file: &File) -> io::Result<bool> {
        let Some(open) = &self.open else { return Ok(false) };
        Ok(same(&open.get_ref().metadata()?, &file.metadata()?))
    }
}

impl Iterator for Reader {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_record().transpose()
    }
}

/// The files of a log, the oldest first.
pub(super) fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> =
        chain::archives(directory)?.into_iter().map(|first| directory.join(archive(first))).collect();
    let current = directory.join(CURRENT);
    if nix::sys::stat::lstat(&current).is_ok() {
        files.push(current);
    }
    Ok(files)
}

#[expect(clippy::disallowed_methods, reason = "whoever reads the log names it; it is not written here")]
pub(super) fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

fn same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}
