//! What would be done, as it is told: no more of what is there than policy lets the caller know.

use super::Bytes;
use crate::authz::Demand;
use crate::perform::fs::{dir_demand, file_demand, read_at};
use crate::sys::fs;
use nix::fcntl::OFlag;
use rex_protocol::Action;
use rex_protocol::change::{Act, Change, Content, Property, SIDE, Side};
use rex_protocol::path::AbsPath;
use rex_protocol::text::Text;
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// Something that would be done.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) act: Act,
    pub(crate) about: About,
    /// In what way. What something was before is told only to whom `stat` on it is allowed.
    pub(crate) properties: Vec<Property>,
    pub(crate) content: Option<Contents>,
}

/// What it would be done with.
#[derive(Debug, Clone)]
pub(crate) enum About {
    File(AbsPath),
    Dir(AbsPath),
    /// Anything else, in words that hold no secret.
    Other(String),
}

/// What a file holds and would hold.
#[derive(Debug)]
pub(crate) struct Contents {
    /// Which file.
    pub(crate) of: AbsPath,
    pub(crate) before: Snapshot,
    pub(crate) after: Snapshot,
    /// The file that what it would hold is from, which may be itself; nothing where it is the caller's own words.
    pub(crate) from: Option<AbsPath>,
}

/// What a file holds at a moment.
#[derive(Debug)]
pub(crate) enum Snapshot {
    /// There is no file.
    Nothing,
    /// What this file that is really there holds.
    Real(OwnedFd),
    Kept(Rc<Bytes>),
    NotKnown,
}

impl Planned {
    /// Something that is done with what is no file.
    pub(crate) fn other(act: Act, about: impl Into<String>) -> Self {
        Self { act, about: About::Other(about.into()), properties: Vec::new(), content: None }
    }

    /// Something that is done with a file or a directory.
    pub(crate) fn on(act: Act, about: About) -> Self {
        Self { act, about, properties: Vec::new(), content: None }
    }

    /// With this to say of it.
    pub(crate) fn with(mut self, name: &str, before: Option<String>, after: Option<String>) -> Self {
        let [before, after] = [before, after].map(|text| text.map(Text::cut));
        self.properties.push(Property { name: Text::cut(name), before, after });
        self
    }

    /// With what a file holds.
    pub(crate) fn holding(self, content: Contents) -> Self {
        Self { content: Some(content), ..self }
    }
}

impl About {
    fn demand(&self, action: Action) -> Option<Demand> {
        match self {
            About::File(path) => Some(file_demand(action, path)),
            About::Dir(path) => Some(dir_demand(action, path)),
            About::Other(_) => None,
        }
    }
}

/// The change as it is told. `knows` asks policy; `sensitive` hides all that a file holds.
pub(crate) fn told(
    planned: Planned,
    operation: &'static str,
    sensitive: bool,
    mut knows: impl FnMut(&Demand) -> bool,
) -> Change {
    let Planned { act, about, mut properties, content } = planned;
    if properties.iter().any(|property| property.before.is_some())
        && about.demand(Action::FileStat).is_some_and(|demand| !knows(&demand))
    {
        properties.iter_mut().for_each(|property| property.before = None);
    }
    let content = content.map(|Contents { of, before, after, from }| {
        let mut side = |snapshot: Snapshot, of: Option<&AbsPath>| match snapshot {
            Snapshot::Nothing => Side::Nothing,
            _ if sensitive => Side::Hidden,
            snapshot if of.is_none_or(|path| knows(&file_demand(Action::FileRead, path))) => snapshot.side(),
            _ => Side::Hidden,
        };
        Content { before: side(before, Some(&of)), after: side(after, from.as_ref()) }
    });
    let object = match about {
        About::File(path) | About::Dir(path) => path.to_id(),
        About::Other(text) => text,
    };
    Change { operation: Text::cut(operation), act, object: Text::cut(object), properties, content }
}

impl Snapshot {
    fn side(self) -> Side {
        match self {
            Snapshot::Nothing => Side::Nothing,
            Snapshot::NotKnown => Side::NotKnown,
            Snapshot::Kept(bytes) => side(&bytes, bytes.len() as u64),
            Snapshot::Real(file) => {
                let Ok(fd) = fs::reopen(&file, OFlag::O_RDONLY) else { return Side::NotKnown };
                let length = nix::sys::stat::fstat(&fd).map_or(0, |stat| u64::try_from(stat.st_size).unwrap_or(0));
                match read_at(&fd, 0, SIDE + 1) {
                    Ok(bytes) => side(&bytes, length.max(bytes.len() as u64)),
                    Err(_) => Side::NotKnown,
                }
            }
        }
    }
}

fn side(bytes: &[u8], length: u64) -> Side {
    if bytes.len() > SIDE {
        return Side::LeftOut(length);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Side::Text(text.to_owned()),
        _ => Side::Binary(length),
    }
}
