//! Starting a program: what is imposed on it between the fork and its first instruction.
//!
//! ```text
//! session ── supervisor    a fork of the session: waits, reaps, tells how the program ended
//!             └─ program   everything it starts stays below the supervisor
//! ```
//!
//! The supervisor is the first process of a pid namespace, so that the kernel ends whatever is left in there when it ends,
//! and it ends with the program or with the session. A host that refuses such namespaces runs no programs. Two kinds of programs
//! stay outside of one: those that join another's, and those without walls of a user that is not root. There the session
//! ends what is left below the supervisor, which is its reaper.

use super::confine::{CONFINED, Walls};
use super::identity::Identity;
use super::running::{Running, Told, Tree};
use crate::authz::Demand;
use crate::jail::map_own_ids;
use crate::sys::fs::root;
use crate::sys::process::{self, Forked};
use caps::{CapSet, Capability, CapsHashSet};
use nix::fcntl::{AtFlags, OFlag};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{
    Gid, Pid, Uid, chdir, execveat, getegid, geteuid, getpid, pipe2, setgroups, setresgid, setresuid, setsid,
};
use rex_protocol::failure::{Failure, FailureKind};
use rex_protocol::fs::Exit;
use std::convert::Infallible;
use std::ffi::CString;
use std::fmt::Display;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;

/// The number of the first of the files that a program is given besides its standard streams.
pub(super) const INHERITED: RawFd = 3;
/// Out of the way of these numbers.
const ABOVE: RawFd = 64;

/// The most processes of a user that is not root, while one of them is a program of ours (setrlimit(2)).
pub(crate) const PROCESSES: u64 = 4096;
/// The most descriptors that a program has open.
const DESCRIPTORS: u64 = 4096;

/// The exit code of a program that did not come to run.
const NOT_RUN: i32 = 1;

/// A program with all that belongs to it.
#[derive(Debug)]
pub(super) struct Command {
    /// Its name first.
    pub(super) arguments: Vec<CString>,
    pub(super) environment: Vec<CString>,
    /// The file that policy judged.
    pub(super) program: Rc<OwnedFd>,
    /// Whether the file must stay open for an interpreter that reads it.
    pub(super) is_script: bool,
    /// Files that it finds open, from [`INHERITED`] on.
    pub(super) inherited: Vec<Rc<OwnedFd>>,
    pub(super) identity: Identity,
    pub(super) capabilities: Vec<Capability>,
    /// The process whose pid namespace it joins, instead of one of its own.
    pub(super) namespace: Option<u32>,
    pub(super) walls: Walls,
    /// The most private memory of one process, in bytes.
    pub(super) memory: u64,
    /// Processor time of one process, in milliseconds.
    pub(super) cpu_ms: u64,
}

/// The ends of the pipes that the program's side holds.
struct Ends {
    stdout: OwnedFd,
    stderr: OwnedFd,
    /// Where the supervisor tells how the program ended.
    status: OwnedFd,
}

impl Command {
    /// Starts it and does not wait for it. What policy is asked when it is followed is `demands`.
    pub(super) fn start(self, demands: Vec<Demand>) -> Result<Running, Failure> {
        // Its walls are told by objects of our own mount namespace, and there it would run.
        if root::get().is_some() {
            let message = "programs do not run in the mount namespace of another process; leave it first";
            return Err(Failure::new(FailureKind::InvalidArguments, message));
        }
        let pipe = || pipe2(OFlag::O_CLOEXEC).map_err(|errno| fault("make a pipe", errno));
        let ((stdout, out), (stderr, err), (status, tell)) = (pipe()?, pipe()?, pipe()?);
        let ends = Ends { stdout: out, stderr: err, status: tell };
        let caller = (geteuid(), getegid());
        let privileged = has(Capability::CAP_SYS_ADMIN).map_err(|error| fault("start it", error))?;
        let (tree, supervisor) = match self.namespace {
            // The one that this process is in already.
            Some(pid) if pid == std::process::id() => (Tree::Descendants, process::fork_into(0)),
            Some(pid) => (Tree::Descendants, fork_beside(pid)?),
            // A user that is not root has namespaces only inside a user namespace, in which all others' files look like
            // nobody's. A program that may do what its user may is worth more without.
            None if self.walls.are_open() && !privileged => (Tree::Descendants, process::fork_into(0)),
            None => (Tree::Namespace, process::fork_into(self.namespaces(privileged))),
        };
        match supervisor {
            Ok(Forked::Child) => {
                // With them open here it could not tell that the session is gone.
                drop([stdout, stderr, status]);
                self.supervise(&ends, &tree, caller, privileged)
            }
            Ok(Forked::Parent { pid, process }) => {
                drop(ends);
                Ok(Running::new(demands, tree, (pid, process), [stdout, stderr, status]))
            }
            Err(errno) => Err(Failure::new(
                FailureKind::Refused { errno: errno as i32 },
                format!("cannot start the program: this host refuses it a pid namespace: {}", errno.desc()),
            )),
        }
    }

