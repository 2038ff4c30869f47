//! Modes, owners, extended attributes.

use super::Object;
use crate::handle::File;
use crate::text::Text;
use crate::{Action, Effect, Handle, Operation};
use serde::{Deserialize, Serialize};

/// Set the permission bits of an open file or directory. Asks `chmod` on it.
///
/// Only bits of 0777: set-id and sticky bits cannot be set, and go where they stood (`chmod(2)`).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SetMode {
    /// The file or directory; a link has no mode of its own and is refused.
    pub object: Object,
    /// The bits.
    pub mode: u32,
}

impl Operation for SetMode {
    type Reply = ();
    const NAME: &'static str = "fs.set_mode";
    const EFFECT: Effect<Self> = Effect::Changes;
    const ACTIONS: &'static [Action] = &[Action::FileChmod];
}

/// Set owner and group of an open object, a link itself. Asks `chown` on it.
///
/// Names are looked up after that; an unknown one changes nothing. The kernel takes set-id bits away (`chown(2)`).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SetOwner {
    /// The object.
    pub object: Object,
    /// The owner's name; unchanged without.
    pub user: Option<Text<256>>,
    /// The group's name; unchanged without.
    pub group: Option<Text<256>>,
}

impl Operation for SetOwner {
    type Reply = ();
    const NAME: &'static str = "fs.set_owner";
    const EFFECT: Effect<Self> = Effect::Changes;
    const ACTIONS: &'static [Action] = &[Action::FileChown];
}

/// The one extended attribute that is supported: the SELinux context, `xattr(7)`.
pub const SELINUX: &str = "security.selinux";

/// The longest value of an extended attribute that is read or written, in bytes.
pub const ATTRIBUTE: usize = 1024;

/// Read an extended attribute of an open file in order to change it.
///
/// Asks `set_x_attr` on the file, with the attribute's name as context. Names other than [`SELINUX`] are not supported.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReadAttribute {
    /// The file.
    pub file: Handle<File>,
    /// The attribute.
    pub name: Text<255>,
}

impl Operation for ReadAttribute {
    type Reply = serde_bytes::ByteBuf;
    const NAME: &'static str = "fs.read_attribute";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[Action::FileSetXAttr];
}

/// Give an extended attribute of an open file, which must be there, another value. Asks as [`ReadAttribute`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WriteAttribute {
    /// The file.
    pub file: Handle<File>,
    /// The attribute.
    pub name: Text<255>,
    /// Its value, at most [`ATTRIBUTE`] bytes.
    pub value: serde_bytes::ByteBuf,
}

impl Operation for WriteAttribute {
    type Reply = ();
    const NAME: &'static str = "fs.write_attribute";
    const EFFECT: Effect<Self> = Effect::Changes;
    const ACTIONS: &'static [Action] = &[Action::FileSetXAttr];
}
