//! The objects that a session holds open for its worker.

use crate::perform::Stop;
use crate::perform::execute::Started;
use crate::perform::fs::{Draft, OpenDirectory, OpenLinkItself, OpenRegularFile, Pages};
use crate::perform::network::{KeptBody, OpenConnection};
use crate::perform::process::Entered;
use crate::perform::system::OpenLog;
use crate::perform::systemd::Task;
use rex_protocol::handle::{self, Dir, File, Link, Listing, Log, Program};
use rex_protocol::limits::LimitName;
use rex_protocol::{Failure, Handle, Violation, failure::FailureKind};
use std::collections::HashMap;
use std::rc::Rc;

/// The most programs of one session at a time: each is a tree of processes.
const PROGRAMS: usize = 16;

/// An open object. It keeps the path it was authorized under.
enum Object {
    Dir(Rc<OpenDirectory>),
    File(Rc<OpenRegularFile>),
    Link(Rc<OpenLinkItself>),
    Listing(Rc<Pages>),
    Log(Rc<OpenLog>),
    Draft(Rc<Draft>),
    Program(Rc<Started>),
    Task(Rc<Task>),
    Entry(Entered),
    Body(Rc<KeptBody>),
    Connection { _open: OpenConnection },
}

/// The table of one session. Ids are counted up and never used again.
pub(crate) struct Handles {
    objects: HashMap<u64, Object>,
    next: u64,
    most: u32,
    /// The entries into namespaces, the innermost last.
    entries: Vec<u64>,
}

impl Handles {
    /// An empty table for at most `most` objects.
    pub(crate) fn new(most: u32) -> Self {
        Self { objects: HashMap::new(), next: 1, most, entries: Vec::new() }
    }

    /// Keeps a directory.
    pub(crate) fn add_dir(&mut self, dir: OpenDirectory) -> Result<Handle<Dir>, Failure> {
        self.add(Object::Dir(Rc::new(dir))).map(Handle::from_id)
    }

    /// Keeps a file.
    pub(crate) fn add_file(&mut self, file: OpenRegularFile) -> Result<Handle<File>, Failure> {
        self.add(Object::File(Rc::new(file))).map(Handle::from_id)
    }

    /// Keeps a link itself.
    pub(crate) fn add_link(&mut self, link: OpenLinkItself) -> Result<Handle<Link>, Failure> {
        self.add(Object::Link(Rc::new(link))).map(Handle::from_id)
    }

    /// Keeps a file that is being put together.
    pub(crate) fn add_draft(&mut self, draft: Draft) -> Result<Handle<handle::Draft>, Failure> {
        self.add(Object::Draft(Rc::new(draft))).map(Handle::from_id)
    }

    /// Confirms that one more program may be started.
    pub(crate) fn confirm_room_for_program(&self) -> Result<(), Failure> {
        let running =
            self.objects.values().filter(|object| matches!(object, Object::Program(_) | Object::Task(_))).count();
        if running < PROGRAMS {
            return Ok(());
        }
        let message = format!("limit reached: more than {PROGRAMS} programs run at a time");
        Err(Failure::new(FailureKind::Limit(LimitName::Handles), message))
    }

    /// Keeps a program that runs. It ends when it is let go of.
    pub(crate) fn add_program(&mut self, program: impl Into<Started>) -> Result<Handle<Program>, Failure> {
        self.add(Object::Program(Rc::new(program.into()))).map(Handle::from_id)
    }

    /// Keeps a task of the service manager. It is not followed any more when it is let go of.
    pub(crate) fn add_task(&mut self, task: Task) -> Result<Handle<handle::Task>, Failure> {
        self.add(Object::Task(Rc::new(task))).map(Handle::from_id)
    }

    /// Keeps a body.
    pub(crate) fn add_body(&mut self, body: KeptBody) -> Result<Handle<handle::Body>, Failure> {
        self.add(Object::Body(Rc::new(body))).map(Handle::from_id)
    }

    /// What all bodies take together, in bytes.
    pub(crate) fn bodies(&self) -> u64 {
        let sizes = self.objects.values().map(|object| match object {
            Object::Body(body) => body.size(),
            _ => 0,
        });
        sizes.sum()
    }

    /// Keeps a connection.
    pub(crate) fn add_connection(&mut self, connection: OpenConnection) -> Result<Handle<handle::Connection>, Failure> {
        self.add(Object::Connection { _open: connection }).map(Handle::from_id)
    }

    /// Keeps what is to be left again. It is left when it is let go of.
    pub(crate) fn add_entry(&mut self, entered: Entered) -> Result<Handle<handle::Entry>, Failure> {
        let id = self.add(Object::Entry(entered))?;
        self.entries.push(id);
        Ok(Handle::from_id(id))
    }

    /// How many entries into namespaces there are.
    pub(crate) fn entries(&self) -> usize {
        self.entries.len()
    }

