//! The control groups of runs, in the one that systemd gives away (`Delegate=`).
//!
//! systemd has only processes in the outermost group of a service, or only groups: so the broker and its sessions stand in a
//! group of their own in it. systemd puts the broker there itself from version 254 on (`DelegateSubgroup=`); else the broker does,
//! and room is made for its successor when it ends, however it ends.

use crate::config::Cgroups;
use crate::group::{Controllers, Group};
use crate::sys::cgroup::{self, Delegated};
use crate::sys::process::{self, Forked};
use crate::sys::socket;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use rex_protocol::limits::Limits;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

/// The group of broker and sessions.
const OWN: &str = "broker";
/// How much processor time broker and sessions get beside each run, which has 100 (`cpu.weight`).
const OWN_WEIGHT: &str = "1000";

/// Where groups of runs are made, and those that go.
pub(super) struct Groups {
    parent: Rc<OwnedFd>,
    controllers: Controllers,
    /// What each run may use of processors, in percent of one; 0: all that there is.
    cpu_percent: u32,
    /// Where the broker has put itself into its group: what makes room when this is closed.
    will: Option<OwnedFd>,
    next: u64,
    leaving: Vec<Group>,
}

impl Groups {
    /// What is wanted and can be had. An error where it is required and cannot; so is what a limit needs that nothing else holds.
    pub(super) fn open(wanted: Cgroups, cpu_percent: u32) -> Result<Result<Self, String>, String> {
        let found = match wanted {
            Cgroups::Off => return Ok(Err("they are switched off".into())),
            Cgroups::WhereAvailable | Cgroups::Required => Self::find().map(|groups| Self { cpu_percent, ..groups }),
        };
        let has_cpu = found.as_ref().map(|groups| groups.controllers.cpu);
        if cpu_percent > 0 && has_cpu != Ok(true) {
            let reason = has_cpu.err().map_or("the controller `cpu` is not delegated to the broker", String::as_str);
            return Err(format!("cannot hold runs to `cpu_percent`, which needs control groups: {reason}"));
        }
        match found {
            Ok(groups) if wanted == Cgroups::Required && !groups.controllers.are_all() => Err(format!(
                "control groups are required, and not all controllers are delegated to the broker: it has {}",
                groups.controllers
            )),
            Err(reason) if wanted == Cgroups::Required => {
                Err(format!("control groups are required, and cannot be had: {reason}"))
            }
            found => Ok(found),
        }
    }

    fn find() -> Result<Self, String> {
        let step = |step: &'static str| move |errno: Errno| format!("cannot {step}: {}", errno.desc());
        let Delegated { directory: parent, is_above, .. } = cgroup::delegated()?;
        if !is_above {
            let own = match cgroup::make(&parent, OWN) {
                Err(Errno::EEXIST) => cgroup::enter(&parent, OWN),
                made => made,
            };
            let own = own.map_err(step("make a group for the broker"))?;
            cgroup::write(&own, "cgroup.procs", "0").map_err(step("enter the group for the broker"))?;
        }
        let controllers = enable(&parent);
        if controllers.cpu
            && let Ok(own) = cgroup::enter(&parent, OWN)
        {
            cgroup::write(&own, "cpu.weight", OWN_WEIGHT).map_err(step("set the broker's share of processors"))?;
        }
        let makes_room = !is_above && !controllers.names().is_empty();
        let will = makes_room.then(|| leave_a_will(&parent, controllers)).transpose();
        let will = will.map_err(step("leave a process that makes room for the next broker"))?;
        let parent = Rc::new(parent);
        // Those of runs that an earlier broker has left under way.
        let leaving = Group::found(&parent).map_err(step("list groups"))?;
        Ok(Self { parent, controllers, cpu_percent: 0, will, next: 0, leaving })
    }

    /// Which controllers there are.
    pub(super) fn controllers(&self) -> Controllers {
        self.controllers
    }

    /// A group for a run that begins with these limits.
    pub(super) fn make(&mut self, limits: &Limits) -> nix::Result<Group> {
        let group = Group::make(&self.parent, &mut self.next, self.controllers)?;
        let limited = match self.cpu_percent {
            0 => Ok(()),
            percent => group.throttle(percent),
        };
        match limited.and_then(|()| group.limit(limits)) {
            Ok(()) => Ok(group),
            Err(errno) => {
                let _ = group.remove();
                Err(errno)
            }
        }
    }

    /// Ends whatever is left in the group of a run whose session has ended; it goes once it is empty.
    pub(super) fn end(&mut self, group: Group) {
        if let Err(errno) = group.kill() {
            tracing::error!("cannot end what is left of a run: {}", errno.desc());
        }
        self.leaving.push(group);
        self.tidy();
    }

    /// Removes those that have become empty.
    pub(super) fn tidy(&mut self) {
        self.leaving = std::mem::take(&mut self.leaving).into_iter().filter_map(|group| group.remove().err()).collect();
    }

    /// Whether some wait to be removed.
    pub(super) fn are_leaving(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// Makes room for the next broker at once.
    pub(super) fn leave(&self) {
        if self.will.is_some() {
            make_room(&self.parent, self.controllers);
        }
    }

    /// In a session: the groups are the daemon's.
    pub(super) fn forget(&mut self) {
        self.leaving.clear();
        self.will = None;
    }
}

/// Takes the controllers back from the groups of runs, which go on without these limits. While they are given on, the kernel
/// refuses the next broker its place in the group above them, where systemd puts it (cgroups(7), "no internal processes").
fn make_room(parent: &OwnedFd, controllers: Controllers) {
    let names: Vec<String> = controllers.names().into_iter().map(|name| format!("-{name}")).collect();
    // Nobody is left to tell where this fails.
    let _ = cgroup::write(parent, "cgroup.subtree_control", &names.join(" "));
}

/// Starts a process that makes room once all ends of what is given are closed: when the broker ends, however that comes.
fn leave_a_will(parent: &OwnedFd, controllers: Controllers) -> nix::Result<OwnedFd> {
    let (end, ours) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    match process::fork()? {
        Forked::Parent { .. } => Ok(ours),
        Forked::Child => {
            drop(ours);
            let mut kept = [end.as_raw_fd(), parent.as_raw_fd()];
            kept.sort_unstable();
            // What is closed is owned by values that are never dropped in this process.
            if process::close_all_but(0, &kept).is_ok() {
                while matches!(socket::retry(|| nix::unistd::read(&end, &mut [0])), Ok(1..)) {}
                make_room(parent, controllers);
            }
            process::exit_now(0)
        }
    }
}

/// Gives the controllers on that there are. Each by itself: one that cannot be had takes no other with it.
fn enable(parent: &OwnedFd) -> Controllers {
    let there = cgroup::read(parent, "cgroup.controllers").map(|names| Controllers::parse(&names)).unwrap_or_default();
    for name in there.names() {
        if let Err(errno) = cgroup::write(parent, "cgroup.subtree_control", &format!("+{name}")) {
            tracing::warn!("cannot use the controller `{name}` of control groups: {}", errno.desc());
        }
    }
    cgroup::read(parent, "cgroup.subtree_control").map(|names| Controllers::parse(&names)).unwrap_or_default()
}
