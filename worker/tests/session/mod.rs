//! A session as a worker sees it, over a few files in memory.
#![allow(dead_code, clippy::unwrap_used)]

use nix::sys::socket::{AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, recv, sendmsg, socketpair};
use rex_protocol::failure::{Denial, FailureKind};
use rex_protocol::fs::*;
use rex_protocol::handle::Handle;
use rex_protocol::limits::Limits;
use rex_protocol::path::{AbsPath, Name};
use rex_protocol::text::{CHUNK, Chunk, Text};
use rex_protocol::worker::*;
use rex_protocol::{Failure, Operation, VERSION, wire};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsRawFd, OwnedFd};

/// What there is, and what may be done with it.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) dirs: BTreeSet<String>,
    pub(crate) links: BTreeSet<String>,
    /// `verb path` that policy denies: `read /d/f`.
    pub(crate) denied: BTreeSet<String>,
    /// `verb path` and the error number that the kernel gives.
    pub(crate) refused: BTreeMap<String, i32>,
    pub(crate) redacted: BTreeMap<String, Vec<String>>,
    /// Whether files are donated.
    pub(crate) donates: bool,
    pub(crate) limits: Limits,
    pub(crate) arguments: String,
}

impl World {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let mut world = World { limits: Limits::DEFAULT, ..World::default() };
        world.dirs.insert("/".into());
        for (path, content) in files {
            let parents = AbsPath::parse(path).unwrap();
            world.dirs.extend(parents.ancestors().map(|path| path.to_string()));
            world.files.insert((*path).into(), content.as_bytes().to_vec());
        }
        world
    }

    pub(crate) fn deny(mut self, what: &str) -> Self {
        self.denied.insert(what.into());
        self
    }

    pub(crate) fn refuse(mut self, what: &str, errno: i32) -> Self {
        self.refused.insert(what.into(), errno);
        self
    }
}

/// What came of a run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) output: String,
    pub(crate) logs: Vec<(Level, String, u32)>,
    pub(crate) metrics: Vec<Metric>,
    pub(crate) alarms: Vec<Alarm>,
    pub(crate) operations: Vec<String>,
    pub(crate) fault: Option<(FaultClass, String)>,
    pub(crate) finished: bool,
    pub(crate) open: usize,
    pub(crate) world: World,
}

/// A pair of sockets: the session's, the worker's.
pub(crate) fn pair() -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap()
}

/// Serves one worker until it has finished or is gone.
pub(crate) fn serve(socket: OwnedFd, world: World, script: &str) -> Report {
    let report = Report { world, ..Report::default() };
    let mut session = Session { socket, open: BTreeMap::new(), next: 1, donation: None, report };
    let mut buffer = vec![0; wire::PACKET];
    while !session.report.finished {
        let length = recv(session.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()).unwrap_or(0);
        if length == 0 {
            break;
        }
        session.hear(wire::decode_borrowed(&buffer[..length]).unwrap(), script);
    }
    session.report.open = session.open.len();
    session.report
}

/// Runs `script` in this process and serves it.
pub(crate) fn run(world: World, script: &str) -> Report {
    use rex_worker::{channel::Channel, engine::Interpreter, run};
    let (ours, theirs) = pair();
    let text = script.to_owned();
    let session = std::thread::spawn(move || serve(ours, world, &text));
    let channel = std::rc::Rc::new(Channel::new(theirs));
    let mut interpreter = Interpreter::new(&channel);
    channel.hello();
    let job = run::receive(&channel);
    let finished = run::run(&mut interpreter, &channel, &job);
    channel.finish(finished);
    session.join().unwrap()
}

struct Session {
    socket: OwnedFd,
    open: BTreeMap<u64, String>,
    next: u64,
    /// What goes out with the next answer.
    donation: Option<std::fs::File>,
    report: Report,
}

type Answer<T> = Result<T, Failure>;

impl Session {
    fn send(&mut self, message: &ToWorker) {
        let packet = wire::encode(message).unwrap();
        let donation = self.donation.take();
        let descriptors: Vec<_> = donation.iter().map(AsRawFd::as_raw_fd).collect();
        let control = [ControlMessage::ScmRights(&descriptors)];
        let control = if descriptors.is_empty() { &control[..0] } else { &control };
        let pieces = [std::io::IoSlice::new(&packet)];
        let _ = sendmsg::<()>(self.socket.as_raw_fd(), &pieces, control, MsgFlags::MSG_NOSIGNAL, None);
    }

