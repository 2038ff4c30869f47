//! Decisions as Cedar's documentation makes them: entities and a request for each question, evaluated by the whole set.

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
    RestrictedExpression, Schema, ValidationMode, Validator,
};
use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::path::Path;
use std::str::FromStr;

/// The schema's text, as people read it.
const SCHEMA: &str = include_str!("../../../policies/rex.cedarschema");

/// Policies, and who asks.
pub(crate) struct Policy {
    policies: PolicySet,
    authorizer: Authorizer,
    principal: EntityUid,
    name: String,
    who: Entity,
    /// Each in its group.
    actions: HashMap<EntityUid, Entity>,
}

impl Policy {
    /// Parses policies and validates them strictly.
    pub(crate) fn load(text: &str) -> Result<Self, Box<dyn Error>> {
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA)?;
        let policies = PolicySet::from_str(text)?;
        let actions = schema.action_entities()?;
        let validation = Validator::new(schema).validate(&policies, ValidationMode::Strict);
        if !validation.validation_passed() {
            return Err(validation.to_string().into());
        }
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid())?.ok_or("a user without a name")?;
        let principal = uid("User", &user.name)?;
        let attributes = HashMap::from([
            ("name".to_owned(), RestrictedExpression::new_string(user.name.clone())),
            ("uid".to_owned(), RestrictedExpression::new_long(user.uid.as_raw().into())),
        ]);
        let who = Entity::new(principal.clone(), attributes, HashSet::new())?;
        let actions = actions.iter().map(|action| (action.uid(), action.clone())).collect();
        Ok(Self { policies, authorizer: Authorizer::new(), principal, name: user.name, who, actions })
    }

    /// Whether `action` may be done to the file or directory at `path`: `kind` is `File` or `Dir`.
    pub(crate) fn ask_path(&self, action: &str, kind: &str, path: &Path) -> Result<(), String> {
        let place = path.to_str().ok_or("a path that is not UTF-8")?;
        let above: Vec<&str> = path.ancestors().skip(1).filter_map(Path::to_str).collect();
        let entities = || -> Result<Vec<Entity>, Box<dyn Error>> {
            let mut entities = Vec::with_capacity(above.len() + 1);
            let mut child = (format!("file_system::{kind}"), place);
            for parent in above.iter().map(Some).chain([None]) {
                let (kind, path) = &child;
                let parents = parent.map(|parent| uid("file_system::Dir", parent)).transpose()?.into_iter().collect();
                let path = RestrictedExpression::new_string((*path).to_owned());
                entities.push(Entity::new(uid(kind, child.1)?, HashMap::from([("path".into(), path)]), parents)?);
                if let Some(parent) = parent {
                    child = ("file_system::Dir".to_owned(), parent);
                }
            }
            Ok(entities)
        };
        let entities = entities().map_err(|error| error.to_string())?;
        self.ask(&format!("file_system::Action::\"{action}\""), &format!("file_system::{kind}"), place, entities)
    }

    /// Whether a process may be listed.
    pub(crate) fn ask_process(&self, pid: &str, name: &str, username: &str, command: &str) -> Result<(), String> {
        const PROCESS: &str = "process_system::Process";
        let attributes = [("pid", pid), ("name", name), ("username", username), ("command", command)];
        let attributes = attributes
            .map(|(name, value)| (name.to_owned(), RestrictedExpression::new_string(value.to_owned())))
            .into_iter()
            .collect();
        let entity = uid(PROCESS, pid)
            .and_then(|uid| Ok(Entity::new(uid, attributes, HashSet::new())?))
            .map_err(|error| error.to_string())?;
        self.ask("process_system::Action::\"list\"", PROCESS, pid, vec![entity])
    }

    fn ask(&self, action: &str, kind: &str, id: &str, about: Vec<Entity>) -> Result<(), String> {
        let decide = || -> Result<Decision, Box<dyn Error>> {
            let action = EntityUid::from_str(action)?;
            let known = std::iter::once(&self.who).chain(self.actions.get(&action)).cloned();
            let entities = Entities::from_entities(known.chain(about), None)?;
            let request = Request::new(self.principal.clone(), action, uid(kind, id)?, Context::empty(), None)?;
            Ok(self.authorizer.is_authorized(&request, &self.policies, &entities).decision())
        };
        match decide() {
            Ok(Decision::Allow) => Ok(()),
            Ok(Decision::Deny) => {
                Err(format!("Permission denied: {} unauthorized to perform {action} for {kind}::{id}", self.name))
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, Box<dyn Error>> {
    Ok(EntityUid::from_type_name_and_id(EntityTypeName::from_str(kind)?, EntityId::new(id)))
}
