//! What processes have open: by process, or by path.

use super::manager::ProcessManager;
use super::{invalid, not_found, refused};
use crate::error::{Error, Process, Result, errno_text};
use crate::script::options::{self, Options};
use crate::script::{Surface, item};
use rex_protocol::Failure;
use rex_protocol::failure::FailureKind;
use rex_protocol::path::AbsPath;
use rex_protocol::process::{Access, FilesOf, Identity, ListOpenFiles, ObjectKind, OpenFile};
use rhai::{Array, Dynamic, Map};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct LsofOptions {
    path: Option<String>,
    include_subdir: bool,
    pid: Option<u32>,
}

impl Options for LsofOptions {
    const NAME: &'static str = "LsofOptions";

    fn check(&self) -> std::result::Result<(), String> {
        let fault = match (&self.path, self.pid) {
            (Some(_), Some(_)) => "pid and path are mutually exclusive",
            (None, None) => "Either path or pid is required",
            (Some(path), None) if path.is_empty() => "Path cannot be empty",
            _ => return Ok(()),
        };
        Err(format!("Validation error: {fault}"))
    }
}

/// Something that a process uses.
#[derive(Debug, Clone)]
struct OpenFileInfo {
    process: Rc<Identity>,
    file: Rc<OpenFile>,
}

/// How a process uses a file.
#[derive(Debug, Clone)]
struct FuserInfo {
    process: Rc<Identity>,
    accesses: BTreeSet<Shown>,
}

/// A kind of use in the order in which those of one file are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shown {
    Descriptor,
    Mapped,
    WorkingDirectory,
    Executable,
    Root,
}

impl ProcessManager {
    fn open_files(&self, options: &LsofOptions) -> Result<Array> {
        let files = match (&options.path, options.pid) {
            (Some(path), _) => self.files_of_path(path, options.include_subdir)?,
            (None, Some(pid)) => self.used(FilesOf::Process(pid)).map_err(|failure| match failure.kind {
                FailureKind::NoProcess { pid } => {
                    not_found(&format!("Process with PID {pid} does not exist"), i64::from(pid))
                }
                _ => refused(&failure),
            })?,
            (None, None) => return Err(invalid("Either path or pid is required").into()),
        };
        Ok(files.into_iter().map(Dynamic::from).collect())
    }

    fn using(&self, path: &str) -> Result<Array> {
        let mut by_process = BTreeMap::new();
        for OpenFileInfo { process, file } in self.files_of_path(path, false)? {
            // Those are found by their inodes only.
            if (file.access, file.kind) == (Access::Descriptor, ObjectKind::Socket) {
                continue;
            }
            let first = || FuserInfo { process: Rc::clone(&process), accesses: BTreeSet::new() };
            by_process.entry(process.pid).or_insert_with(first).accesses.insert(Shown::of(file.access));
        }
        Ok(by_process.into_values().map(Dynamic::from).collect())
    }

    fn files_of_path(&self, text: &str, below: bool) -> Result<Vec<OpenFileInfo>> {
        let unusable = |why: &dyn fmt::Display| invalid(format!("Failed to canonicalize path {text}: {why}"));
        let path = AbsPath::parse(text).map_err(|error| unusable(&error))?;
        Ok(self.used(FilesOf::Path { path, below }).map_err(|failure| match failure.kind {
            FailureKind::Refused { errno } => {
                let error = unusable(&errno_text(errno));
                Error::because(&failure, Process::ValidationError, error.message())
            }
            _ => refused(&failure),
        })?)
    }

    /// All pages of a listing.
    fn used(&self, of: FilesOf) -> std::result::Result<Vec<OpenFileInfo>, Failure> {
        let (mut files, mut request) = (Vec::new(), ListOpenFiles { of, after: None });
        loop {
            let page = self.channel().call(&request)?;
            for used in page.used {
                self.remember(&used.identity);
                let process = Rc::new(used.identity);
                let info = |file| OpenFileInfo { process: Rc::clone(&process), file: Rc::new(file) };
                files.extend(used.files.into_iter().map(info));
            }
            request.after = page.more;
            if request.after.is_none() {
                return Ok(files);
            }
        }
    }
}

