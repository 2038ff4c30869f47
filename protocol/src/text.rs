//! Texts and bytes of bounded length.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Deref;

/// UTF-8 text of at most `MAX` bytes; a longer one does not decode.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// As much of `text` as fits, cut between characters.
    pub fn cut(text: impl Into<String>) -> Self {
        let mut text = text.into();
        let mut end = text.len().min(MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        Self(text)
    }

    /// The text itself.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl<const MAX: usize> TryFrom<String> for Text<MAX> {
    type Error = TooLong;
    fn try_from(text: String) -> Result<Self, TooLong> {
        if text.len() <= MAX { Ok(Self(text)) } else { Err(TooLong { length: text.len(), most: MAX }) }
    }
}

impl<const MAX: usize> From<Text<MAX>> for String {
    fn from(text: Text<MAX>) -> Self {
        text.0
    }
}

impl<const MAX: usize> Deref for Text<MAX> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Bytes of at most [`CHUNK`] length: what one request or reply carries of a file's content.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "serde_bytes::ByteBuf", into = "serde_bytes::ByteBuf")]
pub struct Chunk(Vec<u8>);

/// The most that one [`Chunk`] holds, in bytes.
pub const CHUNK: usize = 128 * 1024;

impl Chunk {
    /// The bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl TryFrom<Vec<u8>> for Chunk {
    type Error = TooLong;
    fn try_from(bytes: Vec<u8>) -> Result<Self, TooLong> {
        if bytes.len() <= CHUNK { Ok(Self(bytes)) } else { Err(TooLong { length: bytes.len(), most: CHUNK }) }
    }
}

impl TryFrom<serde_bytes::ByteBuf> for Chunk {
    type Error = TooLong;
    fn try_from(bytes: serde_bytes::ByteBuf) -> Result<Self, TooLong> {
        Self::try_from(bytes.into_vec())
    }
}

impl From<Chunk> for serde_bytes::ByteBuf {
    fn from(chunk: Chunk) -> Self {
        Self::from(chunk.0)
    }
}

impl Deref for Chunk {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// A text or content that is longer than its type allows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{length} bytes where at most {most} are allowed")]
pub struct TooLong {
    /// What came, in bytes.
    pub length: usize,
    /// What is allowed, in bytes.
    pub most: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_between_characters() {
        assert_eq!(&*Text::<4>::cut("aéé"), "aé");
        assert_eq!(&*Text::<4>::cut("abcd"), "abcd");
    }
}
