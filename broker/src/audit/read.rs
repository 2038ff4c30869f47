//! Reading the log, from its oldest file to the newest.

use super::chain;
use super::log::{CURRENT, archive};
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The longest line that is read, in bytes: no record is so long.
const LINE: u64 = 16 * 1024 * 1024;

/// One record as it stands in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    fields: Map<String, Value>,
}

impl Record {
    /// The record of a line; nothing where it is none.
    pub fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok().map(|fields| Self { fields })
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

/// Reads records in their order. A line that is none, such as one that is being written, is passed over.
pub struct Reader {
    directory: PathBuf,
    files: std::vec::IntoIter<PathBuf>,
    open: Option<(PathBuf, BufReader<File>)>,
    line: Vec<u8>,
}

impl Reader {
    /// Of the log in a directory.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let files = files(directory)?;
        if files.is_empty() {
            let reason = format!("there is no audit log in `{}`", directory.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, reason));
        }
        Ok(Self { directory: directory.to_owned(), files: files.into_iter(), open: None, line: Vec::new() })
    }

    /// Goes on in what was written since the end was reached: behind a file that was full meanwhile, in the next one.
    pub fn next_new(&mut self) -> io::Result<Option<Record>> {
        if let Some(record) = self.next_record()? {
            return Ok(Some(record));
        }
        let Some((path, reader)) = &self.open else { return Ok(None) };
        let own = reader.get_ref().metadata()?;
        let is_current = open(path).and_then(|file| file.metadata()).is_ok_and(|now| same(&now, &own));
        if is_current {
            return Ok(None);
        }
        // It was put aside. What followed is in the files that are newer than it.
        let mut newer = Vec::new();
        for file in files(&self.directory)?.into_iter().rev() {
            if open(&file).and_then(|file| file.metadata()).is_ok_and(|now| same(&now, &own)) {
                break;
            }
            newer.push(file);
        }
        newer.reverse();
        self.files = newer.into_iter();
        self.open = None;
        self.next_record()
    }

    /// The next record; nothing at the end, which may move.
    pub fn next_record(&mut self) -> io::Result<Option<Record>> {
        loop {
            if self.open.is_none() {
                let Some(path) = self.files.next() else { return Ok(None) };
                self.open = Some((path.clone(), BufReader::new(open(&path)?)));
            }
            let Some((_, reader)) = &mut self.open else { return Ok(None) };
            self.line.clear();
            let length = io::Read::take(&mut *reader, LINE).read_until(b'\n', &mut self.line)?;
            if self.line.last() == Some(&b'\n') {
                match std::str::from_utf8(&self.line).ok().and_then(Record::parse) {
                    Some(record) => return Ok(Some(record)),
                    None => continue,
                }
            }
            // What is not whole yet is read again.
            reader.seek(SeekFrom::Current(-i64::try_from(length).unwrap_or(0)))?;
            if self.files.len() == 0 {
                return Ok(None);
            }
            self.open = None;
        }
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

fn same(one: &std::fs::Metadata, other: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}
