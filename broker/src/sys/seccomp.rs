//! Lists of denied system calls for programs that may be any program (seccomp(2)).

use nix::errno::Errno;

/// One system call that is denied, always or by an argument.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Check {
    call: libc::c_long,
    argument: Option<Argument>,
    errno: i32,
}

/// The low 32 bits of an argument.
#[derive(Debug, Clone, Copy)]
struct Argument {
    index: u32,
    value: u32,
    /// Any of the bits, instead of exactly the value.
    any_bit: bool,
}

impl Check {
    /// Always, with this error.
    pub(crate) const fn deny(call: libc::c_long, errno: i32) -> Self {
        Self { call, argument: None, errno }
    }

    /// Where an argument has this value.
    pub(crate) const fn deny_value(call: libc::c_long, index: u32, value: u32, errno: i32) -> Self {
        Self { call, argument: Some(Argument { index, value, any_bit: false }), errno }
    }

    /// Where an argument has any of these bits.
    pub(crate) const fn deny_bits(call: libc::c_long, index: u32, value: u32, errno: i32) -> Self {
        Self { call, argument: Some(Argument { index, value, any_bit: true }), errno }
    }
}

/// AUDIT_ARCH_*, linux/audit.h: the architecture with its word size and byte order.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xC000_00B7;

/// The bit that marks a call of x32, which shares the architecture of x86_64.
const X32: u32 = 0x4000_0000;

// Where `struct seccomp_data` (linux/seccomp.h) holds the number, the architecture, and the first argument.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

/// Denies these calls to the calling process and all that it starts; all others stay. It must have `no_new_privs`.
pub(crate) fn install(checks: &[Check]) -> nix::Result<()> {
    let mut filter = program(checks);
    let length = u16::try_from(filter.len()).map_err(|_| Errno::E2BIG)?;
    let program = libc::sock_fprog { len: length, filter: filter.as_mut_ptr() };
    let mode = libc::SECCOMP_MODE_FILTER as libc::c_ulong;
    // SAFETY: the structure and the instructions it points to live across the call, and its length is theirs.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program, 0, 0) }).map(drop)
}

fn program(checks: &[Check]) -> Vec<libc::sock_filter> {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
    const ANY_BIT: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let line = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut program = vec![
        line(LOAD, 0, 0, ARCH),
        line(EQUAL, 1, 0, ARCHITECTURE),
        line(RETURN, 0, 0, libc::SECCOMP_RET_KILL_PROCESS),
        line(LOAD, 0, 0, NUMBER),
        line(AT_LEAST, 0, 1, X32),
        line(RETURN, 0, 0, libc::SECCOMP_RET_KILL_PROCESS),
    ];
    for check in checks {
        let number = u32::try_from(check.call).unwrap_or(u32::MAX);
        let denied = libc::SECCOMP_RET_ERRNO | u32::try_from(check.errno).unwrap_or(1);
        match check.argument {
            None => program.extend([line(EQUAL, 0, 1, number), line(RETURN, 0, 0, denied)]),
            Some(Argument { index, value, any_bit }) => {
                let test = if any_bit { ANY_BIT } else { EQUAL };
                program.extend([
                    line(EQUAL, 0, 4, number),
                    line(LOAD, 0, 0, ARGUMENTS + 8 * index),
                    line(test, 0, 1, value),
                    line(RETURN, 0, 0, denied),
                    line(LOAD, 0, 0, NUMBER),
                ]);
            }
        }
    }
    program.push(line(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
    program
}
