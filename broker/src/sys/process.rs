//! Processes: new ones in namespaces of their own, and what is imposed on them.

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::Mutex;
use std::time::Duration;

/// Which side of a fork this is.
pub(crate) enum Forked {
    Child,
    Parent { pid: Pid, process: OwnedFd },
}

thread_local! {
    /// Where processes begin that this one makes by [`fork_into`]. It has one thread.
    static GROUP: OnceCell<Rc<OwnedFd>> = const { OnceCell::new() };
}

/// From now on every process that this one makes by [`fork_into`], and all that come of it, begin in a control group, of
/// which this is the directory. `EBUSY` if they begin in one already.
pub(crate) fn put_children_into(group: Rc<OwnedFd>) -> nix::Result<()> {
    GROUP.with(|cell| cell.set(group)).map_err(|_| Errno::EBUSY)
}

/// Forks, the child in new namespaces (`CLONE_NEW*`), with a descriptor of the child (clone(2)). `EDEADLK` if this
/// process has more than one thread.
pub(crate) fn fork_into(namespaces: libc::c_int) -> nix::Result<Forked> {
    confirm_one_thread()?;
    let mut process: RawFd = -1;
    let group = GROUP.with(|cell| cell.get().cloned());
    let result = match clone3(namespaces, group.as_deref(), &mut process) {
        // What filters system calls by their arguments cannot look into clone3's and says that there is none, as
        // systemd does for `RestrictNamespaces=` (systemd.exec(5)).
        Err(Errno::ENOSYS) => clone(namespaces, group.as_deref(), &mut process),
        result => result,
    };
    match result? {
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent {
            pid: Pid::from_raw(i32::try_from(pid).map_err(|_| Errno::EOVERFLOW)?),
            // SAFETY: the kernel has just made this descriptor for us.
            process: unsafe { OwnedFd::from_raw_fd(process) },
        }),
    }
}

/// The child's number, in the child 0; `process` becomes a descriptor of it. The child begins in `group`.
fn clone3(namespaces: libc::c_int, group: Option<&OwnedFd>, process: &mut RawFd) -> nix::Result<libc::c_long> {
    // SAFETY: `clone_args` is plain numbers, for which zero is valid.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = u64::try_from(namespaces | libc::CLONE_PIDFD).map_err(|_| Errno::EINVAL)?;
    if let Some(group) = group {
        const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000; // linux/sched.h
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = u64::try_from(group.as_raw_fd()).map_err(|_| Errno::EBADF)?;
    }
    arguments.pidfd = (&raw mut *process) as u64;
    arguments.exit_signal = libc::SIGCHLD as u64;
    // SAFETY: without CLONE_VM the child has its own copy of everything, as after fork(2), and the caller has no
    // other thread whose locks it could inherit; the structure lives across the call and the kernel writes only `process`.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<libc::clone_args>()) };
    Errno::result(result)
}

/// The same by the older call: the child enters the group itself, or ends.
fn clone(namespaces: libc::c_int, group: Option<&OwnedFd>, process: &mut RawFd) -> nix::Result<libc::c_long> {
    let flags = namespaces | libc::CLONE_PIDFD | libc::SIGCHLD;
    let none = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: as for clone3; a null stack keeps the parent's, of which the child has its own copy. The orders of
    // arguments of x86-64 and AArch64 differ in the fourth and fifth only, which are not used.
    let result = unsafe { libc::syscall(libc::SYS_clone, flags, none, &raw mut *process, none, none) };
    if result == 0
        && let Some(group) = group
        && super::cgroup::write(group, "cgroup.procs", "0").is_err()
    {
        exit_now(1)
    }
    Errno::result(result)
}

/// Forks a copy that goes on with the parent's code: a session. `EDEADLK` if this process has more than one thread.
pub(crate) fn fork() -> nix::Result<Forked> {
    confirm_one_thread()?;
    // SAFETY: there is one thread, so the child may go on as if nothing had happened.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Child => Ok(Forked::Child),
        // The child cannot be reaped before this process waits for it, so its number still means it.
        nix::unistd::ForkResult::Parent { child } => match pidfd_open(child) {
            Ok(process) => Ok(Forked::Parent { pid: child, process }),
            Err(errno) => {
                // Nobody could end it, or count it, later.
                let _ = nix::sys::signal::kill(child, Signal::SIGKILL);
                let _ = nix::sys::wait::waitpid(child, None);
                Err(errno)
            }
        },
    }
}

