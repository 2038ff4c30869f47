//! A signature without its armor: PROTOCOL.sshsig, sections 2 and 3.

use super::NAMESPACE;
use super::error::SignatureError;
use super::wire::{Reader, put_string};
use ring::digest;

const MAGIC: &[u8] = b"SSHSIG";
const VERSION: u32 = 1;

/// A signature that is of the right namespace and hashes with an allowed algorithm, of whatever key.
pub(super) struct SshSig<'a> {
    /// The public key, as on the wire.
    pub(super) key: &'a [u8],
    hash: Hash,
    /// The name of the algorithm that signed.
    pub(super) algorithm: &'a [u8],
    /// In the encoding of that algorithm.
    pub(super) value: &'a [u8],
}

/// How a script is hashed.
#[derive(Clone, Copy)]
enum Hash {
    Sha256,
    Sha512,
}

impl<'a> SshSig<'a> {
    /// Takes the blob apart. Nothing of it is proven by that.
    pub(super) fn parse(blob: &'a [u8]) -> Result<Self, SignatureError> {
        let mut reader = Reader(blob);
        let version = reader.literal(MAGIC).and_then(|()| reader.uint32()).ok_or(SignatureError::Malformed)?;
        if version != VERSION {
            return Err(SignatureError::Version);
        }
        let fields = Fields::read(reader).ok_or(SignatureError::Malformed)?;
        if fields.namespace != NAMESPACE.as_bytes() {
            return Err(SignatureError::Namespace);
        }
        let hash = Hash::named(fields.hash).ok_or(SignatureError::Hash)?;
        // PROTOCOL.sshsig would have it ignored, and OpenSSH verifies as if it were empty, by which its bytes are
        // nobody's. No OpenSSH writes any.
        if !fields.reserved.is_empty() {
            return Err(SignatureError::Malformed);
        }
        Ok(Self { key: fields.key, hash, algorithm: fields.algorithm, value: fields.value })
    }

    /// The bytes that the key signed, if it signed this script.
    pub(super) fn signed_data(&self, script: &[u8]) -> Vec<u8> {
        let mut data = MAGIC.to_vec();
        put_string(&mut data, NAMESPACE.as_bytes());
        put_string(&mut data, b"");
        put_string(&mut data, self.hash.name());
        put_string(&mut data, digest::digest(self.hash.algorithm(), script).as_ref());
        data
    }
}

/// What follows the version.
struct Fields<'a> {
    key: &'a [u8],
    namespace: &'a [u8],
    reserved: &'a [u8],
    hash: &'a [u8],
    algorithm: &'a [u8],
    value: &'a [u8],
}

impl<'a> Fields<'a> {
    fn read(mut reader: Reader<'a>) -> Option<Self> {
        let (key, namespace) = (reader.string()?, reader.string()?);
        let (reserved, hash) = (reader.string()?, reader.string()?);
        let mut signature = Reader(reader.string()?);
        reader.end()?;
        let (algorithm, value) = (signature.string()?, signature.string()?);
        signature.end()?;
        Some(Self { key, namespace, reserved, hash, algorithm, value })
    }
}

impl Hash {
    fn named(name: &[u8]) -> Option<Self> {
        [Self::Sha256, Self::Sha512].into_iter().find(|hash| hash.name() == name)
    }

    fn name(self) -> &'static [u8] {
        match self {
            Self::Sha256 => b"sha256",
            Self::Sha512 => b"sha512",
        }
    }

    fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        }
    }
}
