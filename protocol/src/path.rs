//! Paths and names, validated once: while they are decoded.

use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// `PATH_MAX` less its NUL, `linux/limits.h`.
pub const PATH_BYTES: usize = 4095;
/// `NAME_MAX`, `linux/limits.h`.
pub const NAME_BYTES: usize = 255;

/// An absolute path in its one canonical form: no `//`, no `.`, no `..`, no slash at the end, no
/// NUL, at most [`PATH_BYTES`] bytes, each component at most [`NAME_BYTES`]. Bytes, not necessarily UTF-8.
///
/// The form is lexical: it says nothing about links.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "serde_bytes::ByteBuf", into = "serde_bytes::ByteBuf")]
pub struct AbsPath(Vec<u8>);

impl AbsPath {
    /// `/`
    pub fn root() -> Self {
        Self(b"/".to_vec())
    }

    /// The canonical form of `path`: repeated slashes, `.` components and slashes at the end go.
    pub fn parse(path: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let path = path.as_ref();
        if path.contains(&0) {
            return Err(PathError::Nul);
        }
        if path.first() != Some(&b'/') {
            return Err(PathError::Relative);
        }
        let mut canonical = Vec::with_capacity(path.len());
        for component in path.split(|&byte| byte == b'/') {
            match component {
                b"" | b"." => {}
                b".." => return Err(PathError::Traversal),
                _ if component.len() > NAME_BYTES => return Err(PathError::TooLong),
                _ => {
                    canonical.push(b'/');
                    canonical.extend_from_slice(component);
                }
            }
        }
        match canonical.len() {
            0 => Ok(Self::root()),
            1..=PATH_BYTES => Ok(Self(canonical)),
            _ => Err(PathError::TooLong),
        }
    }

    /// The path of `name` in this directory.
    pub fn join(&self, name: &Name) -> Result<Self, PathError> {
        let mut path = if self.is_root() { Vec::new() } else { self.0.clone() };
        path.push(b'/');
        path.extend_from_slice(name.as_bytes());
        if path.len() <= PATH_BYTES { Ok(Self(path)) } else { Err(PathError::TooLong) }
    }

    /// The directory that holds this path and the name in it; nothing for `/`.
    pub fn split(&self) -> Option<(Self, Name)> {
        if self.is_root() {
            return None;
        }
        let at = self.0.iter().rposition(|&byte| byte == b'/')?;
        let (parent, name) = self.0.split_at(at);
        let parent = if parent.is_empty() { Self::root() } else { Self(parent.to_vec()) };
        Some((parent, Name(name.get(1..)?.to_vec())))
    }

    /// Every directory above this path, from the nearest to `/`.
    pub fn ancestors(&self) -> impl Iterator<Item = AbsPath> {
        std::iter::successors(self.split().map(|(parent, _)| parent), |path| path.split().map(|(parent, _)| parent))
    }

    /// Whether this is `/`.
    pub fn is_root(&self) -> bool {
        self.0 == b"/"
    }

    /// The bytes of the path.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path for the standard library and system calls.
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// The path as an id of a policy's entity: itself, but that in a name which is not UTF-8, or which reads like an escaped
    /// one, each byte that is not UTF-8 becomes `\xNN` and each backslash `\\`. So two paths never share an id, and what is
    /// in a directory has an id that begins with the directory's.
    pub fn to_id(&self) -> String {
        let names: Vec<String> = self.0.split(|&byte| byte == b'/').map(escape).collect();
        names.join("/")
    }

    /// The path that has this id, if one has.
    pub fn from_id(id: &str) -> Option<Self> {
        let path = Self::parse(id.split('/').map(unescape).collect::<Vec<_>>().join(&b'/')).ok()?;
        (path.to_id() == id).then_some(path)
    }
}

/// One name in a directory: not empty, not `.` or `..`, no slash, no NUL, at most [`NAME_BYTES`] bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "serde_bytes::ByteBuf", into = "serde_bytes::ByteBuf")]
pub struct Name(Vec<u8>);

