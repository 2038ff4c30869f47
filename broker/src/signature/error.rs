//! Why a signature or a list of signers is refused: one sentence each, which says what to do.
//!
//! None of them holds bytes of a signature. A principal is of the owner's list and has only visible ASCII characters.

use jiff::Timestamp;

/// Why there is no signer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A line of the list is not understood.
    #[error("line {line} of the allowed signers has {fault}")]
    List {
        /// Counted from one.
        line: usize,
        /// What it has.
        fault: LineFault,
    },
    /// The list has more than a mebibyte.
    #[error("the list of allowed signers is longer than 1 MiB, remove the lines that are not needed")]
    ListTooLong,
    /// The signature has more than the limit.
    #[error("the signature is longer than 16 KiB, hand over the file that ssh-keygen -Y sign writes and nothing else")]
    TooLong,
    /// Not the armor around the signature.
    #[error("the signature is not whole, hand over the unchanged file that ssh-keygen -Y sign writes")]
    Armor,
    /// Not the format of PROTOCOL.sshsig inside of the armor.
    #[error("the signature is malformed, sign again with ssh-keygen -Y sign")]
    Malformed,
    /// A version other than the one that is known.
    #[error("the signature is of a version other than 1, sign with an OpenSSH that writes version 1")]
    Version,
    /// Made for another purpose.
    #[error("the signature is of another namespace, sign with ssh-keygen -Y sign -n rex-script")]
    Namespace,
    /// Neither `sha256` nor `sha512`.
    #[error("the signature hashes the script with an algorithm that is not allowed, sign with sha256 or sha512")]
    Hash,
    /// The signature of an RSA key with SHA-1.
    #[error("the signature uses SHA-1, which can be forged, sign with rsa-sha2-256 or rsa-sha2-512")]
    Sha1,
    /// The algorithm of the signature is not one of its key.
    #[error("the signature's algorithm is not one of its key, sign again with ssh-keygen -Y sign")]
    Algorithm,
    /// The key of the signature is one that is never taken.
    #[error("the signature is of {0}")]
    Key(#[from] KeyFault),
    /// The key is not in the list.
    #[error("the signature is of a key that is not listed, sign with a listed key or ask the server's owner to add it")]
    UnknownKey,
    /// The key is listed for other purposes only.
    #[error("the key of {principal} is not listed for the namespace rex-script, ask the server's owner to add it")]
    OtherUse {
        /// Whose key it is.
        principal: String,
    },
    /// The signature is of other bytes.
    #[error("the signature is not one of this script, sign the script as it is now")]
    Mismatch,
    /// Before `valid-after`.
    #[error("the key of {principal} is not valid before {after}, sign with a key that is valid now")]
    NotYetValid {
        /// Whose key it is.
        principal: String,
        /// The first second at which it is valid.
        after: Timestamp,
    },
    /// After `valid-before`.
    #[error("the key of {principal} was valid until {before}, sign with a key that is valid now")]
    Expired {
        /// Whose key it is.
        principal: String,
        /// The last second at which it was valid.
        before: Timestamp,
    },
}

/// What a line of the list has that is refused; the text continues "has".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum LineFault {
    #[error("a principal that is a pattern or several names, write a line of its own for each name")]
    Pattern,
    #[error("a principal with characters other than visible ASCII or with quotes, write a plain name")]
    Name,
    #[error("no key after its principal and options, write PRINCIPAL OPTIONS KEYTYPE KEY")]
    NoKey,
    #[error("a key that is listed on a line before it, list each key once")]
    KeyTwice,
    #[error("a type of key that differs from the key itself, copy the line of the public key file")]
    OtherType,
    #[error("{0}")]
    Key(#[from] KeyFault),
    #[error("the option cert-authority, which Rex does not take, list the keys of the signers themselves")]
    CertAuthority,
    #[error("an option other than namespaces, valid-after and valid-before, remove it")]
    UnknownOption,
    #[error("an option twice, write it once")]
    OptionTwice,
    #[error("an option whose value is not within double quotes, write NAME=\"VALUE\" without backslashes")]
    Quotes,
    #[error("a time in an unknown form, write YYYYMMDD or YYYYMMDDHHMM or YYYYMMDDHHMMSS and Z for UTC")]
    Time,
    #[error("a time without Z, but the system's time zone is unknown, end the time with Z for UTC")]
    NoTimeZone,
    #[error("a valid-before that is not later than its valid-after, correct the times")]
    NeverValid,
}

/// What a key is that is refused wherever it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum KeyFault {
    #[error("a key that is malformed, write it anew with ssh-keygen")]
    Malformed,
    #[error("an RSA key of a size other than 2048 to 8192 bits, use a key of 3072 bits")]
    RsaSize,
    #[error("a key of a security device, whose touch Rex does not check, use a key of the type ssh-ed25519")]
    SecurityKey,
    #[error("a certificate, which Rex does not take, use the key itself")]
    Certificate,
    #[error("a key of a type that Rex does not take, use ssh-ed25519, ecdsa-sha2-nistp256 or -nistp384, or ssh-rsa")]
    Type,
}
