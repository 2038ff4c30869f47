//! Starting a worker behind its outer walls.
//!
//! All that can be imposed from outside is imposed here, between `clone3` and `execveat`: whatever the
//! worker's own code does later, it starts without identity, capabilities, files, environment or network.

use super::{landlock, network};
use crate::sys::process::{self, Forked};
use crate::sys::{procfs, socket};
use caps::{CapSet, Capability};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::mount::{MsFlags, mount};
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::stat::{Mode, fstat, umask};
use nix::unistd::{Gid, Pid, Uid, chdir, execveat, getegid, geteuid, setgroups, setresgid, setresuid, setsid};
use std::ffi::CStr;
use std::fmt::Display;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

/// The number of the worker's only useful descriptor. 0 to 2 are `/dev/null`.
const SOCKET: i32 = 3;

/// The first of the user and group ids that workers run under. systemd leaves this range alone (systemd.io/UIDS-GIDS), and
/// so does SSSD, which gives ids to accounts of directories up to 2,000,200,000 (sssd-ldap(5)). One id belongs to one
/// running worker, so that no worker shares one with another.
const FIRST_ID: u32 = 2_100_000_000;
/// The first of those that programs run under which a session starts as nobody. Like workers they are numbered by
/// processes, of which there are no more than 2^22 (`PID_MAX_LIMIT`, linux/threads.h).
pub(crate) const FIRST_NOBODY_ID: u32 = FIRST_ID + (1 << 22);

/// The namespaces a worker gets of its own, besides the one of its network.
const NAMESPACES: libc::c_int = libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;

/// The first of those that programs on the network run under, beyond both of these.
const FIRST_NET_ID: u32 = FIRST_ID + (1 << 23);
/// The same of those that ask for names.
const FIRST_NAMES_ID: u32 = FIRST_NET_ID + (1 << 22);

/// The executable of what runs behind walls, opened once: what a file of that name becomes later does not matter.
#[derive(Debug, Clone)]
pub struct Program {
    file: Rc<OwnedFd>,
    id: (u64, u64),
    /// As it appears in lists of processes.
    name: &'static CStr,
    first_id: u32,
}

impl Program {
    /// Opens the worker's at `path`.
    pub fn open(path: &Path) -> Result<Self, SpawnError> {
        let (file, id) = open(path, "the worker's program")?;
        Ok(Self { file, id, name: c"rex-worker", first_id: FIRST_ID })
    }

    /// Opens the one that speaks on the network at `path`.
    pub fn open_net(path: &Path) -> Result<Self, SpawnError> {
        let (file, id) = open(path, "the network's program")?;
        Ok(Self { file, id, name: c"rex-net", first_id: FIRST_NET_ID })
    }

    /// Its file, by device and inode.
    pub(crate) const fn id(&self) -> (u64, u64) {
        self.id
    }

    /// The same for asking for names, under other ids than for a request.
    pub(crate) fn for_names(&self) -> Self {
        Self { first_id: FIRST_NAMES_ID, ..self.clone() }
    }
}

/// With its device and inode.
fn open(path: &Path, what: &str) -> Result<(Rc<OwnedFd>, (u64, u64)), SpawnError> {
    let opened = nix::fcntl::open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
        .and_then(|file| fstat(&file).map(|stat| (Rc::new(file), (stat.st_dev, stat.st_ino))));
    opened.map_err(|error| SpawnError(format!("cannot open {what} `{}`: {}", path.display(), error.desc())))
}

/// What a worker may use, set before it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jail {
    /// Address space, in bytes.
    pub memory: u64,
    /// Processor time, in milliseconds; the session looks closer, this is the kernel's backstop.
    pub cpu_ms: u64,
}

/// The walls that a worker stands behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walls {
    /// Own mount, pid, IPC and UTS namespaces, and an empty network.
    pub namespaces: bool,
    /// An own user namespace, where an unprivileged caller could not have the others without.
    pub user_namespace: bool,
    /// A user and group id of its own.
    pub identity: Option<u32>,
}

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    /// Its number here.
    pub pid: Pid,
    /// The process itself.
    pub process: OwnedFd,
    /// The session's end of the conversation.
    pub socket: OwnedFd,
    /// What it stands behind.
    pub walls: Walls,
    /// Where it says what failed before its program ran.
    report: OwnedFd,
}

