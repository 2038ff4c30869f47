//! Symbolic links themselves.

use crate::handle::{Dir, Link};
use crate::path::{AbsPath, Name, PATH_BYTES};
use crate::{Action, Effect, Handle, Operation};
use serde::{Deserialize, Serialize};

/// Open a symbolic link itself. Asks `open` on it, as a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenLink {
    /// The directory.
    pub dir: Handle<Dir>,
    /// The name in it.
    pub name: Name,
}

/// An open link.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenedLink {
    /// The link.
    pub link: Handle<Link>,
    /// Its path as policy judged it.
    pub path: AbsPath,
}

impl Operation for OpenLink {
    type Reply = OpenedLink;
    const NAME: &'static str = "fs.open_link";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[Action::FileOpen];
}

/// Read what a symbolic link says, as it stands there. Asks `read` on the link, as a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReadLink {
    /// The directory.
    pub dir: Handle<Dir>,
    /// The name in it.
    pub name: Name,
}

impl Operation for ReadLink {
    type Reply = LinkText;
    const NAME: &'static str = "fs.read_link";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[Action::FileRead];
}

/// Read what an open symbolic link says, whatever has its name by now. Asks `read` on it, as a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReadOpenLink {
    /// The link.
    pub link: Handle<Link>,
}

impl Operation for ReadOpenLink {
    type Reply = LinkText;
    const NAME: &'static str = "fs.read_open_link";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[Action::FileRead];
}

/// Make a symbolic link. Where it leads is not looked at.
///
/// Asks `create` on it, and with `replace` also `delete`, whether or not something is there. With `replace` it takes the
/// place of a file or link at once (`rename(2)`); a directory stays and is a failure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MakeLink {
    /// The directory.
    pub dir: Handle<Dir>,
    /// The name in it.
    pub name: Name,
    /// What it says.
    pub target: LinkText,
    /// Take the place of what has that name.
    pub replace: bool,
}

impl Operation for MakeLink {
    type Reply = ();
    const NAME: &'static str = "fs.make_link";
    const EFFECT: Effect<Self> = Effect::Changes;
    const ACTIONS: &'static [Action] = &[Action::FileCreate, Action::FileDelete];
}

/// What a symbolic link says: 1 to [`PATH_BYTES`] bytes without NUL, `symlink(7)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "serde_bytes::ByteBuf", into = "serde_bytes::ByteBuf")]
pub struct LinkText(Vec<u8>);

impl LinkText {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text as people see it: bytes that are no UTF-8 become U+FFFD.
    pub fn to_text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

impl TryFrom<Vec<u8>> for LinkText {
    type Error = NoLinkText;
    fn try_from(bytes: Vec<u8>) -> Result<Self, NoLinkText> {
        if bytes.is_empty() || bytes.len() > PATH_BYTES || bytes.contains(&0) {
            Err(NoLinkText)
        } else {
            Ok(Self(bytes))
        }
    }
}

impl TryFrom<serde_bytes::ByteBuf> for LinkText {
    type Error = NoLinkText;
    fn try_from(bytes: serde_bytes::ByteBuf) -> Result<Self, NoLinkText> {
        Self::try_from(bytes.into_vec())
    }
}

impl From<LinkText> for serde_bytes::ByteBuf {
    fn from(text: LinkText) -> Self {
        Self::from(text.0)
    }
}

/// Bytes that no symbolic link can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a link says 1 to {PATH_BYTES} bytes without NUL")]
pub struct NoLinkText;
