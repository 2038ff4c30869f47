//! Symbolic links themselves.

use super::*;
use crate::authz::Granted;
use crate::perform::{Demands, Perform};
use rex_protocol::fs::{LinkText, MakeLink, OpenLink, OpenedLink, ReadLink, ReadOpenLink};
use std::os::unix::ffi::OsStringExt;

/// A symbolic link, pinned.
pub(crate) struct OpenLinkItself {
    /// `O_PATH`.
    pub(super) pin: Rc<OwnedFd>,
    /// The path it was judged by.
    pub(super) path: AbsPath,
}

impl OpenLinkItself {
    /// What policy is asked about it: to policy a link is a file.
    pub(super) fn demand(&self, action: Action) -> Demand {
        file_demand(action, &self.path).about(&self.pin)
    }
}

pub(crate) struct LinkTarget {
    place: Place,
    path: AbsPath,
}

impl LinkTarget {
    fn of(dir: rex_protocol::Handle<rex_protocol::handle::Dir>, name: Name, state: &State) -> Result<Self, Stop> {
        let place = Place { dir: state.handles.dir(dir)?, name };
        Ok(Self { path: place.path()?, place })
    }

    /// Pins the link; anything else is a failure.
    fn pin(&self, action: Action, state: &mut State) -> Result<Rc<OwnedFd>, Failure> {
        let found = planned::entry(&self.place.dir.pin, &self.place.name, &self.path);
        let pin = Rc::new(found.map_err(|errno| refused(errno, "open", &self.path))?);
        state.confirm(&[file_demand(action, &self.path)], &pin)?;
        match look(&pin, &self.path)?.0 {
            EntryKind::Symlink => Ok(pin),
            _ => Err(Failure::new(FailureKind::NotALink, format!("`{}` is not a symbolic link", self.path))),
        }
    }
}

impl Perform for OpenLink {
    type Target = LinkTarget;

    fn target(self, state: &mut State) -> Result<LinkTarget, Stop> {
        LinkTarget::of(self.dir, self.name, state)
    }

    fn demands(target: &LinkTarget) -> Demands {
        Demands::all(vec![file_demand(Action::FileOpen, &target.path)])
    }

    fn perform(target: Granted<LinkTarget>, state: &mut State) -> Result<OpenedLink, Stop> {
        let target = target.into_inner();
        let pin = target.pin(Action::FileOpen, state)?;
        let path = target.path;
        Ok(OpenedLink { link: state.handles.add_link(OpenLinkItself { pin, path: path.clone() })?, path })
    }
}

impl Perform for ReadLink {
    type Target = LinkTarget;

    fn target(self, state: &mut State) -> Result<LinkTarget, Stop> {
        LinkTarget::of(self.dir, self.name, state)
    }

    fn demands(target: &LinkTarget) -> Demands {
        Demands::all(vec![file_demand(Action::FileRead, &target.path)])
    }

    fn perform(target: Granted<LinkTarget>, state: &mut State) -> Result<LinkText, Stop> {
        let target = target.into_inner();
        let pin = target.pin(Action::FileRead, state)?;
        Ok(text_of(&pin, &target.path)?)
    }
}

impl Perform for ReadOpenLink {
    type Target = Rc<OpenLinkItself>;

    fn target(self, state: &mut State) -> Result<Self::Target, Stop> {
        state.handles.link(self.link)
    }

    fn demands(link: &Self::Target) -> Demands {
        Demands::all(vec![link.demand(Action::FileRead)])
    }

    fn perform(link: Granted<Self::Target>, _: &mut State) -> Result<LinkText, Stop> {
        let link = link.into_inner();
        Ok(text_of(&link.pin, &link.path)?)
    }
}

/// What a pinned link says.
fn text_of(pin: &OwnedFd, path: &AbsPath) -> Result<LinkText, Failure> {
    let fault = |errno| refused(errno, "read the link", path);
    let planned = plan::shadow(pin).map(|shadow| shadow.content()).transpose().map_err(fault)?.flatten();
    let text = match planned {
        Some(text) => text.to_vec(),
        None => nix::fcntl::readlinkat(pin, "").map_err(fault)?.into_vec(),
    };
    LinkText::try_from(text).map_err(|_| fault(Errno::ENAMETOOLONG))
}

pub(crate) struct MakeTarget {
    link: LinkTarget,
    says: LinkText,
    replace: bool,
}

impl Perform for MakeLink {
    type Target = MakeTarget;

    fn target(self, state: &mut State) -> Result<MakeTarget, Stop> {
        let link = LinkTarget::of(self.dir, self.name, state)?;
        Ok(MakeTarget { link, says: self.target, replace: self.replace })
    }

    fn demands(target: &MakeTarget) -> Demands {
        let path = &target.link.path;
        let mut demands = vec![file_demand(Action::FileCreate, path)];
        if target.replace {
            demands.push(file_demand(Action::FileDelete, path));
        }
        Demands::all(demands)
    }

    fn perform(target: Granted<MakeTarget>, _: &mut State) -> Result<(), Stop> {
        let MakeTarget { link: LinkTarget { place, path }, says, replace } = target.into_inner();
        let fault = |errno| refused(errno, "create the link", &path);
        let at = act::At { dir: &place.dir.pin, name: &place.name, path: &path };
        let made = match replace {
            true => act::replace_by_link(at, says.as_bytes()),
            false => act::make_link(at, says.as_bytes()),
        };
        made.map_err(|errno| fault(errno).into())
    }

    // The acts on the way are planned, so that all else is the same.
    fn plan(target: Granted<Self::Target>, state: &mut State) -> Result<Self::Reply, Stop> {
        Self::perform(target, state)
    }
}