impl Worker {
    /// Why a worker that has ended did not come to run its program; nothing where it did.
    pub(crate) fn start_fault(&self) -> Option<String> {
        let mut said = [0; 512];
        // The other end closed with the exec or the end of the process.
        let length = crate::sys::socket::retry(|| nix::unistd::read(&self.report, &mut said)).ok()?;
        let said = said.get(..length).filter(|said| !said.is_empty())?;
        Some(String::from_utf8_lossy(said).into_owned())
    }

    /// A worker for tests of what looks at one.
    #[cfg(test)]
    pub(super) fn stand_in(pid: Pid, walls: Walls) -> Self {
        let (socket, process) = socket::packet_pair().unwrap();
        let (report, _) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
        Self { pid, process, socket, walls, report }
    }
}

/// A worker cannot be started.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct SpawnError(String);

impl Jail {
    /// Starts a worker and does not wait for it: what fails on its way into its program shows as its end. The calling
    /// process must have one thread.
    pub fn spawn(&self, program: &Program) -> Result<Worker, SpawnError> {
        let (ours, theirs) = socket::packet_pair().map_err(|error| fail("make its socket", error))?;
        let (report, mut reporter) =
            nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|error| fail("make a pipe", error))?;
        // In a new user namespace they read as nobody's until they are mapped.
        let caller = (geteuid(), getegid());
        let root = geteuid().is_root();
        let mut ladder = vec![
            Walls { namespaces: true, user_namespace: !root, identity: None },
            Walls { namespaces: true, user_namespace: true, identity: None },
            Walls { namespaces: false, user_namespace: false, identity: None },
        ];
        if root {
            // The parent's number is unique among running sessions, and each has one worker, and one program at a time that
            // speaks on the network for a request, and one for names.
            let own = program.first_id + std::process::id();
            ladder.iter_mut().filter(|walls| !walls.user_namespace).for_each(|walls| walls.identity = Some(own));
        }
        let mut refused = Errno::EPERM;
        for walls in ladder {
            match process::fork_into(flags(walls)) {
                Ok(Forked::Child) => {
                    let error = match self.become_worker(program, walls, caller, &theirs, &mut reporter) {
                        Ok(never) => match never {},
                        Err(error) => error,
                    };
                    let _ = nix::unistd::write(&reporter, error.as_bytes());
                    process::exit_now(rex_protocol::worker::EXIT_SEAL_FAILED);
                }
                Ok(Forked::Parent { pid, process }) => {
                    return Ok(Worker { pid, process, socket: ours, walls, report });
                }
                // Namespaces are refused by policy (EPERM), by a limit (ENOSPC) or not built in (EINVAL).
                Err(error @ (Errno::EPERM | Errno::ENOSPC | Errno::EINVAL | Errno::EACCES)) => refused = error,
                Err(error) => return Err(fail("fork", error)),
            }
        }
        Err(fail("fork", refused))
    }

    /// The child's way into the program. Returns only if it fails, with the step and the reason.
    #[allow(clippy::disallowed_methods, reason = "in a namespace that a worker is alone in")]
    fn become_worker(
        &self,
        program: &Program,
        walls: Walls,
        caller: (Uid, Gid),
        theirs: &OwnedFd,
        reporter: &mut OwnedFd,
    ) -> Result<std::convert::Infallible, String> {
        if walls.user_namespace {
            map_own_ids(caller)?;
        }
        if walls.namespaces {
            // Nothing that is mounted later outside shall come in, and nothing go out.
            let none: Option<&str> = None;
            mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).map_err(step("make mounts private"))?;
        }
        if let Some(network) = shared_network(walls) {
            network::enter(network).map_err(step("enter the workers' network"))?;
        }
        let name = program.name;
        let (program, moved) = arrange_descriptors(program, theirs, reporter)?;
        // Its old number is closed already.
        std::mem::forget(std::mem::replace(reporter, moved));
        self.limit()?;
        setsid().map_err(step("leave the terminal"))?;
        chdir("/").map_err(step("change to `/`"))?;
        umask(Mode::from_bits_truncate(0o077));
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None).map_err(step("unblock signals"))?;
        drop_identity(walls)?;
        prctl::set_no_new_privs().map_err(step("set no_new_privs"))?;
        prctl::set_pdeathsig(Signal::SIGKILL).map_err(step("tie its life to the session's"))?;
        landlock::confine(program.as_fd())?;
        let arguments: [&CStr; 1] = [name];
        let environment: [&CStr; 0] = [];
        let error = match execveat(&program, c"", &arguments, &environment, AtFlags::AT_EMPTY_PATH) {
            Ok(never) => match never {},
            Err(error) => error,
        };
        Err(format!("execute its program: {error}"))
    }

    fn limit(&self) -> Result<(), String> {
        let cpu_seconds = self.cpu_ms.div_ceil(1000).saturating_add(1);
        let limits = [
            (Resource::RLIMIT_CORE, 0),
            (Resource::RLIMIT_AS, self.memory),
            (Resource::RLIMIT_CPU, cpu_seconds),
            (Resource::RLIMIT_FSIZE, 0),
            (Resource::RLIMIT_NOFILE, 64),
            (Resource::RLIMIT_MEMLOCK, 0),
            (Resource::RLIMIT_MSGQUEUE, 0),
            (Resource::RLIMIT_STACK, 8 * 1024 * 1024),
        ];
        for (resource, most) in limits {
            setrlimit(resource, most, most).map_err(step("set its limits"))?;
        }
        Ok(())
    }
}