/// A descriptor of a process (pidfd_open(2)).
pub(crate) fn pidfd_open(pid: Pid) -> nix::Result<OwnedFd> {
    // SAFETY: no memory is passed.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let descriptor = RawFd::try_from(Errno::result(result)?).map_err(|_| Errno::EOVERFLOW)?;
    // SAFETY: the kernel has just made this descriptor for us; pidfds are close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Signals exactly this process (pidfd_send_signal(2)).
pub(crate) fn signal(process: impl AsFd, signal: Signal) -> nix::Result<()> {
    send(process, signal as libc::c_int)
}

/// Whether the kernel would let a process be signalled: an error says why not.
pub(crate) fn may_signal(process: impl AsFd) -> nix::Result<()> {
    send(process, 0)
}

fn send(process: impl AsFd, signal: libc::c_int) -> nix::Result<()> {
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the kernel takes a null `siginfo_t` as "as kill(2) would".
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_fd().as_raw_fd(), signal, none, 0) };
    Errno::result(result).map(drop)
}

/// The user namespace that owns a namespace (ioctl_ns(2)); `EPERM` where it is none that this process can see.
pub(crate) fn owner_of(namespace: impl AsFd) -> nix::Result<OwnedFd> {
    const NS_GET_USERNS: libc::c_ulong = 0xb701;
    // SAFETY: no memory is passed.
    let result = unsafe { libc::ioctl(namespace.as_fd().as_raw_fd(), NS_GET_USERNS) };
    let owner = Errno::result(result)?;
    // SAFETY: the kernel has just made this descriptor for us; it is close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(owner) })
}

/// Whether a process still has its number: it runs, or has ended and nobody has waited for it.
pub(crate) fn is_there(process: impl AsFd) -> bool {
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the kernel takes a null `siginfo_t`; signal 0 only asks.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_fd().as_raw_fd(), 0, none, 0) };
    Errno::result(result) != Err(Errno::ESRCH)
}

/// How long the machine has run, its sleep included.
pub(crate) fn uptime() -> nix::Result<Duration> {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).map(Duration::from)
}

/// The machine's memory, in bytes (sysinfo(2)).
pub(crate) fn memory() -> nix::Result<u64> {
    nix::sys::sysinfo::sysinfo().map(|info| info.ram_total())
}

/// Whether filters of system calls can end a process (seccomp(2)).
pub(crate) fn can_kill_by_seccomp() -> nix::Result<()> {
    const GET_ACTION_AVAIL: libc::c_uint = 2; // linux/seccomp.h
    let action = libc::SECCOMP_RET_KILL_PROCESS;
    // SAFETY: the kernel reads one number, which lives across the call.
    Errno::result(unsafe { libc::syscall(libc::SYS_seccomp, GET_ACTION_AVAIL, 0, &raw const action) }).map(drop)
}

/// Whether paths can be resolved by openat2(2): what filters system calls without knowing it would make every file fail.
pub(crate) fn has_openat2() -> nix::Result<()> {
    use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, openat2};
    openat2(AT_FDCWD, "/", OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC)).map(drop)
}

/// The same, or why nothing can be served here.
pub(crate) fn confirm_openat2() -> Result<(), String> {
    let refused = |errno: Errno| {
        format!(
            "cannot open paths by openat2 on this host: {}; Linux 5.6 has it, and filters may keep it",
            errno.desc()
        )
    };
    has_openat2().map_err(refused)
}

/// Forking goes on in the child only where no other thread can hold a lock that the child would inherit. The kernel
/// counts threads as links of this directory, besides its own two (proc(5)).
fn confirm_one_thread() -> nix::Result<()> {
    match nix::sys::stat::stat("/proc/self/task")?.st_nlink {
        3 => Ok(()),
        _ => Err(Errno::EDEADLK),
    }
}

/// Processor time that a process has used so far.
pub(crate) fn cpu_time(pid: Pid) -> nix::Result<Duration> {
    let clock = nix::time::clock_getcpuclockid(pid)?;
    nix::time::clock_gettime(clock).map(Duration::from)
}

