//! What an open file holds, as it is read: the first piece comes from the session, which decides; the rest of a large
//! regular file from a descriptor that the session donates. A file that changes meanwhile ends where it ends then.

use super::file::{File, text_of};
use super::refuse;
use crate::error::Result;
use crate::sys;
use nix::errno::Errno;
use rex_protocol::failure::FailureKind;
use rex_protocol::fs::{Read, ReadRedacted, RedactedLines};
use rex_protocol::text::{CHUNK, Chunk};
use rex_protocol::{Action, Failure};

/// How much is read at a time of a donated file, in bytes. Larger pieces were not read faster, and this much stays in a
/// processor's cache until it has been looked through.
const PIECE: usize = 256 * 1024;

/// A place in the content of a file. That it may be read has been decided.
pub(super) struct Content<'f> {
    file: &'f File,
    way: Way,
    /// Whether all of it goes into one buffer.
    whole: bool,
}

/// How the content comes.
enum Way {
    Plain(Plain),
    Redacted(Redacted),
}

/// The content as it is.
struct Plain {
    /// What has been read but not given yet.
    ahead: Option<Chunk>,
    offset: u64,
    /// Whether a descriptor can be asked for: there is more than one request fetches, and none has failed.
    large: bool,
    /// Whether the latest answer was not full: the file ends there.
    ended: bool,
}

/// The content with what the dictionary hides hidden.
struct Redacted {
    ahead: Option<RedactedLines>,
    next: Option<u64>,
    begun: bool,
    /// Why it is read in this way.
    denied: Failure,
}

impl<'f> Content<'f> {
    /// The content from `offset` on.
    pub(super) fn open(file: &'f File, offset: u64) -> Result<Self> {
        Ok(Self::try_open(file, offset).map_err(|failure| file.refused(&failure))?)
    }

    /// The content as a text; where only `redacted_read` is allowed, with what the dictionary hides hidden.
    pub(super) fn open_text(file: &'f File) -> Result<Self> {
        match Self::try_open(file, 0) {
            Err(denied) if denied.is_denial() => {
                let mut redacted = Redacted { ahead: None, next: Some(0), begun: false, denied };
                redacted.ahead = redacted.request(file)?;
                Ok(Self { file, way: Way::Redacted(redacted), whole: false })
            }
            opened => Ok(opened.map_err(|failure| file.refused(&failure))?),
        }
    }

    fn try_open(file: &'f File, offset: u64) -> std::result::Result<Self, Failure> {
        let mut plain = Plain { ahead: None, offset, large: false, ended: false };
        plain.ahead = Some(plain.request(file)?);
        Ok(Self { file, way: Way::Plain(plain), whole: false })
    }

    /// Appends the next piece to `buffer`. False at the end.
    pub(super) fn append(&mut self, buffer: &mut Vec<u8>) -> Result<bool> {
        match &mut self.way {
            Way::Redacted(redacted) => redacted.append(self.file, buffer),
            Way::Plain(plain) => {
                let more = plain.append(self.file, self.whole, buffer);
                Ok(more.map_err(|failure| self.file.refused(&failure))?)
            }
        }
    }

    /// All of it.
    pub(super) fn all(mut self) -> Result<Vec<u8>> {
        self.whole = true;
        let mut bytes = Vec::new();
        while self.append(&mut bytes)? {}
        Ok(bytes)
    }
}

impl Plain {
    fn append(&mut self, file: &File, whole: bool, buffer: &mut Vec<u8>) -> std::result::Result<bool, Failure> {
        if self.ahead.is_none()
            && self.large
            && let Some(more) = self.append_donated(file, whole, buffer)
        {
            return Ok(more);
        }
        let chunk = match self.ahead.take() {
            Some(chunk) => chunk,
            None if self.ended => return Ok(false),
            None => self.request(file)?,
        };
        self.offset += chunk.len() as u64;
        let more = !chunk.is_empty();
        if buffer.capacity() == 0 {
            *buffer = chunk.into_bytes();
        } else {
            buffer.extend_from_slice(&chunk);
        }
        Ok(more)
    }

