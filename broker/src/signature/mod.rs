//! Who signed a script: signatures that `ssh-keygen -Y sign -f KEY -n rex-script SCRIPT` writes, held against a list
//! of allowed signers.
//!
//! The formats are those of OpenSSH: PROTOCOL.sshsig for the signature, ssh-keygen(1), section ALLOWED SIGNERS, for
//! the list. Where Rex takes less than OpenSSH does, it refuses and says so. The one thing more that it takes in a
//! signature is armor whose lines end in CR LF.
//!
//! This runs with all rights on bytes that a caller chose. Hence the cryptography is `ring`, which only verifies here,
//! and what remains to be parsed is a few strings with their lengths in front. The crate `ssh-key` knows these formats
//! too, but comes with some ninety others, in its stable version with `rsa` 0.9 and RUSTSEC-2023-0071, and would save
//! little more than `wire.rs`, `armor.rs` and `sshsig.rs`.
#![forbid(unsafe_code)]
#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used
)]

mod armor;
mod error;
mod key;
mod line;
mod pattern;
mod sshsig;
#[cfg(test)]
mod tests;
mod time;
mod wire;

pub use error::{KeyFault, LineFault, SignatureError};

use jiff::Timestamp;
use key::PublicKey;
use line::Line;
use sshsig::SshSig;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// What a signature must have been made for, so that one made for a mail or a commit is not one of a script.
pub const NAMESPACE: &str = "rex-script";

/// A list of some ten thousand keys.
const MAX_LIST: usize = 1024 * 1024;

/// Whose signatures count, and of which keys.
#[derive(Debug, Clone)]
pub struct AllowedSigners {
    /// By the key as it stands on the wire. Each is here once, so that a signature has one principal.
    signers: HashMap<Vec<u8>, Signer>,
}

/// What the list says of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Signer {
    principal: String,
    /// Whether the option `namespaces` is absent or names [`NAMESPACE`].
    signs_scripts: bool,
    /// Both bounds are within the time.
    valid_after: Option<Timestamp>,
    valid_before: Option<Timestamp>,
}

impl AllowedSigners {
    /// Reads a list in the format of ssh-keygen(1), section ALLOWED SIGNERS.
    ///
    /// Times without a `Z` are those of the system's time zone. Because the principal is told to policy and not asked
    /// for, each line has one plain name, and no key is listed twice.
    ///
    /// # Errors
    /// The first line that is not understood in full, and by that what Rex does not honour: certificate authorities,
    /// patterns of principals, unknown options, keys that it cannot verify or that are weak.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        if text.len() > MAX_LIST {
            return Err(SignatureError::ListTooLong);
        }
        let mut signers = HashMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let at_line = |fault| SignatureError::List { line: number, fault };
            let Some(Line { key, signer }) = Line::parse(line).map_err(at_line)? else { continue };
            match signers.entry(key) {
                Entry::Occupied(_) => return Err(at_line(LineFault::KeyTwice)),
                Entry::Vacant(entry) => entry.insert(signer),
            };
        }
        Ok(Self { signers })
    }

    /// The principal whose key made this armored signature of this script, if that key may sign scripts at this time.
    ///
    /// A signature is no name of a script: whoever has one of an ECDSA key can write a second that is as good.
    ///
    /// # Errors
    /// Whatever else the signature is. The text holds no bytes of it.
    pub fn signer(&self, script: &[u8], signature: &str, now: Timestamp) -> Result<&str, SignatureError> {
        let blob = armor::decode(signature)?;
        let signature = SshSig::parse(&blob)?;
        // Before the look-up, so that a key that no list can hold is refused with the reason.
        let key = PublicKey::parse(signature.key)?;
        let signer = self.signers.get(signature.key).ok_or(SignatureError::UnknownKey)?;
        if !signer.signs_scripts {
            return Err(SignatureError::OtherUse { principal: signer.principal.clone() });
        }
        key.verify(&signature.signed_data(script), signature.algorithm, signature.value)?;
        signer.check_time(now)?;
        Ok(&signer.principal)
    }
}

impl Signer {
    /// Compares whole seconds, as OpenSSH does, so that a bound holds for all of its second.
    fn check_time(&self, now: Timestamp) -> Result<(), SignatureError> {
        let principal = || self.principal.clone();
        match (self.valid_after, self.valid_before) {
            (Some(after), _) if now.as_second() < after.as_second() => {
                Err(SignatureError::NotYetValid { principal: principal(), after })
            }
            (_, Some(before)) if now.as_second() > before.as_second() => {
                Err(SignatureError::Expired { principal: principal(), before })
            }
            _ => Ok(()),
        }
    }
}
