//! An open file's content as the standard library reads: in sequence, or from anywhere.

use super::file::File;
use crate::error::{Error, Io, Result};
use rhai::EvalAltResult;
use std::cell::RefCell;
use std::io::{self, BufRead, Read, Seek, SeekFrom};

/// An open file's content. It remembers why it could not be read, which `io::Error` has no place for.
#[derive(Debug)]
pub(super) struct Source<'f> {
    file: &'f File,
    refusal: RefCell<Option<Box<EvalAltResult>>>,
}

impl<'f> Source<'f> {
    /// The content of `file`. Asks `read` on it, piece by piece.
    pub(super) fn of(file: &'f File) -> Self {
        Self { file, refusal: RefCell::default() }
    }

    /// Reads it from its start on. No more than a piece is held at a time.
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader { source: self, piece: Vec::new(), start: 0, at: 0 }
    }

    /// How long it is, in bytes, found by a few reads: `stat` is not asked.
    pub(super) fn length(&self) -> Result<u64> {
        let piece = |at| {
            let mut length = 0;
            self.file.pieces(at, |piece| {
                length = piece.len() as u64;
                false
            })?;
            Ok::<u64, Box<EvalAltResult>>(length)
        };
        // What lies before `known` is there; what lies from `beyond` on is not.
        let (mut known, mut beyond) = (0, u64::MAX);
        loop {
            match piece(known)? {
                0 => return Ok(known),
                length => known += length,
            }
            let farther = if beyond == u64::MAX { known.saturating_mul(2) } else { known.midpoint(beyond) };
            match piece(farther)? {
                0 => beyond = farther.max(known),
                length => known = known.max(farther + length),
            }
        }
    }

    /// The error to raise where reading has failed with `error`.
    pub(super) fn error(&self, error: &io::Error) -> Box<EvalAltResult> {
        self.refusal().unwrap_or_else(|| Error::new(Io::IoError, error.to_string()).into())
    }

    /// Why the session would not read, if that was so.
    pub(super) fn refusal(&self) -> Option<Box<EvalAltResult>> {
        self.refusal.take()
    }
}

/// Reads a [`Source`].
#[derive(Debug)]
pub(super) struct Reader<'c> {
    source: &'c Source<'c>,
    piece: Vec<u8>,
    /// Where the piece begins in the content.
    start: u64,
    /// Where reading goes on in the content.
    at: u64,
}

impl Reader<'_> {
    /// What is held of the content from where reading goes on.
    fn held(&self) -> &[u8] {
        let skipped = self.at.checked_sub(self.start).and_then(|skipped| usize::try_from(skipped).ok());
        skipped.and_then(|skipped| self.piece.get(skipped..)).unwrap_or_default()
    }
}

impl BufRead for Reader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.held().is_empty() {
            self.piece.clear();
            self.start = self.at;
            let piece = &mut self.piece;
            let read = self.source.file.pieces(self.at, |bytes| {
                piece.extend_from_slice(bytes);
                false
            });
            if let Err(refusal) = read {
                self.source.refusal.replace(Some(refusal));
                return Err(io::Error::other("the session does not read it"));
            }
        }
        Ok(self.held())
    }

    fn consume(&mut self, length: usize) {
        self.at += length as u64;
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(into)?;
        self.consume(length);
        Ok(length)
    }
}

impl Seek for Reader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => match self.source.length() {
                Ok(length) => length.checked_add_signed(by),
                Err(refusal) => {
                    self.source.refusal.replace(Some(refusal));
                    return Err(io::Error::other("the session does not read it"));
                }
            },
        };
        self.at = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
