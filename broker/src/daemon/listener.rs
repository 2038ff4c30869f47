//! The public socket: systemd's, or one of our own.
#![expect(
    clippy::disallowed_methods,
    reason = "the socket's path is the administrator's, used before anybody is served"
)]

use crate::sys::process;
use crate::sys::socket::{self, set_nonblocking};
use interprocess::local_socket::{GenericFilePath, ListenerOptions, ToFsName, traits::Stream};
use interprocess::os::unix::uds_local_socket;
use nix::unistd::Pid;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The socket cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on `{}`: {reason}", path.display())]
pub(super) struct ListenError {
    path: PathBuf,
    reason: String,
}

/// The socket that clients connect to.
pub(super) struct Listener {
    socket: uds_local_socket::Listener,
    /// Ours to remove at the end, by the process that made it; systemd's is not.
    path: Option<(PathBuf, Pid)>,
}

impl Listener {
    /// Takes the socket that systemd passes (sd_listen_fds(3)), or binds one at `path` that everybody may
    /// connect to: who may do what is for policy to say. A socket that nobody listens on any more is replaced.
    pub(super) fn open(path: &Path) -> Result<Self, ListenError> {
        let fault = |reason: String| ListenError { path: path.to_owned(), reason };
        if let Some(socket) = passed().map_err(fault)? {
            set_nonblocking(&socket).map_err(|error| fault(error.to_string()))?;
            return Ok(Self { socket: uds_local_socket::Listener::from(socket), path: None });
        }
        make_folder(path).map_err(|error| fault(error.to_string()))?;
        clear(path).map_err(fault)?;
        let bind = || {
            let name = path.to_fs_name::<GenericFilePath>()?;
            let socket = ListenerOptions::new().name(name).create_sync_as::<uds_local_socket::Listener>()?;
            // Whatever the umask says.
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
            Ok::<_, std::io::Error>(socket)
        };
        let mut socket = bind().map_err(|error| fault(error.to_string()))?;
        // Its own clean-up would remove the socket from every session that ends.
        interprocess::local_socket::traits::Listener::do_not_reclaim_name_on_drop(&mut socket);
        set_nonblocking(&socket).map_err(|error| fault(error.to_string()))?;
        Ok(Self { socket, path: Some((path.to_owned(), Pid::this())) })
    }

    /// Whether systemd passed it: it stays when this process ends.
    pub(super) fn is_passed(&self) -> bool {
        self.path.is_none()
    }

    /// The next client; `EAGAIN` if none waits.
    pub(super) fn accept(&self) -> nix::Result<OwnedFd> {
        socket::accept(&self.socket)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // A session lets go of the socket; the one who made it removes it.
        if let Some((path, _)) = self.path.as_ref().filter(|(_, owner)| *owner == Pid::this()) {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The one socket that systemd passes, if it passes any.
fn passed() -> Result<Option<OwnedFd>, String> {
    let mut numbers = sd_notify::listen_fds().map_err(|error| format!("systemd passes no usable socket: {error}"))?;
    let Some(number) = numbers.next() else { return Ok(None) };
    if numbers.next().is_some() {
        return Err("systemd passes more than one socket".into());
    }
    process::inherited(number).map(Some).map_err(|error| format!("systemd passes no usable socket: {error}"))
}

/// The socket's directory, if it is missing, for everybody to enter and only us to write to.
fn make_folder(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.exists() => {
            std::fs::DirBuilder::new().mode(0o755).create(folder)
        }
        _ => Ok(()),
    }
}

/// Removes a socket that nobody listens on; leaves anything else alone.
fn clear(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::FileTypeExt;
    let metadata = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.to_string()),
        Ok(metadata) => metadata,
    };
    if !metadata.file_type().is_socket() {
        return Err("something that is no socket stands there".into());
    }
    let connected = path.to_fs_name::<GenericFilePath>().and_then(interprocess::local_socket::Stream::connect);
    match connected {
        Ok(_) => Err("another broker listens there".into()),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    }
}
