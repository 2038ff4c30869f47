//! Puts the things of a case into its folder.

use crate::case::{Identity, Item, Kind};
use flate2::Compression;
use flate2::write::GzEncoder;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{Mode, UtimensatFlags, utimensat};
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::unistd::{Group, User, mkfifo};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

/// Makes one thing. `fill` puts values for placeholders.
pub(crate) fn make(root: &Path, item: &Item, fill: &impl Fn(&str) -> String) -> io::Result<()> {
    let path = root.join(fill(&item.path));
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let target = || item.target.as_deref().map(fill).ok_or_else(|| io::Error::other("a link without a target"));
    match item.kind {
        Kind::File => fs::write(&path, content(item, fill)?),
        Kind::Gzip => fs::write(&path, gzip(&content(item, fill)?)?),
        Kind::Dir => fs::create_dir_all(&path),
        Kind::Symlink => symlink(target()?, &path),
        Kind::Hardlink => fs::hard_link(root.join(target()?), &path),
        Kind::Fifo => Ok(mkfifo(&path, Mode::from_bits_truncate(0o666))?),
    }
}

/// Sets owner, mode and time of one thing. Comes after all are made: a read-only directory must first be filled.
pub(crate) fn finish(root: &Path, item: &Item, fill: &impl Fn(&str) -> String) -> io::Result<()> {
    if item.kind == Kind::Symlink {
        return Ok(());
    }
    let path = root.join(fill(&item.path));
    if item.owner.is_some() || item.group.is_some() {
        let user = |name: &str| Ok(User::from_name(name)?.map(|user| user.uid.as_raw()));
        let group = |name: &str| Ok(Group::from_name(name)?.map(|group| group.gid.as_raw()));
        chown(&path, number(item.owner.as_ref(), user)?, number(item.group.as_ref(), group)?)?;
    }
    if let Some(mode) = &item.mode {
        fs::set_permissions(&path, fs::Permissions::from_mode(octal(mode)?))?;
    }
    if let Some(time) = item.mtime {
        let time = TimeSpec::seconds(time);
        utimensat(AT_FDCWD, &path, &time, &time, UtimensatFlags::FollowSymlink)?;
    }
    Ok(())
}

/// A mode as cases write it.
pub(crate) fn octal(mode: &str) -> io::Result<u32> {
    u32::from_str_radix(mode, 8).map_err(|_| io::Error::other(format!("`{mode}` is no mode")))
}

fn number(identity: Option<&Identity>, look_up: impl Fn(&str) -> nix::Result<Option<u32>>) -> io::Result<Option<u32>> {
    match identity {
        None => Ok(None),
        Some(Identity::Number(number)) => Ok(Some(*number)),
        Some(Identity::Name(name)) => {
            let number = look_up(name)?.ok_or_else(|| io::Error::other(format!("nobody is called `{name}`")))?;
            Ok(Some(number))
        }
    }
}

fn content(item: &Item, fill: &impl Fn(&str) -> String) -> io::Result<Vec<u8>> {
    let once = match &item.base64 {
        Some(text) => base64(text).ok_or_else(|| io::Error::other("it is not base64"))?,
        None => fill(&item.content).into_bytes(),
    };
    Ok(once.repeat(item.repeat.unwrap_or(1)))
}

fn base64(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for character in text.bytes().filter(|byte| *byte != b'=' && !byte.is_ascii_whitespace()) {
        let value = ALPHABET.iter().position(|known| *known == character)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(bytes)
}

fn gzip(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut file = GzEncoder::new(Vec::new(), Compression::default());
    file.write_all(content)?;
    file.finish()
}
