//! Names of users and groups by their numbers. To find one costs more than all else about an object.

use nix::unistd::{Gid, Group, Uid, User};
use rex_protocol::text::Text;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long a name is told without a look into the system's databases.
const FRESH: Duration = Duration::from_secs(1);

/// Those that were looked up. What has no name is looked up anew in each operation: it may have just been given one.
#[derive(Default)]
pub(crate) struct Names {
    since: Option<Instant>,
    users: HashMap<u32, Option<Text<256>>>,
    groups: HashMap<u32, Option<Text<256>>>,
}

impl Names {
    /// What of them may be told in a new operation; they are to be put back after it.
    pub(super) fn take(&mut self) -> Self {
        let mut taken = std::mem::take(self);
        if taken.since.is_none_or(|since| since.elapsed() > FRESH) {
            return Self { since: Some(Instant::now()), ..Self::default() };
        }
        for names in [&mut taken.users, &mut taken.groups] {
            names.retain(|_, name| name.is_some());
        }
        taken
    }

    /// A user's.
    pub(super) fn user(&mut self, uid: u32) -> Option<Text<256>> {
        let look_up = || User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| Text::cut(user.name));
        self.users.entry(uid).or_insert_with(look_up).clone()
    }

    /// A group's.
    pub(super) fn group(&mut self, gid: u32) -> Option<Text<256>> {
        let look_up = || Group::from_gid(Gid::from_raw(gid)).ok().flatten().map(|group| Text::cut(group.name));
        self.groups.entry(gid).or_insert_with(look_up).clone()
    }
}