    /// Keeps a listing under way.
    pub(crate) fn add_listing(&mut self, pages: Pages) -> Result<Handle<Listing>, Failure> {
        self.add(Object::Listing(Rc::new(pages))).map(Handle::from_id)
    }

    /// Keeps the kernel's log, read to some place.
    pub(crate) fn add_log(&mut self, log: Rc<OpenLog>) -> Result<Handle<Log>, Failure> {
        self.add(Object::Log(log)).map(Handle::from_id)
    }

    /// The directory behind a handle.
    pub(crate) fn dir(&self, handle: Handle<Dir>) -> Result<Rc<OpenDirectory>, Stop> {
        match self.objects.get(&handle.id()) {
            Some(Object::Dir(dir)) => Ok(Rc::clone(dir)),
            _ => Err(unknown("directory")),
        }
    }

    /// The file behind a handle.
    pub(crate) fn file(&self, handle: Handle<File>) -> Result<Rc<OpenRegularFile>, Stop> {
        match self.objects.get(&handle.id()) {
            Some(Object::File(file)) => Ok(Rc::clone(file)),
            _ => Err(unknown("file")),
        }
    }

    /// The link behind a handle.
    pub(crate) fn link(&self, handle: Handle<Link>) -> Result<Rc<OpenLinkItself>, Stop> {
        match self.objects.get(&handle.id()) {
            Some(Object::Link(link)) => Ok(Rc::clone(link)),
            _ => Err(unknown("link")),
        }
    }

    /// The file that is being put together behind a handle.
    pub(crate) fn draft(&self, handle: Handle<handle::Draft>) -> Result<Rc<Draft>, Stop> {
        match self.objects.get(&handle.id()) {
            Some(Object::Draft(draft)) => Ok(Rc::clone(draft)),
            _ => Err(unknown("draft")),
        }
    }

    /// The program behind a handle.
    pub(crate) fn program(&self, handle: Handle<Program>) -> Result<Rc<Started>, Stop> {
        match self.objects.get(&handle.id()) {
            Some(Object::Program(program)) => Ok(Rc::clone(program)),
            _ => Err(unknown("program")),
        }
    }

    /// The body behind a handle.
    pub(crate) fn body(&self, handle: Handle<handle::Body>) -> Result<Rc<KeptBody>, Stop> {
        match self.objects.get(&handle.id()) {
            Some(Object::Body(body)) => Ok(Rc::clone(body)),
            _ => Err(unknown("body")),
        }
    }

    /// The task behind a handle.
    pub(crate) fn task(&self, handle: Handle<handle::Task>) -> Result<Rc<Task>, Stop> {
        match self.objects.get(&handle.id()) {
            Some(Object::Task(task)) => Ok(Rc::clone(task)),
            _ => Err(unknown("task")),
        }
    }

    /// The listing behind a handle.
    pub(crate) fn listing(&self, handle: Handle<Listing>) -> Result<Rc<Pages>, Stop> {
        match self.objects.get(&handle.id()) {
            Some(Object::Listing(pages)) => Ok(Rc::clone(pages)),
            _ => Err(unknown("listing")),
        }
    }

    /// The log behind a handle.
    pub(crate) fn log(&self, handle: Handle<Log>) -> Result<Rc<OpenLog>, Stop> {
        match self.objects.get(&handle.id()) {
            Some(Object::Log(log)) => Ok(Rc::clone(log)),
            _ => Err(unknown("log")),
        }
    }

    /// Closes what the worker has dropped. A handle that is not open proves that it keeps no account.
    pub(crate) fn close(&mut self, ids: &[u64]) -> Result<(), Violation> {
        for id in ids {
            match self.objects.remove(id) {
                None => return Err(Violation::new("closed a handle that is not open")),
                Some(Object::Entry(_)) if self.entries.pop() != Some(*id) => {
                    return Err(Violation::new("left a namespace before those that were entered from it"));
                }
                Some(Object::Entry(entered)) => entered.leave()?,
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Fails where no other object can be kept: asked before anything is done that ends with one.
    pub(crate) fn has_room(&self) -> Result<(), Failure> {
        if self.objects.len() >= usize::try_from(self.most).unwrap_or(usize::MAX) {
            let message = format!("limit reached: more than {} objects are open at a time", self.most);
            return Err(Failure::new(FailureKind::Limit(LimitName::Handles), message));
        }
        Ok(())
    }

    fn add(&mut self, object: Object) -> Result<u64, Failure> {
        self.has_room()?;
        let id = self.next;
        self.next += 1;
        self.objects.insert(id, object);
        Ok(id)
    }
}

/// A correct worker only names handles that it was given, with their kind, until it drops them.
fn unknown(kind: &str) -> Stop {
    Violation::new(format!("named a {kind} that is not open")).into()
}