    fn hear(&mut self, message: FromWorker<'_>, script: &str) {
        match message {
            FromWorker::Hello { version } => {
                assert_eq!(version, VERSION);
                let arguments = self.report.world.arguments.clone();
                let (script_length, arguments_length) = (script.len() as u32, arguments.len() as u32);
                let limits = self.report.world.limits;
                let run = Run { script: script_length, arguments: arguments_length, limits, log_level: Level::Debug };
                self.send(&ToWorker::Run(Box::new(run)));
                for part in script.as_bytes().chunks(CHUNK).chain(arguments.as_bytes().chunks(CHUNK)) {
                    self.send(&ToWorker::Part(part.to_vec()));
                }
            }
            FromWorker::Request { closed, name, body } => {
                for id in closed {
                    assert!(self.open.remove(&id).is_some(), "handle {id} is not open");
                }
                let reply = self.perform(name, body);
                self.send(&ToWorker::Reply(reply));
            }
            FromWorker::Log(log) => self.report.logs.push((log.level, log.message.to_string(), log.line)),
            FromWorker::Metric(metric) => self.report.metrics.push(metric),
            FromWorker::Alarm(alarm) => self.report.alarms.push(alarm),
            FromWorker::Output(part) => self.report.output.push_str(std::str::from_utf8(part).unwrap()),
            FromWorker::Finished(finished) => {
                self.report.finished = true;
                if let Finished::Failed(fault) = finished {
                    self.report.fault = Some((fault.class, fault.message.to_string()));
                }
            }
        }
    }

    fn perform(&mut self, name: &str, body: &[u8]) -> Answer<serde_bytes::ByteBuf> {
        fn request<O: Operation>(name: &str, body: &[u8]) -> Option<O> {
            (name == O::NAME).then(|| wire::decode(body).unwrap())
        }
        macro_rules! dispatch {
            ($($operation:ty => $perform:ident),*) => {
                $(if let Some(request) = request::<$operation>(name, body) {
                    return self.$perform(request).map(|reply| serde_bytes::ByteBuf::from(wire::encode(&reply).unwrap()));
                })*
            };
        }
        dispatch!(OpenDir => open_dir, OpenSubdir => open_subdir, OpenFile => open_file, OpenEntry => open_entry, Read => read,
            Donate => donate, ReadRedacted => read_redacted, Write => write, Touch => touch, MakeDir => make_dir, ListDir => list,
            Stat => stat, DeleteFile => delete_file, DeleteDir => delete_dir);
        panic!("`{name}` is not an operation")
    }

    fn ask(&mut self, verb: &str, path: &str) -> Answer<()> {
        let what = format!("{verb} {path}");
        self.report.operations.push(what.clone());
        if self.report.world.denied.contains(&what) {
            let action = format!("file_system::Action::\"{verb}\"");
            let message = format!("Permission denied: bob unauthorized to perform {action} for {path}");
            let resource = Text::cut(format!("file_system::File::\"{path}\""));
            let denial = Denial { action: Text::cut(action), resource, policies: vec![] };
            return Err(Failure::new(FailureKind::Denied(denial), message));
        }
        match self.report.world.refused.get(&what) {
            Some(errno) => Err(refused(*errno)),
            None => Ok(()),
        }
    }

    fn hold<K>(&mut self, path: &str) -> Handle<K> {
        self.next += 1;
        self.open.insert(self.next, path.into());
        Handle::from_id(self.next)
    }

    fn path<K>(&self, handle: Handle<K>) -> String {
        self.open[&handle.id()].clone()
    }

    fn open_subdir(&mut self, request: OpenSubdir) -> Answer<OpenedDir> {
        let path = AbsPath::parse(self.path(request.dir)).unwrap().join(&request.name).unwrap();
        self.open_dir(OpenDir { path, follow: request.follow, create: None })
    }

