//! Every `unsafe` of the worker: its allocator, its end, and the descriptors it was given.

use nix::errno::Errno;
use nix::sys::signal::{SigHandler, Signal};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use rex_protocol::worker::EXIT_OUT_OF_MEMORY;
use std::alloc::{GlobalAlloc, Layout, System};
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The number of the worker's socket. 0 to 2 are `/dev/null`.
pub const SOCKET: RawFd = 3;

/// Exit code of a worker that lost its session or was spoken to in a way it does not know.
pub const EXIT_SESSION_LOST: i32 = 79;

/// Exit code of a worker that came upon a fault of its own program.
const EXIT_FAULT: i32 = 70;

/// The system's allocator, which ends the process with [`EXIT_OUT_OF_MEMORY`] where nothing is left,
/// so that the session can name the limit that was reached.
#[derive(Debug)]
pub struct Memory;

// SAFETY: everything is passed on to `System`; what it could not do never returns.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is the callee's.
        obtained(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is the callee's.
        obtained(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise is the callee's.
        obtained(unsafe { System.realloc(memory, layout, size) })
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the callee's.
        unsafe { System.dealloc(memory, layout) }
    }
}

impl Memory {
    /// Large texts come and go: memory is kept for the next one rather than given back and zeroed anew.
    pub fn keep() {
        #[cfg(target_env = "gnu")]
        for (parameter, bytes) in [(libc::M_MMAP_THRESHOLD, 32 << 20), (libc::M_TRIM_THRESHOLD, 64 << 20)] {
            // SAFETY: `mallopt` takes any value, and nothing else allocates meanwhile.
            unsafe { libc::mallopt(parameter, bytes) };
        }
    }
}

fn obtained(memory: *mut u8) -> *mut u8 {
    if memory.is_null() {
        exit(EXIT_OUT_OF_MEMORY);
    }
    memory
}

/// How many bytes a page of memory has.
pub fn page_size() -> u64 {
    configured(libc::_SC_PAGESIZE)
}

/// How many ticks the kernel counts in a second of processor time.
pub fn ticks_per_second() -> u64 {
    configured(libc::_SC_CLK_TCK)
}

/// What the kernel told this process when it started: both are found in its own memory.
fn configured(name: libc::c_int) -> u64 {
    // SAFETY: numbers only.
    u64::try_from(unsafe { libc::sysconf(name) }).unwrap_or(0).max(1)
}

/// Ends the process at once: no destructor runs, nothing is flushed.
pub fn exit(code: i32) -> ! {
    // SAFETY: `_exit` has no precondition.
    unsafe { libc::_exit(code) }
}

/// Writes a line for people to descriptor 2, as far as that goes.
pub fn say(line: &str) {
    // SAFETY: descriptor 2 is open for the whole life of the process.
    let _ = nix::unistd::write(unsafe { BorrowedFd::borrow_raw(2) }, line.as_bytes());
}

/// From now on a panic ends the process at once. A size that no memory could hold counts as memory used up.
pub fn end_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        if panic.payload().downcast_ref::<&str>().is_some_and(|reason| *reason == "capacity overflow") {
            exit(EXIT_OUT_OF_MEMORY);
        }
        say(&format!("rex-worker: {panic}\n"));
        exit(EXIT_FAULT);
    }));
}

/// From now on a fault of memory, such as a stack that is used up, ends the process by its signal. The handlers
/// of the standard library would make system calls that are not there any more.
pub fn end_on_fault() {
    for signal in [Signal::SIGSEGV, Signal::SIGBUS] {
        // SAFETY: no handler is installed, so there is none that could be unsound.
        let _ = unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) };
    }
}

/// Has the C library set up what it takes random numbers from: from glibc 2.41 on it does so at first use, with
/// system calls that a sealed process no longer has.
pub(crate) fn prepare_random() {
    let mut bytes = [0_u8; 8];
    // SAFETY: the buffer is as long as said.
    unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
}

