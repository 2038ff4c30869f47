//! Seeing with the eyes of another process.
//!
//! Why this is safe given a hostile worker, and a hostile namespace: the session never enters a mount namespace, in which whoever
//! controls it decides what `/etc`, `/lib` and `/proc` are. It takes hold of that namespace's root directory, and from there
//! walks the paths that scripts name, and only these; users, its own files and its own programs it finds where it always did.
//! A namespace that an ordinary user could have made, in a user namespace of its own, it does not look into with root's rights.
//! A network namespace, which holds no files, it does enter. The process is pinned before it is judged; entries are
//! left in reverse order, and a session that cannot go back ends its run.

use super::signal::Pinned;
use super::{asked_about, no_process, refused};
use crate::authz::{Demand, Granted};
use crate::perform::fs::{dir_demand, file_demand};
use crate::perform::{Demands, Perform, Stop};
use crate::session::State;
use crate::sys::fs::root::{self, Root};
use crate::sys::fs::{self, Links};
use crate::sys::process;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::Mode;
use nix::sys::statfs::{NSFS_MAGIC, fstatfs};
use nix::unistd::geteuid;
use rex_protocol::failure::{Failure, FailureKind};
use rex_protocol::handle;
use rex_protocol::path::AbsPath;
use rex_protocol::process::{EnterNamespaces, EnterNetwork, NETWORKS};
use rex_protocol::{Action, Handle, Violation};
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// How many entries there may be within one another.
const DEPTH: usize = 16;

/// The namespaces of a session as they were before an entry.
#[derive(Debug)]
pub(crate) struct Entered {
    /// The root directory, where another was taken; nothing for the session's own.
    root: Option<Option<Rc<Root>>>,
    network: Option<OwnedFd>,
}

impl Entered {
    /// Goes back. A session that cannot is nowhere that policy knows: its run ends.
    pub(crate) fn leave(&self) -> Result<(), Violation> {
        if let Some(root) = &self.root {
            root::set(root.clone());
        }
        match &self.network {
            None => Ok(()),
            Some(network) => setns(network, CloneFlags::CLONE_NEWNET)
                .map_err(|_| Violation::new("is in a network namespace that the session cannot leave")),
        }
    }
}

pub(crate) struct EnterTarget {
    request: EnterNamespaces,
    /// Nothing where there is no such process.
    pinned: Option<Pinned>,
}

impl Perform for EnterNamespaces {
    type Target = EnterTarget;

    fn target(self, _: &mut State) -> Result<EnterTarget, Stop> {
        if !self.mount && !self.net {
            return Err(Failure::new(FailureKind::InvalidArguments, "no namespace is asked for").into());
        }
        Ok(EnterTarget { pinned: Pinned::new(self.pid)?, request: self })
    }

    // As for signals, a missing process is asked about, too.
    fn demands(target: &EnterTarget) -> Demands {
        let EnterNamespaces { pid, mount, net } = target.request;
        let wanted = [(mount, Action::ProcessMountNamespace), (net, Action::ProcessNetworkNamespace)];
        Demands::all(
            wanted
                .into_iter()
                .filter(|(wanted, _)| *wanted)
                .map(|(_, action)| asked_about(action, pid, target.pinned.as_ref()))
                .collect(),
        )
    }

    fn perform(target: Granted<EnterTarget>, state: &mut State) -> Result<Handle<handle::Entry>, Stop> {
        let EnterTarget { request: EnterNamespaces { pid, mount, net }, pinned } = target.into_inner();
        let pinned = pinned.ok_or_else(|| no_process(pid))?;
        if pinned.known.is_ours(&pinned.dir) {
            return Err(refused(Errno::EACCES, "enter namespaces of the broker's own", pid).into());
        }
        confirm_depth(state)?;
        let root = mount.then(|| Root::of(&pinned.dir)).transpose().map_err(namespace)?;
        if let Some(root) = &root
            && geteuid().is_root()
            && !root.is_of_our_users().unwrap_or(false)
        {
            let message =
                "its mount namespace belongs to a user who needs no right to make it, and decides what its paths hold";
            return Err(Failure::new(FailureKind::Namespace { errno: libc::EPERM }, message).into());
        }
        // Only now is it known to be the very process that was judged: it has its number still.
        if !process::is_there(&pinned.process) {
            return Err(no_process(pid).into());
        }
        let network = net.then(|| enter_network(&pinned.process)).transpose().map_err(namespace)?;
        let root = root.map(|root| root::set(Some(Rc::new(root))));
        keep(Entered { root, network }, state)
    }
}

impl Perform for EnterNetwork {
    type Target = (AbsPath, AbsPath);

    fn target(self, _: &mut State) -> Result<Self::Target, Stop> {
        let invalid = |error: &dyn std::fmt::Display| Failure::new(FailureKind::InvalidPath, error);
        let dir = AbsPath::parse(NETWORKS).map_err(|error| invalid(&error))?;
        let file = dir.join(&self.name).map_err(|error| invalid(&error))?;
        Ok((dir, file))
    }

    fn demands((dir, file): &Self::Target) -> Demands {
        let demands: Vec<Demand> = vec![
            file_demand(Action::FileNetworkNamespace, file),
            dir_demand(Action::FileOpen, dir),
            file_demand(Action::FileOpen, file),
        ];
        Demands::all(demands)
    }

    fn perform(target: Granted<Self::Target>, state: &mut State) -> Result<Handle<handle::Entry>, Stop> {
        let (_, file) = target.into_inner();
        confirm_depth(state)?;
        let network = open_network(&file).and_then(|network| enter_network(&network)).map_err(namespace)?;
        keep(Entered { root: None, network: Some(network) }, state)
    }
}

/// A namespace that is mounted at a path. What is there instead, such as a FIFO, is never opened.
fn open_network(path: &AbsPath) -> nix::Result<OwnedFd> {
    let pin = fs::pin(path, Links::Refuse)?;
    if fstatfs(&pin)?.filesystem_type() != NSFS_MAGIC {
        return Err(Errno::EINVAL);
    }
    fs::reopen(&pin, OFlag::O_RDONLY)
}

/// Goes into a network namespace, a process's or one itself. Gives the one that the session was in.
fn enter_network(of: &OwnedFd) -> nix::Result<OwnedFd> {
    let own = nix::fcntl::open("/proc/self/ns/net", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    setns(of, CloneFlags::CLONE_NEWNET)?;
    Ok(own)
}

fn confirm_depth(state: &State) -> Result<(), Failure> {
    state.handles.has_room()?;
    if state.handles.entries() < DEPTH {
        return Ok(());
    }
    Err(Failure::new(FailureKind::InvalidArguments, format!("namespaces are entered {DEPTH} deep already")))
}

fn keep(entered: Entered, state: &mut State) -> Result<Handle<handle::Entry>, Stop> {
    Ok(state.handles.add_entry(entered)?)
}

fn namespace(errno: Errno) -> Failure {
    let message = format!("cannot enter the namespaces: {}", errno.desc());
    Failure::new(FailureKind::Namespace { errno: errno as i32 }, message)
}
