//! From the kernel's numbers of a caller to the principal that policies name.

use crate::authz::Principal;
use nix::unistd::{Gid, Group, Uid, User};
use std::collections::BTreeSet;

/// What a user without a name is called.
pub(crate) const UNKNOWN: &str = "unknown";

/// The principal of a user with this group and these supplementary ones. A group without a name cannot be named by a
/// policy.
pub fn of(uid: u32, gid: u32, groups: &[u32]) -> Principal {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    let ids: BTreeSet<u32> = groups.iter().copied().chain([gid]).collect();
    let groups = ids.iter().filter_map(|gid| Group::from_gid(Gid::from_raw(*gid)).ok().flatten());
    Principal {
        name: user.map_or_else(|| UNKNOWN.to_owned(), |user| user.name),
        uid,
        gid,
        gids: ids.iter().copied().collect(),
        groups: groups.map(|group| group.name).collect(),
    }
}
