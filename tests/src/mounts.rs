//! Mounts that only a test and what it starts can see.

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use std::path::{Path, PathBuf};

/// Runs a test in a thread, and the programs that it starts, with mounts of their own: what is mounted there is nowhere
/// else. Skipped where this user may not mount.
pub fn with_private_mounts(test: impl FnOnce() + Send) {
    let ran = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let own = unshare(CloneFlags::CLONE_NEWNS).and_then(|()| {
                mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
            });
            match own {
                Ok(()) => test(),
                Err(errno) => crate::skip(&format!("it needs mounts of its own: {errno}")),
            }
        });
        thread.join()
    });
    if let Err(panic) = ran {
        std::panic::resume_unwind(panic);
    }
}

/// A file system in memory, for [`with_private_mounts`]. It is gone with this value.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
}

/// Puts a file in the place of another, for [`with_private_mounts`].
pub fn put_in_place_of(other: &Path, file: &Path) {
    mount(Some(file), other, None::<&str>, MsFlags::MS_BIND, None::<&str>).expect("a mount");
}

impl Disk {
    /// Mounts one on an existing folder, with options of `tmpfs(5)`: `size=1m,nr_inodes=40`.
    pub fn on(path: &Path, options: &str) -> Self {
        mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), Some(options)).expect("a mount");
        Self { path: path.to_owned() }
    }

    /// Lets nobody write to it any more.
    pub fn make_read_only(&self) {
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(None::<&str>, &self.path, None::<&str>, flags, None::<&str>).expect("another mount");
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = umount2(&self.path, MntFlags::MNT_DETACH);
    }
}
