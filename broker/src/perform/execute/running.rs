//! A program that runs: what it puts out, how it ends, and that nothing of it stays.

use crate::authz::Demand;
use crate::session::State;
use crate::sys::process;
use crate::sys::procfs;
use crate::sys::socket::{retry, set_nonblocking};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use rex_protocol::failure::{Failure, FailureKind};
use rex_protocol::fs::{Exit, ProgramOutput};
use rex_protocol::text::{CHUNK, Chunk};
use std::cell::RefCell;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long one look waits for something to happen: at first, and at most where nothing has for long. Each is asked of policy, and
/// recorded.
const LOOK: Duration = Duration::from_millis(100);
const LONG_LOOK: Duration = Duration::from_secs(2);
/// How long the streams of a program that has ended stay open at most, where something outside its tree holds them.
const LINGER: Duration = Duration::from_secs(1);
/// How long what is left of a program is looked for at most, and how long between two looks.
const CLEANUP: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(2);

/// How what a program starts is found again when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tree {
    /// It is all that there is in a pid namespace, of which the supervisor is the first process.
    Namespace,
    /// It is below the supervisor, in a namespace with others.
    Descendants,
}

/// A program that a script has started.
#[derive(Debug)]
pub(crate) enum Started {
    /// It runs.
    Running(Running),
    /// In a dry run it does not: it has put out nothing, and ended well. This is asked of policy when it is followed.
    Planned(Vec<Demand>),
}

impl Started {
    /// What policy is asked when it is followed.
    pub(super) fn demands(&self) -> &[Demand] {
        match self {
            Started::Running(running) => &running.demands,
            Started::Planned(demands) => demands,
        }
    }

    /// What it has put out since the last time; waits a little where there is nothing.
    pub(super) fn follow(&self, state: &State) -> Result<ProgramOutput, Failure> {
        match self {
            Started::Running(running) => running.follow(state),
            Started::Planned(_) => Ok(ProgramOutput { ended: Some(Exit::Code(0)), ..ProgramOutput::default() }),
        }
    }
}

impl From<Running> for Started {
    fn from(running: Running) -> Self {
        Started::Running(running)
    }
}

/// A program that runs. Dropped, it is ended with all that it started.
#[derive(Debug)]
pub(crate) struct Running {
    /// What policy is asked when it is followed.
    demands: Vec<Demand>,
    tree: Tree,
    supervisor: (Pid, OwnedFd),
    stdout: OwnedFd,
    stderr: OwnedFd,
    status: OwnedFd,
    /// The process that it tells of: nothing that it says counts once that has ended.
    about: RefCell<Option<OwnedFd>>,
    progress: RefCell<Progress>,
}

#[derive(Debug)]
struct Progress {
    /// How long the next look waits.
    patience: Duration,
    stdout_open: bool,
    stderr_open: bool,
    ended: Option<(Exit, Instant)>,
}

impl Running {
    /// Follows a program through our ends of its pipes: standard output, standard error, how it ended.
    pub(super) fn new(demands: Vec<Demand>, tree: Tree, supervisor: (Pid, OwnedFd), ends: [OwnedFd; 3]) -> Self {
        let [stdout, stderr, status] = ends;
        let progress = RefCell::new(Progress { patience: LOOK, stdout_open: true, stderr_open: true, ended: None });
        Self { demands, tree, supervisor, stdout, stderr, status, about: RefCell::default(), progress }
    }

    /// The same, which tells of this process.
    pub(super) fn about(self, process: OwnedFd) -> Self {
        self.about.replace(Some(process));
        self
    }

    /// What it has put out since the last time; waits a little where there is nothing.
    fn follow(&self, state: &State) -> Result<ProgramOutput, Failure> {
        let mut progress = self.progress.borrow_mut();
        let is_quiet = !self.wait(&progress, state) && progress.ended.is_none();
        progress.patience = if is_quiet { LONG_LOOK.min(progress.patience * 2) } else { LOOK };
        let stdout = take(&self.stdout, &mut progress.stdout_open);
        let stderr = take(&self.stderr, &mut progress.stderr_open);
        if progress.ended.is_none() {
            progress.ended = Told::hear(&self.status).map(|exit| (exit, Instant::now()));
        }
        let Some((exit, at)) = progress.ended else { return Ok(ProgramOutput { stdout, stderr, ended: None }) };
        self.end_what_is_left();
        if self.about.borrow().as_ref().is_some_and(|process| !process::is_there(process)) {
            let message = "the process has ended; its number may be another's";
            return Err(Failure::new(FailureKind::Refused { errno: libc::ESRCH }, message));
        }
        let drained = !progress.stdout_open && !progress.stderr_open;
        let lingers = at.elapsed() > LINGER && stdout.is_empty() && stderr.is_empty();
        Ok(ProgramOutput { stdout, stderr, ended: (drained || lingers).then_some(exit) })
    }

