//! Where absolute paths begin: at this process's own root directory, or at that of another's mount namespace.
//!
//! The process itself stays in its own namespace: what it looks up for itself, such as users or its own programs, is never
//! found in another's. Only [`super::pin`] and what is built on it follow the root that is set here.

use crate::sys::process;
use crate::sys::process_dir::ProcessDir;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::{fstat, stat};
use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::Rc;

thread_local! {
    /// There is one thread.
    static SET: RefCell<Option<Rc<Root>>> = const { RefCell::new(None) };
}

/// The root directory of a process, in its mount namespace.
#[derive(Debug)]
pub(crate) struct Root {
    dir: OwnedFd,
    namespace: OwnedFd,
    /// `/proc/PID/mounts`, `O_PATH`.
    mounts: OwnedFd,
}

impl Root {
    /// That of this process. The kernel asks for the rights of ptrace(2) on it.
    pub(crate) fn of(process: &ProcessDir) -> nix::Result<Self> {
        Ok(Self {
            dir: process.open_entry("root", OFlag::O_PATH | OFlag::O_DIRECTORY)?,
            namespace: process.open_entry("ns/mnt", OFlag::O_RDONLY)?,
            mounts: process.open_entry("mounts", OFlag::O_PATH)?,
        })
    }

    /// Whether its mount namespace belongs to the user namespace that this process is in. Another one's belongs to whoever made
    /// that, who needs no rights here, and decides what each path holds.
    pub(crate) fn is_of_our_users(&self) -> nix::Result<bool> {
        let owner = process::owner_of(&self.namespace)?;
        Ok(super::same(&fstat(&owner)?, &stat("/proc/self/ns/user")?))
    }

    /// All that it holds.
    pub(crate) fn descriptors(&self) -> [&OwnedFd; 3] {
        [&self.dir, &self.namespace, &self.mounts]
    }

    /// What tells its mount namespace from others.
    pub(crate) fn id(&self) -> nix::Result<(u64, u64)> {
        fstat(&self.namespace).map(|stat| (stat.st_dev, stat.st_ino))
    }

    pub(super) fn dir(&self) -> &OwnedFd {
        &self.dir
    }

    /// The table of its mounts, as the kernel tells it of that process; pinned.
    pub(crate) fn mounts(&self) -> nix::Result<OwnedFd> {
        self.mounts.try_clone().map_err(|_| nix::errno::Errno::EMFILE)
    }

    /// Goes into the namespace itself. For a process of its own, which does one thing there and ends: whoever controls the
    /// namespace decides what it finds by any path.
    pub(crate) fn go_there(&self) -> nix::Result<()> {
        setns(&self.namespace, CloneFlags::CLONE_NEWNS)
    }
}

/// The root that is set; nothing for our own.
pub(crate) fn get() -> Option<Rc<Root>> {
    SET.with_borrow(Clone::clone)
}

/// Sets another root, and gives the one before.
pub(crate) fn set(root: Option<Rc<Root>>) -> Option<Rc<Root>> {
    SET.replace(root)
}

/// Does something of the process's own, from its own root.
pub(crate) fn at_home<T>(act: impl FnOnce() -> T) -> T {
    let root = set(None);
    let done = act();
    set(root);
    done
}
