//! Attacks by system call, as native code in a worker could try them.

use libc::{c_long, syscall};
use std::sync::atomic::{AtomicI32, Ordering};

/// Name and act. A result of -1 carries `errno`.
pub(crate) type Attack = (&'static str, fn() -> c_long);

/// All of them.
pub(crate) const ATTACKS: &[Attack] = &[
    // Controls: what a worker may do, so that a filter that kills everything is not taken for a good one.
    ("control: nothing", || 0),
    ("control: memory", control_memory),
    ("control: clock", || c_long::from(std::time::Instant::now().elapsed().as_secs() < 5) - 1),
    ("control: read what was donated", || c_long::from(read_at(donated()) > 0) - 1),
    ("control: let go of what was donated", || {
        // Closed once, it is gone: the second time there is nothing to close.
        call1(libc::SYS_close, donated()) + c_long::from(call1(libc::SYS_close, donated()) == -1) - 1
    }),
    ("control: no other file is there to be read", || {
        c_long::from((4..2000).chain([-1]).all(|number| read_at(number) == -1)) - 1
    }),
    // What it was started with, and its socket.
    ("read the socket as a file", || read_at(3)),
    ("read the null device", || read_at(0)),
    ("close the socket", || call1(libc::SYS_close, 3)),
    ("close descriptor 2, which may be written to", || call1(libc::SYS_close, 2)),
    ("close a range", || call3(libc::SYS_close_range, 0, 100, 0)),
    ("hear another socket", || call3(libc::SYS_recvmsg, 4, buffer(), 0)),
    // A donated file: it can be read, and nothing else.
    ("donated: write", || call3(libc::SYS_write, donated(), path(c"x"), 1)),
    ("donated: write at a place", || call4(libc::SYS_pwrite64, donated(), path(c"x"), 1, 0)),
    ("donated: cut", || call2(libc::SYS_ftruncate, donated(), 0)),
    ("donated: set space aside", || call4(libc::SYS_fallocate, donated(), 0, 0, 1)),
    ("donated: move the position", || call3(libc::SYS_lseek, donated(), 0, 2)),
    ("donated: read at the position", || call3(libc::SYS_read, donated(), buffer(), 1)),
    ("donated: map shared", || map_file(libc::PROT_READ, libc::MAP_SHARED)),
    ("donated: map shared, to be written", || map_file(libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED)),
    ("donated: map shared and checked", || map_file(libc::PROT_READ, libc::MAP_SHARED_VALIDATE)),
    ("donated: map privately", || map_file(libc::PROT_READ, libc::MAP_PRIVATE)),
    ("donated: map executable", || map_file(libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE)),
    ("donated: execute", || call5(libc::SYS_execveat, donated(), path(c""), 0, 0, libc::AT_EMPTY_PATH.into())),
    ("donated: look at it", || call2(libc::SYS_fstat, donated(), buffer())),
    ("donated: change its mode", || call2(libc::SYS_fchmod, donated(), 0o666)),
    ("donated: change its owner", || call3(libc::SYS_fchown, donated(), 0, 0)),
    ("donated: change its times", || call4(libc::SYS_utimensat, donated(), 0, 0, 0)),
    ("donated: lock", || call2(libc::SYS_flock, donated(), 2)),
    ("donated: lease", || call3(libc::SYS_fcntl, donated(), 1024, 0)),
    ("donated: command", || call3(libc::SYS_ioctl, donated(), 0x6601, buffer())),
    ("donated: duplicate", || call1(libc::SYS_dup, donated())),
    ("donated: duplicate over descriptor 2", || call3(libc::SYS_dup3, donated(), 2, 0)),
    ("donated: duplicate over the socket", || call3(libc::SYS_dup3, donated(), 3, 0)),
    ("donated: open again through it", || call3(libc::SYS_openat, donated(), path(c"../shadow"), 0)),
    ("donated: link", || {
        call5(libc::SYS_linkat, donated(), path(c""), AT_FDCWD, path(c"/tmp/x"), libc::AT_EMPTY_PATH.into())
    }),
    ("donated: copy into a pipe", || call4(libc::SYS_sendfile, 3, donated(), 0, 1)),
    ("donated: copy a range", || call6(libc::SYS_copy_file_range, donated(), 0, donated(), 0, 1, 0)),
    ("donated: pass on", || call3(libc::SYS_sendmsg, 3, buffer(), 0)),
    // Files.
    ("open", || call3(libc::SYS_openat, AT_FDCWD, path(c"/etc/passwd"), 0)),
    #[cfg(target_arch = "x86_64")]
    ("open, the old way", || call3(libc::SYS_open, path(c"/etc/passwd"), 0, 0)),
    ("openat2", || call4(libc::SYS_openat2, AT_FDCWD, path(c"/etc/passwd"), (&raw const OPEN_HOW) as c_long, 24)),
    ("open by handle", || call3(libc::SYS_open_by_handle_at, 3, 0, 0)),
    ("name to handle", || call5(libc::SYS_name_to_handle_at, AT_FDCWD, path(c"/"), 0, 0, 0)),
    ("stat", || call4(libc::SYS_newfstatat, AT_FDCWD, path(c"/etc/shadow"), buffer(), 0)),
    ("statx", || call5(libc::SYS_statx, AT_FDCWD, path(c"/etc/shadow"), 0, 0, buffer())),
    ("readlink of /proc/self/exe", || call4(libc::SYS_readlinkat, AT_FDCWD, path(c"/proc/self/exe"), buffer(), 256)),
    ("access", || call3(libc::SYS_faccessat, AT_FDCWD, path(c"/etc/passwd"), 4)),
    ("list the root", || call3(libc::SYS_getdents64, 3, buffer(), 256)),
    ("remove", || call3(libc::SYS_unlinkat, AT_FDCWD, path(c"/tmp/rex-probe-none"), 0)),
    ("rename", || call5(libc::SYS_renameat2, AT_FDCWD, path(c"/tmp/a"), AT_FDCWD, path(c"/tmp/b"), 0)),
    ("make a directory", || call3(libc::SYS_mkdirat, AT_FDCWD, path(c"/tmp/rex-probe"), 0o777)),
    ("make a device", || call4(libc::SYS_mknodat, AT_FDCWD, path(c"/tmp/rex-probe"), 0o020666, 0x0103)),
    ("make a link", || call3(libc::SYS_symlinkat, path(c"/etc/shadow"), AT_FDCWD, path(c"/tmp/rex-probe"))),
    ("change a mode", || call3(libc::SYS_fchmodat, AT_FDCWD, path(c"/etc/passwd"), 0o666)),
    ("change an owner", || call5(libc::SYS_fchownat, AT_FDCWD, path(c"/etc/passwd"), 0, 0, 0)),
    ("change directory", || call1(libc::SYS_chdir, path(c"/etc"))),
    ("memfd", || call2(libc::SYS_memfd_create, path(c"x"), 0)),
    ("secret memfd", || call1(libc::SYS_memfd_secret, 0)),
    ("watch files", || call1(libc::SYS_inotify_init1, 0)),
    ("watch all files", || call2(libc::SYS_fanotify_init, 0, 0)),
    // Programs and processes.
    ("exec", || call3(libc::SYS_execve, path(c"/bin/sh"), 0, 0)),
    ("exec by descriptor", || call5(libc::SYS_execveat, 3, path(c""), 0, 0, libc::AT_EMPTY_PATH.into())),
    #[cfg(target_arch = "x86_64")]
    ("fork", || call0(libc::SYS_fork)),
    #[cfg(target_arch = "x86_64")]
    ("vfork", || call0(libc::SYS_vfork)),
    ("clone", || call5(libc::SYS_clone, libc::SIGCHLD.into(), 0, 0, 0, 0)),
    ("clone3", || call2(libc::SYS_clone3, (&raw const CLONE_ARGS) as c_long, 64)),
    ("a thread", || {
        call5(libc::SYS_clone, (libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND).into(), 0, 0, 0, 0)
    }),
    ("signal its parent", || call2(libc::SYS_kill, 1, 9)),
    ("signal everybody", || call2(libc::SYS_kill, -1, 9)),
    ("signal a thread", || call3(libc::SYS_tgkill, 1, 1, 9)),
    ("signal with a value", || call3(libc::SYS_rt_sigqueueinfo, 1, 9, buffer())),
    ("open a process", || call2(libc::SYS_pidfd_open, 1, 0)),
    ("take a descriptor", || call3(libc::SYS_pidfd_getfd, 3, 0, 0)),
    ("signal by descriptor", || call4(libc::SYS_pidfd_send_signal, 3, 9, 0, 0)),
    ("be traced", || call4(libc::SYS_ptrace, libc::PTRACE_TRACEME.into(), 0, 0, 0)),
    ("trace", || call4(libc::SYS_ptrace, libc::PTRACE_ATTACH.into(), 1, 0, 0)),
    ("read another's memory", || call6(libc::SYS_process_vm_readv, 1, buffer(), 1, buffer(), 1, 0)),
    ("write another's memory", || call6(libc::SYS_process_vm_writev, 1, buffer(), 1, buffer(), 1, 0)),
    ("advise another's memory", || call5(libc::SYS_process_madvise, 3, buffer(), 1, 0, 0)),
    ("compare processes", || call5(libc::SYS_kcmp, 1, 1, 0, 0, 0)),
    ("move to another processor", || call3(libc::SYS_sched_setaffinity, 0, 8, buffer())),
    ("gain priority", || call3(libc::SYS_setpriority, 0, 0, -20)),
    ("raise limits", || call4(libc::SYS_prlimit64, 0, libc::RLIMIT_AS.into(), (&raw const UNLIMITED) as c_long, 0)),
    // Network.
    ("socket: ipv4", || socket(libc::AF_INET, libc::SOCK_STREAM)),
    ("socket: ipv6", || socket(libc::AF_INET6, libc::SOCK_DGRAM)),
    ("socket: unix", || socket(libc::AF_UNIX, libc::SOCK_STREAM)),
    ("socket: netlink", || socket(libc::AF_NETLINK, libc::SOCK_RAW)),
    ("socket: packet", || socket(libc::AF_PACKET, libc::SOCK_RAW)),
    ("socket: vsock", || socket(libc::AF_VSOCK, libc::SOCK_STREAM)),
    ("socket: alg", || socket(libc::AF_ALG, libc::SOCK_SEQPACKET)),
    ("socket: mptcp", || call3(libc::SYS_socket, libc::AF_INET.into(), libc::SOCK_STREAM.into(), 262)),
    ("socket pair", || call4(libc::SYS_socketpair, libc::AF_UNIX.into(), libc::SOCK_STREAM.into(), 0, buffer())),
    ("connect to an abstract socket", || call3(libc::SYS_connect, 3, (&raw const ABSTRACT) as c_long, 16)),
    ("bind", || call3(libc::SYS_bind, 3, (&raw const ABSTRACT) as c_long, 16)),
    ("listen", || call2(libc::SYS_listen, 3, 1)),
    ("accept", || call4(libc::SYS_accept4, 3, 0, 0, 0)),
    ("change the socket", || {
        call5(libc::SYS_setsockopt, 3, libc::SOL_SOCKET.into(), libc::SO_PASSCRED.into(), buffer(), 4)
    }),
    // Kernel interfaces.
    ("io_uring: set up", || call2(libc::SYS_io_uring_setup, 1, buffer())),
    ("io_uring: enter", || call6(libc::SYS_io_uring_enter, 3, 1, 1, 0, 0, 0)),
    ("io_uring: register", || call4(libc::SYS_io_uring_register, 3, 0, 0, 0)),
    ("bpf", || call3(libc::SYS_bpf, 0, buffer(), 64)),
    ("performance events", || call5(libc::SYS_perf_event_open, buffer(), 0, -1, -1, 0)),
    ("userfaultfd", || call1(libc::SYS_userfaultfd, 0)),
    ("keyctl", || call2(libc::SYS_keyctl, 0, -3)),
    ("add a key", || call5(libc::SYS_add_key, path(c"user"), path(c"x"), buffer(), 1, -3)),
    ("kernel log", || call3(libc::SYS_syslog, 3, buffer(), 256)),
    ("load a module", || call3(libc::SYS_finit_module, 3, path(c""), 0)),
    ("another kernel", || call5(libc::SYS_kexec_load, 0, 0, 0, 0, 0)),
    ("reboot", || call4(libc::SYS_reboot, 0, 0, 0, 0)),
    ("swap", || call2(libc::SYS_swapon, path(c"/x"), 0)),
    ("set the clock", || call2(libc::SYS_clock_settime, 0, buffer())),
    ("set the host name", || call2(libc::SYS_sethostname, path(c"x"), 1)),
    ("accounting", || call1(libc::SYS_acct, path(c"/x"))),
    ("message queue", || call4(libc::SYS_mq_open, path(c"x"), 0, 0, 0)),
    ("shared memory", || call3(libc::SYS_shmget, 0, 4096, 0o1777)),
    // Executable memory.
    ("map executable memory", || map(libc::PROT_READ | libc::PROT_EXEC)),
    ("map writable and executable memory", || map(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC)),
    ("make memory executable", || call3(libc::SYS_mprotect, page(), 4096, (libc::PROT_READ | libc::PROT_EXEC).into())),
    ("make memory executable with a key", || {
        call4(libc::SYS_pkey_mprotect, page(), 4096, (libc::PROT_READ | libc::PROT_EXEC).into(), -1)
    }),
    ("map its socket", || call6(libc::SYS_mmap, 0, 4096, libc::PROT_READ.into(), libc::MAP_SHARED.into(), 3, 0)),
    // Walls.
    ("new user namespace", || call1(libc::SYS_unshare, libc::CLONE_NEWUSER.into())),
    ("new mount namespace", || call1(libc::SYS_unshare, libc::CLONE_NEWNS.into())),
    ("enter a namespace", || call2(libc::SYS_setns, 3, 0)),
    ("mount", || call5(libc::SYS_mount, path(c"none"), path(c"/tmp"), path(c"tmpfs"), 0, 0)),
    ("unmount", || call2(libc::SYS_umount2, path(c"/proc"), libc::MNT_DETACH.into())),
    ("mount, the new way", || call2(libc::SYS_fsopen, path(c"tmpfs"), 0)),
    ("take a tree", || call3(libc::SYS_open_tree, AT_FDCWD, path(c"/"), 1)),
    ("change root", || call1(libc::SYS_chroot, path(c"/tmp"))),
    ("pivot root", || call2(libc::SYS_pivot_root, path(c"/tmp"), path(c"/tmp"))),
    ("become root", || call1(libc::SYS_setuid, 0)),
    ("become root in all ids", || call3(libc::SYS_setresuid, 0, 0, 0)),
    ("become root's group", || call3(libc::SYS_setresgid, 0, 0, 0)),
    ("take groups", || call2(libc::SYS_setgroups, 1, buffer())),
    ("take capabilities", || call2(libc::SYS_capset, buffer(), buffer())),
    ("become dumpable", || call5(libc::SYS_prctl, libc::PR_SET_DUMPABLE.into(), 1, 0, 0, 0)),
    ("outlive its session", || call5(libc::SYS_prctl, libc::PR_SET_PDEATHSIG.into(), 0, 0, 0, 0)),
    ("take an ambient capability", || call5(libc::SYS_prctl, libc::PR_CAP_AMBIENT.into(), 2, 21, 0, 0)),
    ("another filter", || call3(libc::SYS_seccomp, 1, 0, buffer())),
    ("another landlock", || call2(libc::SYS_landlock_restrict_self, 3, 0)),
    ("personality", || call1(libc::SYS_personality, 0x0040_0000)),
    ("type into a terminal", || call3(libc::SYS_ioctl, 0, 0x5412, buffer())),
    ("splice", || call6(libc::SYS_splice, 3, 0, 0, 0, 1, 0)),
    #[cfg(target_arch = "x86_64")]
    ("input and output ports", || call1(libc::SYS_iopl, 3)),
    #[cfg(target_arch = "x86_64")]
    ("a local descriptor table", || call3(libc::SYS_modify_ldt, 1, buffer(), 16)),
    // Other system call tables.
    #[cfg(target_arch = "x86_64")]
    ("x32: getpid", || call0(0x4000_0000 | libc::SYS_getpid)),
    #[cfg(target_arch = "x86_64")]
    ("x32: a number that is allowed", || call3(0x4000_0000 | libc::SYS_write, 3, buffer(), 1)),
    #[cfg(target_arch = "x86_64")]
    ("i386: getpid", i386_getpid),
    ("a number that does not exist", || call0(100_000)),
];

/// The file that the session donated to an attack that is named for it.
pub(crate) static DONATED: AtomicI32 = AtomicI32::new(-1);

fn donated() -> c_long {
    DONATED.load(Ordering::Relaxed).into()
}

fn read_at(number: c_long) -> c_long {
    call4(libc::SYS_pread64, number, buffer(), 16, 0)
}

fn map_file(protection: i32, kind: i32) -> c_long {
    call6(libc::SYS_mmap, 0, 4096, protection.into(), kind.into(), donated(), 0)
}

const AT_FDCWD: c_long = libc::AT_FDCWD as c_long;

static OPEN_HOW: [u64; 3] = [0; 3];
static CLONE_ARGS: [u64; 8] = [0, 0, 0, 0, 17, 0, 0, 0];
static UNLIMITED: [u64; 2] = [u64::MAX; 2];
static ABSTRACT: [u8; 16] = *b"\x01\x00\x00rex-probe-soc";
static mut BUFFER: [u8; 4096] = [0; 4096];

fn path(path: &'static std::ffi::CStr) -> c_long {
    path.as_ptr() as c_long
}

fn buffer() -> c_long {
    (&raw mut BUFFER) as c_long
}

fn socket(family: i32, kind: i32) -> c_long {
    call3(libc::SYS_socket, family.into(), kind.into(), 0)
}

fn map(protection: i32) -> c_long {
    call6(libc::SYS_mmap, 0, 4096, protection.into(), (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS).into(), -1, 0)
}

/// A page of its own.
fn page() -> c_long {
    map(libc::PROT_READ | libc::PROT_WRITE)
}

fn control_memory() -> c_long {
    let large = vec![1u8; 8 * 1024 * 1024];
    c_long::from(large.iter().map(|&byte| u64::from(byte)).sum::<u64>() == 8 * 1024 * 1024) - 1
}

#[cfg(target_arch = "x86_64")]
fn i386_getpid() -> c_long {
    let result: c_long;
    // SAFETY: the i386 gate takes the number in eax and gives the result there; it reads no memory for this call.
    unsafe {
        std::arch::asm!("int 0x80", inlateout("rax") 20 as c_long => result, out("r8") _, out("r9") _, out("r10") _, out("r11") _)
    };
    result
}

fn call0(number: c_long) -> c_long {
    call6(number, 0, 0, 0, 0, 0, 0)
}
fn call1(number: c_long, a: c_long) -> c_long {
    call6(number, a, 0, 0, 0, 0, 0)
}
fn call2(number: c_long, a: c_long, b: c_long) -> c_long {
    call6(number, a, b, 0, 0, 0, 0)
}
fn call3(number: c_long, a: c_long, b: c_long, c: c_long) -> c_long {
    call6(number, a, b, c, 0, 0, 0)
}
fn call4(number: c_long, a: c_long, b: c_long, c: c_long, d: c_long) -> c_long {
    call6(number, a, b, c, d, 0, 0)
}
fn call5(number: c_long, a: c_long, b: c_long, c: c_long, d: c_long, e: c_long) -> c_long {
    call6(number, a, b, c, d, e, 0)
}
fn call6(number: c_long, a: c_long, b: c_long, c: c_long, d: c_long, e: c_long, f: c_long) -> c_long {
    // SAFETY: an attacker does not care; what is passed is valid, or the call is expected to kill.
    unsafe { syscall(number, a, b, c, d, e, f) }
}