    /// Ends all that is below the supervisor, where no namespace does: from the top, so that nobody sees a child end and
    /// starts another. What a process leaves behind comes below the supervisor, which ends when nothing is left there.
    fn end_what_is_left(&self) {
        let (pid, process) = &self.supervisor;
        let end = Instant::now() + CLEANUP;
        while self.tree == Tree::Descendants && !has_ended(process) && Instant::now() < end {
            end_children(*pid);
            std::thread::sleep(PAUSE);
        }
    }

    /// Whether something happened: to the program, or to who waits for it.
    fn wait(&self, progress: &Progress, state: &State) -> bool {
        let ends = [
            (&self.stdout, progress.stdout_open),
            (&self.stderr, progress.stderr_open),
            (&self.status, progress.ended.is_none()),
        ];
        let open = ends.iter().filter(|(_, open)| *open);
        let mut polled: Vec<PollFd<'_>> = open.map(|(end, _)| PollFd::new(end.as_fd(), PollFlags::POLLIN)).collect();
        if polled.is_empty() {
            return true;
        }
        polled.extend(state.watched());
        let patience = progress.patience.min(state.time_left());
        let timeout = PollTimeout::try_from(patience.as_nanos().div_ceil(1_000_000)).unwrap_or(PollTimeout::ZERO);
        // Interrupted is as good as nothing: the worker asks again.
        poll(&mut polled, timeout) != Ok(0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end_what_is_left();
        let (_, process) = &self.supervisor;
        let _ = process::signal(process, Signal::SIGKILL);
        let _ = retry(|| waitid(Id::PIDFd(process.as_fd()), WaitPidFlag::WEXITED));
    }
}

/// What a stream has, at most half a chunk. At its end `open` becomes false.
fn take(stream: &OwnedFd, open: &mut bool) -> Chunk {
    if !*open {
        return Chunk::default();
    }
    let mut bytes = vec![0; CHUNK / 2];
    let read = set_nonblocking(stream).and_then(|()| retry(|| nix::unistd::read(stream, &mut bytes)));
    let length = match read {
        Ok(length @ 1..) => length,
        Err(Errno::EAGAIN) => 0,
        Ok(0) | Err(_) => {
            *open = false;
            0
        }
    };
    bytes.truncate(length);
    Chunk::try_from(bytes).unwrap_or_default()
}

fn has_ended(process: &OwnedFd) -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    !matches!(retry(|| waitid(Id::PIDFd(process.as_fd()), flags)), Ok(WaitStatus::StillAlive))
}

/// Ends the children of a process of ours.
fn end_children(of: Pid) {
    let children = procfs::read(of, &format!("task/{of}/children")).unwrap_or_default();
    for child in children.split_ascii_whitespace().filter_map(|number| number.parse().ok()).map(Pid::from_raw) {
        let Ok(process) = process::pidfd_open(child) else { continue };
        // The number may be another's by now: only then its parent is another too.
        if procfs::parent(child) == Some(of) {
            let _ = process::signal(process, Signal::SIGKILL);
        }
    }
}

/// How a supervisor tells its session how the program ended.
pub(super) struct Told;

impl Told {
    const LENGTH: usize = 5;

    /// A byte for the kind, and the number.
    pub(super) fn encode(exit: Exit) -> [u8; Self::LENGTH] {
        let (kind, number) = match exit {
            Exit::Code(code) => (0, code),
            Exit::Signal(signal) => (1, signal),
        };
        let [a, b, c, d] = number.to_le_bytes();
        [kind, a, b, c, d]
    }

    /// Nothing while there is nothing. A supervisor that said nothing was ended from outside, and its program with it.
    fn hear(status: &OwnedFd) -> Option<Exit> {
        let mut told = [0; Self::LENGTH];
        match set_nonblocking(status).and_then(|()| retry(|| nix::unistd::read(status, &mut told))) {
            Err(Errno::EAGAIN) => None,
            Ok(Self::LENGTH) => {
                let [kind, number @ ..] = told;
                let number = i32::from_le_bytes(number);
                Some(if kind == 0 { Exit::Code(number) } else { Exit::Signal(number) })
            }
            _ => Some(Exit::Signal(Signal::SIGKILL as i32)),
        }
    }
}
