//! What a question and its answer cost on their way: the kernel's part of every operation.

use crate::harness::{Sample, Stage, Table, repeated};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use nix::unistd::Pid;
use rex_client::{Broker, fs};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;

/// How often each number is taken, of how many ways there and back each time.
const ROUNDS: usize = 11;
const HOPS: u32 = 2_000;
/// The size of a message, in bytes: that of a usual request.
const MESSAGE: usize = 100;

/// Gives all tables, each when it is measured.
pub(crate) fn bench(give: &mut dyn FnMut(Table)) {
    let mut table = Table::new("ipc", "one question and its answer, of 100 bytes each", &["", ""]);
    for (kind, name) in [(SockType::SeqPacket, "packets"), (SockType::Stream, "a stream")] {
        for (apart, place) in [(false, "on one processor"), (true, "on two")] {
            table.duration(&format!("{name}, {place}"), hop(kind, apart));
        }
    }
    table.duration("the client's library: looking at an open file, remembered", library());
    give(table);
}

/// Between two threads that stay on their processors; nothing where there is only one.
fn hop(kind: SockType, apart: bool) -> Option<Sample> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).ok()?;
    let mut processors = (0..CpuSet::count()).filter(|number| allowed.is_set(*number).unwrap_or(false));
    let here = processors.next()?;
    let there = if apart { processors.next()? } else { here };
    let (ours, theirs) = socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC).ok()?;
    let sample = std::thread::scope(|scope| {
        scope.spawn(move || {
            stay(there);
            while receive(&theirs) > 0 {
                let _ = send(theirs.as_raw_fd(), &[0; MESSAGE], MsgFlags::empty());
            }
        });
        scope
            .spawn(move || {
                stay(here);
                repeated(ROUNDS, || {
                    let begun = Instant::now();
                    for _ in 0..HOPS {
                        let _ = send(ours.as_raw_fd(), &[0; MESSAGE], MsgFlags::empty());
                        receive(&ours);
                    }
                    begun.elapsed() / HOPS
                })
            })
            .join()
    });
    sample.ok().flatten()
}

fn receive(socket: &OwnedFd) -> usize {
    let (mut buffer, mut received) = ([0; MESSAGE], 0);
    while received < MESSAGE {
        match recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            Ok(count) if count > 0 => received += count,
            _ => return 0,
        }
    }
    received
}

/// Keeps the calling thread on a processor.
fn stay(processor: usize) {
    let mut set = CpuSet::new();
    if set.set(processor).is_ok() {
        let _ = sched_setaffinity(Pid::from_raw(0), &set);
    }
}

/// The whole way of an operation without a script: client, session, decision, record, act, and back.
fn library() -> Option<Sample> {
    let stage = Stage::new();
    let daemon = stage.daemon(2);
    let session = Broker::connect_to(daemon.socket()).ok()?.session().ok()?;
    let dir = session.open_dir(stage.text("").trim_end_matches('/')).ok()?;
    let question = fs::Stat { object: fs::Object::Dir(dir.handle()) };
    session.call(&question).ok()?;
    repeated(ROUNDS, || {
        let begun = Instant::now();
        for _ in 0..HOPS {
            session.call(&question).expect("it was allowed before");
        }
        begun.elapsed() / HOPS
    })
}
