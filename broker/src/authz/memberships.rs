//! Who and what belongs to which group, besides what the system itself says: `/etc/rex/entities.json`.
//!
//! The file is Cedar's own format of entities: a list of `{"uid": {"type", "id"}, "parents": [{"type", "id"}]}`. Users and
//! groups go into groups, units of the service manager into groups of units.

use super::entity::{EntityError, type_name, uid};
use cedar_policy::EntityUid;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashMap};

/// Which type may be in which.
const KINDS: &[(&str, &str)] = &[("User", "Group"), ("Group", "Group"), ("systemd::Service", "systemd::ServiceGroup")];
const UNIT_GROUPS: (&str, &str) = ("systemd::ServiceGroup", "systemd::ServiceGroup");

/// All that each entity belongs to, directly or by its groups.
#[derive(Debug, Clone, Default)]
pub struct Memberships {
    above: HashMap<EntityUid, Vec<EntityUid>>,
}

/// A file of entities that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MembershipError(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    uid: Reference,
    #[serde(default)]
    attrs: Map<String, Value>,
    #[serde(default)]
    parents: Vec<Reference>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reference {
    r#type: String,
    id: String,
}

impl Memberships {
    /// Reads a file's text.
    pub fn parse(text: &[u8]) -> Result<Self, MembershipError> {
        let written: Vec<Written> =
            serde_json::from_slice(text).map_err(|error| MembershipError(format!("it is no list of entities: {error}")))?;
        let mut parents: HashMap<EntityUid, Vec<EntityUid>> = HashMap::new();
        for Written { uid: child, attrs, parents: groups } in written {
            let name = format!("{}::\"{}\"", child.r#type, child.id.escape_debug());
            if let Some(attribute) = attrs.keys().next() {
                return Err(MembershipError(format!("`{name}` has the attribute `{attribute}`: only `parents` are read")));
            }
            let entry = parents.entry(child.to_uid().map_err(|error| MembershipError(error.to_string()))?);
            let std::collections::hash_map::Entry::Vacant(entry) = entry else {
                return Err(MembershipError(format!("`{name}` stands there twice")));
            };
            let mut found = Vec::new();
            for group in groups {
                let kinds = (child.r#type.as_str(), group.r#type.as_str());
                if !KINDS.contains(&kinds) && kinds != UNIT_GROUPS {
                    let message = format!("`{name}` cannot be in a `{}`: users and groups are in a `Group`, units in a `systemd::ServiceGroup`", group.r#type);
                    return Err(MembershipError(message));
                }
                found.push(group.to_uid().map_err(|error| MembershipError(error.to_string()))?);
            }
            entry.insert(found);
        }
        Ok(Self { above: parents.keys().map(|uid| (uid.clone(), all_above(uid, &parents))).collect() })
    }

    /// What an entity belongs to.
    pub(super) fn above(&self, uid: &EntityUid) -> &[EntityUid] {
        self.above.get(uid).map_or(&[], Vec::as_slice)
    }
}

impl Reference {
    fn to_uid(&self) -> Result<EntityUid, EntityError> {
        Ok(uid(&type_name(&self.r#type)?, &self.id))
    }
}

/// Groups may be in each other: each is looked at once.
fn all_above(uid: &EntityUid, parents: &HashMap<EntityUid, Vec<EntityUid>>) -> Vec<EntityUid> {
    let mut found = BTreeSet::new();
    let mut next = vec![uid];
    while let Some(uid) = next.pop() {
        for parent in parents.get(uid).into_iter().flatten() {
            if found.insert(parent.clone()) {
                next.push(parent);
            }
        }
    }
    found.remove(uid);
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(text: &str) -> EntityUid {
        text.parse().unwrap()
    }

    #[test]
    fn groups_are_followed_also_in_circles() {
        let text = br#"[
          {"uid": {"type": "User", "id": "ana"}, "parents": [{"type": "Group", "id": "oncall"}]},
          {"uid": {"type": "Group", "id": "oncall"}, "attrs": {}, "parents": [{"type": "Group", "id": "ops"}]},
          {"uid": {"type": "Group", "id": "ops"}, "parents": [{"type": "Group", "id": "oncall"}]}
        ]"#;
        let memberships = Memberships::parse(text).unwrap();
        let above = memberships.above(&entity("User::\"ana\""));
        assert_eq!(above, [entity("Group::\"oncall\""), entity("Group::\"ops\"")]);
        assert_eq!(memberships.above(&entity("Group::\"ops\"")), [entity("Group::\"oncall\"")]);
        assert!(memberships.above(&entity("User::\"bob\"")).is_empty());
    }

    #[test]
    fn what_it_cannot_mean_is_refused() {
        let of = |uid: &str, rest: &str| format!("[{{\"uid\": {{\"type\": \"{uid}\", \"id\": \"x\"}}{rest}}}]");
        for (text, reason) in [
            ("{}".to_owned(), "no list"),
            (of("User", ", \"attrs\": {\"uid\": 0}"), "`uid`"),
            (of("User", ", \"parents\": [{\"type\": \"User\", \"id\": \"root\"}]"), "cannot be in"),
            (of("systemd::Service", ", \"parents\": [{\"type\": \"Group\", \"id\": \"a\"}]"), "cannot be in"),
            (of("User", ", \"groups\": []"), "unknown field"),
            (of("no type", ""), "cannot put a question"),
            ("[{\"uid\": {\"type\": \"Group\", \"id\": \"a\"}}, {\"uid\": {\"type\": \"Group\", \"id\": \"a\"}}]".into(), "twice"),
        ] {
            let error = Memberships::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
