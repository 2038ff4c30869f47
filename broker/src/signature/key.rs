//! Public keys and what they verify: RFC 8709 (Ed25519), RFC 5656 (ECDSA), RFC 4253 and RFC 8332 (RSA).

use super::error::{KeyFault, SignatureError};
use super::wire::Reader;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, EcdsaVerificationAlgorithm, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents, UnparsedPublicKey,
};
use std::ops::RangeInclusive;

const ED25519_NAME: &str = "ssh-ed25519";
const RSA_NAME: &str = "ssh-rsa";
const RSA_BITS: RangeInclusive<usize> = 2048..=8192;

/// A key of a type that is taken, in its right form. Whether a point is on its curve shows when it verifies.
pub(super) enum PublicKey<'a> {
    Ed25519(&'a [u8; 32]),
    Ecdsa { curve: &'static Curve, point: &'a [u8] },
    Rsa { modulus: &'a [u8], exponent: &'a [u8] },
}

/// A curve of the NIST.
pub(super) struct Curve {
    /// The name of the keys and of their signatures.
    name: &'static str,
    /// What RFC 5656 calls the curve.
    identifier: &'static [u8],
    /// The bytes of a coordinate, and of each half of a signature.
    width: usize,
    algorithm: &'static EcdsaVerificationAlgorithm,
}

/// `ring` has no P-521.
static CURVES: [Curve; 2] = [
    Curve { name: "ecdsa-sha2-nistp256", identifier: b"nistp256", width: 32, algorithm: &ECDSA_P256_SHA256_FIXED },
    Curve { name: "ecdsa-sha2-nistp384", identifier: b"nistp384", width: 48, algorithm: &ECDSA_P384_SHA384_FIXED },
];

/// Whether this can only be meant as the type of a key, of one that is taken or not.
pub(super) fn is_type_name(word: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-", "rsa-"].iter().any(|prefix| word.starts_with(prefix))
}

impl<'a> PublicKey<'a> {
    /// Reads a key as it stands on the wire.
    pub(super) fn parse(blob: &'a [u8]) -> Result<Self, KeyFault> {
        let mut reader = Reader(blob);
        let name = reader.string().and_then(|name| str::from_utf8(name).ok()).ok_or(KeyFault::Malformed)?;
        let key = match name {
            ED25519_NAME => Self::read_ed25519(reader),
            RSA_NAME => Self::read_rsa(reader),
            _ => match CURVES.iter().find(|curve| curve.name == name) {
                Some(curve) => Self::read_ecdsa(reader, curve),
                None => return Err(refusal(name)),
            },
        };
        match key {
            Some(Self::Rsa { modulus, .. }) if !RSA_BITS.contains(&bits(modulus)) => Err(KeyFault::RsaSize),
            Some(key) => Ok(key),
            None => Err(KeyFault::Malformed),
        }
    }

    fn read_ed25519(mut reader: Reader<'a>) -> Option<Self> {
        let key = reader.string()?.try_into().ok()?;
        reader.end()?;
        Some(Self::Ed25519(key))
    }

    fn read_ecdsa(mut reader: Reader<'a>, curve: &'static Curve) -> Option<Self> {
        let (identifier, point) = (reader.string()?, reader.string()?);
        reader.end()?;
        // Both coordinates, after the mark of an uncompressed point.
        let coordinates = point.strip_prefix(&[4])?;
        (identifier == curve.identifier && coordinates.len() == curve.width.checked_mul(2)?)
            .then_some(Self::Ecdsa { curve, point })
    }

    fn read_rsa(mut reader: Reader<'a>) -> Option<Self> {
        let (exponent, modulus) = (reader.positive()?, reader.positive()?);
        reader.end()?;
        Some(Self::Rsa { modulus, exponent })
    }

    /// The name of the type.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => ED25519_NAME,
            Self::Ecdsa { curve, .. } => curve.name,
            Self::Rsa { .. } => RSA_NAME,
        }
    }

    /// That this key signed this data, by this algorithm and with this outcome.
    pub(super) fn verify(&self, data: &[u8], algorithm: &[u8], value: &[u8]) -> Result<(), SignatureError> {
        let verified = match (self, algorithm) {
            (Self::Ed25519(key), b"ssh-ed25519") => UnparsedPublicKey::new(&ED25519, key).verify(data, value),
            (Self::Ecdsa { curve, point }, name) if name == curve.name.as_bytes() => {
                let value = fixed_width(value, curve.width).ok_or(SignatureError::Malformed)?;
                UnparsedPublicKey::new(curve.algorithm, point).verify(data, &value)
            }
            (Self::Rsa { modulus, exponent }, name) => {
                let parameters = match name {
                    b"rsa-sha2-256" => &RSA_PKCS1_2048_8192_SHA256,
                    b"rsa-sha2-512" => &RSA_PKCS1_2048_8192_SHA512,
                    b"ssh-rsa" => return Err(SignatureError::Sha1),
                    _ => return Err(SignatureError::Algorithm),
                };
                RsaPublicKeyComponents { n: modulus, e: exponent }.verify(parameters, data, value)
            }
            _ => return Err(SignatureError::Algorithm),
        };
        verified.map_err(|_| SignatureError::Mismatch)
    }
}

/// Why a type of key is not taken.
fn refusal(name: &str) -> KeyFault {
    if name.ends_with("-cert-v01@openssh.com") {
        KeyFault::Certificate
    } else if name.starts_with("sk-") {
        KeyFault::SecurityKey
    } else {
        KeyFault::Type
    }
}

/// How many binary digits a number without leading zero bytes has.
fn bits(number: &[u8]) -> usize {
    let unused = number.first().map_or(0, |first| first.leading_zeros());
    number.len().saturating_mul(8).saturating_sub(usize::try_from(unused).unwrap_or(0))
}

/// The two numbers of a signature of ECDSA as `ring` takes them: each as wide as the curve. RFC 5656, section 3.1.2.
fn fixed_width(value: &[u8], width: usize) -> Option<Vec<u8>> {
    let mut reader = Reader(value);
    let numbers = [reader.positive()?, reader.positive()?];
    reader.end()?;
    let mut fixed = Vec::new();
    for number in numbers {
        fixed.extend(std::iter::repeat_n(0, width.checked_sub(number.len())?));
        fixed.extend_from_slice(number);
    }
    Some(fixed)
}
