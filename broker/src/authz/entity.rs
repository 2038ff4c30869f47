//! From demands to Cedar's entities and requests. Ids are data: they are given to Cedar's API and never become policy text.

use super::attributes::Attributes;
use super::context;
use super::demand::{DIR, Demand, FILE, Principal};
use super::memberships::Memberships;
use super::session::Session;
use super::setting::{self, KEY};
use super::vocabulary::{ActionParts, Vocabulary};
use cedar_policy::{Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression};
use rex_protocol::Action;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::str::FromStr;

/// Cedar would not take what is valid by construction: a fault of this program, and no reason to allow anything.
#[derive(Debug, thiserror::Error)]
#[error("cannot put a question to policy: {0}")]
pub(super) struct EntityError(String);

impl EntityError {
    pub(super) fn new(error: impl ToString) -> Self {
        Self(error.to_string())
    }

    /// The fixed parts are with the decision that is being made.
    pub(super) fn in_use() -> Self {
        Self("a decision is being made".into())
    }
}

/// The parts of requests that stay the same for a run.
pub(super) struct Fixed {
    pub(super) principal: EntityUid,
    pub(super) groups: Vec<EntityUid>,
    principal_entity: Entity,
    vocabulary: &'static Vocabulary,
    memberships: Rc<Memberships>,
}

/// The parts of one request that policies speak of.
pub(super) struct Facts<'a> {
    pub(super) principal: &'a EntityUid,
    pub(super) groups: &'a [EntityUid],
    pub(super) action: &'a EntityUid,
    pub(super) action_group: &'a EntityUid,
    pub(super) resource: EntityUid,
    /// Every entity that the resource is in, besides itself.
    pub(super) ancestors: Vec<EntityUid>,
    /// The attribute `path`, where it has one.
    pub(super) path: Option<String>,
}

impl Fixed {
    /// For a principal that is in its groups, and in those that these memberships add.
    pub(super) fn new(principal: &Principal, memberships: Rc<Memberships>) -> Result<Self, EntityError> {
        let vocabulary = Vocabulary::get()?;
        let uid = uid(vocabulary.kind("User")?, &principal.name);
        let group_type = vocabulary.kind("Group")?;
        let own: Vec<_> = principal.groups.iter().map(|name| self::uid(group_type, name)).collect();
        let added = std::iter::once(&uid).chain(&own).flat_map(|uid| memberships.above(uid)).cloned();
        let groups: BTreeSet<_> = own.iter().cloned().chain(added).collect();
        let groups: Vec<_> = groups.into_iter().collect();
        let attributes = HashMap::from([
            ("name".to_owned(), RestrictedExpression::new_string(principal.name.clone())),
            ("uid".to_owned(), RestrictedExpression::new_long(principal.uid.into())),
        ]);
        let parents = groups.iter().cloned().collect();
        let principal_entity = Entity::new(uid.clone(), attributes, parents).map_err(EntityError::new)?;
        Ok(Self { principal: uid, groups, principal_entity, vocabulary, memberships })
    }

    /// What a demand is about, in Cedar's terms.
    pub(super) fn facts(&self, demand: &Demand) -> Result<Facts<'_>, EntityError> {
        let parts = self.action(demand.action)?;
        let (resource, path) = (&demand.resource, demand.resource.path());
        let (dir, key) = (self.kind(DIR)?, self.kind(KEY)?);
        let directories = path.into_iter().flat_map(|path| path.ancestors());
        let ancestors = directories.map(|above| uid(dir, &above.to_id()));
        let keys = path.map(setting::keys).unwrap_or_default().into_iter().map(|name| uid(key, &name));
        let resource = uid(self.kind(resource.type_name())?, &resource.id());
        let groups = self.memberships.above(&resource).iter().cloned();
        let ancestors = ancestors.chain(keys).chain(groups).collect();
        Ok(Facts {
            principal: &self.principal,
            groups: &self.groups,
            action: &parts.uid,
            action_group: &parts.group,
            resource,
            ancestors,
            path: path.map(|path| path.to_id()),
        })
    }

    pub(super) fn kind(&self, name: &str) -> Result<&EntityTypeName, EntityError> {
        self.vocabulary.kind(name)
    }

    /// The request and the entities it is about: the principal in its groups, the action in its group, and the
    /// resource directly in every directory above it, as far as `matters` says that it makes a difference: to put an entity into
    /// others takes Cedar longer than to evaluate a policy.
    pub(super) fn request(
        &self,
        demand: &Demand,
        facts: &Facts<'_>,
        attributes: &Attributes,
        session: Option<&Session>,
        matters: impl Fn(&EntityUid) -> bool,
    ) -> Result<(Request, Entities), EntityError> {
        let action = self.action(demand.action)?;
        let mut attributes = attributes.for_entity();
        let path = facts.path.clone().map(|path| ("path", RestrictedExpression::new_string(path)));
        let known = demand.resource.attributes().into_iter().chain(path);
        attributes.extend(known.map(|(name, value)| (name.to_owned(), value)));
        let parents = facts.ancestors.iter().filter(|above| matters(above)).cloned().collect();
        let resource = Entity::new(facts.resource.clone(), attributes, parents).map_err(EntityError::new)?;
        let (context, of_context) = context::of(&demand.context, session)?;
        let entities = [self.principal_entity.clone(), action.entity.clone(), resource].into_iter().chain(of_context);
        let entities = Entities::from_entities(entities, None).map_err(EntityError::new)?;
        // Valid by construction; tests hold it against the schema.
        let schema = if cfg!(test) { Some(super::schema::schema().map_err(EntityError::new)?) } else { None };
        let (principal, resource) = (facts.principal.clone(), facts.resource.clone());
        Request::new(principal, action.uid.clone(), resource, context, schema)
            .map(|request| (request, entities))
            .map_err(EntityError::new)
    }

    /// Every action, with its group.
    pub(super) fn actions(&self) -> impl Iterator<Item = (Action, [&EntityUid; 2])> {
        self.vocabulary.actions().map(|(action, parts)| (action, [&parts.uid, &parts.group]))
    }

    /// The types of what has a path.
    pub(super) fn kinds_with_a_path(&self) -> impl Iterator<Item = &EntityTypeName> {
        [DIR, FILE].into_iter().filter_map(|name| self.kind(name).ok())
    }

    pub(super) fn action(&self, action: Action) -> Result<&ActionParts, EntityError> {
        self.vocabulary.action(action)
    }
}

pub(super) fn type_name(name: &str) -> Result<EntityTypeName, EntityError> {
    EntityTypeName::from_str(name).map_err(EntityError::new)
}

pub(super) fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}
