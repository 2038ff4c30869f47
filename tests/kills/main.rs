//! The audit log when those who write to it are killed at any moment.
//!
//! A program of its own with one thread, since what writes is forked from it. `REX_KILLS` says how often (10,000).
#![expect(clippy::print_stdout, reason = "what a test program has to say")]

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};
use rex_broker::audit::{Audit, Entry, Event, Log, verify};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

fn main() {
    // `cargo test -- FILTER` and what lists tests ask for nothing that is here.
    if std::env::args().skip(1).any(|argument| argument == "--list" || !argument.starts_with('-')) {
        return;
    }
    let kills = std::env::var("REX_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let begun = Instant::now();
    let records = the_chain_holds_after(kills);
    println!("test the_chain_holds_whoever_is_killed ... ok ({kills} kills, {records} records, {:?})", begun.elapsed());
    println!("\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
}

/// Kills two writers at a time, again and again. Gives how many records there are in the end.
fn the_chain_holds_after(kills: u64) -> u64 {
    let folder = rex_tests::scratch();
    let settings = Audit { directory: folder.path().to_owned(), rotate_mib: 1, keep: 1000, ..Audit::default() };
    drop(Log::open(&settings).expect("a log"));
    let appended = shared_counter();
    for round in 0..kills.div_ceil(2) {
        let writers = [0, 1].map(|_| start_writer(&settings, appended));
        // From before the first write to after some dozens.
        spin(Duration::from_micros(round * 7919 % 700));
        for writer in writers {
            kill(writer, Signal::SIGKILL).expect("a writer to kill");
            waitpid(writer, None).expect("its end");
        }
    }
    Log::open(&settings).and_then(|mut log| log.append(&[entry(0)])).expect("the log takes records again");
    let found = verify(folder.path()).expect("a log that can be read");
    assert!(found.is_whole(), "{:#?}", found.faults);
    let acknowledged = appended.load(Ordering::SeqCst);
    assert!(found.last >= acknowledged, "{} records, {acknowledged} were acknowledged", found.last);
    assert!(acknowledged > kills / 2, "the writers came to write: {acknowledged}");
    found.last
}

fn start_writer(settings: &Audit, appended: &AtomicU64) -> nix::unistd::Pid {
    // SAFETY: this program has one thread.
    match unsafe { fork() }.expect("a process") {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            let mut log = Log::open(settings).expect("the log");
            for count in 1.. {
                let entries = vec![entry(count); usize::try_from(count % 4 + 1).expect("a small number")];
                log.append(&entries).expect("an append");
                appended.fetch_add(entries.len() as u64, Ordering::SeqCst);
            }
            std::process::exit(0)
        }
    }
}

fn entry(count: u64) -> Entry {
    let message = format!("{count} {}", "x".repeat(usize::try_from(count % 997).unwrap_or(0)));
    Entry::of_run("0123456789abcdef", "revision", &Event::Violation { message: &message })
}

/// A number that forked processes share.
fn shared_counter() -> &'static AtomicU64 {
    let length = NonZeroUsize::new(4096).expect("not zero");
    // SAFETY: a fresh mapping of zeroes that is never unmapped, aligned to a page.
    unsafe {
        let page = mmap_anonymous(None, length, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED);
        page.expect("memory").cast::<AtomicU64>().as_ref()
    }
}

fn spin(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}
