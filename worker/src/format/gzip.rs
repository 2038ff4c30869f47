//! Gzip (RFC 1952): content that is compressed, of one member or several.

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use std::io::{self, BufRead, BufReader, Read, Write};

/// The content of all members, one after the other, as it was before it was compressed.
///
/// An error is one of the reader's, or `invalid gzip header`, `corrupt deflate stream`, `incomplete deflate stream`,
/// `unexpected end of file`, or a checksum's; what comes before it is given first.
pub fn unpack(compressed: impl BufRead) -> impl BufRead {
    BufReader::with_capacity(BUFFER, MultiGzDecoder::new(compressed))
}

/// Compresses what is read, at a level from 1, the quickest, to 9, the smallest.
pub fn pack(mut content: impl BufRead, level: u32) -> io::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::new(level));
    loop {
        let piece = content.fill_buf()?;
        if piece.is_empty() {
            return packed.finish();
        }
        let length = piece.len();
        packed.write_all(piece)?;
        content.consume(length);
    }
}

/// Whether the content begins as gzip does; an error where it does not.
pub fn confirm(mut content: impl Read) -> io::Result<()> {
    let mut magic = [0; 2];
    content.read_exact(&mut magic)?;
    if magic == MAGIC { Ok(()) } else { Err(io::Error::new(io::ErrorKind::InvalidData, "invalid gzip header")) }
}

/// How long the content is that the last member holds, modulo 2³², as the last four bytes of a file tell.
pub fn length(last: [u8; TRAILER]) -> u32 {
    u32::from_le_bytes(last)
}

/// How many bytes at the end of a file tell its [`length`].
pub const TRAILER: usize = 4;

const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// How much is unpacked at a time, in bytes.
const BUFFER: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(content: &[u8]) -> Vec<u8> {
        pack(content, 6).unwrap()
    }

    /// What comes out, and the error at which it ends.
    fn unpacked(compressed: &[u8]) -> (Vec<u8>, String) {
        let mut content = Vec::new();
        let end = unpack(compressed).read_to_end(&mut content);
        (content, end.err().map(|error| error.to_string()).unwrap_or_default())
    }

    #[test]
    fn comes_back_as_it_was() {
        let content: Vec<u8> = (0..50_000_u32).flat_map(|number| (number / 7).to_le_bytes()).collect();
        for level in 1..=9 {
            let packed = pack(&content[..], level).unwrap();
            assert!(packed.len() < content.len());
            assert_eq!(unpacked(&packed), (content.clone(), String::new()), "level {level}");
            let trailer = packed.last_chunk().unwrap();
            assert_eq!(length(*trailer) as usize, content.len());
        }
        assert_eq!(unpacked(&packed(b"")), (Vec::new(), String::new()));
    }

    #[test]
    fn all_members_count() {
        let members = [packed(b"one\n"), packed(b""), packed(b"two\n")].concat();
        assert_eq!(unpacked(&members), (b"one\ntwo\n".to_vec(), String::new()));
    }

    #[test]
    fn says_what_is_wrong() {
        let whole = packed(b"some content that is long enough\n");
        let error = |compressed: &[u8]| unpacked(compressed).1;
        assert_eq!(error(b"plain text, long enough"), "invalid gzip header");
        assert_eq!(error(b""), "unexpected end of file");
        assert_eq!(error(&whole[..5]), "unexpected end of file");
        assert_eq!(error(&whole[..20]), "incomplete deflate stream");
        assert_eq!(error(&whole[..whole.len() - 1]), "unexpected end of file");
        let mut wrong = whole.clone();
        let checksum = whole.len() - 8;
        wrong[checksum] ^= 1;
        assert!(!error(&wrong).is_empty());
        let (content, error) = unpacked(&[&whole[..], b"something else"].concat());
        assert_eq!((content.len(), error.as_str()), (33, "invalid gzip header"));
    }

    #[test]
    fn confirms_the_beginning() {
        assert!(confirm(&packed(b"x")[..]).is_ok());
        assert_eq!(confirm(&b"text"[..]).unwrap_err().to_string(), "invalid gzip header");
    }

    #[test]
    fn a_bomb_is_never_whole_in_memory() {
        let bomb = pack(BufReader::new(io::repeat(0).take(64 << 20)), 9).unwrap();
        assert!(bomb.len() < 100_000);
        let mut first = [1; 16];
        unpack(&bomb[..]).read_exact(&mut first).unwrap();
        assert_eq!(first, [0; 16]);
        assert_eq!(io::copy(&mut unpack(&bomb[..]), &mut io::sink()).unwrap(), 64 << 20);
    }
}