    /// The namespaces that it gets of its own.
    fn namespaces(&self, privileged: bool) -> libc::c_int {
        let mut namespaces = libc::CLONE_NEWPID;
        if !self.walls.network {
            namespaces |= libc::CLONE_NEWNET;
        }
        if self.walls.confine() {
            namespaces |= libc::CLONE_NEWIPC;
        }
        if !privileged {
            namespaces |= libc::CLONE_NEWUSER;
        }
        namespaces
    }

    /// The supervisor: starts the program, reaps what it leaves behind, tells how it ended, and ends.
    fn supervise(&self, ends: &Ends, tree: &Tree, caller: (Uid, Gid), privileged: bool) -> ! {
        let forked = prepare_supervisor(ends, caller, *tree == Tree::Namespace && !privileged)
            .and_then(|()| process::fork_into(0).map_err(step("fork")));
        match forked {
            Ok(Forked::Child) => {
                let fault = match self.become_program(ends, privileged) {
                    Ok(never) => match never {},
                    Err(fault) => fault,
                };
                // Its standard error is in place, unless that was what failed.
                say(std::io::stderr(), &fault);
                process::exit_now(NOT_RUN)
            }
            Ok(Forked::Parent { pid, .. }) => {
                let status = ends.status.as_raw_fd();
                // Nothing of the session stays open here, and no end of the program's pipes but one.
                if process::close_all_but(INHERITED, &[status]).is_ok() {
                    reap_until_it_ends(pid, ends, tree);
                }
            }
            Err(fault) => {
                say(&ends.stderr, &fault);
                tell(ends, Exit::Code(NOT_RUN));
            }
        }
        process::exit_now(0)
    }

    /// The child's way into the program. Returns only if it fails, with the step and the reason.
    fn become_program(&self, ends: &Ends, privileged: bool) -> Result<Infallible, String> {
        let null = nix::fcntl::open("/dev/null", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
            .map_err(step("open /dev/null"))?;
        for (number, end) in [(2, &ends.stderr), (1, &ends.stdout), (0, &null)] {
            process::place(end, number).map_err(step("place its standard streams"))?;
        }
        // It is closed with all others further down.
        std::mem::forget(null);
        setsid().map_err(step("leave the terminal"))?;
        chdir("/").map_err(step("change to `/`"))?;
        umask(Mode::from_bits_truncate(0o022));
        process::reset_signals().map_err(step("reset signals"))?;
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None).map_err(step("unblock signals"))?;
        if privileged {
            self.take_identity()?
        } else {
            self.keep_identity()?
        }
        // A change of ids takes it away (prctl(2)), so it comes after. Where the supervisor is not the first of a
        // namespace, this ties the program's life to it.
        prctl::set_pdeathsig(Signal::SIGKILL).map_err(step("tie its life to its supervisor's"))?;
        self.limit()?;
        prctl::set_no_new_privs().map_err(step("set no_new_privs"))?;
        self.walls.close().map_err(step("confine it"))?;
        let program = self.arrange_files()?;
        let error = match execveat(&program, c"", &self.arguments, &self.environment, AtFlags::AT_EMPTY_PATH) {
            Ok(never) => match never {},
            Err(errno) => errno,
        };
        Err(format!("fexecve failed: {error}"))
    }

