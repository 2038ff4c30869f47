//! Modes, owners, extended attributes: all on the object that is open, never by its name.

use super::stat::Opened;
use super::*;
use crate::authz::{Context, Granted};
use crate::perform::{Demands, Perform};
use crate::plan::{About, Planned};
use crate::sys::xattr;
use nix::unistd::{Gid, Group, Uid, User};
use rex_protocol::change::Act;
use rex_protocol::fs::{ATTRIBUTE, ReadAttribute, SELINUX, SetMode, SetOwner, WriteAttribute};
use std::ffi::CString;

/// The bits that can be set: neither set-id bits nor the sticky bit.
const MODES: u32 = 0o777;

impl Perform for SetMode {
    type Target = (Opened, u32);

    fn target(self, state: &mut State) -> Result<Self::Target, Stop> {
        Ok((Opened::of(self.object, state)?, self.mode))
    }

    fn demands((object, _): &Self::Target) -> Demands {
        Demands::all(vec![object.demand(Action::FileChmod)])
    }

    fn perform(target: Granted<Self::Target>, state: &mut State) -> Result<(), Stop> {
        let (object, mode) = target.into_inner();
        if mode > MODES {
            let message = format!("permissions must be in the range 0-777 octal, not 0o{mode:o}");
            return Err(Failure::new(FailureKind::InvalidMode { mode }, message).into());
        }
        if let Opened::Link(link) = &object {
            return Err(refused(Errno::EOPNOTSUPP, "set the mode of the link", &link.path).into());
        }
        let changed = act::set_mode(object.descriptor(), object.path(), mode)
            .map_err(|errno| refused(errno, "set the mode of", object.path()))?;
        if !changed {
            state.changes_nothing();
        }
        Ok(())
    }

    // The acts on the way are planned, so that all else is the same.
    fn plan(target: Granted<Self::Target>, state: &mut State) -> Result<Self::Reply, Stop> {
        Self::perform(target, state)
    }
}

impl Perform for SetOwner {
    type Target = (Opened, Option<Text<256>>, Option<Text<256>>);

    fn target(self, state: &mut State) -> Result<Self::Target, Stop> {
        Ok((Opened::of(self.object, state)?, self.user, self.group))
    }

    fn demands((object, _, _): &Self::Target) -> Demands {
        Demands::all(vec![object.demand(Action::FileChown)])
    }

    fn perform(target: Granted<Self::Target>, state: &mut State) -> Result<(), Stop> {
        let (object, user, group) = target.into_inner();
        let uid = user.map(|name| user_id(&name)).transpose()?;
        let gid = group.map(|name| group_id(&name)).transpose()?;
        if uid.is_none() && gid.is_none() {
            state.changes_nothing();
            return Ok(());
        }
        let changed = act::set_owner(object.descriptor(), object.path(), uid, gid)
            .map_err(|errno| refused(errno, "set the owner of", object.path()))?;
        if !changed {
            state.changes_nothing();
        }
        Ok(())
    }

    // The acts on the way are planned, so that all else is the same.
    fn plan(target: Granted<Self::Target>, state: &mut State) -> Result<Self::Reply, Stop> {
        Self::perform(target, state)
    }
}

/// The number of a user.
pub(crate) fn user_id(name: &str) -> Result<Uid, Failure> {
    let user = User::from_name(name).ok().flatten();
    user.map(|user| user.uid).ok_or_else(|| Failure::new(FailureKind::UnknownName { group: false }, name))
}

/// The number of a group.
pub(crate) fn group_id(name: &str) -> Result<Gid, Failure> {
    let group = Group::from_name(name).ok().flatten();
    group.map(|group| group.gid).ok_or_else(|| Failure::new(FailureKind::UnknownName { group: true }, name))
}

pub(crate) struct AttributeTarget {
    file: Rc<OpenRegularFile>,
    name: Text<255>,
    value: Vec<u8>,
}

impl AttributeTarget {
    fn demands(&self) -> Demands {
        let context = Context::Attribute(self.name.to_string());
        Demands::all(vec![self.file.demand(Action::FileSetXAttr).with(context)])
    }

    /// The name as the kernel takes it, if it is the one that is supported.
    fn supported(&self) -> Result<CString, Failure> {
        let name = CString::new(&*self.name).ok().filter(|_| &*self.name == SELINUX);
        name.ok_or_else(|| Failure::new(FailureKind::UnsupportedAttribute, &*self.name))
    }
}

impl Perform for ReadAttribute {
    type Target = AttributeTarget;

    fn target(self, state: &mut State) -> Result<AttributeTarget, Stop> {
        Ok(AttributeTarget { file: state.handles.file(self.file)?, name: self.name, value: Vec::new() })
    }

    fn demands(target: &AttributeTarget) -> Demands {
        target.demands()
    }

    fn perform(target: Granted<AttributeTarget>, _: &mut State) -> Result<serde_bytes::ByteBuf, Stop> {
        let target = target.into_inner();
        let name = target.supported()?;
        if let Some(value) = plan::shadow(&*target.file.fd).and_then(|shadow| shadow.attribute()) {
            return Ok(serde_bytes::ByteBuf::from(value));
        }
        let value = xattr::get(&*target.file.fd, &name, ATTRIBUTE)
            .map_err(|errno| refused(errno, "read the attribute of", &target.file.path))?;
        Ok(serde_bytes::ByteBuf::from(value))
    }
}

impl Perform for WriteAttribute {
    type Target = AttributeTarget;

    fn target(self, state: &mut State) -> Result<AttributeTarget, Stop> {
        let value = self.value.into_vec();
        if value.len() > ATTRIBUTE {
            return Err(rex_protocol::Violation::new("an attribute's value is too long").into());
        }
        Ok(AttributeTarget { file: state.handles.file(self.file)?, name: self.name, value })
    }

    fn demands(target: &AttributeTarget) -> Demands {
        target.demands()
    }

    fn perform(target: Granted<AttributeTarget>, _: &mut State) -> Result<(), Stop> {
        let target = target.into_inner();
        xattr::set(&*target.file.fd, &target.supported()?, &target.value, true)
            .map_err(|errno| refused(errno, "write the attribute of", &target.file.path).into())
    }

    fn plan(target: Granted<AttributeTarget>, _: &mut State) -> Result<(), Stop> {
        let target = target.into_inner();
        let file = &target.file;
        let fault = |errno| refused(errno, "write the attribute of", &file.path);
        let (name, planned) = (target.supported()?, plan::shadow(&*file.fd).and_then(|shadow| shadow.attribute()));
        // It must be there to get another value.
        let before = match planned {
            Some(value) => value,
            None => xattr::get(&*file.fd, &name, ATTRIBUTE).map_err(fault)?,
        };
        plan::shadow_for(&file.fd).map_err(fault)?.set_attribute(&target.value);
        let text = |value: &[u8]| Some(String::from_utf8_lossy(value).trim_end_matches('\0').to_owned());
        let planned = Planned::on(Act::Set, About::File(file.path.clone()));
        plan::note(planned.with(&target.name, text(&before), text(&target.value)));
        Ok(())
    }
}
