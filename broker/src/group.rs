//! The control group of a run: its worker and what it executes, held to the run's limits together, and ended together.
//!
//! The session itself stays outside, so that it is not what is ended when they use too much.

use crate::perform::execute::PROCESSES;
use crate::sys::{cgroup, process};
use nix::errno::Errno;
use rex_protocol::limits::Limits;
use std::fmt;
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// What the groups of runs are called, before a number.
const NAME: &str = "run-";
/// How many processes a run has besides those of its programs: its worker, what speaks on the network, supervisors.
const OWN_PROCESSES: u64 = 64;
/// In what time its share of processor time is used up and earned again, in microseconds: the kernel's own choice.
const PERIOD: u64 = 100_000;

/// Which controllers there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Controllers {
    pub(crate) memory: bool,
    pub(crate) pids: bool,
    pub(crate) cpu: bool,
}

impl Controllers {
    /// Those that a group's file names.
    pub(crate) fn parse(names: &str) -> Self {
        let has = |name: &str| names.split_ascii_whitespace().any(|other| other == name);
        Self { memory: has("memory"), pids: has("pids"), cpu: has("cpu") }
    }

    /// Whether none is missing.
    pub(crate) fn are_all(self) -> bool {
        self.memory && self.pids && self.cpu
    }

    /// What they are called.
    pub(crate) fn names(self) -> Vec<&'static str> {
        let all = [(self.memory, "memory"), (self.pids, "pids"), (self.cpu, "cpu")];
        all.iter().filter(|(there, _)| *there).map(|(_, name)| *name).collect()
    }
}

impl fmt::Display for Controllers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.names().as_slice() {
            [] => f.write_str("no controllers"),
            names => f.write_str(&names.join(", ")),
        }
    }
}

/// The group of one run. It stays when this is dropped: [`Self::remove`].
#[derive(Debug)]
pub(crate) struct Group {
    parent: Rc<OwnedFd>,
    name: String,
    directory: Rc<OwnedFd>,
    controllers: Controllers,
}

impl Group {
    /// Makes one with a number that no other has, from `next` on, which goes up.
    pub(crate) fn make(parent: &Rc<OwnedFd>, next: &mut u64, controllers: Controllers) -> nix::Result<Self> {
        loop {
            *next = next.wrapping_add(1);
            let name = format!("{NAME}{next}");
            match cgroup::make(parent.as_ref(), &name) {
                Err(Errno::EEXIST) => {}
                made => {
                    let directory = Rc::new(made?);
                    return Ok(Self { parent: Rc::clone(parent), name, directory, controllers });
                }
            }
        }
    }

    /// Those that are there already.
    pub(crate) fn found(parent: &Rc<OwnedFd>) -> nix::Result<Vec<Self>> {
        let names = cgroup::list(parent.as_ref())?.into_iter().filter(|name| name.starts_with(NAME));
        let open = |name: String| {
            let directory = Rc::new(cgroup::enter(parent.as_ref(), &name).ok()?);
            Some(Self { parent: Rc::clone(parent), name, directory, controllers: Controllers::default() })
        };
        Ok(names.filter_map(open).collect())
    }

    /// From now on every process that this session makes for its run begins in it.
    pub(crate) fn begin(&self) -> nix::Result<()> {
        process::put_children_into(Rc::clone(&self.directory))
    }

    /// Holds all of its processes together to the memory of a run, none of it on a disk, and to a number of processes.
    pub(crate) fn limit(&self, limits: &Limits) -> nix::Result<()> {
        let write = |file: &str, value: u64| cgroup::write(self.directory.as_ref(), file, &value.to_string());
        if self.controllers.memory {
            write("memory.max", limits.memory)?;
            match write("memory.swap.max", 0) {
                // Without swap the kernel does not have it.
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(errno) => return Err(errno),
            }
        }
        if self.controllers.pids {
            write("pids.max", PROCESSES + OWN_PROCESSES)?;
        }
        Ok(())
    }

    /// Holds all of its processes together to so much processor time, in percent of one processor.
    pub(crate) fn throttle(&self, percent: u32) -> nix::Result<()> {
        let quota = u64::from(percent) * (PERIOD / 100);
        cgroup::write(self.directory.as_ref(), "cpu.max", &format!("{quota} {PERIOD}"))
    }

    /// Whether the kernel has ended one of its processes because they used more memory than they may.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        let events = cgroup::read(self.directory.as_ref(), "memory.events").unwrap_or_default();
        let kills = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
        kills.and_then(|kills| kills.trim().parse::<u64>().ok()).is_some_and(|kills| kills > 0)
    }

    /// Ends whatever is still in it. What is there and what it starts meanwhile is ended at once (`cgroup.kill`, Linux 5.14).
    pub(crate) fn kill(&self) -> nix::Result<()> {
        cgroup::write(self.directory.as_ref(), "cgroup.kill", "1")
    }

    /// Removes it. Given back while processes are in it.
    pub(crate) fn remove(self) -> Result<(), Self> {
        match cgroup::remove(self.parent.as_ref(), &self.name) {
            Err(Errno::EBUSY) => Err(self),
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => {
                tracing::warn!("cannot remove the control group `{}`: {}", self.name, errno.desc());
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_are_told_by_name() {
        let some = Controllers::parse("cpuset cpu io memory hugetlb rdma misc\n");
        assert_eq!((some.memory, some.pids, some.cpu, some.are_all()), (true, false, true, false));
        assert_eq!(some.to_string(), "memory, cpu");
        assert_eq!(Controllers::parse("\n").to_string(), "no controllers");
        assert!(Controllers::parse("cpu pids memory").are_all());
    }
}
