//! What processes use of the file system, a page at a time.

use super::identity::{Known, Users};
use super::{PAGE, demand, maps, no_process, refused};
use crate::authz::{Demand, Granted, Resource};
use crate::perform::{Demands, Perform, Stop};
use crate::session::State;
use crate::sys::fs::{self, Links};
use crate::sys::process_dir::{self, ProcessDir};
use nix::errno::Errno;
use nix::sys::stat::SFlag;
use rex_protocol::Action;
use rex_protocol::failure::{Failure, FailureKind};
use rex_protocol::path::AbsPath;
use rex_protocol::process::{Access, FilePlace, FilesOf, ListOpenFiles, ObjectKind, OpenFile, OpenFiles, UsedBy};
use rex_protocol::text::Text;
use std::collections::HashMap;

/// How many processes one request looks into.
const LOOKED_INTO: usize = 128;

pub(crate) struct FilesTarget {
    request: ListOpenFiles,
    proc: AbsPath,
}

impl Perform for ListOpenFiles {
    type Target = FilesTarget;

    fn target(self, _: &mut State) -> Result<FilesTarget, Stop> {
        let proc = AbsPath::parse("/proc").map_err(|error| Failure::new(FailureKind::InvalidPath, error))?;
        Ok(FilesTarget { request: self, proc })
    }

    fn demands(target: &FilesTarget) -> Demands {
        let of_proc = |action| Demand::new(action, Resource::Dir(target.proc.clone()));
        Demands::all(vec![of_proc(Action::FileOpen), of_proc(Action::FileRead)])
    }

    fn perform(target: Granted<FilesTarget>, state: &mut State) -> Result<OpenFiles, Stop> {
        let ListOpenFiles { of, after } = target.into_inner().request;
        match of {
            FilesOf::Process(pid) => of_process(pid, after, state),
            FilesOf::Path { path, below } => of_path(&path, below, after, state),
        }
    }
}

fn of_process(pid: u32, after: Option<FilePlace>, state: &mut State) -> Result<OpenFiles, Stop> {
    let mut users = Users::default();
    let looked_at = ProcessDir::open(pid).and_then(|dir| Known::read(&dir, None, &mut users).map(|known| (dir, known)));
    let (dir, known) = looked_at.map_err(|errno| match errno {
        Errno::ESRCH | Errno::ENOENT => no_process(pid),
        errno => refused(errno, "look at", pid),
    })?;
    state.demand(&[demand(Action::ProcessListFds, &known)])?;
    if known.is_ours(&dir) {
        return Err(refused(Errno::EACCES, "look into the broker's own", pid).into());
    }
    let mut page = Page::new(Wanted::All);
    let more = page.add(&dir, known, after);
    Ok(OpenFiles { used: page.used, more })
}

fn of_path(path: &AbsPath, below: bool, after: Option<FilePlace>, state: &mut State) -> Result<OpenFiles, Stop> {
    let Some(real) = resolve(path, state)? else { return Ok(OpenFiles { used: Vec::new(), more: None }) };
    let mut page = Page::new(if below { Wanted::Below(real) } else { Wanted::At(real) });
    let mut users = Users::default();
    let all = process_dir::all().map_err(|errno| refused(errno, "list", 0))?;
    let begin = after.map_or(0, |place| place.pid);
    let mut more = None;
    for (count, pid) in all.into_iter().filter(|pid| *pid >= begin).enumerate() {
        if count == LOOKED_INTO || page.size >= PAGE {
            more = Some(FilePlace { pid, access: Access::WorkingDirectory, number: 0 });
            break;
        }
        // What ends meanwhile, or may not be looked at, is left out.
        let Ok(dir) = ProcessDir::open(pid) else { continue };
        let Ok(known) = Known::read(&dir, None, &mut users) else { continue };
        if !state.allows(&[demand(Action::ProcessListFds, &known)]) || known.is_ours(&dir) {
            continue;
        }
        more = page.add(&dir, known, after.filter(|place| place.pid == pid));
        if more.is_some() {
            break;
        }
    }
    Ok(OpenFiles { used: page.used, more })
}

/// Where a path leads. What keeps it from leading anywhere is told only to whom policy lets open it; to others it is as if
/// nobody used it.
fn resolve(path: &AbsPath, state: &mut State) -> Result<Option<AbsPath>, Failure> {
    match fs::pin(path, Links::Follow).and_then(fs::real_path) {
        Ok(real) => Ok(Some(real)),
        Err(errno) => {
            let open = |resource| [Demand::new(Action::FileOpen, resource)];
            let may_know =
                state.allows(&open(Resource::File(path.clone()))) || state.allows(&open(Resource::Dir(path.clone())));
            if !may_know {
                return Ok(None);
            }
            let message = format!("cannot find the real path of `{path}`: {}", errno.desc());
            Err(Failure::new(FailureKind::Refused { errno: errno as i32 }, message))
        }
    }
}

/// What belongs into a listing.
enum Wanted {
    All,
    At(AbsPath),
    Below(AbsPath),
}

