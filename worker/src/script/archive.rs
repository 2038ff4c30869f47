//! `extract_archive`: what an archive holds, put in place below a directory.
//!
//! The archive is taken apart here and never put together here: the session makes each file and directory, and asks policy
//! for each.

use super::dir::Directory;
use super::file::File;
use super::options::{self, Options};
use super::reader::Source;
use super::{Surface, log, refuse};
use crate::channel::Held;
use crate::engine::line;
use crate::error::Result;
use crate::format::archive::{self, Described};
use rex_protocol::Failure;
use rex_protocol::failure::FailureKind;
use rex_protocol::fs::{AddToFile, BeginFile, CommitFile, Properties, PutDir, Way};
use rex_protocol::text::{CHUNK, Chunk, Text};
use rex_protocol::worker::{Level, Log};
use rhai::NativeCallContext;
use serde::Deserialize;
use std::cmp::Reverse;
use std::io::{self, BufRead, Read};
use tar::Entry;

#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
struct ExtractArchiveOptions {
    preserve_permissions: bool,
    preserve_ownership: bool,
    preserve_timestamps: bool,
}

impl Default for ExtractArchiveOptions {
    fn default() -> Self {
        Self { preserve_permissions: true, preserve_ownership: false, preserve_timestamps: true }
    }
}

impl Options for ExtractArchiveOptions {
    const NAME: &'static str = "ExtractArchiveOptions";
}

/// Registers the function.
pub fn register(surface: &mut Surface) {
    options::register::<ExtractArchiveOptions>(surface);
    surface.function(
        "extract_archive",
        |context: NativeCallContext<'_>, file: File, dir: Directory, options: ExtractArchiveOptions| {
            let mut extraction =
                Extraction { dir: &dir, options, entries: 0, dirs: Vec::new(), left_out: LeftOut::default() };
            let extracted = extraction.from(&file);
            extraction.tell(line(context.call_position()));
            extracted
        },
    );
}

/// An archive on its way to a directory.
struct Extraction<'d> {
    dir: &'d Directory,
    options: ExtractArchiveOptions,
    /// How many entries there have been.
    entries: u64,
    /// The directories that the archive names. They come last: what is put into one changes its time, and its mode may
    /// forbid that.
    dirs: Vec<(Way, Properties)>,
    left_out: LeftOut,
}

/// What did not come out.
#[derive(Default)]
struct LeftOut {
    count: u64,
    /// Path and reason of the first one.
    first: Option<(String, String)>,
}

/// Why an entry does not come out.
enum Stop {
    /// The session does not put it there.
    Refused(Failure),
    /// The archive cannot be read on.
    Broken(io::Error),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Refused(failure)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Stop::Broken(error)
    }
}

impl Extraction<'_> {
    fn from(&mut self, file: &File) -> Result<()> {
        let content = Source::of(file);
        self.all(content.reader()).map_err(|stop| match stop {
            Stop::Refused(failure) => refuse::general(&failure, self.dir.path()).into(),
            Stop::Broken(error) => content.error(&error),
        })
    }

    /// Puts in place whatever can be.
    fn all(&mut self, content: impl BufRead) -> std::result::Result<(), Stop> {
        let mut archive = archive::open(content)?;
        for entry in archive.entries()? {
            let mut entry = entry?;
            let described = archive::describe(&mut entry);
            self.entries += u64::from(described != Described::Nothing);
            match described {
                Described::File(way, properties) => {
                    let put = self.file(&mut entry, way, self.kept(properties));
                    self.note(put, || String::from_utf8_lossy(&entry.path_bytes()).into_owned())?;
                }
                Described::Dir(way, properties) => self.dirs.push((way, self.kept(properties))),
                Described::Unfit(reason) => {
                    self.left_out
                        .add(|| (String::from_utf8_lossy(&entry.path_bytes()).into_owned(), reason.to_owned()));
                }
                Described::Nothing => {}
            }
        }
        let mut dirs = std::mem::take(&mut self.dirs);
        dirs.sort_by_key(|(way, _)| Reverse(way.names().len()));
        for (way, properties) in dirs {
            let request = PutDir { dir: self.dir.handle(), way, properties };
            let put = self.dir.channel().call(&request).map_err(Stop::Refused);
            self.note(put, || shown(&request.way))?;
        }
        // Read to its end, where the checksum of what was compressed stands.
        io::copy(&mut archive.into_inner(), &mut io::sink())?;
        Ok(())
    }

    /// Puts a file in place. It stands there when it is whole.
    fn file(
        &self,
        entry: &mut Entry<'_, impl Read>,
        way: Way,
        properties: Properties,
    ) -> std::result::Result<(), Stop> {
        let channel = self.dir.channel();
        let draft = Held::new(channel, channel.call(&BeginFile { dir: self.dir.handle(), way })?);
        let mut rest = entry.size();
        while rest > 0 {
            let mut piece = Vec::new();
            entry.by_ref().take(CHUNK as u64).read_to_end(&mut piece)?;
            if piece.is_empty() {
                return Err(Stop::Broken(io::ErrorKind::UnexpectedEof.into()));
            }
            rest = rest.saturating_sub(piece.len() as u64);
            let content = Chunk::try_from(piece).unwrap_or_default();
            channel.call(&AddToFile { draft: draft.handle(), content })?;
        }
        Ok(channel.call(&CommitFile { draft: draft.handle(), properties })?)
    }

    /// What of an entry's properties is to be kept.
    fn kept(&self, properties: Properties) -> Properties {
        let ExtractArchiveOptions { preserve_permissions, preserve_ownership, preserve_timestamps } = self.options;
        Properties {
            mode: properties.mode.filter(|_| preserve_permissions),
            user: properties.user.filter(|_| preserve_ownership),
            group: properties.group.filter(|_| preserve_ownership),
            modified_seconds: properties.modified_seconds.filter(|_| preserve_timestamps),
        }
    }

    /// Goes on where one entry was refused, and nowhere else: without handles no other would come out either.
    fn note(
        &mut self,
        put: std::result::Result<(), Stop>,
        path: impl FnOnce() -> String,
    ) -> std::result::Result<(), Stop> {
        match put {
            Err(Stop::Refused(failure)) if !matches!(failure.kind, FailureKind::Limit(_)) => {
                self.left_out.add(|| (path(), failure.message.to_string()));
                Ok(())
            }
            put => put,
        }
    }

    /// Logs what was left out, in one message, which belongs to this line of the script.
    fn tell(&self, line: u32) {
        let Some((path, reason)) = &self.left_out.first else { return };
        let (count, entries) = (self.left_out.count, self.entries);
        let text = format!("extract_archive: {count} of {entries} entries left out; the first is `{path}`: {reason}");
        self.dir.channel().log(Log {
            level: Level::Warn,
            message: Text::cut(log::message(&text)),
            line,
            function: None,
        });
    }
}

impl LeftOut {
    fn add(&mut self, which: impl FnOnce() -> (String, String)) {
        self.count += 1;
        self.first.get_or_insert_with(which);
    }
}

fn shown(way: &Way) -> String {
    way.names().iter().map(|name| name.to_text()).collect::<Vec<_>>().join("/")
}
