//! Looks that the kernel may not come back from, made by a process of their own.

use crate::sys::fs::root;
use crate::sys::process::{self, Forked};
use crate::sys::socket::retry;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::pipe2;
use rex_protocol::wire;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// The first descriptor that is no standard stream.
const FIRST: i32 = 3;
/// What an answer takes at most, in bytes: it goes through a pipe at once.
const ANSWER: usize = 512;

/// What `look` gives, within `patience`; `ETIMEDOUT` if it takes longer. It is made by a fork of this process, which is ended
/// then: where not even that can be done at once, it stays behind by itself. Of the session's descriptors it has those in
/// `kept`, and those of the root that is set.
pub(super) fn aside<T: Serialize + DeserializeOwned>(
    patience: Duration,
    kept: &[&OwnedFd],
    look: impl FnOnce() -> nix::Result<T>,
) -> nix::Result<T> {
    let (answer, tell) = pipe2(OFlag::O_CLOEXEC)?;
    match process::fork()? {
        Forked::Child => {
            say(&tell, kept, look);
            process::exit_now(0)
        }
        Forked::Parent { process, .. } => {
            drop(tell);
            let heard = hear(&answer, patience);
            let _ = process::signal(&process, Signal::SIGKILL);
            let flags = match heard {
                // It hangs, and may hang on.
                Err(Errno::ETIMEDOUT) => WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG,
                _ => WaitPidFlag::WEXITED,
            };
            let _ = retry(|| waitid(Id::PIDFd(process.as_fd()), flags));
            heard
        }
    }
}

/// The child's part. Nothing else of the session stays open in it: it may outlive the session.
fn say<T: Serialize>(tell: &OwnedFd, kept: &[&OwnedFd], look: impl FnOnce() -> nix::Result<T>) {
    let root = root::get();
    let of_root = root.iter().flat_map(|root| root.descriptors());
    let mut kept: Vec<_> = kept.iter().copied().chain([tell]).chain(of_root).map(AsRawFd::as_raw_fd).collect();
    kept.sort_unstable();
    let alone = prctl::set_pdeathsig(Signal::SIGKILL);
    let alone = alone.and_then(|()| process::close_all_but(FIRST, &kept));
    let found = alone.and_then(|()| look()).map_err(|errno| errno as i32);
    if let Ok(answer) = wire::encode(&found) {
        // Nobody is left to tell where it fails.
        let _ = nix::unistd::write(tell, &answer);
    }
}

fn hear<T: DeserializeOwned>(answer: &OwnedFd, patience: Duration) -> nix::Result<T> {
    let end = Instant::now() + patience;
    loop {
        let left = PollTimeout::try_from(end.saturating_duration_since(Instant::now())).unwrap_or(PollTimeout::MAX);
        let mut polled = [PollFd::new(answer.as_fd(), PollFlags::POLLIN)];
        match poll(&mut polled, left) {
            Ok(0) => return Err(Errno::ETIMEDOUT),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
            Ok(_) => break,
        }
    }
    let mut bytes = vec![0; ANSWER];
    let length = retry(|| nix::unistd::read(answer, &mut bytes))?;
    let told: Result<T, i32> = wire::decode(bytes.get(..length).unwrap_or_default()).map_err(|_| Errno::EIO)?;
    told.map_err(Errno::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Tests have more than one thread, where nothing forks: what is heard is what can be tried here.
    #[test]
    fn an_answer_is_heard_and_silence_is_not_waited_for() {
        let (answer, tell) = pipe2(OFlag::O_CLOEXEC).unwrap();
        assert_eq!(hear::<u64>(&answer, Duration::ZERO), Err(Errno::ETIMEDOUT));
        for told in [Ok(7), Err(Errno::EACCES)] {
            let bytes = wire::encode(&told.map_err(|errno| errno as i32)).unwrap();
            nix::unistd::write(&tell, &bytes).unwrap();
            assert_eq!(hear::<u64>(&answer, Duration::ZERO), told);
        }
        drop(tell);
        assert_eq!(hear::<u64>(&answer, Duration::ZERO), Err(Errno::EIO));
    }
}
