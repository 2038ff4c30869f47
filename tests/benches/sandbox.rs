//! What the list of system calls costs a worker at each call.

use crate::harness::{Table, measure::time, repeated};
use nix::sys::prctl;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, bind, connect, getsockname, recvmsg, send, socket,
};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, dup2_raw, dup2_stderr, fork};
use rex_worker::syscalls::{ALLOWED, restrict};
use std::io::{IoSliceMut, Read, Write};
use std::os::fd::IntoRawFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// How often each number is taken, of how many calls each time.
const ROUNDS: usize = 21;
const CALLS: u32 = 20_000;
/// The descriptor that a worker talks on.
const SOCKET: i32 = 3;

/// Gives all tables, each when it is measured.
pub(crate) fn bench(give: &mut dyn FnMut(Table)) {
    let columns = ["", "before", "behind the list", "ratio"];
    let mut table = Table::new("sandbox", "system calls of a worker, before it is sealed and after", &columns);
    for (name, call) in
        [("100 bytes sent and received: two calls", packet as fn()), ("the clock read: one call", clock)]
    {
        let mut cells = vec![name.to_owned()];
        match measured(call) {
            None => cells.push("not here".into()),
            Some([before, after]) => {
                let ratio = after.as_secs_f64() / before.as_secs_f64();
                table.values.insert(name.to_owned(), ratio);
                cells.extend([time(before), time(after), format!("{ratio:.3}")]);
            }
        }
        table.row(cells);
    }
    give(table);
}

/// What a call costs before and after, in a process of its own: there is no way back.
fn measured(call: fn()) -> Option<[Duration; 2]> {
    let (mut ours, theirs) = UnixStream::pair().ok()?;
    // SAFETY: this program has one thread at this time; the child ends in `seal_and_tell` and never comes back here.
    match unsafe { fork() }.ok()? {
        ForkResult::Child => seal_and_tell(call, theirs),
        ForkResult::Parent { child } => {
            drop(theirs);
            let mut told = [0; 16];
            let read = ours.read_exact(&mut told);
            waitpid(child, None).ok()?;
            read.ok()?;
            let nanoseconds = |part: &[u8]| Some(Duration::from_nanos(u64::from_le_bytes(part.try_into().ok()?)));
            Some([nanoseconds(&told[..8])?, nanoseconds(&told[8..])?])
        }
    }
}

/// The child: measures, puts the list into force, measures again, and ends. All that it may write to then is standard error,
/// which is the parent's socket.
fn seal_and_tell(call: fn(), parent: UnixStream) -> ! {
    let tell = || -> nix::Result<()> {
        dup2_stderr(&parent)?;
        mirror()?;
        prctl::set_no_new_privs()?;
        let before = repeated(ROUNDS, || run(call)).ok_or(nix::Error::EINVAL)?;
        restrict(ALLOWED).map_err(|_| nix::Error::EPERM)?;
        let after = repeated(ROUNDS, || run(call)).ok_or(nix::Error::EINVAL)?;
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).to_le_bytes();
        let told = [nanoseconds(before.median / CALLS), nanoseconds(after.median / CALLS)].concat();
        std::io::stderr().write_all(&told).map_err(|_| nix::Error::EIO)
    };
    let code = i32::from(tell().is_err());
    // SAFETY: it ends the process at once, with nothing of the parent's undone.
    unsafe { libc::_exit(code) }
}

fn run(call: fn()) -> Duration {
    let begun = Instant::now();
    (0..CALLS).for_each(|_| call());
    begun.elapsed()
}

/// Puts a socket that is connected with itself where a worker has that to its session.
fn mirror() -> nix::Result<()> {
    let socket = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::empty(), None)?;
    let socket = socket.into_raw_fd();
    bind(socket, &UnixAddr::new_unnamed())?;
    let own: UnixAddr = getsockname(socket)?;
    connect(socket, &own)?;
    if socket != SOCKET {
        // SAFETY: nothing else of this process uses the descriptor from now on, and nobody owns the new one.
        let _ = unsafe { dup2_raw(std::os::fd::BorrowedFd::borrow_raw(socket), SOCKET) }?.into_raw_fd();
    }
    Ok(())
}

fn packet() {
    let sent = send(SOCKET, &[0; 100], MsgFlags::empty());
    let mut buffer = [0; 100];
    let mut parts = [IoSliceMut::new(&mut buffer)];
    let received = recvmsg::<()>(SOCKET, &mut parts, None, MsgFlags::empty()).map(|message| message.bytes);
    assert!((sent, received) == (Ok(100), Ok(100)), "the socket is its own peer");
}

fn clock() {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one `timespec` to where one is.
    unsafe { libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_MONOTONIC, &raw mut now) };
}
