//! The system calls that a confined program does not have: what would go around the rights on files.
//!
//! Landlock governs opening, making, removing and executing, and not modes, owners, attributes or times, sockets with a name,
//! or the machine itself. Those are taken away here. It is a list of what is denied, since a program may be any program;
//! numbers of another architecture and of x32 end the process.

use crate::sys::seccomp::{self, Check};
use libc::c_long;

/// What is denied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Denied {
    /// Changing permission bits.
    pub(super) modes: bool,
    /// Changing owners.
    pub(super) owners: bool,
    /// Changing extended attributes.
    pub(super) attributes: bool,
    /// Changing times.
    pub(super) times: bool,
    /// Changing the machine, other processes, or the walls.
    pub(super) system: bool,
    /// Sockets by which other processes could be asked to act.
    pub(super) local_sockets: bool,
    /// All sockets.
    pub(super) network: bool,
}

impl Denied {
    pub(super) const ALL: Denied = Denied {
        modes: true,
        owners: true,
        attributes: true,
        times: true,
        system: true,
        local_sockets: true,
        network: true,
    };
}

const MODES: &[c_long] = &[libc::SYS_fchmod, libc::SYS_fchmodat, libc::SYS_fchmodat2];
const OWNERS: &[c_long] = &[libc::SYS_fchown, libc::SYS_fchownat];
const ATTRIBUTES: &[c_long] = &[
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    SETXATTRAT,
    REMOVEXATTRAT,
    FILE_SETATTR,
];
const TIMES: &[c_long] = &[libc::SYS_utimensat];
const SYSTEM: &[c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];
// Newer than the C library's list: asm-generic/unistd.h, the same on all architectures since 5.1.
const SETXATTRAT: c_long = 463;
const REMOVEXATTRAT: c_long = 466;
const FILE_SETATTR: c_long = 469;

// The older forms that only some architectures have.
#[cfg(target_arch = "x86_64")]
const OLD_MODES: &[c_long] = &[libc::SYS_chmod];
#[cfg(target_arch = "x86_64")]
const OLD_OWNERS: &[c_long] = &[libc::SYS_chown, libc::SYS_lchown];
#[cfg(target_arch = "x86_64")]
const OLD_TIMES: &[c_long] = &[libc::SYS_utime, libc::SYS_utimes, libc::SYS_futimesat];
#[cfg(target_arch = "x86_64")]
const OLD_SYSTEM: &[c_long] =
    &[libc::SYS_ioperm, libc::SYS_iopl, libc::SYS_kexec_file_load, libc::SYS_modify_ldt, libc::SYS_uselib];
#[cfg(not(target_arch = "x86_64"))]
const OLD_MODES: &[c_long] = &[];
#[cfg(not(target_arch = "x86_64"))]
const OLD_OWNERS: &[c_long] = &[];
#[cfg(not(target_arch = "x86_64"))]
const OLD_TIMES: &[c_long] = &[];
#[cfg(not(target_arch = "x86_64"))]
const OLD_SYSTEM: &[c_long] = &[];

/// Takes them away from the calling process and all that it starts. It must have `no_new_privs`.
pub(super) fn install(denied: &Denied) -> nix::Result<()> {
    seccomp::install(&checks(denied))
}

fn checks(denied: &Denied) -> Vec<Check> {
    let mut checks = Vec::new();
    for (is_denied, lists) in [
        (denied.modes, [MODES, OLD_MODES]),
        (denied.owners, [OWNERS, OLD_OWNERS]),
        (denied.attributes, [ATTRIBUTES, &[]]),
        (denied.times, [TIMES, OLD_TIMES]),
        (denied.system, [SYSTEM, OLD_SYSTEM]),
    ] {
        if is_denied {
            checks.extend(lists.into_iter().flatten().map(|&call| Check::deny(call, libc::EPERM)));
        }
    }
    if denied.system {
        // A new user namespace would give every capability inside it. What clone3 asks for cannot be seen here; programs
        // fall back to clone.
        let namespaces = u32::try_from(libc::CLONE_NEWUSER).unwrap_or(0);
        checks.push(Check::deny_bits(libc::SYS_clone, 0, namespaces, libc::EPERM));
        checks.push(Check::deny(libc::SYS_clone3, libc::ENOSYS));
    }
    if denied.network {
        checks.push(Check::deny(libc::SYS_socket, libc::EACCES));
    } else if denied.local_sockets {
        for family in [libc::AF_UNIX, libc::AF_VSOCK, libc::AF_ALG, libc::AF_PACKET] {
            let family = u32::try_from(family).unwrap_or(0);
            checks.push(Check::deny_value(libc::SYS_socket, 0, family, libc::EACCES));
        }
    }
    checks
}
