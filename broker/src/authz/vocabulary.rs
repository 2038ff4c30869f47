//! The names of the schema in Cedar's terms: the same for all runs.
//!
//! Cedar parses each, which takes longer than a decision. So they are made once in a process, and the daemon has them before it
//! forks its sessions.

use super::demand::Resource;
use super::entity::{EntityError, uid};
use super::setting::KEY;
use cedar_policy::{Entity, EntityTypeName, EntityUid, Policy, PolicySet};
use rex_protocol::Action;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::str::FromStr;
use std::sync::OnceLock;

/// Types that are no resource's.
const OTHERS: [&str; 4] = ["User", "Group", "file_system::Arguments", "file_system::Environment"];

/// The types of entities, and the actions.
pub(super) struct Vocabulary {
    actions: HashMap<Action, ActionParts>,
    resources: HashMap<&'static str, EntityTypeName>,
    others: HashMap<&'static str, EntityTypeName>,
}

/// An action, and the group that it is in.
pub(super) struct ActionParts {
    pub(super) uid: EntityUid,
    pub(super) group: EntityUid,
    pub(super) entity: Entity,
}

impl Vocabulary {
    /// The one of this process.
    pub(super) fn get() -> Result<&'static Self, EntityError> {
        static MADE: OnceLock<Result<Vocabulary, EntityError>> = OnceLock::new();
        MADE.get_or_init(Self::new).as_ref().map_err(EntityError::new)
    }

    fn new() -> Result<Self, EntityError> {
        let types = || Resource::TYPES.iter().copied().chain([KEY]);
        let of_action = |action: &Action| format!("{}::Action", action.namespace());
        let names = types().chain(OTHERS).map(str::to_owned).chain(Action::ALL.iter().map(of_action));
        let kinds = parse(&names.collect())?;
        let kind = |name: &str| kinds.get(name).cloned().ok_or_else(|| EntityError::new("a type that does not parse"));
        let mut actions = HashMap::new();
        for action in Action::ALL {
            let kind = kind(&of_action(action))?;
            let (uid, group) = (uid(&kind, action.name()), uid(&kind, action.group()));
            let entity = Entity::new_no_attrs(uid.clone(), HashSet::from([group.clone()]));
            actions.insert(*action, ActionParts { uid, group, entity });
        }
        let resources = types().map(|name| Ok((name, kind(name)?))).collect::<Result<_, EntityError>>()?;
        let others = OTHERS.iter().map(|name| Ok((*name, kind(name)?))).collect::<Result<_, EntityError>>()?;
        Ok(Self { actions, resources, others })
    }

    /// An action.
    pub(super) fn action(&self, action: Action) -> Result<&ActionParts, EntityError> {
        self.actions.get(&action).ok_or_else(|| EntityError::new("an action without an entity"))
    }

    /// Every action.
    pub(super) fn actions(&self) -> impl Iterator<Item = (Action, &ActionParts)> {
        self.actions.iter().map(|(action, parts)| (*action, parts))
    }

    /// Whether this is an action.
    pub(super) fn is_action(&self, uid: &EntityUid) -> bool {
        self.actions.values().any(|parts| parts.uid == *uid)
    }

    /// Whether this is a group of actions.
    pub(super) fn is_group(&self, uid: &EntityUid) -> bool {
        self.actions.values().any(|parts| parts.group == *uid)
    }

    /// A type by its name.
    pub(super) fn kind(&self, name: &str) -> Result<&EntityTypeName, EntityError> {
        let found = self.resources.get(name).or_else(|| self.others.get(name));
        found.ok_or_else(|| EntityError::new("an entity without a type"))
    }

    /// The types of resources.
    pub(super) fn resource_kinds(&self) -> impl Iterator<Item = &EntityTypeName> {
        self.resources.values()
    }
}

/// Types by their names. They are parsed as parts of one policy: Cedar makes a parser for each kind of text at its first use, and
/// policies are read anyway.
fn parse(names: &BTreeSet<String>) -> Result<HashMap<String, EntityTypeName>, EntityError> {
    let literals: Vec<_> = names.iter().map(|name| format!("{name}::\"\"")).collect();
    let text = format!("permit(principal, action, resource) when {{ [{}].contains(principal) }};", literals.join(", "));
    let set = PolicySet::from_str(&text).map_err(EntityError::new)?;
    let kinds = set.policies().flat_map(Policy::entity_literals).map(|uid| uid.type_name().clone());
    Ok(kinds.map(|kind| (kind.to_string(), kind)).collect())
}