fn flags(walls: Walls) -> libc::c_int {
    let mut flags = 0;
    if walls.namespaces {
        flags |= NAMESPACES;
        if shared_network(walls).is_none() {
            flags |= libc::CLONE_NEWNET;
        }
    }
    if walls.user_namespace {
        flags |= libc::CLONE_NEWUSER;
    }
    flags
}

/// The network that a worker enters instead of getting its own: that of the machine's user namespace is closed to others.
fn shared_network(walls: Walls) -> Option<BorrowedFd<'static>> {
    network::shared().filter(|_| walls.namespaces && !walls.user_namespace)
}

/// In a new user namespace: the caller's own ids, and nobody else's (user_namespaces(7)).
pub(crate) fn map_own_ids((uid, gid): (Uid, Gid)) -> Result<(), String> {
    let write = |name: &str, text: &str| procfs::write_own(name, text).map_err(step("map ids"));
    write("setgroups", "deny")?;
    write("uid_map", &format!("{uid} {uid} 1"))?;
    write("gid_map", &format!("{gid} {gid} 1"))
}

/// Leaves 0 to 2 on `/dev/null`, the socket at [`SOCKET`], and the two descriptors that close with the exec.
fn arrange_descriptors(program: &Program, theirs: &OwnedFd, reporter: &OwnedFd) -> Result<(OwnedFd, OwnedFd), String> {
    // Out of the way of the numbers that are about to be taken.
    let high = |fd: &OwnedFd| process::duplicate_above(fd, 64).map_err(step("move a descriptor"));
    let (program, theirs, reporter) = (high(&program.file)?, high(theirs)?, high(reporter)?);
    let null = nix::fcntl::open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(step("open /dev/null"))?;
    for number in 0..=2 {
        process::place(&null, number).map_err(step("place /dev/null"))?;
    }
    process::place(&theirs, SOCKET).map_err(step("place its socket"))?;
    let mut kept = [program.as_raw_fd(), reporter.as_raw_fd()];
    kept.sort_unstable();
    // What is closed here may be owned by values of the parent's program: they are never dropped in this process.
    std::mem::forget((null, theirs));
    process::close_all_but(SOCKET + 1, &kept).map_err(step("close descriptors"))?;
    Ok((program, reporter))
}

/// Takes ids, groups and capabilities away, in the order in which each step still may.
fn drop_identity(walls: Walls) -> Result<(), String> {
    let privileged =
        caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP).map_err(step("read capabilities"))?;
    if privileged {
        caps::clear(None, CapSet::Ambient).map_err(step("clear ambient capabilities"))?;
        caps::clear(None, CapSet::Bounding).map_err(step("clear the bounding set"))?;
        process::lock_securebits().map_err(step("lock the secure bits"))?;
    }
    if let Some(id) = walls.identity {
        let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
        setgroups(&[]).map_err(step("drop groups"))?;
        setresgid(gid, gid, gid).map_err(step("set its group"))?;
        setresuid(uid, uid, uid).map_err(step("set its user"))?;
    }
    for set in [CapSet::Effective, CapSet::Permitted, CapSet::Inheritable] {
        caps::clear(None, set).map_err(step("clear capabilities"))?;
    }
    Ok(())
}

fn step<E: Display>(step: &'static str) -> impl FnOnce(E) -> String {
    move |error| format!("{step}: {error}")
}

fn fail(step: &str, error: impl Display) -> SpawnError {
    SpawnError(format!("cannot start a worker: {step}: {error}"))
}
