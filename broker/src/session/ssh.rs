//! Whether a caller is what sshd started for a connection.
//!
//! For each connection sshd has a process that stays root. Unless the user is root too, that has a child with the user's rights
//! alone, and this one, the *session process*, starts the user's shell for whatever the connection is for; many a shell gives its
//! place to a command that is all it has to do:
//!
//! ```text
//! sshd, root ── sshd, the user (── its shell) ── the caller          sshd, root (── its shell) ── the caller, where it is root
//! ```
//!
//! So a caller cannot be in that place unless sshd let its user in, for this very connection. That is what is looked at. It does not
//! tell a forced command from what a user with a shell starts: which of the two an account can have is up to sshd's configuration, and
//! so is what the caller's word for its key is worth.
//!
//! The session process itself is no such caller: where it forwards connections it speaks for whoever is at the other end.

use super::start::Caller;
use super::submission::{Fault, Origin, refuse};
use crate::authz::{Session, Via};
use crate::sys::process;
use crate::sys::process_dir::{ProcessDir, status_field};
use nix::errno::Errno;
use nix::sys::stat::FileStat;
use rex_protocol::client::{RefusalReason, Submit};
use rex_protocol::ssh::Ssh;

/// What sshd's session processes are called: before OpenSSH 9.8, and since.
const PROGRAMS: &[&[u8]] = &[b"sshd", b"sshd-session"];
/// How the names of all of its programs begin.
const SSHD: &[u8] = b"sshd";
/// How many processes may stand below the session process: the caller, and the shell that started it.
const MOST_BELOW: usize = 2;

/// The connection that a run comes by; nothing where it does not claim any. A claim that does not hold is not as good as none:
/// such a run is refused.
pub(super) fn connection<'s>(submit: &'s Submit, caller: &Caller, origin: &Origin) -> Result<Option<&'s Ssh>, Fault> {
    let Some(ssh) = &submit.ssh else { return Ok(None) };
    if matches!(origin, Origin::Daemon { .. }) && is_started_by_sshd(caller).unwrap_or(false) {
        return Ok(Some(ssh));
    }
    Err(refuse(
        RefusalReason::NotAllowed,
        "sshd did not start the caller: `--ssh` is for its forced commands alone (`ForceCommand`, `command=`)".into(),
    ))
}

/// Tells policies and records of the connection.
pub(super) fn tell(session: &mut Session, ssh: &Ssh) {
    session.via = Via::Ssh;
    session.ssh_key = ssh.key.as_deref().unwrap_or_default().to_owned();
}

fn is_started_by_sshd(caller: &Caller) -> nix::Result<bool> {
    let uid = caller.principal.uid;
    // From the caller up to the session process.
    let mut line = vec![Process::open(u32::try_from(caller.pid).map_err(|_| Errno::ESRCH)?)?];
    while line.len() <= MOST_BELOW {
        let Some(last) = line.last() else { break };
        let above = Process::open(last.parent)?;
        let is_session = above.is_called_sshd()?;
        line.push(above);
        if is_session {
            break;
        }
    }
    let Some((session, below)) = line.split_last() else { return Ok(false) };
    let is_as_expected = line.iter().all(|process| process.has_uid(uid))
        && !below.iter().map(Process::is_called_sshd).collect::<Result<Vec<_>, _>>()?.contains(&true);
    let is_roots = if uid == 0 {
        session.is_roots_sshd()?
    } else {
        let root = Process::open(session.parent)?;
        root.is_roots_sshd()? && same(&root.program()?, &session.program()?) && session.is_child_of(&root)?
    };
    // One that still names another as its parent had that one all the time: a parent that ends is replaced at once, for good.
    let mut steps = line.windows(2);
    let is_line = steps.all(|step| matches!(step, [below, above] if below.is_child_of(above).unwrap_or(false)));
    // The caller's number is another's only once it has gone.
    let is_there = caller.process.as_ref().is_none_or(process::is_there);
    Ok(is_as_expected && is_roots && is_line && is_there)
}

/// A process, pinned, and what the kernel said of it first.
struct Process {
    dir: ProcessDir,
    parent: u32,
    /// The real, effective, saved and file system's user ids.
    uids: Vec<u32>,
}

impl Process {
    fn open(pid: u32) -> nix::Result<Self> {
        let dir = ProcessDir::open(pid)?;
        let status = dir.read("status", 8192)?;
        let parent = parent(&status).ok_or(Errno::EIO)?;
        let uids = status_field(&status, b"Uid:").unwrap_or_default().split_ascii_whitespace();
        let uids = uids.map(str::parse).collect::<Result<_, _>>().map_err(|_| Errno::EIO)?;
        Ok(Self { dir, parent, uids })
    }

    /// Whether it is still there, and still the child of `other`.
    fn is_child_of(&self, other: &Process) -> nix::Result<bool> {
        Ok(parent(&self.dir.read("status", 8192)?) == Some(other.dir.id))
    }

    fn has_uid(&self, uid: u32) -> bool {
        self.uids.len() == 4 && self.uids.iter().all(|own| *own == uid)
    }

    /// Whether it has root's rights alone and runs an sshd that only root can have put there.
    fn is_roots_sshd(&self) -> nix::Result<bool> {
        let (name, program) = (self.program_name()?, self.program()?);
        let is_roots = program.st_uid == 0 && program.st_mode & 0o022 == 0;
        Ok(self.has_uid(0) && PROGRAMS.contains(&&*name) && is_roots)
    }

    /// Whether it runs anything of sshd's, by its name; also if that was replaced since.
    fn is_called_sshd(&self) -> nix::Result<bool> {
        Ok(self.program_name()?.starts_with(SSHD))
    }

    fn program_name(&self) -> nix::Result<Vec<u8>> {
        let path = self.dir.link("exe")?;
        Ok(path.rsplit(|byte| *byte == b'/').next().unwrap_or_default().to_vec())
    }

    fn program(&self) -> nix::Result<FileStat> {
        self.dir.stat("exe")
    }
}

fn parent(status: &[u8]) -> Option<u32> {
    status_field(status, b"PPid:")?.parse().ok()
}

fn same(a: &FileStat, b: &FileStat) -> bool {
    (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)
}
