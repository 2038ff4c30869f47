//! The content of files as a whole: copies and lengths.

use super::file::File;
use super::options::{self, Options, Setters};
use super::size::SizeUnit;
use super::{Surface, refuse};
use crate::error::{Error, Io, Result};
use rex_protocol::Failure;
use rex_protocol::failure::FailureKind;
use rex_protocol::fs::{Allocate, CopyFile, Truncate};
use serde::Deserialize;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct CopyFileOptions {
    force: bool,
    preserve: bool,
}

impl Options for CopyFileOptions {
    const NAME: &'static str = "CopyFileOptions";
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct TruncateOptions {
    size: i64,
    #[serde(skip)]
    format: SizeUnit,
}

impl Options for TruncateOptions {
    const NAME: &'static str = "TruncateOptions";

    fn setters(setters: &mut Setters<'_, Self>) {
        setters.value("format", |options, unit| options.format = unit);
    }
}

#[derive(Debug, Clone, Deserialize)]
struct FallocateOptions {
    length: i64,
    #[serde(skip)]
    format: SizeUnit,
}

impl Options for FallocateOptions {
    const NAME: &'static str = "FallocateOptions";

    fn setters(setters: &mut Setters<'_, Self>) {
        setters.value("format", |options, unit| options.format = unit);
    }

    fn check(&self) -> std::result::Result<(), String> {
        if self.length > 0 { Ok(()) } else { Err("Validation error: Length must be greater than 0".into()) }
    }
}

/// Copies the content of one open file into another.
pub(super) fn copy(from: &File, to: &File, force: bool, preserve: bool) -> Result<()> {
    let request = CopyFile { from: from.handle(), to: to.handle(), force, preserve };
    Ok(to.channel().call(&request).map_err(|failure| {
        let about = if failure.kind == FailureKind::NotOpenForReading { from } else { to };
        refuse::general(&failure, about.path())
    })?)
}

fn truncate(file: &File, options: &TruncateOptions) -> Result<()> {
    let size = options.format.bytes(options.size).and_then(|size| {
        let negative = "Invalid arguments: Size must be greater than or equal to 0";
        u64::try_from(size).map_err(|_| Error::new(Io::InvalidArguments, negative))
    });
    set_length(file, size, |size| file.channel().call(&Truncate { file: file.handle(), size }))
}

fn allocate(file: &File, options: &FallocateOptions) -> Result<()> {
    // Positive, as the options were checked.
    let length = options.format.bytes(options.length).map(i64::unsigned_abs);
    set_length(file, length, |length| file.channel().call(&Allocate { file: file.handle(), length }))
}

/// Has `set` ask for a length. One that makes no sense is asked for as one that no file can have, which the session refuses:
/// policy has its say first.
fn set_length(
    file: &File,
    length: std::result::Result<u64, Error>,
    set: impl FnOnce(u64) -> std::result::Result<(), Failure>,
) -> Result<()> {
    match (set(*length.as_ref().unwrap_or(&u64::MAX)), length) {
        (Err(failure), Err(error)) if !failure.is_denial() => Err(error.into()),
        (result, _) => Ok(result.map_err(|failure| refuse::rustix(&failure, file.path()))?),
    }
}

/// Registers the functions.
pub fn register(surface: &mut Surface) {
    options::register::<CopyFileOptions>(surface);
    options::register::<TruncateOptions>(surface);
    options::register::<FallocateOptions>(surface);
    surface.function("copy", |from: File, to: File, options: CopyFileOptions| {
        copy(&from, &to, options.force, options.preserve).map(|()| to)
    });
    surface.function("truncate", |file: File, options: TruncateOptions| truncate(&file, &options));
    surface.function("fallocate", |file: File, options: FallocateOptions| allocate(&file, &options));
}
