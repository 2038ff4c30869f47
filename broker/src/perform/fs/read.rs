//! Reading.

use super::*;
use crate::authz::Granted;
use crate::perform::{Demands, Perform};
use crate::sys::socket::retry;
use rex_protocol::fs::Read;
use rex_protocol::text::{CHUNK, Chunk};

pub(crate) struct ReadTarget {
    file: Rc<OpenRegularFile>,
    offset: u64,
    length: u32,
}

impl Perform for Read {
    type Target = ReadTarget;

    fn target(self, state: &mut State) -> Result<ReadTarget, Stop> {
        Ok(ReadTarget { file: state.handles.file(self.file)?, offset: self.offset, length: self.length })
    }

    fn demands(target: &ReadTarget) -> Demands {
        Demands::all(vec![target.file.demand(Action::FileRead)])
    }

    fn perform(target: Granted<ReadTarget>, state: &mut State) -> Result<Chunk, Stop> {
        let ReadTarget { file, offset, length } = target.into_inner();
        readable(&file)?;
        let most = usize::try_from(length).unwrap_or(CHUNK).min(CHUNK);
        let bytes = planned::read(&file.fd, offset, most).map_err(|errno| refused(errno, "read", &file.path))?;
        state.spent().bytes_read += bytes.len() as u64;
        Chunk::try_from(bytes).map_err(|error| Failure::new(FailureKind::InvalidArguments, error).into())
    }
}

/// Refuses a file that was not opened for reading.
pub(super) fn readable(file: &OpenRegularFile) -> Result<(), Failure> {
    if file.read {
        return Ok(());
    }
    Err(Failure::new(FailureKind::NotOpenForReading, format!("`{}` is not open for reading", file.path)))
}

/// Up to `most` bytes from `offset` on; fewer at the end.
pub(crate) fn read_at(fd: &OwnedFd, offset: u64, most: usize) -> nix::Result<Vec<u8>> {
    let mut bytes = vec![0; most];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let at = i64::try_from(offset).ok().and_then(|offset| offset.checked_add(i64::try_from(filled).ok()?));
        let Some(at) = at else { break };
        match retry(|| nix::sys::uio::pread(fd, rest, at)) {
            Ok(0) => break,
            // Files of kernel file systems give less than asked for before their end.
            Ok(count) => filled += count,
            Err(errno) => return Err(errno),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
