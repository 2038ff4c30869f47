//! Mounted file systems.

use super::aside::aside;
use super::*;
use crate::perform::fs::join;
use crate::plan::{self, About, Planned};
use crate::sys::fs::{self, Links, root};
use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use nix::sys::statvfs::fstatvfs;
use nix::unistd::geteuid;
use rex_protocol::Failure;
use rex_protocol::change::Act;
use rex_protocol::path::Name;
use rex_protocol::system::{MountUsage, StatMount, Unmount};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a file system may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

impl Perform for StatMount {
    type Target = AbsPath;

    fn target(self, _: &mut State) -> Result<AbsPath, Stop> {
        Ok(self.path)
    }

    fn demands(path: &AbsPath) -> Demands {
        Demands::all(vec![dir_demand(Action::FileStat, path)])
    }

    fn perform(path: Granted<AbsPath>, state: &mut State) -> Result<MountUsage, Stop> {
        let path = path.into_inner();
        // Already finding it may hang, where a server is gone.
        let usage = aside(PATIENCE.min(state.time_left()), &[], || usage(&path));
        usage.map_err(|errno| refused(errno, "look at", &path).into())
    }
}

#[allow(clippy::useless_conversion, clippy::unnecessary_cast, reason = "32 bits wide on some machines")]
fn usage(path: &AbsPath) -> nix::Result<MountUsage> {
    let stat = fstatvfs(fs::pin(path, Links::Refuse)?)?;
    let bytes = |blocks: u64| blocks.saturating_mul(u64::from(stat.fragment_size()));
    Ok(MountUsage {
        size: bytes(u64::from(stat.blocks())),
        available: bytes(u64::from(stat.blocks_available())),
        inodes: u64::from(stat.files()),
        inodes_free: u64::from(stat.files_free()),
    })
}

impl Perform for Unmount {
    type Target = AbsPath;

    fn target(self, _: &mut State) -> Result<AbsPath, Stop> {
        Ok(self.path)
    }

    fn demands(path: &AbsPath) -> Demands {
        Demands::all(vec![dir_demand(Action::FileUnmount, path)])
    }

    fn perform(path: Granted<AbsPath>, state: &mut State) -> Result<(), Stop> {
        let path = path.into_inner();
        let fault = |errno| refused(errno, "unmount", &path);
        let Some((dir, name)) = judged(&path, state)? else {
            return Ok(unmount(Path::new("/")).map_err(fault)?);
        };
        // By the directory that was judged, whatever has its path by now.
        let place = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())).join(name.as_os_str());
        let unmounted = match root::get() {
            None => unmount(&place),
            // Only from inside of its namespace; there a process goes that knows nothing and says nothing but that.
            Some(root) => aside(PATIENCE.min(state.time_left()), &[&dir], || {
                root.go_there()?;
                nix::unistd::fchdir(&dir)?;
                unmount(Path::new(name.as_os_str()))
            }),
        };
        Ok(unmounted.map_err(fault)?)
    }

    fn plan(path: Granted<AbsPath>, state: &mut State) -> Result<(), Stop> {
        let path = path.into_inner();
        let fault = |errno| refused(errno, "unmount", &path);
        if let Some((dir, name)) = judged(&path, state)? {
            let is_mounted = fs::is_mount_point(&dir, &name).map_err(fault)?;
            if !geteuid().is_root() {
                return Err(fault(Errno::EPERM).into());
            }
            if !is_mounted {
                return Err(fault(Errno::EINVAL).into());
            }
        }
        plan::note(Planned::on(Act::Unmount, About::Dir(path)));
        Ok(())
    }
}

/// Where the mount point is, once all that it really is was asked for; nothing for `/`.
fn judged(path: &AbsPath, state: &mut State) -> Result<Option<(OwnedFd, Name)>, Failure> {
    let fault = |errno| refused(errno, "unmount", path);
    let Some((parent, name)) = path.split() else { return Ok(None) };
    let dir = match fs::pin(&parent, Links::Follow) {
        Ok(dir) => dir,
        Err(errno) => {
            // What a link on the way leads to is told only to whom policy lets unmount there.
            judge_detours(path, state)?;
            if let Some(end) = lead::end_of(path) {
                state.demand(&[dir_demand(Action::FileUnmount, &end)])?;
            }
            return Err(fault(errno));
        }
    };
    let real = join(&real_path(&dir, &parent)?, &name)?;
    if real != *path {
        judge_detours(path, state)?;
        state.demand(&[dir_demand(Action::FileUnmount, &real)])?;
    }
    Ok(Some((dir, name)))
}

/// Asks for the directories that a link on the way goes into only to leave them by `..`: that one could be passed tells
/// that it is there.
fn judge_detours(path: &AbsPath, state: &mut State) -> Result<(), Failure> {
    lead::detours(path).iter().try_for_each(|dir| state.demand(&[dir_demand(Action::FileUnmount, dir)]))
}

#[allow(clippy::disallowed_methods, reason = "it refuses in a dry run")]
fn unmount(place: &Path) -> nix::Result<()> {
    plan::confirm_real()?;
    // In user namespaces and on old kernels it may be interrupted.
    loop {
        match umount2(place, MntFlags::UMOUNT_NOFOLLOW) {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}