    fn limit(&self) -> Result<(), String> {
        let cpu_seconds = self.cpu_ms.div_ceil(1000).saturating_add(1);
        for (resource, most) in [
            (Resource::RLIMIT_CORE, 0),
            // Private memory, and not address space: runtimes reserve much more of that than they use.
            (Resource::RLIMIT_DATA, self.memory),
            (Resource::RLIMIT_CPU, cpu_seconds),
            (Resource::RLIMIT_NOFILE, DESCRIPTORS),
            (Resource::RLIMIT_NPROC, PROCESSES),
        ] {
            let (_, hard) = getrlimit(resource).map_err(step("read its limits"))?;
            let most = most.min(hard);
            setrlimit(resource, most, most).map_err(step("set its limits"))?;
        }
        Ok(())
    }

    /// Takes on ids, groups and capabilities, in the order in which each step still may.
    fn take_identity(&self) -> Result<(), String> {
        let asked: CapsHashSet = self.capabilities.iter().copied().collect();
        let (uid, gid) = (Uid::from_raw(self.identity.user.1), Gid::from_raw(self.identity.group.1));
        let had = caps::read(None, CapSet::Permitted).map_err(step("read capabilities"))?;
        let kept: CapsHashSet = match (uid.is_root(), self.walls.confine()) {
            (true, false) => had,
            (true, true) => CONFINED.iter().copied().filter(|capability| had.contains(capability)).collect(),
            (false, _) => asked.clone(),
        };
        caps::clear(None, CapSet::Ambient).map_err(step("clear ambient capabilities"))?;
        let bounding = caps::read(None, CapSet::Bounding).map_err(step("read the bounding set"))?;
        for capability in bounding.difference(&kept) {
            caps::drop(None, CapSet::Bounding, *capability).map_err(step("shrink the bounding set"))?;
        }
        let groups: Vec<Gid> = self.identity.groups.iter().copied().map(Gid::from_raw).collect();
        caps::securebits::set_keepcaps(!asked.is_empty()).map_err(step("keep capabilities"))?;
        setgroups(&groups).map_err(step("set its groups"))?;
        setresgid(gid, gid, gid).map_err(step("set its group"))?;
        setresuid(uid, uid, uid).map_err(step("set its user"))?;
        // What is effective lies within what is permitted at each step, and what is ambient within both others (capabilities(7)).
        for (set, capabilities) in [
            (CapSet::Effective, &kept),
            (CapSet::Permitted, &kept),
            (CapSet::Inheritable, &asked),
            (CapSet::Ambient, &asked),
        ] {
            caps::set(None, set, capabilities).map_err(|error| format!("Failed to set capabilities: {error}"))?;
        }
        Ok(())
    }

    /// Without root's rights the program has its caller's identity and no capability, also not in the namespaces made for it.
    fn keep_identity(&self) -> Result<(), String> {
        if !self.identity.is_ours() {
            return Err("set its user: only root can run a program as somebody else".into());
        }
        if let Some(capability) = self.capabilities.first() {
            return Err(format!("Failed to set capabilities: only root can give `{capability}`"));
        }
        // Inside a user namespace it has all of them until here; outside it can gain none (`no_new_privs`).
        if has(Capability::CAP_SETPCAP).map_err(step("read capabilities"))? {
            caps::clear(None, CapSet::Bounding).map_err(step("clear the bounding set"))?;
        }
        for set in [CapSet::Ambient, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
            caps::clear(None, set).map_err(step("clear capabilities"))?;
        }
        Ok(())
    }

