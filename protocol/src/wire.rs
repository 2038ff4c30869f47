//! Encoding, the only place that knows the codec (bincode 2, standard configuration).
//!
//! * Worker and session exchange packets of a `SOCK_SEQPACKET` pair: one encoded value each, see [`crate::worker`].
//! * Client and broker exchange frames on a stream: a little-endian `u32` length, then one encoded
//!   value. Before the first frame the client sends [`PREAMBLE`].

use crate::Violation;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// What a client sends before its first frame. The number changes with the layout of any message,
/// so a client of another version is told so instead of being misread.
pub const PREAMBLE: [u8; 8] = *b"REX\0\x01\0\0\0";

/// The largest packet between worker and session, in bytes: one [`crate::text::CHUNK`] and what goes with it.
pub const PACKET: usize = crate::text::CHUNK + 16 * 1024;

/// The largest frame between client and broker, in bytes.
pub const FRAME: usize = 8 * 1024 * 1024;

/// Length of a frame's prefix, in bytes.
pub const PREFIX: usize = 4;

/// The bytes of a value.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, Violation> {
    bincode::serde::encode_to_vec(value, bincode::config::standard())
        .map_err(|error| Violation::new(format!("cannot encode: {error}")))
}

/// The value that `bytes` hold, the whole of them. At most [`FRAME`] bytes are claimed while decoding,
/// so a length that lies cannot make the receiver allocate more.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Violation> {
    let config = bincode::config::standard().with_limit::<FRAME>();
    let (value, used) = bincode::serde::decode_from_slice(bytes, config)
        .map_err(|error| Violation::new(format!("cannot decode: {error}")))?;
    whole(value, used, bytes)
}

/// As [`decode`], for values that borrow from `bytes`.
pub fn decode_borrowed<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Violation> {
    let config = bincode::config::standard().with_limit::<FRAME>();
    let (value, used) = bincode::serde::borrow_decode_from_slice(bytes, config)
        .map_err(|error| Violation::new(format!("cannot decode: {error}")))?;
    whole(value, used, bytes)
}

fn whole<T>(value: T, used: usize, bytes: &[u8]) -> Result<T, Violation> {
    if used == bytes.len() {
        Ok(value)
    } else {
        Err(Violation::new(format!("{} bytes after the end of a message", bytes.len() - used)))
    }
}

/// A value as a frame: its length and its bytes.
pub fn frame<T: Serialize>(value: &T) -> Result<Vec<u8>, Violation> {
    let body = encode(value)?;
    let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= FRAME);
    let length = length.ok_or_else(|| Violation::new(format!("a frame of {} bytes is too large", body.len())))?;
    let mut frame = Vec::with_capacity(PREFIX + body.len());
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&body);
    Ok(frame)
}

/// Takes frames out of a stream of bytes that comes in pieces.
#[derive(Debug)]
pub struct Frames {
    pending: Vec<u8>,
    most: usize,
}

impl Frames {
    /// Takes frames of at most `most` bytes.
    pub fn new(most: usize) -> Self {
        Self { pending: Vec::new(), most: most.min(FRAME) }
    }

    /// Changes the largest frame that is taken from now on, in bytes.
    pub fn limit(&mut self, most: usize) {
        self.most = most.min(FRAME);
    }

    /// Adds what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// Takes a fixed text off the front. `None` while it has not come whole, `Some(false)` as soon as what came differs.
    pub fn strip(&mut self, text: &[u8]) -> Option<bool> {
        let there = self.pending.len().min(text.len());
        if self.pending.get(..there) != text.get(..there) {
            return Some(false);
        }
        if there < text.len() {
            return None;
        }
        self.pending.drain(..there);
        Some(true)
    }

    /// The bytes of the next whole frame, if it is there. A frame larger than the limit is a violation
    /// as soon as its length is known.
    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>, Violation> {
        let Some((prefix, rest)) = self.pending.split_first_chunk::<PREFIX>() else { return Ok(None) };
        let length = usize::try_from(u32::from_le_bytes(*prefix)).unwrap_or(usize::MAX);
        if length > self.most {
            return Err(Violation::new(format!("a frame of {length} bytes where {} are allowed", self.most)));
        }
        let Some(body) = rest.get(..length).map(<[u8]>::to_vec) else { return Ok(None) };
        self.pending.drain(..PREFIX + length);
        Ok(Some(body))
    }

    /// Whether bytes of an unfinished frame are there.
    pub fn is_partial(&self) -> bool {
        !self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_trailing_and_missing_bytes() {
        let bytes = encode(&(7u64, "text".to_string())).unwrap();
        assert!(decode::<(u64, String)>(&bytes).is_ok());
        assert!(decode::<(u64, String)>(&[bytes.as_slice(), &[0]].concat()).is_err());
        assert!(decode::<(u64, String)>(&bytes[..bytes.len() - 1]).is_err());
    }

    #[test]
    fn refuses_a_length_that_lies() {
        // A text that claims 2^60 bytes.
        let mut bytes = vec![253];
        bytes.extend_from_slice(&(1u64 << 60).to_le_bytes());
        assert!(decode::<String>(&bytes).is_err());
        assert!(decode::<Vec<u64>>(&bytes).is_err());
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in(values in proptest::collection::vec(".{0,40}", 0..8), cut in 1usize..50) {
            let stream: Vec<u8> = values.iter().flat_map(|value| frame(value).unwrap()).collect();
            let (mut frames, mut out) = (Frames::new(FRAME), Vec::new());
            for piece in stream.chunks(cut) {
                frames.push(piece);
                while let Some(body) = frames.next_frame().unwrap() {
                    out.push(decode::<String>(&body).unwrap());
                }
            }
            prop_assert_eq!(out, values);
            prop_assert!(!frames.is_partial());
        }

        #[test]
        fn noise_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode::<crate::client::FromClient>(&bytes);
            let _ = decode_borrowed::<crate::worker::FromWorker<'_>>(&bytes);
            let _ = decode::<crate::fs::Write>(&bytes);
        }
    }
}
