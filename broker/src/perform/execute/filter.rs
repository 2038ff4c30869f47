//! The system calls that a confined program does not have: what would go around the rights on files.
//!
//! Landlock governs opening, making, removing and executing, and not modes, owners, attributes or times, other names in the
//! same directory, sockets with a name, or the machine itself. Those are taken away here. It is a list of what is denied, since a program may be any program;
//! numbers of another architecture and of x32 end the process.

use crate::sys::seccomp::{self, Argument, Check};
use libc::c_long;

/// What is denied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Denied {
    /// Changing permission bits, and making files with set-id bits.
    pub(super) modes: bool,
    /// Changing owners.
    pub(super) owners: bool,
    /// Changing extended attributes, and the attributes that are not extended (ioctl_iflags(2)).
    pub(super) attributes: bool,
    /// Reading extended attributes.
    pub(super) attribute_reads: bool,
    /// Giving other names: the rights on files go by the file, and those of policy by the name.
    pub(super) renames: bool,
    /// Emptying files, where this kernel's Landlock does not govern it.
    pub(super) truncation: bool,
    /// Signals, where this kernel's Landlock does not keep them inside.
    pub(super) signals: bool,
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
        attribute_reads: true,
        renames: true,
        truncation: true,
        signals: false,
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
const ATTRIBUTE_READS: &[c_long] = &[
    libc::SYS_getxattr,
    libc::SYS_lgetxattr,
    libc::SYS_fgetxattr,
    libc::SYS_listxattr,
    libc::SYS_llistxattr,
    libc::SYS_flistxattr,
    GETXATTRAT,
    LISTXATTRAT,
];
const RENAMES: &[c_long] = &[libc::SYS_renameat, libc::SYS_renameat2];
const SIGNALS: &[c_long] = &[
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_tgkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_send_signal,
];
/// What is queued is done without passing the list.
const QUEUES: &[c_long] = &[libc::SYS_io_uring_enter, libc::SYS_io_uring_register, libc::SYS_io_uring_setup];
const TIMES: &[c_long] = &[libc::SYS_utimensat];
const SYSTEM: &[c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    // These tell the names of what others do in directories that must not be read.
    libc::SYS_inotify_init1,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    // A second name in a place that may be read makes readable what is not: policy has no action for it.
    libc::SYS_linkat,
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
const GETXATTRAT: c_long = 464;
const LISTXATTRAT: c_long = 465;
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
const OLD_RENAMES: &[c_long] = &[libc::SYS_rename];
#[cfg(target_arch = "x86_64")]
const OLD_SYSTEM: &[c_long] =
    &[libc::SYS_inotify_init, libc::SYS_ioperm, libc::SYS_iopl, libc::SYS_link, libc::SYS_modify_ldt, libc::SYS_uselib];
#[cfg(not(target_arch = "x86_64"))]
const OLD_MODES: &[c_long] = &[];
#[cfg(not(target_arch = "x86_64"))]
const OLD_OWNERS: &[c_long] = &[];
#[cfg(not(target_arch = "x86_64"))]
const OLD_TIMES: &[c_long] = &[];
#[cfg(not(target_arch = "x86_64"))]
const OLD_RENAMES: &[c_long] = &[];
#[cfg(not(target_arch = "x86_64"))]
const OLD_SYSTEM: &[c_long] = &[];

/// Takes them away from the calling process and all that it starts. It must have `no_new_privs`.
pub(super) fn install(denied: &Denied) -> nix::Result<()> {
    seccomp::install(&checks(denied))
}

fn checks(denied: &Denied) -> Vec<Check> {
    let mut checks = Vec::new();
    for (is_denied, errno, lists) in [
        (denied.modes, libc::EPERM, [MODES, OLD_MODES]),
        (denied.owners, libc::EPERM, [OWNERS, OLD_OWNERS]),
        (denied.attributes, libc::EPERM, [ATTRIBUTES, &[]]),
        // As where a file system has none: programs that copy files ask.
        (denied.attribute_reads, libc::ENOTSUP, [ATTRIBUTE_READS, &[]]),
        (denied.renames, libc::EPERM, [RENAMES, OLD_RENAMES]),
        (denied.times, libc::EPERM, [TIMES, OLD_TIMES]),
        (denied.signals, libc::EPERM, [SIGNALS, &[]]),
        (denied.system, libc::EPERM, [SYSTEM, OLD_SYSTEM]),
        (denied.system || denied.network, libc::EPERM, [QUEUES, &[]]),
    ] {
        if is_denied {
            checks.extend(lists.into_iter().flatten().map(|&call| Check::deny(call, errno)));
        }
    }
    if denied.modes {
        checks.extend(set_id_files());
    }
    if denied.attributes {
        let requests = ATTRIBUTE_REQUESTS.iter();
        checks.extend(requests.map(|&request| request_denied(u32::MAX, request, libc::EPERM)));
    }
    if denied.truncation {
        checks.extend(truncation());
    }
    if denied.modes || denied.truncation {
        // What it asks for cannot be seen here; programs fall back to openat.
        checks.push(Check::deny(libc::SYS_openat2, libc::ENOSYS));
    }
    if denied.system {
        // A new user namespace would give every capability inside it. What clone3 asks for cannot be seen here; programs
        // fall back to clone.
        checks.push(Check::deny_where(
            libc::SYS_clone,
            &[Argument::has_any(0, libc::CLONE_NEWUSER.cast_unsigned())],
            libc::EPERM,
        ));
        checks.push(Check::deny(libc::SYS_clone3, libc::ENOSYS));
        checks.extend(TERMINAL_REQUESTS.iter().map(|&request| request_denied(u32::MAX, request, libc::EPERM)));
        // Of Btrfs: snapshots and the like. Copies that share blocks are among them, and become real ones.
        checks.push(request_denied(0xff00, 0x9400, libc::ENOTTY));
    }
    checks.extend(sockets(denied));
    checks
}

/// `FS_IOC_SETFLAGS`, `FS_IOC_FSSETXATTR`, `FS_IOC_SETVERSION` (with their forms of 32 bits), `FS_IOC_ENABLE_VERITY`,
/// `FS_IOC_SET_ENCRYPTION_POLICY`: linux/fs.h, linux/fsverity.h, linux/fscrypt.h; `FAT_IOCTL_SET_ATTRIBUTES`: linux/msdos_fs.h.
/// A file that is open for reading is enough for them.
const ATTRIBUTE_REQUESTS: &[u32] =
    &[0x4008_6602, 0x4004_6602, 0x401c_5820, 0x4008_7602, 0x4004_7602, 0x4080_6685, 0x800c_6613, 0x4004_7211];

/// `TIOCSTI`, `TIOCLINUX`, asm-generic/ioctls.h, linux/tty: typing into a terminal.
const TERMINAL_REQUESTS: &[u32] = &[0x5412, 0x541c];

fn request_denied(mask: u32, request: u32, errno: i32) -> Check {
    Check::deny_where(libc::SYS_ioctl, &[Argument::is(1, mask, request)], errno)
}

/// Calls that open a file, with the places of their flags and mode.
#[cfg(target_arch = "x86_64")]
const OPENS: &[(c_long, u32, u32)] = &[(libc::SYS_openat, 2, 3), (libc::SYS_open, 1, 2)];
#[cfg(not(target_arch = "x86_64"))]
const OPENS: &[(c_long, u32, u32)] = &[(libc::SYS_openat, 2, 3)];

/// Calls that only make a file, with the place of its mode.
#[cfg(target_arch = "x86_64")]
const MAKES: &[(c_long, u32)] = &[(libc::SYS_mknodat, 2), (libc::SYS_mknod, 1), (libc::SYS_creat, 1)];
#[cfg(not(target_arch = "x86_64"))]
const MAKES: &[(c_long, u32)] = &[(libc::SYS_mknodat, 2)];

/// Files made with set-id bits: no operation makes such, and a program that runs as root would hand out root by them.
fn set_id_files() -> Vec<Check> {
    const SET_ID: u32 = libc::S_ISUID | libc::S_ISGID;
    // O_TMPFILE has the bit of O_DIRECTORY besides its own.
    const MAKING: u32 = (libc::O_CREAT | libc::O_TMPFILE & !libc::O_DIRECTORY).cast_unsigned();
    let opened = OPENS.iter().map(|&(call, flags, mode)| {
        Check::deny_where(call, &[Argument::has_any(flags, MAKING), Argument::has_any(mode, SET_ID)], libc::EPERM)
    });
    let made =
        MAKES.iter().map(|&(call, mode)| Check::deny_where(call, &[Argument::has_any(mode, SET_ID)], libc::EPERM));
    opened.chain(made).collect()
}

/// Emptying a file by its name, and by opening it for something else than writing: from ABI 3 on (Linux 6.2) Landlock governs
/// both. What is open for writing may be emptied.
fn truncation() -> Vec<Check> {
    const EMPTIES: u32 = libc::O_TRUNC.cast_unsigned();
    const ACCESS: u32 = libc::O_ACCMODE.cast_unsigned();
    let mut checks = vec![Check::deny(libc::SYS_truncate, libc::EACCES)];
    for &(call, flags, _) in OPENS {
        // The third kind of access, neither reading nor writing, is checked like both (open(2)).
        for access in [libc::O_RDONLY.cast_unsigned(), ACCESS] {
            let argument = Argument::is(flags, EMPTIES | ACCESS, EMPTIES | access);
            checks.push(Check::deny_where(call, &[argument], libc::EACCES));
        }
    }
    checks
}

fn sockets(denied: &Denied) -> Vec<Check> {
    let mut checks = Vec::new();
    if denied.network {
        checks.push(Check::deny(libc::SYS_socket, libc::EACCES));
    } else if denied.local_sockets {
        let kernel = libc::AF_NETLINK.cast_unsigned();
        let families = [libc::AF_INET.cast_unsigned(), libc::AF_INET6.cast_unsigned(), kernel];
        let another = families.map(|family| Argument::is_not(0, family));
        checks.push(Check::deny_where(libc::SYS_socket, &another, libc::EACCES));
        // Resolvers ask which addresses this host has.
        let routes = libc::NETLINK_ROUTE.cast_unsigned();
        let not_routes = [Argument::is(0, u32::MAX, kernel), Argument::is_not(2, routes)];
        checks.push(Check::deny_where(libc::SYS_socket, &not_routes, libc::EACCES));
        // To be connected to is not to connect.
        checks.push(Check::deny(libc::SYS_listen, libc::EACCES));
    }
    if denied.network || denied.local_sockets {
        // A pair that keeps no connection can be sent from to any other socket by its name. Raw ones are of that kind (unix(7)).
        for kind in [libc::SOCK_DGRAM, libc::SOCK_RAW] {
            let argument = Argument::is(1, 0xf, kind.cast_unsigned());
            checks.push(Check::deny_where(libc::SYS_socketpair, &[argument], libc::EACCES));
        }
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wall_takes_calls_away() {
        let none = Denied {
            modes: false,
            owners: false,
            attributes: false,
            attribute_reads: false,
            renames: false,
            truncation: false,
            signals: false,
            times: false,
            system: false,
            local_sockets: false,
            network: false,
        };
        assert!(checks(&none).is_empty());
        for denied in [
            Denied { modes: true, ..none },
            Denied { owners: true, ..none },
            Denied { attributes: true, ..none },
            Denied { attribute_reads: true, ..none },
            Denied { renames: true, ..none },
            Denied { truncation: true, ..none },
            Denied { signals: true, ..none },
            Denied { times: true, ..none },
            Denied { system: true, ..none },
            Denied { local_sockets: true, ..none },
            Denied { network: true, ..none },
        ] {
            assert!(!checks(&denied).is_empty(), "{denied:?}");
        }
    }
}
