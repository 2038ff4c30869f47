//! The sockets: systemd's, or our own.
#![expect(
    clippy::disallowed_methods,
    reason = "the socket's path is the administrator's, used before anybody is served"
)]

use crate::sys::process;
use crate::sys::socket::{self, set_nonblocking};
use interprocess::local_socket::{GenericFilePath, ListenerOptions, ToFsName, traits::Stream};
use interprocess::os::unix::uds_local_socket;
use nix::errno::Errno;
use nix::unistd::Pid;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The mode of a socket that everybody may connect to: who may do what is for policy to say.
pub(super) const FOR_ALL: u32 = 0o666;
/// The mode of one for root alone.
pub(super) const FOR_ROOT: u32 = 0o600;
/// What systemd calls the socket for metrics.
const METRICS: &str = "metrics";

/// The socket cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on `{}`: {reason}", path.display())]
pub(super) struct ListenError {
    path: PathBuf,
    reason: String,
}

/// A socket that is connected to.
pub(super) struct Listener {
    socket: uds_local_socket::Listener,
    /// Ours to remove at the end, by the process that made it; systemd's is not.
    path: Option<(PathBuf, Pid)>,
}

impl Listener {
    /// Takes the socket that systemd passed, or binds one at `path`, which those may connect to that its mode says. A socket that
    /// nobody listens on any more is replaced.
    pub(super) fn open(path: &Path, passed: Option<OwnedFd>, mode: u32) -> Result<Self, ListenError> {
        let fault = |reason: String| ListenError { path: path.to_owned(), reason };
        if let Some(socket) = passed {
            set_nonblocking(&socket).map_err(|error| fault(error.to_string()))?;
            return Ok(Self { socket: uds_local_socket::Listener::from(socket), path: None });
        }
        make_folder(path).map_err(|error| fault(place(&error)))?;
        clear(path).map_err(fault)?;
        let bind = || {
            let name = path.to_fs_name::<GenericFilePath>()?;
            let socket = ListenerOptions::new().name(name).create_sync_as::<uds_local_socket::Listener>()?;
            // Whatever the umask says.
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))?;
            Ok::<_, std::io::Error>(socket)
        };
        let mut socket = bind().map_err(|error| fault(place(&error)))?;
        // Its own clean-up would remove the socket from every session that ends.
        interprocess::local_socket::traits::Listener::do_not_reclaim_name_on_drop(&mut socket);
        set_nonblocking(&socket).map_err(|error| fault(error.to_string()))?;
        Ok(Self { socket, path: Some((path.to_owned(), Pid::this())) })
    }

    /// Whether systemd passed it: it stays when this process ends.
    pub(super) fn is_passed(&self) -> bool {
        self.path.is_none()
    }

    /// The next who connects; `EAGAIN` if none waits.
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

/// The sockets that systemd passes, if it passes any (sd_listen_fds(3)).
#[derive(Default)]
pub(super) struct Passed {
    /// The one for clients.
    pub(super) clients: Option<OwnedFd>,
    /// The one for metrics, by its name (`FileDescriptorName=`).
    pub(super) metrics: Option<OwnedFd>,
}

impl Passed {
    /// Takes them. An error where there are others.
    pub(super) fn take() -> Result<Self, String> {
        let fault = |error: std::io::Error| format!("cannot listen: systemd passes no usable socket: {error}");
        let mut passed = Self::default();
        for (number, name) in sd_notify::listen_fds_with_names().map_err(fault)? {
            let place = if name == METRICS { &mut passed.metrics } else { &mut passed.clients };
            if place.is_some() {
                return Err(format!("cannot listen: systemd passes more than one socket (`{name}`)"));
            }
            *place = Some(process::inherited(number).map_err(|errno| fault(errno.into()))?);
        }
        Ok(passed)
    }
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

/// Why no socket can be at its place, and what helps.
fn place(error: &std::io::Error) -> String {
    let reason = error.raw_os_error().map(|number| Errno::from_raw(number).desc().to_owned());
    let reason = reason.unwrap_or_else(|| error.to_string());
    format!("{reason}; it needs a directory that the broker can write to")
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
        return Err("something that is no socket stands there; remove it, or name another place".into());
    }
    let connected = path.to_fs_name::<GenericFilePath>().and_then(interprocess::local_socket::Stream::connect);
    match connected {
        Ok(_) => Err("another broker listens there; stop that one, or name another place".into()),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    }
}
