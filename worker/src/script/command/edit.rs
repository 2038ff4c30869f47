//! The command that changes a file's text: `sed`.

use super::flags::{Flag, Flags, read};
use super::open_as;
use crate::channel::Channel;
use crate::error::Result;
use crate::script::Surface;
use crate::script::basics::{ReplacementOptions, replace};
use crate::script::dir::How;
use crate::script::file::utf8;
use rex_protocol::fs::Placement;
use rhai::{Array, NativeCallContext};
use std::rc::Rc;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Sed {
    Regex,
    All,
    InPlace,
}

impl Flag for Sed {
    const COMMAND: &'static str = "sed";
    const TYPE: &'static str = "SedFlag";
}

/// Registers the command and its flags.
pub(super) fn register(surface: &mut Surface) {
    Flags::new()
        .flag(&["regex"], Sed::Regex)
        .flag(&["all", "g"], Sed::All)
        .flag(&["in_place", "i"], Sed::InPlace)
        .register(surface);
    let channel = surface.channel();
    surface.function("sed", move |old: &str, new: &str, path: &str| sed(&channel, &[], old, new, path));
    let channel = surface.channel();
    surface.function("sed", move |context: NativeCallContext<'_>, flags: Array, old: &str, new: &str, path: &str| {
        sed(&channel, &read(&context, &flags)?, old, new, path)
    });
}

fn sed(channel: &Rc<Channel>, flags: &[Sed], old: &str, new: &str, path: &str) -> Result<String> {
    let options = ReplacementOptions { is_regex: flags.contains(&Sed::Regex), replace_all: flags.contains(&Sed::All) };
    let in_place = flags.contains(&Sed::InPlace);
    let file = open_as(channel, path, How { write: in_place, ..How::READ })?;
    // What is written back must be the file's own text, not what is shown of it.
    let text = if in_place { utf8(file.content()?)? } else { file.text()? };
    let changed = replace(&text, old, new, &options)?;
    if in_place {
        file.write(&changed, Placement::InPlace)?;
    }
    Ok(changed)
}
