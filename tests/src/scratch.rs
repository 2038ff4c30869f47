//! Folders for files that a test makes by the thousand.

use std::path::Path;
use tempfile::TempDir;

/// An empty folder in memory where the machine has such a place, so that nothing waits for a disk; its real path. It goes with
/// the value.
pub fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let base = base.canonicalize().expect("a place for temporary files");
    tempfile::Builder::new().prefix("rex-test-").tempdir_in(base).expect("a temporary folder")
}