    fn open_dir(&mut self, request: OpenDir) -> Answer<OpenedDir> {
        let path = request.path.to_string();
        self.ask("open", &path)?;
        if !request.follow && self.report.world.links.contains(&path) {
            return Err(Failure::new(FailureKind::LinkNotFollowed, "a link"));
        }
        if let Some(create) = request.create {
            self.ask("create", &path)?;
            if !self.report.world.dirs.insert(path.clone()) && !create.recursive {
                return Err(refused(libc::EEXIST));
            }
        }
        if self.report.world.files.contains_key(&path) {
            return Err(refused(libc::ENOTDIR));
        }
        if !self.report.world.dirs.contains(&path) {
            return Err(refused(libc::ENOENT));
        }
        Ok(OpenedDir { dir: self.hold(&path), path: request.path })
    }

    fn open_file(&mut self, request: OpenFile) -> Answer<OpenedFile> {
        let dir = AbsPath::parse(self.path(request.dir)).unwrap();
        let path = dir.join(&request.name).unwrap();
        let text = path.to_string();
        self.ask("open", &text)?;
        if request.create.is_some() {
            self.ask("create", &text)?;
        }
        if self.report.world.links.contains(&text) && !request.follow {
            return Err(Failure::new(FailureKind::LinkNotFollowed, "a link"));
        }
        if self.report.world.dirs.contains(&text) {
            return Err(Failure::new(FailureKind::NotRegularFile, "a directory"));
        }
        let created = !self.report.world.files.contains_key(&text);
        if created && request.create.is_none() {
            return Err(refused(libc::ENOENT));
        }
        self.report.world.files.entry(text.clone()).or_default();
        Ok(OpenedFile { file: self.hold(&text), path, created })
    }

    fn open_entry(&mut self, request: OpenEntry) -> Answer<Entry> {
        let text = request.path.to_string();
        if self.report.world.dirs.contains(&text) {
            return Ok(Entry::Dir(self.open_dir(OpenDir { path: request.path, follow: true, create: None })?));
        }
        let (parent, name) = request.path.split().unwrap();
        let parent = self.open_dir(OpenDir { path: parent, follow: true, create: None })?;
        self.ask("open", &text)?;
        match self.kind(&text) {
            Some(kind) => Ok(Entry::Other { parent, entry: DirEntry { name, kind, inode: 7 } }),
            None => Err(refused(libc::ENOENT)),
        }
    }

    fn read(&mut self, request: Read) -> Answer<Chunk> {
        let path = self.path(request.file);
        self.ask("read", &path)?;
        let content = &self.report.world.files[&path];
        let start = content.len().min(request.offset as usize);
        let end = content.len().min(start + (request.length as usize).min(CHUNK));
        Ok(Chunk::try_from(content[start..end].to_vec()).unwrap())
    }

    /// One line a page.
    fn read_redacted(&mut self, request: ReadRedacted) -> Answer<RedactedLines> {
        let path = self.path(request.file);
        self.ask("redacted_read", &path)?;
        self.ask("read", "/etc/opt/rex/rex_redaction.config")?;
        let lines = self.report.world.redacted.get(&path).cloned().unwrap_or_default();
        let index = request.offset as usize;
        let text = lines.get(index).cloned();
        Ok(RedactedLines {
            any: text.is_some(),
            text: Chunk::try_from(text.unwrap_or_default().into_bytes()).unwrap(),
            next: (index + 1 < lines.len()).then_some(request.offset + 1),
        })
    }

    fn donate(&mut self, request: Donate) -> Answer<Donated> {
        let path = self.path(request.file);
        self.ask("read", &path)?;
        let content = &self.report.world.files[&path];
        if !self.report.world.donates {
            return Err(refused(libc::EOPNOTSUPP));
        }
        let name = std::ffi::CString::new("donated").unwrap();
        let mut file: std::fs::File =
            nix::sys::memfd::memfd_create(&*name, nix::sys::memfd::MFdFlags::MFD_CLOEXEC).unwrap().into();
        std::io::Write::write_all(&mut file, content).unwrap();
        self.donation = Some(file);
        Ok(Donated { size: content.len() as u64 })
    }

    fn write(&mut self, request: Write) -> Answer<Written> {
        let path = self.path(request.file);
        self.ask("write", &path)?;
        // Parts of one content are put together under a name that nothing else has.
        let staged = format!("\0{path}");
        self.report.world.files.entry(staged.clone()).or_default().extend_from_slice(&request.content);
        if request.more {
            return Ok(Written { file: None });
        }
        let content = self.report.world.files.remove(&staged).unwrap();
        let file = self.report.world.files.get_mut(&path).unwrap();
        match request.placement {
            Placement::Append => file.extend_from_slice(&content),
            _ => *file = content,
        }
        let file = matches!(request.placement, Placement::Atomic { .. });
        let file =
            file.then(|| OpenedFile { file: self.hold(&path), path: AbsPath::parse(&path).unwrap(), created: false });
        Ok(Written { file })
    }

