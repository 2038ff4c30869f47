//! `elf_info`: what a program or a core dump tells.

use super::file::File;
use super::reader::Source;
use super::{Surface, item};
use crate::error::{Error, Io, Result};
use crate::format::elf::{self, ElfInfo};
use rhai::{Dynamic, Map};
use std::fmt;

/// Registers the function and what it gives.
pub fn register(surface: &mut Surface) {
    surface.shown::<ElfInfo>("ElfInfo");
    surface.property("execfn", |info: &mut ElfInfo| text(info.execfn.as_ref()));
    surface.property("platform", |info: &mut ElfInfo| text(info.platform.as_ref()));
    surface.property("interpreter", |info: &mut ElfInfo| text(info.interpreter.as_ref()));
    surface.property("is_64bit", |info: &mut ElfInfo| info.is_64bit);
    surface.function("to_map", |info: &mut ElfInfo| {
        Map::from_iter([
            item("execfn", text(info.execfn.as_ref())),
            item("interpreter", text(info.interpreter.as_ref())),
            item("is_64bit", info.is_64bit),
            item("platform", text(info.platform.as_ref())),
        ])
    });
    surface.function("elf_info", |file: File| elf_info(&file));
}

fn elf_info(file: &File) -> Result<ElfInfo> {
    let content = Source::of(file);
    let read = elf::read(content.reader());
    // What could not be read looks like a damaged file.
    match content.refusal() {
        Some(refusal) => Err(refusal),
        None => Ok(read.map_err(|fault| Error::new(Io::ValidationError, format!("Validation error: {fault}")))?),
    }
}

fn text(text: Option<&String>) -> Dynamic {
    text.map_or(Dynamic::UNIT, |text| text.clone().into())
}

impl fmt::Display for ElfInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ElfInfo({} bits)", if self.is_64bit { 64 } else { 32 })
    }
}
