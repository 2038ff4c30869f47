//! What the tests share: the built programs, a daemon of their own, and runs through the real client.
#![allow(clippy::missing_panics_doc, reason = "a failing test panics")]

mod daemon;
mod machine;
mod mounts;
mod ran;
mod scratch;
mod tree;

pub use daemon::{Daemon, Settings, descendants};
pub use machine::Machine;
pub use mounts::{Disk, put_in_place_of, with_private_mounts};
pub use ran::{Ran, run};
pub use scratch::scratch;
pub use tree::{Closely, Tree};

use std::path::PathBuf;

/// The folder of the programs that were built with these tests: `target/debug` or `target/release`.
pub fn programs() -> PathBuf {
    let own = std::env::current_exe().expect("the test's own path");
    let folder = own.parent().and_then(|deps| deps.parent()).expect("a folder above deps").to_owned();
    for program in ["rex-exec", "rex-broker", "rex-worker", "rex-audit", "rex-policy"] {
        let path = folder.join(program);
        assert!(path.is_file(), "`{}` is missing: run `cargo build --workspace` first", path.display());
    }
    folder
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Says why a test does nothing here.
#[expect(clippy::print_stderr, reason = "the one thing that a test says to people")]
pub fn skip(reason: &str) {
    eprintln!("skipped: {reason}");
}
