//! From the kernel's word about a caller to the principal that policies name.

use crate::authz::Principal;
use crate::sys::socket::Peer;
use crate::sys::{process, procfs};
use nix::errno::Errno;
use nix::unistd::{Gid, Group, Pid, Uid, User, getgrouplist};
use std::collections::BTreeSet;
use std::ffi::CString;

/// What a user without a name is called.
pub(crate) const UNKNOWN: &str = "unknown";

/// Who a caller is cannot be said.
#[derive(Debug, thiserror::Error)]
#[error("who you are cannot be said: {0}")]
pub struct PrincipalError(String);

/// Has the C library find out where the system's databases are (nsswitch.conf(5)), for this process and those that it forks: it
/// looks again where that file changes.
pub(crate) fn prepare() {
    let _ = (User::from_uid(Uid::from_raw(0)), Group::from_gid(Gid::from_raw(0)));
}

/// The principal of a user with this group and these supplementary ones. A group without a name cannot be named by a
/// policy. An error where the system's databases cannot be asked: who is in a group is not taken for being in none.
pub fn of(uid: u32, gid: u32, groups: &[u32]) -> Result<Principal, PrincipalError> {
    let user = found(User::from_uid(Uid::from_raw(uid)), &format!("user {uid}"))?;
    let ids: BTreeSet<u32> = groups.iter().copied().chain([gid]).collect();
    let mut names = Vec::new();
    for &id in &ids {
        names.extend(found(Group::from_gid(Gid::from_raw(id)), &format!("group {id}"))?.map(|group| group.name));
    }
    Ok(Principal {
        name: user.map_or_else(|| UNKNOWN.to_owned(), |user| user.name),
        uid,
        gid,
        gids: ids.into_iter().collect(),
        groups: names,
    })
}

/// The principal that a connection's other end acts as.
pub(crate) fn of_peer(peer: &Peer) -> Result<Principal, PrincipalError> {
    let mut groups = peer.groups.clone();
    // Where the kernel does not tell processes, it cannot be said for sure in which namespace one has set its groups.
    if peer.process.is_none() {
        let user = found(User::from_uid(Uid::from_raw(peer.uid)), &format!("user {}", peer.uid))?;
        if let Some(name) = user.and_then(|user| CString::new(user.name).ok()) {
            let known = getgrouplist(&name, Gid::from_raw(peer.gid));
            let known =
                known.map_err(|error| PrincipalError(format!("your groups cannot be listed: {}", error.desc())))?;
            groups.extend(known.into_iter().map(Gid::as_raw));
        }
    }
    of(peer.uid, peer.gid, &groups)
}

/// Confirms that a caller has its groups from this system: in a user namespace of its own a process may put away all that
/// it is in, and with them what policies forbid to them (user_namespaces(7)).
pub(crate) fn confirm_same_namespace(peer: &Peer) -> Result<(), PrincipalError> {
    let pid = Pid::from_raw(peer.pid);
    let of = |pid: Pid| procfs::link(pid, "ns/user").map_err(|_| PrincipalError("your process has ended".into()));
    let theirs = of(pid)?;
    // Only as long as it is there does its number mean it.
    if peer.process.as_ref().is_some_and(|process| !process::is_there(process)) {
        return Err(PrincipalError("your process has ended".into()));
    }
    if theirs != of(Pid::this())? {
        return Err(PrincipalError("your process is in a user namespace of its own".into()));
    }
    Ok(())
}

/// What a database has: nothing is an answer, a failure is none. Some say that there is nothing by an error (getpwnam_r(3)).
fn found<T>(entry: nix::Result<Option<T>>, what: &str) -> Result<Option<T>, PrincipalError> {
    match entry {
        Err(Errno::ENOENT | Errno::ESRCH | Errno::EBADF | Errno::EPERM) => Ok(None),
        Ok(entry) => Ok(entry),
        Err(error) => Err(PrincipalError(format!("{what} cannot be looked up: {}", error.desc()))),
    }
}
