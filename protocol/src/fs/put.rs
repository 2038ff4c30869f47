//! Putting files and directories with all their properties in place, as unpacking does.

use crate::handle::{Dir, Draft};
use crate::path::Name;
use crate::text::{Chunk, Text};
use crate::{Action, Effect, Handle, Operation};
use serde::{Deserialize, Serialize};

/// The way to something below an open directory: 1 to [`STEPS`] names, no link on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Name>", into = "Vec<Name>")]
pub struct Way(Vec<Name>);

/// The most names on a [`Way`].
pub const STEPS: usize = 256;

impl Way {
    /// The names.
    pub fn names(&self) -> &[Name] {
        &self.0
    }
}

impl TryFrom<Vec<Name>> for Way {
    type Error = NoWay;
    fn try_from(names: Vec<Name>) -> Result<Self, NoWay> {
        if names.is_empty() || names.len() > STEPS { Err(NoWay) } else { Ok(Self(names)) }
    }
}

impl From<Way> for Vec<Name> {
    fn from(way: Way) -> Self {
        way.0
    }
}

/// Too many names, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a way has 1 to {STEPS} names")]
pub struct NoWay;

/// The properties of what is put in place. Each is left out where policy does not allow it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Properties {
    /// Permission bits, of which 0777 count. Asks `chmod`.
    pub mode: Option<u32>,
    /// Owner's name. Asks `chown`. One that is not known here is left out.
    pub user: Option<Text<256>>,
    /// Group's name, likewise.
    pub group: Option<Text<256>>,
    /// Last modification, seconds since 1970.
    pub modified_seconds: Option<i64>,
}

/// Begin a file that [`CommitFile`] puts in place.
///
/// Asks `create` and `write` on the file and `create` on each directory on the way. Missing directories are made, links are not
/// followed. Nothing stands under the file's name before it is whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BeginFile {
    /// The directory below which it goes.
    pub dir: Handle<Dir>,
    /// Its place there.
    pub way: Way,
}

impl Operation for BeginFile {
    type Reply = Handle<Draft>;
    const NAME: &'static str = "fs.begin_file";
    const EFFECT: Effect<Self> = Effect::Changes;
    const ACTIONS: &'static [Action] = &[Action::FileCreate, Action::FileWrite];
}

/// Add to the end of a file that is being put together. Asks `write` on it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AddToFile {
    /// The file.
    pub draft: Handle<Draft>,
    /// More of its content.
    pub content: Chunk,
}

impl Operation for AddToFile {
    type Reply = ();
    const NAME: &'static str = "fs.add_to_file";
    const EFFECT: Effect<Self> = Effect::Changes;
    const ACTIONS: &'static [Action] = &[Action::FileWrite];
}

/// Put a file in place that was put together: it takes its name at once (`rename(2)`), with its properties.
///
/// Asks `create` and `write` on it, and for the properties `chmod` and `chown`: where these are denied it stands there
/// without them. With this, done or failed, the draft is over: what else is asked of it fails as gone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CommitFile {
    /// The file.
    pub draft: Handle<Draft>,
    /// Its properties.
    pub properties: Properties,
}

impl Operation for CommitFile {
    type Reply = ();
    const NAME: &'static str = "fs.commit_file";
    const EFFECT: Effect<Self> = Effect::Changes;
    const ACTIONS: &'static [Action] = &[Action::FileCreate, Action::FileWrite, Action::FileChmod, Action::FileChown];
}

/// Put a directory in place, or give one that is there these properties.
///
/// Asks `create` and `open` on it and on each directory on the way, and for the properties `chmod` and `chown`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PutDir {
    /// The directory below which it goes.
    pub dir: Handle<Dir>,
    /// Its place there.
    pub way: Way,
    /// Its properties.
    pub properties: Properties,
}

impl Operation for PutDir {
    type Reply = ();
    const NAME: &'static str = "fs.put_dir";
    const EFFECT: Effect<Self> = Effect::Changes;
    const ACTIONS: &'static [Action] = &[Action::FileCreate, Action::FileOpen, Action::FileChmod, Action::FileChown];
}