impl OpenFileInfo {
    fn to_map(&self) -> Map {
        Map::from_iter([
            item("pid", i64::from(self.process.pid)),
            item("process_name", self.process.name.to_string()),
            item("user", user(&self.process)),
            item("command", self.process.command.to_string()),
            item("file_path", self.file.path.to_string()),
            item("access_type", Shown::of(self.file.access).name()),
            item("file_type", kind(self.file.kind)),
        ])
    }
}

impl FuserInfo {
    fn names(&self) -> Vec<&'static str> {
        self.accesses.iter().map(|access| access.name()).collect()
    }

    fn to_map(&self) -> Map {
        let names: Array = self.names().into_iter().map(Dynamic::from).collect();
        Map::from_iter([
            item("user", user(&self.process)),
            item("pid", i64::from(self.process.pid)),
            item("command", self.process.command.to_string()),
            item("access_types", names),
        ])
    }
}

impl Shown {
    const fn of(access: Access) -> Self {
        match access {
            Access::WorkingDirectory => Shown::WorkingDirectory,
            Access::Root => Shown::Root,
            Access::Executable => Shown::Executable,
            Access::Mapped => Shown::Mapped,
            Access::Descriptor => Shown::Descriptor,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Shown::Descriptor => "File descriptor",
            Shown::Mapped => "Memory mapped",
            Shown::WorkingDirectory => "Working directory",
            Shown::Executable => "Executable",
            Shown::Root => "Root directory",
        }
    }
}

/// The user's name; the number where it has none.
fn user(process: &Identity) -> String {
    process.username.as_ref().map_or_else(|| process.uid.to_string(), |name| name.to_string())
}

const fn kind(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Dir => "DIR",
        ObjectKind::File => "REG",
        ObjectKind::CharDevice => "CHR",
        ObjectKind::BlockDevice => "BLK",
        ObjectKind::Fifo => "FIFO",
        ObjectKind::Socket => "SOCK",
        ObjectKind::Link => "LNK",
        ObjectKind::Anonymous => "ANON_INODE",
        ObjectKind::Unknown => "UNK",
    }
}

impl fmt::Display for OpenFileInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenFileInfo({}, {})", self.process.pid, self.file.path)
    }
}

impl fmt::Display for FuserInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FuserInfo({}, {})", self.process.pid, self.names().join(", "))
    }
}

/// Registers what is told of open files.
pub(super) fn register(surface: &mut Surface) {
    options::register::<LsofOptions>(surface);
    surface.shown::<OpenFileInfo>("OpenFileInfo");
    surface.property("pid", |info: &mut OpenFileInfo| i64::from(info.process.pid));
    surface.property("process_name", |info: &mut OpenFileInfo| info.process.name.to_string());
    surface.property("user", |info: &mut OpenFileInfo| user(&info.process));
    surface.property("command", |info: &mut OpenFileInfo| info.process.command.to_string());
    surface.property("file_path", |info: &mut OpenFileInfo| info.file.path.to_string());
    surface.property("access", |info: &mut OpenFileInfo| Shown::of(info.file.access).name());
    surface.property("file_type", |info: &mut OpenFileInfo| kind(info.file.kind));
    surface.function("to_map", |info: &mut OpenFileInfo| info.to_map());
    surface.shown::<FuserInfo>("FuserInfo");
    surface.property("user", |info: &mut FuserInfo| user(&info.process));
    surface.property("pid", |info: &mut FuserInfo| i64::from(info.process.pid));
    surface.property("command", |info: &mut FuserInfo| info.process.command.to_string());
    surface.property("access", |info: &mut FuserInfo| info.names().join(", "));
    surface.function("to_map", |info: &mut FuserInfo| info.to_map());
    surface
        .function("list_open_files", |manager: &mut ProcessManager, options: LsofOptions| manager.open_files(&options));
    surface.function("processes_using_inode", |manager: &mut ProcessManager, path: &str| manager.using(path));
}
