//! Commands that give a file another place: `cp`, `mv`. Both follow no links.

use super::flags::{Flag, Flags, read};
use crate::channel::Channel;
use crate::error::Result;
use crate::script::dir::{Directory, How, NEW_FILE};
use crate::script::{Surface, content, moving};
use crate::text::path::{self, Place};
use rhai::{Array, NativeCallContext};
use std::rc::Rc;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Cp {
    Force,
    Preserve,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Mv {
    /// Every move keeps the destination until the copy is whole, which is what this asks for.
    Backup,
    Verbose,
}

impl Flag for Cp {
    const COMMAND: &'static str = "cp";
    const TYPE: &'static str = "CpFlag";
}
impl Flag for Mv {
    const COMMAND: &'static str = "mv";
    const TYPE: &'static str = "MvFlag";
}

/// Registers the commands and their flags.
pub(super) fn register(surface: &mut Surface) {
    Flags::new().flag(&["force", "f"], Cp::Force).flag(&["preserve", "p"], Cp::Preserve).register(surface);
    Flags::new().flag(&["backup", "b"], Mv::Backup).flag(&["verbose", "v"], Mv::Verbose).register(surface);
    let channel = surface.channel();
    surface.function("cp", move |from: &str, to: &str| cp(&channel, &[], from, to));
    let channel = surface.channel();
    surface.function("cp", move |context: NativeCallContext<'_>, flags: Array, from: &str, to: &str| {
        cp(&channel, &read(&context, &flags)?, from, to)
    });
    let channel = surface.channel();
    surface.function("mv", move |context: NativeCallContext<'_>, from: &str, to: &str| {
        mv(&channel, &context, &[], from, to)
    });
    let channel = surface.channel();
    surface.function("mv", move |context: NativeCallContext<'_>, flags: Array, from: &str, to: &str| {
        mv(&channel, &context, &read(&context, &flags)?, from, to)
    });
}

fn cp(channel: &Rc<Channel>, flags: &[Cp], from: &str, to: &str) -> Result<()> {
    let (from, to) = places(from, to)?;
    let source = Directory::open(channel, from.dir, false)?.file(&from.name, How::READ)?;
    let dir = Directory::open(channel, to.dir, false)?;
    // Before a destination is made that would stay empty.
    source.may_read()?;
    let how = How { read: false, write: true, create: Some(NEW_FILE), follow: false, write_next: true };
    let destination = dir.file(&to.name, how)?;
    content::copy(&source, &destination, flags.contains(&Cp::Force), flags.contains(&Cp::Preserve))
}

fn mv(channel: &Rc<Channel>, context: &NativeCallContext<'_>, flags: &[Mv], from: &str, to: &str) -> Result<()> {
    let (from, to) = places(from, to)?;
    let how = How { write: true, ..How::READ };
    let file = Directory::open(channel, from.dir, false)?.file(&from.name, how)?;
    let dir = Directory::open(channel, to.dir, false)?;
    moving::file(context, &file, &dir, &to.name, flags.contains(&Mv::Verbose))?;
    Ok(())
}

fn places(from: &str, to: &str) -> Result<(Place, Place)> {
    Ok((path::place(from, "source")?, path::place(to, "destination")?))
}
