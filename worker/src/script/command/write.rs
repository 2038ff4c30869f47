//! Commands that change a file: `write`, `touch`.

use super::flags::{Flag, Flags, read};
use crate::channel::Channel;
use crate::error::Result;
use crate::script::dir::{Directory, How, NEW_FILE};
use crate::script::{Surface, refuse};
use crate::text::path::{self, Place};
use rex_protocol::fs::{Placement, Touch};
use rhai::{Array, NativeCallContext};
use std::rc::Rc;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Write {
    Append,
    Replace,
}

impl Flag for Write {
    const COMMAND: &'static str = "write";
    const TYPE: &'static str = "WriteFlag";
}

/// Registers the commands and their flags.
pub(super) fn register(surface: &mut Surface) {
    Flags::new().flag(&["append", "a"], Write::Append).flag(&["replace", "r"], Write::Replace).register(surface);
    let channel = surface.channel();
    surface.function("write", move |path: &str, text: &str| write(&channel, &[], path, text));
    let channel = surface.channel();
    surface.function("write", move |context: NativeCallContext<'_>, flags: Array, path: &str, text: &str| {
        write(&channel, &read(&context, &flags)?, path, text)
    });
    let channel = surface.channel();
    surface.function("touch", move |path: &str| touch(&channel, path));
}

fn write(channel: &Rc<Channel>, flags: &[Write], path: &str, text: &str) -> Result<()> {
    let placement = if flags.contains(&Write::Replace) { Placement::InPlace } else { Placement::Append };
    let Place { dir, name } = path::place(path, "file")?;
    let how = How { read: false, write: true, create: Some(NEW_FILE), follow: false, write_next: true };
    Directory::open(channel, dir, true)?.file(&name, how)?.write(text, placement)?;
    Ok(())
}

fn touch(channel: &Rc<Channel>, path: &str) -> Result<()> {
    let Place { dir, name } = path::place(path, "file")?;
    let dir = Directory::open(channel, dir, false)?;
    let request = Touch { dir: dir.handle(), name };
    channel.call(&request).or_else(|failure| Err(refuse::open_file(&failure, &dir.join(&request.name)?, false).into()))
}
