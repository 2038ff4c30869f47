//! Against the `ssh-keygen` of this system.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests may panic: that is how they fail; clippy's own exception is for modules that stand in their file"
)]

mod hostile;
mod list;
mod openssh;

use super::wire::put_string;
use super::{AllowedSigners, NAMESPACE, SignatureError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use std::fs;
use std::process::{Command, Stdio};
use tempfile::TempDir;

const SCRIPT: &[u8] = b"print(\"hello\");\n";

/// A folder with keys.
struct Keys(TempDir);

impl Keys {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Runs `ssh-keygen` in the folder.
    fn keygen(&self, arguments: &[&str]) {
        let mut command = Command::new("ssh-keygen");
        command.args(arguments).current_dir(&self.0).stdin(Stdio::null());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Makes a key and gives it as its type and itself.
    fn make(&self, name: &str, key_type: &str, bits: &str) -> String {
        self.keygen(&["-q", "-t", key_type, "-b", bits, "-N", "", "-f", name]);
        let line = fs::read_to_string(self.0.path().join(name).with_extension("pub")).unwrap();
        line.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    fn sign(&self, key: &str, script: &[u8]) -> String {
        self.sign_with(key, script, NAMESPACE, &[])
    }

    fn sign_with(&self, key: &str, script: &[u8], namespace: &str, more: &[&str]) -> String {
        let signature = self.0.path().join("script.sig");
        let _ = fs::remove_file(&signature);
        fs::write(self.0.path().join("script"), script).unwrap();
        self.keygen(&[&["-q", "-Y", "sign", "-f", key, "-n", namespace], more, &["script"]].concat());
        fs::read_to_string(signature).unwrap()
    }
}

/// An Ed25519 key of alice's, the list of it, and her signature of [`SCRIPT`].
fn alice() -> (Keys, AllowedSigners, String) {
    let keys = Keys::new();
    let key = keys.make("alice", "ed25519", "256");
    let signature = keys.sign("alice", SCRIPT);
    (keys, listed(&format!("alice {key}")), signature)
}

fn listed(list: &str) -> AllowedSigners {
    AllowedSigners::parse(list).unwrap()
}

fn now() -> Timestamp {
    "2025-06-15T12:00:00Z".parse().unwrap()
}

/// The refusal of a signature of [`SCRIPT`].
fn refused(signers: &AllowedSigners, signature: &str) -> SignatureError {
    well_told(signers.signer(SCRIPT, signature, now()).unwrap_err())
}

/// The error, if it is one lower-case sentence without a full stop and of visible characters.
fn well_told(error: SignatureError) -> SignatureError {
    let text = error.to_string();
    assert!(text.starts_with(|first: char| first.is_ascii_lowercase()), "{text}");
    assert!(text.ends_with(|last: char| last.is_ascii_alphanumeric()), "{text}");
    assert!(text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{text}");
    error
}

fn dearmor(signature: &str) -> Vec<u8> {
    super::armor::decode(signature).unwrap()
}

fn armor(blob: &[u8]) -> String {
    format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", STANDARD.encode(blob))
}

/// Strings as on the wire.
fn strings(all: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    all.iter().for_each(|string| put_string(&mut out, string));
    out
}

/// A signature of these parts.
fn blob(version: u32, strings_of_it: &[&[u8]]) -> Vec<u8> {
    [b"SSHSIG".as_slice(), &version.to_be_bytes(), &strings(strings_of_it)].concat()
}
