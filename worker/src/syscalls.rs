//! The system calls that a sealed worker may make: one row each, with the reason. All others kill it.

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};
use std::collections::BTreeMap;

/// What the arguments of a call must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Anything.
    Always,
    /// The argument of this index is this value, in its low 32 bits.
    Is(u8, u64),
    /// The argument of this index is larger than this value, in its low 32 bits.
    Above(u8, u64),
    /// Data for the other end of a connected socket above the standard streams: no address is named, which a datagram could be sent
    /// to instead.
    ToThePeer,
    /// Memory of its own, of no file, and not executable.
    PrivateMemory,
}

/// A system call that a worker may make.
#[derive(Debug, Clone, Copy)]
pub struct Allowed {
    /// Its number.
    pub number: libc::c_long,
    /// Its name.
    pub name: &'static str,
    /// What its arguments must be.
    pub when: When,
    /// What it is needed for.
    pub reason: &'static str,
}

macro_rules! allow {
    ($($name:ident, $when:expr, $reason:literal;)*) => {
        /// The list. A row that is not needed is a row too many.
        pub const ALLOWED: &[Allowed] = &[
            $(Allowed { number: libc::$name, name: stringify!($name), when: $when, reason: $reason },)*
        ];
    };
}

allow! {
    SYS_sendto, When::Is(0, 3), "speak to the session; the socket is connected, no other one exists";
    SYS_recvmsg, When::Is(0, 3), "hear the session, and take the descriptors that it donates: they can read one file each";
    SYS_pread64, When::Above(0, 3), "read a donated file, the only kind of descriptor above the socket";
    SYS_close, When::Above(0, 3), "let go of a donated file; what the process was started with stays open";
    SYS_brk, When::Always, "memory: the heap";
    SYS_mmap, When::PrivateMemory, "memory: large pieces, and the heap where brk cannot grow";
    SYS_mremap, When::Always, "memory: large pieces grow in place; it keeps their protection";
    SYS_munmap, When::Always, "memory: large pieces go back";
    SYS_madvise, When::Is(2, libc::MADV_DONTNEED as u64), "memory: unused pages go back";
    SYS_clock_nanosleep, When::Always, "`sleep`";
    SYS_restart_syscall, When::Always, "`sleep`, where the process was stopped and continued meanwhile";
    SYS_clock_gettime, When::Always, "`now` and `timestamp`, where the clock cannot be read without the kernel";
    SYS_getrandom, When::Always, "`random_alphanumeric`, and hash tables that cannot be flooded";
    SYS_write, When::Is(0, 2), "the last words of a fault in the program; descriptor 2 is /dev/null";
    SYS_exit_group, When::Always, "end";
}

/// Puts a list into force for the calling process, for ever.
pub fn restrict(allowed: &[Allowed]) -> Result<(), SyscallError> {
    Ok(seccompiler::apply_filter(&program(allowed)?)?)
}

/// A list as the kernel takes it.
///
/// A call made for another architecture than the program's is killed before the list is looked at. The x32
/// calls of x86_64 share its architecture and differ in bit 30 of the number: no row has that bit, so
/// they end where every number ends that is not listed.
pub fn program(allowed: &[Allowed]) -> Result<BpfProgram, SyscallError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for row in allowed {
        // A call without a rule is allowed whatever its arguments.
        let rules = rules.entry(row.number).or_default();
        if let Some(conditions) = conditions(row.when)? {
            rules.push(SeccompRule::new(conditions)?);
        }
    }
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let filter = SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, arch)?;
    Ok(filter.try_into()?)
}

/// The list cannot be put into force.
#[derive(Debug, thiserror::Error)]
pub enum SyscallError {
    /// It is not well formed.
    #[error("{0}")]
    List(#[from] seccompiler::BackendError),
    /// The kernel does not take it.
    #[error("{0}")]
    Kernel(#[from] seccompiler::Error),
}

fn conditions(when: When) -> Result<Option<Vec<SeccompCondition>>, SyscallError> {
    use SeccompCmpArgLen::Dword;
    use SeccompCmpOp::{Eq, Gt, MaskedEq};
    let condition = |index, op, value| SeccompCondition::new(index, Dword, op, value);
    Ok(match when {
        When::Always => None,
        When::Is(index, value) => Some(vec![condition(index, Eq, value)?]),
        When::Above(index, value) => Some(vec![condition(index, Gt, value)?]),
        When::ToThePeer => Some(vec![
            condition(0, Gt, 2)?,
            // Of a pointer all bits count.
            SeccompCondition::new(4, SeccompCmpArgLen::Qword, Eq, 0)?,
        ]),
        When::PrivateMemory => {
            let kind = libc::MAP_SHARED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let own = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            Some(vec![
                condition(2, MaskedEq(bits(libc::PROT_EXEC)), 0)?,
                condition(3, MaskedEq(bits(kind)), bits(own))?,
            ])
        }
    })
}

/// Flags as the kernel sees them in a register.
fn bits(flags: libc::c_int) -> u64 {
    u64::from(flags.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_short_and_has_no_way_out() {
        let never = [
            libc::SYS_openat,
            libc::SYS_openat2,
            libc::SYS_socket,
            libc::SYS_connect,
            libc::SYS_clone,
            libc::SYS_clone3,
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_kill,
            libc::SYS_tgkill,
            libc::SYS_ioctl,
            libc::SYS_prctl,
            libc::SYS_prlimit64,
            libc::SYS_ptrace,
            libc::SYS_mprotect,
            libc::SYS_memfd_create,
            libc::SYS_io_uring_setup,
            libc::SYS_dup,
            libc::SYS_fcntl,
            libc::SYS_sendmsg,
            libc::SYS_lseek,
            libc::SYS_pwrite64,
            libc::SYS_ftruncate,
            libc::SYS_fchmod,
            libc::SYS_flock,
        ];
        assert!(ALLOWED.iter().all(|row| !never.contains(&row.number)));
        assert!(ALLOWED.len() <= 16, "each system call is a piece of the kernel that a script's author may attack");
    }

    #[test]
    fn no_row_reaches_an_x32_call() {
        assert!(ALLOWED.iter().all(|row| row.number & 0x4000_0000 == 0));
    }

    #[test]
    fn every_row_says_why_and_appears_once() {
        for (index, row) in ALLOWED.iter().enumerate() {
            assert!(!row.reason.is_empty(), "{}", row.name);
            assert!(ALLOWED[..index].iter().all(|other| other.number != row.number), "{}", row.name);
        }
        assert!(program(ALLOWED).is_ok());
    }
}
