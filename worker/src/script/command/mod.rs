//! Commands: functions named like the programs they stand for, with their flags.

mod awk;
mod edit;
mod flags;
mod place;
mod process;
mod read;
mod system;
mod tree;
mod walks;
mod write;

use super::Surface;
use super::dir::{Directory, How};
use super::file::File;
use crate::channel::Channel;
use crate::error::Result;
use crate::text::path::{self, Place};
use std::rc::Rc;

/// Registers the commands.
pub fn register(surface: &mut Surface) {
    read::register(surface);
    awk::register(surface);
    edit::register(surface);
    place::register(surface);
    process::register(surface);
    tree::register(surface);
    walks::register(surface);
    write::register(surface);
    system::register(surface);
}

/// Opens the file at `path` for reading: links on the way are followed, one in last place is not.
fn open(channel: &Rc<Channel>, path: &str) -> Result<File> {
    open_as(channel, path, How::READ)
}

/// As [`open`], for whatever `how` says.
fn open_as(channel: &Rc<Channel>, path: &str, how: How) -> Result<File> {
    let Place { dir, name } = path::place(path, "file")?;
    Directory::open(channel, dir, true)?.file(&name, how)
}