/// The processor this thread runs on.
pub(crate) fn current_cpu() -> nix::Result<usize> {
    nix::sched::sched_getcpu()
}

/// Closes all descriptors from `first` on, and the ones that are not in `kept` (ascending) among them.
pub(crate) fn close_all_but(first: RawFd, kept: &[RawFd]) -> nix::Result<()> {
    let mut from = first;
    for &keep in kept {
        if keep > from {
            close_range(from, keep - 1)?;
        }
        from = from.max(keep + 1);
    }
    close_range(from, RawFd::MAX)
}

fn close_range(from: RawFd, to: RawFd) -> nix::Result<()> {
    // SAFETY: no memory is passed. Callers are new children that use no descriptor but those they keep.
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, from, to, 0) }).map(drop)
}

/// Makes `descriptor` known as number `number`, not closed on exec.
pub(crate) fn place(descriptor: impl AsFd, number: RawFd) -> nix::Result<()> {
    let descriptor = descriptor.as_fd().as_raw_fd();
    if descriptor == number {
        // dup2(2) of a descriptor onto itself would leave it close-on-exec.
        // SAFETY: no memory is passed.
        return Errno::result(unsafe { libc::fcntl(descriptor, libc::F_SETFD, 0) }).map(drop);
    }
    // SAFETY: no memory is passed; the caller is a new child in which nothing else owns `number`.
    Errno::result(unsafe { libc::dup2(descriptor, number) }).map(drop)
}

/// A copy of `descriptor` at `first` or above, closed on exec.
pub(crate) fn duplicate_above(descriptor: impl AsFd, first: RawFd) -> nix::Result<OwnedFd> {
    use nix::fcntl::{FcntlArg, fcntl};
    let copy = fcntl(descriptor, FcntlArg::F_DUPFD_CLOEXEC(first))?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Takes the descriptor that this process was started with as `number`. Each can be taken once.
pub(crate) fn inherited(number: RawFd) -> nix::Result<OwnedFd> {
    static TAKEN: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());
    if !TAKEN.lock().is_ok_and(|mut taken| taken.insert(number)) {
        return Err(Errno::EBUSY);
    }
    // SAFETY: no memory is passed.
    Errno::result(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    // SAFETY: it was open when the process started, and nobody has taken it before.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Sets and locks the secure bits (capabilities(7)): no capability comes from being uid 0, and none
/// can be made ambient or kept over a change of ids.
pub(crate) fn lock_securebits() -> nix::Result<()> {
    // linux/securebits.h
    const NOROOT: libc::c_ulong = 1 << 0;
    const NO_CAP_AMBIENT_RAISE: libc::c_ulong = 1 << 6;
    const LOCKED: libc::c_ulong = 0b1010_1010;
    let bits = NOROOT | NO_CAP_AMBIENT_RAISE | LOCKED;
    // SAFETY: numbers only.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_SECUREBITS, bits, 0, 0, 0) }).map(drop)
}

/// Gives every signal its default effect again: what is ignored stays so across an exec (signal(7)).
pub(crate) fn reset_signals() -> nix::Result<()> {
    for signal in Signal::iterator().filter(|signal| !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP)) {
        // SAFETY: the default effect runs no code of this program.
        unsafe { nix::sys::signal::signal(signal, nix::sys::signal::SigHandler::SigDfl) }?;
    }
    Ok(())
}

/// Ends the process at once: no destructors, no buffers, no handlers of the parent's program.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: always sound; it does not return.
    unsafe { libc::_exit(code) }
}

/// Ends this process by `SIGALRM` after `seconds`, whatever it hangs in: the last resort behind a run's deadline.
pub(crate) fn end_after(seconds: u32) {
    nix::unistd::alarm::set(seconds);
}

/// The Landlock ABI of the running kernel (landlock_create_ruleset(2)); an error where there is none.
pub(crate) fn landlock_abi() -> nix::Result<i32> {
    const VERSION: u32 = 1; // LANDLOCK_CREATE_RULESET_VERSION, linux/landlock.h
    let none = std::ptr::null::<libc::c_void>();
    // SAFETY: with this flag the kernel takes a null attribute of size zero and reads nothing.
    let result = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0usize, VERSION) };
    i32::try_from(Errno::result(result)?).map_err(|_| Errno::EOVERFLOW)
}