    /// Nothing where the file is not donated, or cannot be read by its descriptor: the session then says why.
    fn append_donated(&mut self, file: &File, whole: bool, buffer: &mut Vec<u8>) -> Option<bool> {
        let donated = file.donation();
        self.large = donated.is_some();
        let (size, descriptor) = donated?;
        let room = buffer.capacity() - buffer.len();
        match size.checked_sub(self.offset).filter(|_| whole) {
            // One byte more, so that the end is found without more room.
            Some(rest) if room == 0 => buffer.reserve_exact(usize::try_from(rest).unwrap_or(usize::MAX - 1) + 1),
            None if room <= PIECE / 2 => buffer.reserve(PIECE),
            _ => {}
        }
        loop {
            match sys::append_from(descriptor, self.offset, buffer) {
                Ok(read) => {
                    self.offset += read as u64;
                    return Some(read > 0);
                }
                Err(Errno::EINTR) => {}
                Err(_) => {
                    self.large = false;
                    return None;
                }
            }
        }
    }

    fn request(&mut self, file: &File) -> std::result::Result<Chunk, Failure> {
        let request = Read { file: file.handle(), offset: self.offset, length: CHUNK as u32 };
        let chunk = file.channel().call(&request)?;
        self.large = chunk.len() == CHUNK;
        self.ended = !self.large;
        Ok(chunk)
    }
}

impl Redacted {
    fn append(&mut self, file: &File, buffer: &mut Vec<u8>) -> Result<bool> {
        let lines = match self.ahead.take() {
            Some(lines) => lines,
            None => match self.request(file)? {
                Some(lines) => lines,
                None => return Ok(false),
            },
        };
        if lines.any {
            if std::mem::replace(&mut self.begun, true) {
                buffer.push(b'\n');
            }
            buffer.extend_from_slice(&lines.text);
        }
        Ok(true)
    }

    /// Nothing at the end.
    fn request(&mut self, file: &File) -> Result<Option<RedactedLines>> {
        let Some(offset) = self.next else { return Ok(None) };
        let request = ReadRedacted { file: file.handle(), offset };
        let lines = file.channel().call(&request).map_err(|failure| match &failure.kind {
            FailureKind::Denied(denial) if *denial.action == Action::FileRedactedRead.to_string() => {
                file.refused(&self.denied)
            }
            FailureKind::Denied(denial) => refuse::dictionary(&failure, denial),
            _ => file.refused(&failure),
        })?;
        self.next = lines.next;
        Ok(Some(lines))
    }
}

/// A text, many whole lines at a time. It holds no more of it than those.
pub(super) struct Blocks<'f> {
    content: Content<'f>,
    buffer: Vec<u8>,
    /// How much of the buffer was given the last time.
    given: usize,
    ended: bool,
}

impl<'f> Blocks<'f> {
    /// The lines of `content`.
    pub(super) fn new(content: Content<'f>) -> Self {
        Self { content, buffer: Vec::new(), given: 0, ended: false }
    }

    /// The next lines, with their ends; nothing at the end. The very last line may have none. What is no UTF-8 is an error
    /// when it is come upon.
    pub(super) fn next(&mut self) -> Result<Option<&str>> {
        self.buffer.drain(..std::mem::take(&mut self.given));
        while !self.ended && self.given == 0 {
            let searched = self.buffer.len();
            self.ended = !self.content.append(&mut self.buffer)?;
            let new = self.buffer.get(searched..).unwrap_or_default();
            self.given = memchr::memrchr(b'\n', new).map_or(0, |newline| searched + newline + 1);
        }
        if self.ended {
            self.given = self.buffer.len();
        }
        let lines = self.buffer.get(..self.given).filter(|lines| !lines.is_empty());
        lines.map(text_of).transpose()
    }

    /// Reads on to the end, for the errors that may come.
    pub(super) fn skip(mut self) -> Result<()> {
        while self.next()?.is_some() {}
        Ok(())
    }
}
