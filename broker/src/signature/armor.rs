//! The armor around a signature: PROTOCOL.sshsig, section 1.

use super::error::SignatureError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A signature of an RSA key of 8192 bits has some 3 KiB.
const MAX_SIGNATURE: usize = 16 * 1024;

const HEADER: &str = "-----BEGIN SSH SIGNATURE-----";
const FOOTER: &str = "-----END SSH SIGNATURE-----";

/// The bytes within. The header is the first line and the footer the last; lines may end in CR LF, and after the footer
/// may be blanks and empty lines only.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, SignatureError> {
    if text.len() > MAX_SIGNATURE {
        return Err(SignatureError::TooLong);
    }
    let mut lines = text.trim_ascii_end().lines();
    if (lines.next(), lines.next_back()) != (Some(HEADER), Some(FOOTER)) {
        return Err(SignatureError::Armor);
    }
    STANDARD.decode(lines.collect::<String>()).map_err(|_| SignatureError::Armor)
}
