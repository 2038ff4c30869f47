//! Changes to everything below a directory.

use super::dir::{Directory, How};
use super::log;
use super::refuse;
use super::walk::{Found, Step, Walk, Way, unless_limit};
use crate::channel::{Channel, Held};
use crate::error::Result;
use rex_protocol::Failure;
use rex_protocol::failure::FailureKind;
use rex_protocol::fs::{EntryKind, Object, OpenLink};
use rex_protocol::path::AbsPath;
use rex_protocol::text::Text;
use rex_protocol::worker::{Level, Log};

/// How many of the entries that are left out are named in the log, of one call.
const NAMED: usize = 16;

/// Applies `apply` to a directory and then to all below it: directories, regular files opened for reading, and with `links`
/// links themselves. What cannot be changed is left as it is and told of in the script's log; only a limit of the run is an
/// error.
pub(super) fn change(
    start: &Directory,
    links: bool,
    left_out: &mut LeftOut,
    apply: impl Fn(Object) -> std::result::Result<(), Failure>,
) -> Result<()> {
    let changed = change_all(start, links, left_out, apply);
    left_out.finish(start.channel());
    Ok(changed.map_err(|failure| refuse::general(&failure, start.path()))?)
}

fn change_all(
    start: &Directory,
    links: bool,
    left_out: &mut LeftOut,
    apply: impl Fn(Object) -> std::result::Result<(), Failure>,
) -> std::result::Result<(), Failure> {
    let channel = start.channel();
    if let Err(failure) = apply(Object::Dir(start.handle())) {
        left_out.note(channel, start.path(), &failure);
        if holds_for_all(&failure) {
            return Ok(());
        }
    }
    let mut walk = match Walk::begin(start, Way::THROUGH) {
        Ok(walk) => walk,
        Err(failure) => {
            left_out.note(channel, start.path(), &unless_limit(failure)?);
            return Ok(());
        }
    };
    while let Some(step) = walk.next()? {
        let (path, failure) = match step {
            Step::Left => continue,
            Step::Skipped(path, failure) => (path, failure),
            Step::Entry(found) => match change_one(&found, links, &apply) {
                Ok(()) => continue,
                Err(failure) => (found.path().unwrap_or_else(|_| found.parent.path().clone()), unless_limit(failure)?),
            },
        };
        left_out.note(channel, &path, &failure);
        if holds_for_all(&failure) {
            break;
        }
    }
    Ok(())
}

fn change_one(
    found: &Found,
    links: bool,
    apply: impl Fn(Object) -> std::result::Result<(), Failure>,
) -> std::result::Result<(), Failure> {
    let (parent, name) = (&found.parent, &found.entry.name);
    match (&found.dir, found.entry.kind) {
        (Some(dir), _) => apply(Object::Dir(dir.handle())),
        (None, EntryKind::File) => {
            found.path()?;
            let file = parent.try_file(name, How::READ)?;
            apply(Object::File(file.handle()))
        }
        (None, EntryKind::Symlink) if links => {
            found.path()?;
            let opened = parent.channel().call(&OpenLink { dir: parent.handle(), name: name.clone() })?;
            let link = Held::new(parent.channel(), opened.link);
            apply(Object::Link(link.handle()))
        }
        _ => Ok(()),
    }
}

/// Whether a failure is about what is asked for, and not about the object.
fn holds_for_all(failure: &Failure) -> bool {
    matches!(failure.kind, FailureKind::InvalidMode { .. } | FailureKind::UnknownName { .. })
}

/// Tells the script's log of what a call leaves out: the first ones by name, of the others how many they are.
#[derive(Debug)]
pub(super) struct LeftOut {
    function: &'static str,
    /// Where the script called it.
    line: u32,
    count: usize,
}

impl LeftOut {
    /// Nothing is left out yet.
    pub(super) fn new(function: &'static str, line: u32) -> Self {
        Self { function, line, count: 0 }
    }

    fn note(&mut self, channel: &Channel, path: &AbsPath, failure: &Failure) {
        self.count += 1;
        if self.count <= NAMED {
            let why = refuse::general(failure, path);
            self.warn(channel, &format!("{} left out {path}: {}", self.function, why.message()));
        }
    }

    fn finish(&self, channel: &Channel) {
        if let Some(more) = self.count.checked_sub(NAMED).filter(|more| *more > 0) {
            self.warn(channel, &format!("{} left out {more} more", self.function));
        }
    }

    fn warn(&self, channel: &Channel, text: &str) {
        let message = Text::cut(log::message(text));
        channel.log(Log { level: Level::Warn, message, line: self.line, function: None });
    }
}
