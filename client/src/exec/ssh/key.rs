//! By which key a user was let in: what sshd tells with `ExposeAuthInfo yes` in a file (sshd_config(5)), a line for each step:
//! `publickey ssh-ed25519 AAAA...`, `password`.
//!
//! The name of the file comes by the environment. Where sshd does not set it, and accepts such a name from the other end, that one
//! could choose a file of ours; so it must be one that sshd makes, and ours alone.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use nix::fcntl::OFlag;
use nix::unistd::geteuid;
use rex_client::Fingerprint;
use sha2::{Digest, Sha256};
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// How sshd calls its files; what follows holds no slash.
const NAMES: &str = "/tmp/sshauth.";
/// The largest such file, in bytes: some lines with a key of 16 KiB at most.
const LARGEST: u64 = 256 * 1024;
/// What ends the type of a certificate, which has a key in it and is none.
const CERTIFICATE: &str = "-cert-v01@openssh.com";

/// The fingerprint of the key that let the user in. Nothing if it was not one key alone: none, several, or a certificate.
pub(super) fn used(path: &Path) -> Result<Option<Fingerprint>, String> {
    only_key(&read(path)?)
}

fn read(path: &Path) -> Result<String, String> {
    let name = path.to_str().and_then(|path| path.strip_prefix(NAMES));
    if name.is_none_or(|name| name.contains('/')) {
        return Err(format!("`{}` is no file of sshd's", path.display()));
    }
    let failed = |what: &dyn ToString| format!("`{}`: {}", path.display(), what.to_string());
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path).map_err(|error| failed(&error))?;
    let metadata = file.metadata().map_err(|error| failed(&error))?;
    if !metadata.is_file() || metadata.uid() != geteuid().as_raw() || metadata.mode() & 0o077 != 0 {
        return Err(failed(&"it is not a file of this account's alone"));
    }
    let mut text = String::new();
    let read = file.take(LARGEST + 1).read_to_string(&mut text).map_err(|error| failed(&error))?;
    if read as u64 > LARGEST { Err(failed(&"it is too large")) } else { Ok(text) }
}

fn only_key(text: &str) -> Result<Option<Fingerprint>, String> {
    let mut keys = text.lines().filter_map(|line| line.strip_prefix("publickey "));
    let (Some(key), None) = (keys.next(), keys.next()) else { return Ok(None) };
    let (kind, blob) = key.split_once(' ').ok_or("a key has no type")?;
    if kind.ends_with(CERTIFICATE) {
        return Ok(None);
    }
    let blob = STANDARD.decode(blob.trim_end()).map_err(|_| "a key is not base64")?;
    let fingerprint = format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)));
    Fingerprint::try_from(fingerprint).map(Some).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFl0RwaVDqdoFTN3VK0tCQbCPnDJo6N5zPDBQ7fE1TOk\n";

    #[test]
    fn one_key_has_a_fingerprint() {
        let fingerprint = |text: &str| only_key(text).unwrap().map(|key| key.to_string());
        let expected = fingerprint(KEY).unwrap();
        assert!(expected.starts_with("SHA256:"));
        assert_eq!(fingerprint(&format!("password\n{KEY}")), Some(expected));
        assert_eq!(fingerprint("password\n"), None);
        assert_eq!(fingerprint("keyboard-interactive/pam\n"), None);
        assert_eq!(fingerprint(""), None);
        assert_eq!(fingerprint(&format!("{KEY}{KEY}")), None, "which of them it is cannot be told");
        assert_eq!(fingerprint(&KEY.replacen("publickey", "hostbased", 1)), None);
        assert_eq!(fingerprint(&KEY.replacen("ed25519 ", "ed25519-cert-v01@openssh.com ", 1)), None);
        for wrong in ["publickey ssh-ed25519\n", "publickey ssh-ed25519 !\n", "publickey ssh-ed25519 AAAA AAAA\n"] {
            assert!(only_key(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_files_of_sshd_are_read() {
        let own = tempfile::Builder::new().prefix("sshauth.").tempfile_in("/tmp").unwrap();
        std::fs::write(own.path(), KEY).unwrap();
        assert!(used(own.path()).unwrap().is_some());
        let link = own.path().with_extension("link");
        std::os::unix::fs::symlink(own.path(), &link).unwrap();
        assert!(used(&link).is_err());
        std::fs::remove_file(&link).unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o640);
        std::fs::set_permissions(own.path(), open).unwrap();
        assert!(used(own.path()).unwrap_err().contains("this account's alone"));
        for path in ["/etc/passwd", "/tmp/sshauth.x/../../etc/passwd", "/tmp/sshauth.none-such", "sshauth.x", ""] {
            assert!(used(Path::new(path)).is_err(), "{path}");
        }
    }
}
