//! Lists of denied system calls for programs that may be any program (seccomp(2)).

use nix::errno::Errno;

/// One system call that is denied, always or by its arguments.
#[derive(Debug, Clone)]
pub(crate) struct Check {
    call: libc::c_long,
    /// All of them must be like that.
    arguments: Vec<Argument>,
    errno: i32,
}

/// What an argument is like, in its low 32 bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Argument {
    index: u32,
    mask: u32,
    value: u32,
    /// Whether it is the value, as far as the mask covers it, or is not.
    is: bool,
}

impl Argument {
    /// Argument `index` is this, as far as `mask` covers it.
    pub(crate) const fn is(index: u32, mask: u32, value: u32) -> Self {
        Self { index, mask, value, is: true }
    }

    /// It has any of these bits.
    pub(crate) const fn has_any(index: u32, bits: u32) -> Self {
        Self { index, mask: bits, value: 0, is: false }
    }

    /// It is anything but this.
    pub(crate) const fn is_not(index: u32, value: u32) -> Self {
        Self { index, mask: u32::MAX, value, is: false }
    }
}

impl Check {
    /// Always, with this error.
    pub(crate) const fn deny(call: libc::c_long, errno: i32) -> Self {
        Self { call, arguments: Vec::new(), errno }
    }

    /// Where its arguments are all like that.
    pub(crate) fn deny_where(call: libc::c_long, arguments: &[Argument], errno: i32) -> Self {
        Self { call, arguments: arguments.to_vec(), errno }
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
    const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
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
        if check.arguments.is_empty() {
            program.extend([line(EQUAL, 0, 1, number), line(RETURN, 0, 0, denied)]);
            continue;
        }
        // Each test is three lines long; behind them stand the denial and the line that a failing test leads to.
        let mut lines = u8::try_from(3 * check.arguments.len()).unwrap_or(u8::MAX - 2);
        program.push(line(EQUAL, 0, lines + 2, number));
        for argument in &check.arguments {
            lines = lines.saturating_sub(3);
            let fails = lines + 1;
            let (jt, jf) = if argument.is { (0, fails) } else { (fails, 0) };
            program.extend([
                line(LOAD, 0, 0, ARGUMENTS + 8 * argument.index),
                line(AND, 0, 0, argument.mask),
                line(EQUAL, jt, jf, argument.value),
            ]);
        }
        program.extend([line(RETURN, 0, 0, denied), line(LOAD, 0, 0, NUMBER)]);
    }
    program.push(line(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would answer: the value that the filter returns.
    fn answer(checks: &[Check], call: libc::c_long, arguments: &[u32]) -> u32 {
        let (program, mut at, mut accumulator) = (program(checks), 0, 0);
        loop {
            let line = program[at];
            at += 1;
            let jump = |holds: bool| usize::from(if holds { line.jt } else { line.jf });
            match u32::from(line.code) {
                code if code == libc::BPF_LD | libc::BPF_W | libc::BPF_ABS => {
                    accumulator = match line.k {
                        NUMBER => u32::try_from(call).unwrap(),
                        ARCH => ARCHITECTURE,
                        other => arguments[usize::try_from((other - ARGUMENTS) / 8).unwrap()],
                    }
                }
                code if code == libc::BPF_ALU | libc::BPF_AND | libc::BPF_K => accumulator &= line.k,
                code if code == libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K => at += jump(accumulator == line.k),
                code if code == libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K => at += jump(accumulator >= line.k),
                _ => return line.k,
            }
        }
    }

    #[test]
    fn a_call_is_denied_where_all_its_arguments_are_like_that() {
        let denied = |errno: u32| libc::SECCOMP_RET_ERRNO | errno;
        let checks = [
            Check::deny_where(2, &[Argument::has_any(1, 0o100), Argument::has_any(2, 0o6000)], 1),
            Check::deny_where(2, &[Argument::is(1, 0o1003, 0o1000)], 2),
            Check::deny_where(41, &[Argument::is_not(0, 2), Argument::is_not(0, 10)], 3),
            Check::deny(9, 4),
        ];
        for (call, arguments, expected) in [
            (2, [0, 0o101, 0o4755], denied(1)),
            (2, [0, 0o101, 0o755], libc::SECCOMP_RET_ALLOW),
            (2, [0, 0o001, 0o4755], libc::SECCOMP_RET_ALLOW),
            (2, [0, 0o1100, 0o644], denied(2)),
            (2, [0, 0o1101, 0o644], libc::SECCOMP_RET_ALLOW),
            (41, [2, 0, 0], libc::SECCOMP_RET_ALLOW),
            (41, [10, 0, 0], libc::SECCOMP_RET_ALLOW),
            (41, [1, 0, 0], denied(3)),
            (9, [0, 0, 0], denied(4)),
            (10, [0, 0, 0], libc::SECCOMP_RET_ALLOW),
            (9 | i64::from(X32), [0, 0, 0], libc::SECCOMP_RET_KILL_PROCESS),
        ] {
            assert_eq!(answer(&checks, call, &arguments), expected, "{call} {arguments:?}");
        }
    }
}
