//! As whom a program runs.
//!
//! Without a word about it, as the caller, never as the broker. A caller that is not root can have another user or group,
//! capabilities, or a place in another's namespace only by a policy of the server's owner that reads that part of the context: a `permit` written without a
//! thought of them does not hand them out.

use crate::authz::{Demand, Principal, ProgramContext};
use crate::jail::FIRST_NOBODY_ID;
use crate::perform::Stop;
use crate::perform::fs::{group_id, user_id};
use crate::session::State;
use caps::Capability;
use nix::unistd::{Gid, Group, Uid, User, geteuid, getgrouplist};
use rex_protocol::failure::{Denial, Failure, FailureKind};
use rex_protocol::text::Text;
use std::ffi::CString;
use std::str::FromStr;

/// As whom a program runs.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// Name and number.
    pub(super) user: (String, u32),
    /// Name and number.
    pub(super) group: (String, u32),
    /// Supplementary groups.
    pub(super) groups: Vec<u32>,
    /// Whether this is another user than the caller, or another group.
    other_user: bool,
    other_group: bool,
}

impl Identity {
    /// The caller's own, but for what is asked for by name. Another user comes with its own supplementary groups; the
    /// group stays the caller's, as policy sees it, unless one is asked for.
    pub(super) fn asked_for(caller: &Principal, user: Option<&str>, group: Option<&str>) -> Result<Self, Failure> {
        let mut identity = Self::own(caller);
        if let Some(name) = group {
            let gid = group_id(name)?.as_raw();
            identity.other_group = gid != caller.gid;
            identity.group = (name.to_owned(), gid);
            identity.groups = Vec::new();
        }
        if let Some(name) = user {
            let uid = user_id(name)?.as_raw();
            identity.other_user = uid != caller.uid;
            identity.user = (name.to_owned(), uid);
            identity.groups = groups_of(name, identity.group.1);
        }
        Ok(identity)
    }

    /// The caller's own.
    pub(super) fn own(caller: &Principal) -> Self {
        let own_group = Group::from_gid(Gid::from_raw(caller.gid)).ok().flatten();
        Self {
            user: (caller.name.clone(), caller.uid),
            group: (own_group.map_or_else(|| caller.gid.to_string(), |group| group.name), caller.gid),
            groups: caller.gids.clone(),
            other_user: false,
            other_group: false,
        }
    }

    /// Nobody's: a user and group that this session's program alone has.
    pub(super) fn nobody() -> Self {
        let id = FIRST_NOBODY_ID + std::process::id();
        Self {
            user: (id.to_string(), id),
            group: (id.to_string(), id),
            groups: Vec::new(),
            other_user: true,
            other_group: true,
        }
    }

    /// That of a user and group, whoever they are, and of no other group.
    pub(super) fn of(uid: u32, gid: u32) -> Self {
        let [user, group] = [uid, gid].map(|id| (id.to_string(), id));
        Self { user, group, groups: Vec::new(), other_user: true, other_group: true }
    }

    /// Root's, which the session itself has.
    pub(super) fn root() -> Self {
        let root = || ("root".to_owned(), 0);
        Self { user: root(), group: root(), groups: Vec::new(), other_user: false, other_group: false }
    }

    /// Whether it is the identity that this process has already.
    pub(super) fn is_ours(&self) -> bool {
        self.user.1 == geteuid().as_raw() && !self.other_group
    }
}

/// The supplementary groups of a user.
fn groups_of(user: &str, gid: u32) -> Vec<u32> {
    let own = User::from_name(user).ok().flatten().map_or(gid, |user| user.gid.as_raw());
    let groups = CString::new(user).ok().and_then(|name| getgrouplist(&name, Gid::from_raw(own)).ok());
    groups.unwrap_or_default().into_iter().map(Gid::as_raw).collect()
}

/// The capabilities of these names.
pub(super) fn capabilities(names: &[String]) -> Result<Vec<Capability>, Failure> {
    let parse = |name: &String| {
        Capability::from_str(name)
            .map_err(|_| Failure::new(FailureKind::InvalidArguments, format!("there is no capability `{name}`")))
    };
    names.iter().map(parse).collect()
}

/// Denies another identity, and capabilities, that no policy speaks of. Root may be anybody anyway, and without root's
/// rights the kernel decides.
pub(super) fn confirm_said(
    state: &mut State,
    demand: &Demand,
    identity: &Identity,
    context: &ProgramContext,
) -> Result<(), Stop> {
    if state.principal().uid == 0 || !Uid::effective().is_root() {
        return Ok(());
    }
    let parts = [
        ("user", identity.other_user),
        ("group", identity.other_group),
        ("capabilities", !context.capabilities.is_empty()),
        ("namespace", context.namespace.is_some()),
    ];
    for (part, asked) in parts {
        if asked && !state.is_allowed_knowing(demand, part) {
            let (action, resource) = (demand.action, &demand.resource);
            let message = format!(
                "Permission denied: {} unauthorized to perform {action} for {resource} and `{part}` with it: \
                 no policy that permits this reads `context.{part}`",
                state.principal().name,
            );
            let denial = Denial {
                action: Text::cut(action.to_string()),
                resource: Text::cut(resource.to_string()),
                policies: Vec::new(),
            };
            return Err(Failure::new(FailureKind::Denied(denial), message).into());
        }
    }
    Ok(())
}
