//! The kernel's log.

use super::*;
use crate::sys::clock;
use crate::sys::fs::{self, Links, root};
use crate::sys::socket::retry;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{SFlag, fstat, makedev};
use rex_protocol::handle::Log;
use rex_protocol::system::{LogPage, ReadLog};
use rex_protocol::text::{CHUNK, Chunk};
use rex_protocol::{Failure, Handle};
use std::os::fd::OwnedFd;
use std::rc::Rc;

const LOG: &str = "/dev/kmsg";
/// Its device (linux/Documentation/admin-guide/devices.txt).
const DEVICE: (u64, u64) = (1, 11);
/// More than the longest record, in bytes: one that does not fit would be lost.
const RECORD: usize = 16 * 1024;

/// The log, read to some place.
pub(crate) struct OpenLog(OwnedFd);

pub(crate) struct LogTarget {
    path: AbsPath,
    /// What it goes on with, and the handle of that.
    under_way: Option<(Rc<OpenLog>, Handle<Log>)>,
}

impl Perform for ReadLog {
    type Target = LogTarget;

    fn target(self, state: &mut State) -> Result<LogTarget, Stop> {
        let under_way = match self.log {
            Some(log) => Some((state.handles.log(log)?, log)),
            None => None,
        };
        Ok(LogTarget { path: known(LOG)?, under_way })
    }

    fn demands(target: &LogTarget) -> Demands {
        Demands::all(vec![file_demand(Action::FileRead, &target.path)])
    }

    fn perform(target: Granted<LogTarget>, state: &mut State) -> Result<LogPage, Stop> {
        let LogTarget { path, under_way } = target.into_inner();
        let fault = |errno| refused(errno, "read", &path);
        let (log, handle) = match under_way {
            Some((log, handle)) => (log, Some(handle)),
            None => (Rc::new(open(&path)?), None),
        };
        let (records, ended) = log.next().map_err(fault)?;
        let records = Chunk::try_from(records).map_err(|_| fault(Errno::EOVERFLOW))?;
        let more = match handle {
            _ if ended => None,
            Some(handle) => Some(handle),
            None => Some(state.handles.add_log(log)?),
        };
        let (booted, utc_offset) = (clock::booted().map_err(fault)?, clock::utc_offset());
        Ok(LogPage { records, booted, utc_offset, more })
    }
}

/// Opens the log, and nothing else that has its path: in a container that is sometimes the console.
fn open(path: &AbsPath) -> Result<OpenLog, Failure> {
    let fault = |errno| refused(errno, "open", path);
    let pin = root::at_home(|| fs::pin(path, Links::Refuse)).map_err(fault)?;
    let stat = fstat(&pin).map_err(fault)?;
    if fs::kind(&stat) != SFlag::S_IFCHR || stat.st_rdev != makedev(DEVICE.0, DEVICE.1) {
        return Err(fault(Errno::ENODEV));
    }
    Ok(OpenLog(fs::reopen(pin, OFlag::O_RDONLY).map_err(fault)?))
}

impl OpenLog {
    /// The next records, and whether they are the last for now. Each read gives one (linux/Documentation/ABI/testing/dev-kmsg).
    fn next(&self) -> nix::Result<(Vec<u8>, bool)> {
        let mut records = Vec::with_capacity(CHUNK);
        let mut record = vec![0; RECORD];
        while records.len() + RECORD <= CHUNK {
            match retry(|| nix::unistd::read(&self.0, &mut record)) {
                Ok(length @ 1..) => records.extend_from_slice(record.get(..length).unwrap_or_default()),
                Ok(0) | Err(Errno::EAGAIN) => return Ok((records, true)),
                // The oldest gave way to new ones meanwhile; it goes on with what is oldest now.
                Err(Errno::EPIPE) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok((records, false))
    }
}