impl Wanted {
    fn holds(&self, path: &[u8]) -> bool {
        match self {
            Wanted::All => true,
            Wanted::At(own) => path == own.as_bytes(),
            Wanted::Below(own) if own.is_root() => path.starts_with(b"/"),
            Wanted::Below(own) => {
                path.strip_prefix(own.as_bytes()).is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
            }
        }
    }
}

/// What is found until it is enough.
struct Page {
    wanted: Wanted,
    used: Vec<UsedBy>,
    size: usize,
    /// Names of Unix sockets by network namespace.
    sockets: HashMap<Vec<u8>, HashMap<u64, Vec<u8>>>,
}

impl Page {
    fn new(wanted: Wanted) -> Self {
        Self { wanted, used: Vec::new(), size: 0, sockets: HashMap::new() }
    }

    /// Adds what a process uses, from `begin` on. Gives where to go on, when the page is full.
    fn add(&mut self, dir: &ProcessDir, known: Known, begin: Option<FilePlace>) -> Option<FilePlace> {
        let mut files = Vec::new();
        let begin = begin.map_or((Access::WorkingDirectory, 0), |place| (place.access, place.number));
        let more = self.collect(dir, begin, &mut files);
        if !files.is_empty() {
            self.size += known.weight();
            self.used.push(UsedBy { identity: known.identity, files });
        }
        more
    }

    fn collect(&mut self, dir: &ProcessDir, begin: (Access, u32), files: &mut Vec<OpenFile>) -> Option<FilePlace> {
        let links = [
            (Access::WorkingDirectory, "cwd", ObjectKind::Dir),
            (Access::Root, "root", ObjectKind::Dir),
            (Access::Executable, "exe", ObjectKind::File),
        ];
        for (access, link, kind) in links.into_iter().filter(|(access, ..)| (*access, 0) >= begin) {
            if let Some(path) = dir.link(link).ok().filter(|path| self.wanted.holds(path)) {
                self.take(files, access, kind, &path);
            }
        }
        let mapped = if begin.0 <= Access::Mapped { maps::mapped(dir) } else { Vec::new() };
        for (number, path) in (0..).zip(mapped).filter(|(number, _)| (Access::Mapped, *number) >= begin) {
            if self.size >= PAGE {
                return Some(FilePlace { pid: dir.id, access: Access::Mapped, number });
            }
            if self.wanted.holds(&path) {
                self.take(files, Access::Mapped, ObjectKind::File, &path);
            }
        }
        let descriptors = dir.numbers("fd").unwrap_or_default().into_iter();
        for number in descriptors.filter(|number| (Access::Descriptor, *number) >= begin) {
            if self.size >= PAGE {
                return Some(FilePlace { pid: dir.id, access: Access::Descriptor, number });
            }
            self.descriptor(dir, number, files);
        }
        None
    }

    fn descriptor(&mut self, dir: &ProcessDir, number: u32, files: &mut Vec<OpenFile>) {
        let name = format!("fd/{number}");
        let Ok(link) = dir.link(&name) else { return };
        let inode = |prefix: &[u8]| link.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(b"]"));
        let (kind, path) = if link.starts_with(b"/") {
            if !self.wanted.holds(&link) {
                return;
            }
            (dir.stat(&name).map_or(ObjectKind::Unknown, |stat| kind(fs::kind(&stat))), link)
        } else if let Some(inode) = inode(b"socket:[") {
            let bound = self.bound(dir, inode);
            (ObjectKind::Socket, bound.unwrap_or(link))
        } else if link.starts_with(b"pipe:[") {
            (ObjectKind::Fifo, link)
        } else if link.starts_with(b"anon_inode:") {
            (ObjectKind::Anonymous, link)
        } else if link.starts_with(b"net:[") {
            (ObjectKind::Socket, link)
        } else {
            (ObjectKind::Unknown, link)
        };
        if self.wanted.holds(&path) {
            self.take(files, Access::Descriptor, kind, &path);
        }
    }

    /// The path that a Unix socket is bound to.
    fn bound(&mut self, dir: &ProcessDir, inode: &[u8]) -> Option<Vec<u8>> {
        let inode = std::str::from_utf8(inode).ok()?.parse().ok()?;
        let namespace = dir.link("ns/net").ok()?;
        self.sockets.entry(namespace).or_insert_with(|| maps::unix_sockets(dir)).get(&inode).cloned()
    }

    fn take(&mut self, files: &mut Vec<OpenFile>, access: Access, kind: ObjectKind, path: &[u8]) {
        let path = Text::cut(String::from_utf8_lossy(path));
        self.size += 16 + path.len();
        files.push(OpenFile { access, kind, path });
    }
}

fn kind(kind: SFlag) -> ObjectKind {
    match kind {
        SFlag::S_IFREG => ObjectKind::File,
        SFlag::S_IFDIR => ObjectKind::Dir,
        SFlag::S_IFLNK => ObjectKind::Link,
        SFlag::S_IFIFO => ObjectKind::Fifo,
        SFlag::S_IFSOCK => ObjectKind::Socket,
        SFlag::S_IFCHR => ObjectKind::CharDevice,
        SFlag::S_IFBLK => ObjectKind::BlockDevice,
        _ => ObjectKind::Unknown,
    }
}
