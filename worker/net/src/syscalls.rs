//! The system calls that are left: a worker's, without what it has donated files and `sleep` for, and the two that carry bytes over
//! connections.

use rex_worker::syscalls::{Allowed, When};

macro_rules! allow {
    ($($name:ident, $when:expr, $reason:literal;)*) => {
        /// The list. A row that is not needed is a row too many.
        pub(crate) const ALLOWED: &[Allowed] = &[
            $(Allowed { number: libc::$name, name: stringify!($name), when: $when, reason: $reason },)*
        ];
    };
}

allow! {
    SYS_sendto, When::ToThePeer, "speak to the session, and over a connection that it has handed over: to its other end only";
    SYS_recvfrom, When::Above(0, 3), "hear the other end of a connection";
    SYS_recvmsg, When::Is(0, 3), "hear the session, and take the connections that it hands over";
    SYS_close, When::Above(0, 3), "let go of a connection";
    SYS_brk, When::Always, "memory: the heap";
    SYS_mmap, When::PrivateMemory, "memory: large pieces, and the heap where brk cannot grow";
    SYS_mremap, When::Always, "memory: large pieces grow in place; it keeps their protection";
    SYS_munmap, When::Always, "memory: large pieces go back";
    SYS_madvise, When::Is(2, libc::MADV_DONTNEED as u64), "memory: unused pages go back";
    SYS_clock_gettime, When::Always, "whether certificates are valid now, where the clock cannot be read without the kernel";
    SYS_getrandom, When::Always, "keys of TLS, and numbers of questions that nobody can guess";
    SYS_write, When::Is(0, 2), "the last words of a fault in the program; descriptor 2 is /dev/null";
    SYS_exit_group, When::Always, "end";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_connection_can_be_made() {
        let never = [
            libc::SYS_socket,
            libc::SYS_connect,
            libc::SYS_sendmsg,
            libc::SYS_openat,
            libc::SYS_openat2,
            libc::SYS_clone3,
            libc::SYS_execve,
            libc::SYS_mprotect,
            libc::SYS_setsockopt,
            libc::SYS_dup,
        ];
        assert!(ALLOWED.iter().all(|row| !never.contains(&row.number) && !row.reason.is_empty()));
        let sends = ALLOWED.iter().find(|row| row.number == libc::SYS_sendto);
        assert_eq!(sends.map(|row| row.when), Some(When::ToThePeer), "a datagram could go elsewhere");
        assert!(rex_worker::syscalls::program(ALLOWED).is_ok());
    }
}