/// The socket that the parent left at [`SOCKET`]. To be called once.
pub fn session_socket() -> OwnedFd {
    // SAFETY: sealing has confirmed that the descriptor is open, and nothing else in the process owns it.
    unsafe { OwnedFd::from_raw_fd(SOCKET) }
}

/// A descriptor that the session donated. An `OwnedFd` will not do: where it is checked, in debug builds, its end asks the
/// kernel whether it is open, by a call that a sealed process does not have.
#[derive(Debug)]
pub struct Descriptor(RawFd);

impl Descriptor {
    /// Its number.
    pub fn number(&self) -> RawFd {
        self.0
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: nothing else owns it.
        unsafe { libc::close(self.0) };
    }
}

/// What came in one packet.
#[derive(Debug)]
pub struct Received {
    /// How much of the buffer it fills.
    pub length: usize,
    /// The descriptor that came with it, where one was to be taken.
    pub descriptor: Option<Descriptor>,
    /// Whether more was sent than was taken: bytes or descriptors.
    pub cut: bool,
}

/// Receives one packet, and with `take` at most one descriptor. Others that are sent along do not come to be.
pub fn receive(socket: &OwnedFd, buffer: &mut [u8], take: bool) -> nix::Result<Received> {
    let mut pieces = [IoSliceMut::new(buffer)];
    let mut space = take.then(|| nix::cmsg_space!(RawFd));
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut pieces, space.as_deref_mut(), flags)?;
    let mut cut = message.flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC);
    let mut descriptor = None;
    // Where one could not be taken the kernel says so, and there is nothing to look through.
    if take && !message.flags.contains(MsgFlags::MSG_CTRUNC) {
        for item in message.cmsgs()? {
            let ControlMessageOwned::ScmRights(numbers) = item else { continue };
            for number in numbers {
                // The kernel has just made this descriptor for us.
                let more = descriptor.replace(Descriptor(number));
                cut |= more.is_some();
            }
        }
    }
    Ok(Received { length: message.bytes, descriptor, cut })
}

/// Reads from `offset` on into the memory that `buffer` has reserved and does not use yet; it grows by what was read. 0 at the
/// end of the file, and where nothing is reserved.
pub(crate) fn append_from(file: &Descriptor, offset: u64, buffer: &mut Vec<u8>) -> nix::Result<usize> {
    let Ok(offset) = libc::off_t::try_from(offset) else { return Ok(0) };
    let room = buffer.spare_capacity_mut();
    // SAFETY: the kernel writes at most as many bytes as the room has.
    let read = unsafe { libc::pread(file.0, room.as_mut_ptr().cast(), room.len(), offset) };
    let read = usize::try_from(Errno::result(read)?).unwrap_or(0);
    // SAFETY: so many more bytes of the buffer were written by the kernel just now.
    unsafe { buffer.set_len(buffer.len() + read) };
    Ok(read)
}

/// Whether descriptor `number` is open.
pub(crate) fn is_open(number: RawFd) -> bool {
    // SAFETY: F_GETFD takes any number and changes nothing.
    unsafe { libc::fcntl(number, libc::F_GETFD) >= 0 }
}

/// The type of the socket at descriptor `number`, `socket(2)`; nothing where it is no socket.
pub(crate) fn socket_type(number: RawFd) -> Option<nix::sys::socket::SockType> {
    // SAFETY: the descriptor is only used within this call, in which nothing else runs.
    let socket = unsafe { BorrowedFd::borrow_raw(number) };
    nix::sys::socket::getsockopt(&socket, nix::sys::socket::sockopt::SockType).ok()
}

/// The version of the kernel's Landlock, `landlock_create_ruleset(2)`; 0 where it has none.
pub(crate) fn landlock_abi() -> i64 {
    const VERSION: libc::c_ulong = 1;
    // SAFETY: with this flag no attributes are read, and only the version comes back.
    let version =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<libc::c_void>(), 0_usize, VERSION) };
    version.max(0)
}