impl Name {
    /// The name `bytes`, if it is one.
    pub fn parse(bytes: impl Into<Vec<u8>>) -> Result<Self, PathError> {
        let bytes = bytes.into();
        match bytes.as_slice() {
            b"" | b"." | b".." => Err(PathError::NoName),
            name if name.contains(&b'/') => Err(PathError::NoName),
            name if name.contains(&0) => Err(PathError::Nul),
            name if name.len() > NAME_BYTES => Err(PathError::TooLong),
            _ => Ok(Self(bytes)),
        }
    }

    /// The bytes of the name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name for the standard library and system calls.
    pub fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(&self.0)
    }

    /// The name as it stands in a policy's id, see [`AbsPath::to_id`].
    pub fn to_id(&self) -> String {
        escape(&self.0)
    }

    /// The name as people see it: bytes that are no UTF-8 become U+FFFD.
    pub fn to_text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

/// Why a text is no path or name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Does not begin with a slash.
    #[error("the path is not absolute")]
    Relative,
    /// A component is `..`.
    #[error("the path has a `..` component")]
    Traversal,
    /// Holds a NUL byte.
    #[error("the path has a NUL byte")]
    Nul,
    /// The path or a component is longer than the kernel takes.
    #[error("the path or one of its names is too long")]
    TooLong,
    /// Empty, `.`, `..`, or more than one component.
    #[error("not the name of one directory entry")]
    NoName,
}

