//! Which files the broker believes: those that nobody but root, or the user it runs as, can have written.

use nix::sys::stat::FileStat;
use nix::unistd::geteuid;

/// Confirms that what this tells of belongs to root, or the user this process runs as, and that nobody else may write to it.
pub(crate) fn confirm_owner(stat: &FileStat) -> Result<(), String> {
    let own = geteuid().as_raw();
    if stat.st_uid != 0 && stat.st_uid != own {
        return Err(format!("it belongs to uid {}, not to root", stat.st_uid));
    }
    if stat.st_mode & 0o022 != 0 {
        return Err(format!("its mode {:04o} lets others write to it", stat.st_mode & 0o7777));
    }
    Ok(())
}
