//! Listing processes, a page at a time.

use super::identity::{Known, Users};
use super::{LOOKED_AT, PAGE, demand, refused};
use crate::authz::{Demand, Granted, Resource};
use crate::perform::{Demands, Perform, Stop};
use crate::session::State;
use crate::sys::process::{memory, uptime};
use crate::sys::process_dir::{self, ProcessDir, status_field};
use rex_protocol::Action;
use rex_protocol::path::AbsPath;
use rex_protocol::process::{ListProcesses, Machine, Namespace, Process, ProcessPlace, Processes};

impl Perform for ListProcesses {
    type Target = ListProcesses;

    fn target(self, _: &mut State) -> Result<Self, Stop> {
        Ok(self)
    }

    fn demands(_: &Self) -> Demands {
        Demands::of_what_is_found()
    }

    fn perform(target: Granted<Self>, state: &mut State) -> Result<Processes, Stop> {
        let request = target.into_inner();
        let all = process_dir::all().map_err(|errno| refused(errno, "list", 0))?;
        let begin = request.after.unwrap_or(ProcessPlace { pid: 0, thread: 0 });
        let wanted = |pid: &u32| request.only.as_ref().is_none_or(|only| only.contains(pid));
        let mut page =
            Page { request: &request, state, users: Users::default(), found: Vec::new(), size: 0, looked_at: 0 };
        let mut more = None;
        for pid in all.into_iter().filter(|pid| *pid >= begin.pid).filter(wanted) {
            more = page.add(pid, begin);
            if more.is_some() {
                break;
            }
        }
        let processes = page.found;
        let machine = match processes.is_empty() {
            true => None,
            false => Some(machine().map_err(|errno| refused(errno, "list", 0))?),
        };
        Ok(Processes { processes, machine, more })
    }
}

/// What is found until it is enough.
struct Page<'p> {
    request: &'p ListProcesses,
    state: &'p mut State,
    users: Users,
    found: Vec<Process>,
    size: usize,
    looked_at: usize,
}

impl Page<'_> {
    /// Adds a process and its threads, those that come after `begin`. Gives where to go on, when the page is full.
    fn add(&mut self, pid: u32, begin: ProcessPlace) -> Option<ProcessPlace> {
        // What ends meanwhile, or may not be looked at, is left out.
        let dir = ProcessDir::open(pid).ok()?;
        let known = Known::read(&dir, None, &mut self.users).ok()?;
        let place = ProcessPlace { pid, thread: 0 };
        if place > begin {
            self.look_at(&dir, &known, None);
            if self.is_full() {
                return Some(place);
            }
        }
        if !self.request.threads {
            return None;
        }
        for thread in dir.numbers("task").unwrap_or_default().into_iter().filter(|thread| *thread != pid) {
            let place = ProcessPlace { pid, thread };
            if place <= begin {
                continue;
            }
            let of_thread = || -> nix::Result<(ProcessDir, Known)> {
                let dir = dir.thread(thread)?;
                let known = Known::read(&dir, Some(&known), &mut Users::default())?;
                Ok((dir, known))
            };
            if let Ok((dir, known)) = of_thread() {
                self.look_at(&dir, &known, Some(pid));
            }
            if self.is_full() {
                return Some(place);
            }
        }
        None
    }

    fn look_at(&mut self, dir: &ProcessDir, known: &Known, thread_of: Option<u32>) {
        self.looked_at += 1;
        if !self.state.allows(&[demand(Action::ProcessList, known)]) {
            return;
        }
        let namespace = if self.request.namespaces { self.namespace(dir) } else { None };
        self.size += known.weight();
        let (identity, stat) = (known.identity.clone(), known.stat.clone());
        self.found.push(Process { identity, thread_of, stat, namespace });
    }

    fn namespace(&mut self, dir: &ProcessDir) -> Option<Namespace> {
        let path = |below: &str| AbsPath::parse(format!("/proc/{}{below}", dir.id)).ok();
        let (namespace, status) = (path("/ns/pid")?, path("/status")?);
        let demands = [
            Demand::new(Action::FileOpen, Resource::Dir(path("")?)),
            Demand::new(Action::FileOpen, Resource::Dir(path("/ns")?)),
            Demand::new(Action::FileRead, Resource::File(namespace)),
            Demand::new(Action::FileOpen, Resource::File(status.clone())),
            Demand::new(Action::FileRead, Resource::File(status)),
        ];
        if !self.state.allows(&demands) {
            return None;
        }
        let link = dir.link("ns/pid").ok()?;
        let id = std::str::from_utf8(&link).ok()?.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok()?;
        // The groups of its user stand before, and there may be many.
        let status = dir.read("status", 1024 * 1024).ok()?;
        let pid = status_field(&status, b"NSpid:")?.split_ascii_whitespace().next_back()?.parse().ok()?;
        Some(Namespace { id, pid })
    }

    fn is_full(&self) -> bool {
        self.size >= PAGE || self.looked_at >= LOOKED_AT
    }
}

fn machine() -> nix::Result<Machine> {
    let uptime_ms = u64::try_from(uptime()?.as_millis()).unwrap_or(u64::MAX);
    Ok(Machine { memory: memory()?, uptime_ms })
}
