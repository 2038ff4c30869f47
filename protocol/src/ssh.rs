//! What a client that sshd started tells of its connection.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Deref;

/// The connection that a run comes by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ssh {
    /// The key that opened it; nothing where it was opened otherwise.
    pub key: Option<Fingerprint>,
}

/// A key's fingerprint as `ssh-keygen -l` tells it: `SHA256:` and 43 characters of base64. Nothing else decodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(String);

/// A text that is not a fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAFingerprint;

impl TryFrom<String> for Fingerprint {
    type Error = NotAFingerprint;
    fn try_from(text: String) -> Result<Self, NotAFingerprint> {
        let digits = text.strip_prefix("SHA256:").ok_or(NotAFingerprint)?;
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
        if digits.len() == 43 && digits.bytes().all(is_base64) { Ok(Self(text)) } else { Err(NotAFingerprint) }
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.0
    }
}

impl Deref for Fingerprint {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NotAFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a fingerprint of a key")
    }
}

impl std::error::Error for NotAFingerprint {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_has_one_form() {
        let digits = "uNiVztksCsDhcc0u9e8BrrQXVi8fBcXIC6s8SsWbFrk";
        let of = |text: &str| Fingerprint::try_from(text.to_owned());
        assert_eq!(&*of(&format!("SHA256:{digits}")).unwrap(), format!("SHA256:{digits}"));
        for wrong in [
            String::new(),
            digits.to_owned(),
            format!("SHA256:{digits}="),
            format!("SHA256: {}", digits.get(1..).unwrap()),
            format!("SHA256:{}", digits.get(1..).unwrap()),
            format!("sha256:{digits}"),
            format!("MD5:{digits}"),
            format!("SHA256:{}\n", digits.get(1..).unwrap()),
            format!("SHA256:{}é", digits.get(2..).unwrap()),
        ] {
            assert_eq!(of(&wrong), Err(NotAFingerprint), "{wrong:?}");
        }
    }
}