    /// Leaves the standard streams open and what the program is given, and nothing else. Gives its own file.
    fn arrange_files(&self) -> Result<OwnedFd, String> {
        let high = |fd: &Rc<OwnedFd>| process::duplicate_above(fd, ABOVE).map_err(step("move a descriptor"));
        let program = high(&self.program)?;
        let inherited = self.inherited.iter().map(high).collect::<Result<Vec<_>, _>>()?;
        let mut kept = Vec::new();
        for (number, fd) in (INHERITED..).zip(&inherited) {
            process::place(fd, number).map_err(step("place a file"))?;
            kept.push(number);
        }
        if self.is_script {
            // The interpreter finds it as `/dev/fd/N` (execveat(2)): it must not close with the exec.
            process::place(&program, program.as_raw_fd()).map_err(step("keep its file open"))?;
        }
        kept.push(program.as_raw_fd());
        // What is closed here may be owned by values of the session's program: they are never dropped in this process.
        std::mem::forget(inherited);
        process::close_all_but(INHERITED, &kept).map_err(step("close descriptors"))?;
        Ok(program)
    }
}

/// Ends the supervisor at once if the session is gone already: that was before it could hear of it.
fn prepare_supervisor(ends: &Ends, caller: (Uid, Gid), map_ids: bool) -> Result<(), String> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(step("tie its life to the session's"))?;
    let mut polled = [PollFd::new(ends.status.as_fd(), PollFlags::empty())];
    // Nobody reads what it would tell (poll(2): POLLERR).
    if !matches!(poll(&mut polled, PollTimeout::ZERO), Ok(0)) {
        process::exit_now(0);
    }
    if map_ids {
        map_own_ids(caller)?;
    }
    prctl::set_child_subreaper(true).map_err(step("become its reaper"))?;
    prctl::set_dumpable(false).map_err(step("keep others from looking into it"))
}

/// Waits for the program and for all that is left to the supervisor meanwhile. In a namespace of its own the rest ends with
/// it; elsewhere the session ends the rest, and the supervisor waits for that.
fn reap_until_it_ends(program: Pid, ends: &Ends, tree: &Tree) {
    loop {
        let ended = match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, code)) if pid == program => Exit::Code(code),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == program => Exit::Signal(signal as i32),
            Ok(_) | Err(nix::errno::Errno::EINTR) => continue,
            // Nothing is left.
            Err(_) => return,
        };
        tell(ends, ended);
        if *tree == Tree::Namespace {
            return;
        }
    }
}

fn tell(ends: &Ends, exit: Exit) {
    // Nobody is left to tell where it fails.
    let _ = nix::unistd::write(&ends.status, &Told::encode(exit));
}

fn say(to: impl AsFd, fault: &str) {
    let _ = nix::unistd::write(to, format!("{fault}\n").as_bytes());
}

/// Forks into the pid namespace of a process; this process stays where it is (setns(2)).
fn fork_beside(pid: u32) -> Result<nix::Result<Forked>, Failure> {
    let namespace = |errno: nix::errno::Errno| {
        let message = format!("cannot join the namespace of process {pid}: {}", errno.desc());
        Failure::new(FailureKind::Namespace { errno: errno as i32 }, message)
    };
    let target = i32::try_from(pid).ok().map(Pid::from_raw).and_then(|pid| process::pidfd_open(pid).ok());
    let target =
        target.ok_or_else(|| Failure::new(FailureKind::NoProcess { pid }, format!("there is no process {pid}")))?;
    let own = process::pidfd_open(getpid()).map_err(namespace)?;
    setns(&target, CloneFlags::CLONE_NEWPID).map_err(namespace)?;
    let forked = process::fork_into(0);
    if matches!(forked, Ok(Forked::Child)) {
        return Ok(forked);
    }
    // Also where nothing was forked: what this process forks later is not meant to be there.
    if let Err(errno) = setns(&own, CloneFlags::CLONE_NEWPID) {
        if let Ok(Forked::Parent { process, .. }) = &forked {
            let _ = process::signal(process, Signal::SIGKILL);
        }
        return Err(namespace(errno));
    }
    Ok(forked)
}

fn has(capability: Capability) -> Result<bool, caps::errors::CapsError> {
    caps::has_cap(None, CapSet::Effective, capability)
}

fn step<E: Display>(step: &'static str) -> impl FnOnce(E) -> String {
    move |error| format!("cannot {step}: {error}")
}

fn fault(step: &str, error: impl Display) -> Failure {
    Failure::new(FailureKind::InvalidArguments, format!("cannot start the program: {step}: {error}"))
}