fn escape(bytes: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(bytes)
        && escaped_byte(text).is_none()
    {
        return text.to_owned();
    }
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        out.push_str(&chunk.valid().replace('\\', "\\\\"));
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

/// Where an escaped byte stands in a text: `\x80` to `\xff`, which is what is never UTF-8 alone.
fn escaped_byte(text: &str) -> Option<usize> {
    let is_one = |at: &[u8]| matches!(at, [b'\\', b'x', b'8'..=b'9' | b'a'..=b'f', b'0'..=b'9' | b'a'..=b'f']);
    text.as_bytes().windows(4).position(is_one)
}

/// The name that [`escape`] makes this of, if it makes it of any.
fn unescape(text: &str) -> Vec<u8> {
    if escaped_byte(text).is_none() {
        return text.as_bytes().to_vec();
    }
    let (mut name, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(1..3).filter(|_| first == b'\\' && after.first() == Some(&b'x'));
        let byte = hex.and_then(|hex| std::str::from_utf8(hex).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        (name, rest) = match (byte, first, after.strip_prefix(b"\\")) {
            (Some(byte), ..) => ([name, vec![byte]].concat(), after.get(3..).unwrap_or_default()),
            (None, b'\\', Some(after)) => ([name, vec![b'\\']].concat(), after),
            (None, first, _) => ([name, vec![first]].concat(), after),
        };
    }
    name
}

impl TryFrom<serde_bytes::ByteBuf> for AbsPath {
    type Error = PathError;
    // The sender must have made it canonical: anything else did not come from `parse`.
    fn try_from(bytes: serde_bytes::ByteBuf) -> Result<Self, PathError> {
        let path = Self::parse(&*bytes)?;
        if path.0 == *bytes { Ok(path) } else { Err(PathError::Traversal) }
    }
}

impl From<AbsPath> for serde_bytes::ByteBuf {
    fn from(path: AbsPath) -> Self {
        Self::from(path.0)
    }
}

impl TryFrom<serde_bytes::ByteBuf> for Name {
    type Error = PathError;
    fn try_from(bytes: serde_bytes::ByteBuf) -> Result<Self, PathError> {
        Self::parse(bytes.into_vec())
    }
}

impl From<Name> for serde_bytes::ByteBuf {
    fn from(name: Name) -> Self {
        Self::from(name.0)
    }
}

/// As people and messages see it: bytes that are no UTF-8 become U+FFFD.
impl fmt::Display for AbsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for AbsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_id(), f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&escape(&self.0), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn has_one_form() {
        for same in ["/a/b", "/a//b", "//a/./b/", "/./a/b/.", "/a/b//"] {
            assert_eq!(AbsPath::parse(same).map(|path| path.to_id()), Ok("/a/b".into()), "{same}");
        }
        assert!(AbsPath::parse("//").is_ok_and(|path| path.is_root()));
        assert_eq!(AbsPath::parse("a/b"), Err(PathError::Relative));
        assert_eq!(AbsPath::parse(""), Err(PathError::Relative));
        assert_eq!(AbsPath::parse("/a/../b"), Err(PathError::Traversal));
        assert_eq!(AbsPath::parse("/a\0"), Err(PathError::Nul));
        assert_eq!(AbsPath::parse(format!("/{}", "a".repeat(256))), Err(PathError::TooLong));
        assert_eq!(AbsPath::parse("/aaaaaaa".repeat(512)), Err(PathError::TooLong));
    }

    #[test]
    fn ids_are_lossless() {
        let id = |bytes: &[u8]| AbsPath::parse(bytes).map(|path| path.to_id());
        assert_eq!(id(b"/a\xff"), Ok("/a\\xff".into()));
        assert_eq!(id(b"/a\\xff\xff"), Ok("/a\\\\xff\\xff".into()));
        assert_eq!(id("/é日".as_bytes()), Ok("/é日".into()));
        // Names that read as if a byte in them had been escaped are told from those, and others stay as they are.
        assert_eq!(id(b"/a\\xff"), Ok("/a\\\\xff".into()));
        assert_eq!(id(b"/dev-a\\x2db\\"), Ok("/dev-a\\x2db\\".into()));
        // What is in a directory is found by the directory's own id.
        assert_eq!(id(b"/a\\b/\xff"), Ok("/a\\b/\\xff".into()));
    }

    #[test]
    fn a_path_is_found_by_its_id() {
        let path = |id: &str| AbsPath::from_id(id).map(|path| path.as_bytes().to_vec());
        assert_eq!(path("/srv/a b"), Some(b"/srv/a b".to_vec()));
        assert_eq!(path("/a\\b"), Some(b"/a\\b".to_vec()));
        assert_eq!(path("/a\\xff"), Some(b"/a\xff".to_vec()));
        assert_eq!(path("/a\\\\xff\\xff"), Some(b"/a\\xff\xff".to_vec()));
        for none in ["", "srv", "/srv/", "//srv", "/./srv", "/srv/.."] {
            assert!(path(none).is_none(), "{none}");
        }
    }

    #[test]
    fn ancestors_end_at_the_root() {
        let path = AbsPath::parse("/a/b/c").unwrap();
        let ids: Vec<_> = path.ancestors().map(|path| path.to_id()).collect();
        assert_eq!(ids, ["/a/b", "/a", "/"]);
        assert_eq!(AbsPath::root().ancestors().count(), 0);
    }

    const PIECES: &[&[u8]] = &[b"/", b"\\", b"x", b"f", b"ff", b"8", b"\xff", b"\xc3\xa9", b"a"];

    proptest! {
        #[test]
        fn two_paths_never_share_an_id(pieces in prop::collection::vec(prop::sample::select(PIECES), 1..12)) {
            let path = AbsPath::parse([&[&b"/n"[..]], &pieces[..]].concat().concat()).unwrap();
            prop_assert_eq!(AbsPath::from_id(&path.to_id()), Some(path));
        }

        #[test]
        fn parse_is_idempotent(bytes in proptest::collection::vec(prop_oneof![Just(b'/'), Just(b'.'), any::<u8>()], 0..40)) {
            if let Ok(path) = AbsPath::parse(&bytes) {
                prop_assert_eq!(AbsPath::parse(path.as_bytes()), Ok(path.clone()));
                if let Some((parent, name)) = path.split() {
                    prop_assert_eq!(parent.join(&name), Ok(path));
                }
            }
        }
    }
}