    fn touch(&mut self, request: Touch) -> Answer<()> {
        let path = AbsPath::parse(self.path(request.dir)).unwrap().join(&request.name).unwrap().to_string();
        self.ask("create", &path)?;
        self.report.world.files.entry(path).or_default();
        Ok(())
    }

    fn make_dir(&mut self, request: MakeDir) -> Answer<()> {
        self.ask("create", &request.path.to_string())?;
        self.report.world.dirs.insert(request.path.to_string());
        Ok(())
    }

    /// Two entries a page.
    fn list(&mut self, request: ListDir) -> Answer<Entries> {
        let path = self.path(request.dir);
        self.ask("read", &path)?;
        let prefix = if path == "/" { path.clone() } else { format!("{path}/") };
        let world = &self.report.world;
        let paths = world.files.keys().chain(&world.dirs).chain(&world.links);
        let names: BTreeSet<&str> = paths
            .filter_map(|path| path.strip_prefix(&prefix))
            .filter(|name| !name.is_empty() && !name.contains('/'))
            .collect();
        let done: usize = request.listing.map_or(0, |listing| self.path(listing).parse().unwrap());
        let entries: Vec<_> = names
            .iter()
            .skip(done)
            .take(2)
            .map(|name| DirEntry {
                name: Name::parse(*name).unwrap(),
                kind: self.kind(&format!("{prefix}{name}")).unwrap(),
                inode: 7,
            })
            .collect();
        let more = done + entries.len() < names.len();
        let place = (done + entries.len()).to_string();
        Ok(Entries { more: more.then(|| self.hold(&place)), entries })
    }

    fn stat(&mut self, request: Stat) -> Answer<Metadata> {
        let (kind, path) = match request.object {
            Object::Dir(dir) => (EntryKind::Dir, self.path(dir)),
            Object::File(file) => (EntryKind::File, self.path(file)),
            Object::Link(link) => (EntryKind::Symlink, self.path(link)),
        };
        self.ask("stat", &path)?;
        let size = self.report.world.files.get(&path).map_or(0, Vec::len) as u64;
        let user = (path != "/nobody").then(|| Text::cut("bob"));
        Ok(Metadata {
            kind,
            mode: 0o100_644,
            size,
            blocks: 8,
            links: 1,
            inode: 7,
            device: 1,
            uid: 1000,
            gid: 100,
            user,
            group: Some(Text::cut("users")),
            modified_seconds: 1_700_000_000,
            modified_nanos: 5,
            changed_seconds: 1_700_000_000,
        })
    }

    fn delete_file(&mut self, request: DeleteFile) -> Answer<()> {
        let path = self.path(request.file);
        self.ask("delete", &path)?;
        self.report.world.files.remove(&path).map(drop).ok_or_else(|| Failure::new(FailureKind::Gone, "gone"))
    }

    fn delete_dir(&mut self, request: DeleteDir) -> Answer<()> {
        let path = self.path(request.dir);
        self.ask("delete", &path)?;
        let below = format!("{path}/");
        if !request.recursive && self.report.world.files.keys().any(|file| file.starts_with(&below)) {
            return Err(Failure::new(FailureKind::DirectoryNotEmpty, "not empty"));
        }
        self.report.world.files.retain(|file, _| !file.starts_with(&below));
        self.report.world.dirs.retain(|dir| *dir != path && !dir.starts_with(&below));
        Ok(())
    }

    fn kind(&self, path: &str) -> Option<EntryKind> {
        let world = &self.report.world;
        [
            (world.dirs.contains(path), EntryKind::Dir),
            (world.links.contains(path), EntryKind::Symlink),
            (world.files.contains_key(path), EntryKind::File),
        ]
        .into_iter()
        .find_map(|(is, kind)| is.then_some(kind))
    }
}

fn refused(errno: i32) -> Failure {
    Failure::new(FailureKind::Refused { errno }, "the kernel says no")
}
