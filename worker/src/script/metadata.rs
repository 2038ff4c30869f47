//! What an object of the file system is like.

use super::kinds::EntryType;
use super::{Surface, item, number, refuse};
use crate::error::{Error, Io, Result};
use rex_protocol::fs;
use rhai::{Dynamic, ImmutableString, Map};
use std::fmt;
use std::rc::Rc;

/// The properties of an object.
#[derive(Debug, Clone)]
pub struct Metadata {
    fields: Rc<fs::Metadata>,
    owner: Ownership,
    /// Where a link leads, if that was read.
    target: Option<ImmutableString>,
}

/// Owner and group of an object, by name.
#[derive(Debug, Clone)]
pub struct Ownership(Rc<(String, String)>);

impl Metadata {
    /// Fails where owner or group have no name.
    pub(super) fn new(fields: fs::Metadata) -> Result<Self> {
        let owner = Ownership::new(&fields)?;
        Ok(Self { fields: Rc::new(fields), owner, target: None })
    }

    /// The properties of a link that says `target`.
    pub(super) fn leading_to(self, target: String) -> Self {
        Self { target: Some(target.into()), ..self }
    }

    fn target(&self) -> Dynamic {
        self.target.clone().map_or(Dynamic::UNIT, Dynamic::from)
    }

    fn kind(&self) -> EntryType {
        EntryType(self.fields.kind)
    }

    fn allocated(&self) -> i64 {
        number(self.fields.blocks.saturating_mul(512))
    }

    fn to_map(&self) -> Map {
        let fields = &self.fields;
        Map::from_iter([
            item("allocated_size", self.allocated()),
            item("file_size", number(fields.size)),
            item("last_modified_time", fields.modified_seconds),
            item("num_hardlinks", number(fields.links)),
            item("owner_group", self.owner.0.1.clone()),
            item("owner_user", self.owner.0.0.clone()),
            item("permissions", i64::from(fields.mode)),
            item("symlink_target", self.target()),
            item("type", self.kind().to_string()),
        ])
    }
}

impl Ownership {
    /// Fails where owner or group have no name.
    pub(super) fn new(fields: &fs::Metadata) -> Result<Self> {
        let name = |name: &Option<rex_protocol::text::Text<256>>, id, group| match name {
            Some(name) => Ok(name.to_string()),
            None => Err(Error::new(Io::IdentityResolutionError, refuse::unknown_identity(id, group))),
        };
        let user = name(&fields.user, fields.uid, false)?;
        let group = name(&fields.group, fields.gid, true)?;
        Ok(Self(Rc::new((user, group))))
    }
}

impl fmt::Display for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Metadata({}, {} bytes)", self.kind(), self.fields.size)
    }
}

impl fmt::Display for Ownership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ownership({}, {})", self.0.0, self.0.1)
    }
}

/// Registers the types.
pub fn register(surface: &mut Surface) {
    surface.shown::<Metadata>("Metadata");
    surface.function("type", |metadata: &mut Metadata| metadata.kind());
    surface.function("permissions", |metadata: &mut Metadata| i64::from(metadata.fields.mode));
    surface.function("file_size", |metadata: &mut Metadata| number(metadata.fields.size));
    surface.function("blocks", |metadata: &mut Metadata| number(metadata.fields.blocks));
    surface.function("allocated_size", |metadata: &mut Metadata| metadata.allocated());
    surface.function("num_hardlinks", |metadata: &mut Metadata| number(metadata.fields.links));
    surface.function("last_modified_time", |metadata: &mut Metadata| metadata.fields.modified_seconds);
    surface.function("last_modified_time_nanos_component", |metadata: &mut Metadata| {
        i64::from(metadata.fields.modified_nanos)
    });
    surface.function("symlink_target", |metadata: &mut Metadata| metadata.target());
    surface.function("to_map", |metadata: &mut Metadata| metadata.to_map());
    surface.property("owner", |metadata: &mut Metadata| metadata.owner.clone());
    surface.shown::<Ownership>("Ownership");
    surface.property("user", |owner: &mut Ownership| owner.0.0.clone());
    surface.property("group", |owner: &mut Ownership| owner.0.1.clone());
}
