//! The log at one moment in which nobody writes it, though brokers go on meanwhile.

use super::head::Head;
use super::log::HEAD;
use super::read::{files, open};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::io::{self, BufReader, Read, Take};
use std::path::Path;
use std::time::{Duration, Instant};

/// For how long it is waited for those who write.
const PATIENCE: Duration = Duration::from_secs(10);

/// The files of a log as far as they went at one moment.
pub(super) struct Snapshot {
    /// What the head told; nothing where it was empty, an error where it could not be read.
    pub(super) head: io::Result<Option<Head>>,
    /// The files, the oldest first.
    pub(super) parts: Vec<Part>,
}

/// One file.
pub(super) struct Part {
    /// Its name at that moment.
    pub(super) name: String,
    /// Its content at that moment.
    pub(super) content: BufReader<Take<File>>,
}

impl Snapshot {
    /// Of the log in a directory. Brokers wait for it, about as long as opening its files takes.
    pub(super) fn take(directory: &Path) -> io::Result<Self> {
        let lock = match open(&directory.join(HEAD)) {
            Ok(head) => Ok(lock(head)?),
            Err(error) => Err(error),
        };
        let parts = files(directory)?.iter().map(|path| Part::of(path)).collect::<io::Result<_>>()?;
        Ok(Self { head: lock.and_then(|head| Head::read(&head)), parts })
    }
}

impl Part {
    fn of(path: &Path) -> io::Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { name, content: BufReader::new(file.take(length)) })
    }
}

/// Whoever writes has an exclusive lock on the head meanwhile.
fn lock(mut head: File) -> io::Result<Flock<File>> {
    let end = Instant::now() + PATIENCE;
    loop {
        head = match Flock::lock(head, FlockArg::LockSharedNonblock) {
            Ok(lock) => return Ok(lock),
            Err((head, Errno::EAGAIN | Errno::EINTR)) if Instant::now() < end => head,
            Err((_, Errno::EAGAIN)) => {
                return Err(io::Error::other(format!("another process holds the lock on {HEAD}")));
            }
            Err((_, errno)) => return Err(errno.into()),
        };
        std::thread::sleep(Duration::from_micros(50));
    }
}
