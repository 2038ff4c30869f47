//! What an object is like at the moment, for policies that ask: owner, group, mode, size, links.
//!
//! It is looked at only if some policy reads one of these. The resource's path alone decides whether it exists for
//! a policy at all: where nothing is there, or a link is on the way, the attributes are missing.

use super::demand::{Demand, Object, Resource};
use super::inspected::Inspected;
use crate::plan::{self, Node, Seen};
use crate::sys::fs;
use cedar_policy::{Effect, RestrictedExpression};
use nix::errno::Errno;
use nix::sys::stat::FileStat;
use nix::unistd::{Gid, Group, Uid, User};
use rex_protocol::path::AbsPath;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::rc::Rc;

/// The names that the schema gives them.
const NAMES: &[&str] = &["owner", "group", "mode", "size", "links"];

/// Those that tell of an address.
const OF_AN_ADDRESS: &[&str] = &["ip", "is_private", "is_loopback"];

/// The attributes of one object, or none.
#[derive(Debug, Default, Clone)]
pub(super) struct Attributes(Known);

#[derive(Debug, Default, Clone)]
enum Known {
    #[default]
    Nothing,
    /// As the kernel tells it.
    Stat(Box<FileStat>),
    /// As somebody says it is, for what is not there to be looked at.
    Given(Rc<Map<String, Value>>),
}

/// Those of what a demand is about.
pub(super) fn of(demand: &Demand) -> Attributes {
    let found = match (&demand.object, &demand.resource) {
        (Object::Pinned(object), _) => plan::stat(&**object),
        (Object::Given(attributes), _) => return Attributes(Known::Given(Rc::clone(attributes))),
        (Object::ByPath, Resource::Dir(path) | Resource::File(path)) => by_path(path),
        (Object::ByPath, _) => return Attributes::default(),
    };
    Attributes(found.map_or(Known::Nothing, |stat| Known::Stat(Box::new(stat))))
}

/// Those of what has a path, in a dry run of what would have it.
fn by_path(path: &AbsPath) -> nix::Result<FileStat> {
    match plan::seen(path) {
        Seen::Untouched => fs::pin_itself(path).and_then(plan::stat),
        Seen::Other(Node::Object(object)) => object.pin().and_then(plan::stat),
        Seen::Other(Node::Gone | Node::NotKnown) => Err(Errno::ENOENT),
    }
}

impl Attributes {
    /// As an entity takes them.
    pub(super) fn for_entity(&self) -> HashMap<String, RestrictedExpression> {
        let value = |value: &Value| match value {
            Value::String(text) => Some(RestrictedExpression::new_string(text.clone())),
            Value::Number(number) => number.as_i64().map(RestrictedExpression::new_long),
            _ => None,
        };
        let known = self.told();
        let known = known.into_iter().filter(|(name, _)| NAMES.contains(&name.as_str()));
        known.filter_map(|(name, known)| Some((name, value(&known)?))).collect()
    }

    /// As records tell them.
    pub(super) fn told(&self) -> Map<String, Value> {
        let stat = match &self.0 {
            Known::Nothing => return Map::new(),
            Known::Given(attributes) => return Map::clone(attributes),
            Known::Stat(stat) => stat,
        };
        let told = json!({
            "owner": owner(stat.st_uid),
            "group": group(stat.st_gid),
            "mode": stat.st_mode & 0o7777,
            "size": stat.st_size,
            "links": stat.st_nlink,
        });
        if let Value::Object(told) = told { told } else { Map::new() }
    }
}

/// A user's name; the number where there is none.
fn owner(uid: u32) -> String {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}

/// A group's name; the number where there is none.
fn group(gid: u32) -> String {
    let group = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    group.map_or_else(|| gid.to_string(), |group| group.name)
}

/// Whether a policy reads the value of an attribute of these names, of whatever it has. A `forbid` does so already where it
/// asks whether there is one: it must not miss what it is meant for.
pub(super) fn are_read_by(policy: &Inspected<'_>) -> bool {
    let operators: &[&str] = if policy.policy.effect() == Effect::Forbid { &[".", "has"] } else { &["."] };
    policy.may(|conditions| reads(conditions, operators, NAMES))
}

/// Whether a policy reads, or asks for, an attribute that tells of an address.
pub(super) fn of_an_address_are_read_by(policy: &Inspected<'_>) -> bool {
    policy.may(|conditions| reads(conditions, &[".", "has"], OF_AN_ADDRESS))
}

/// Whether a policy asks whether there is an attribute that tells of an address.
pub(super) fn of_an_address_are_asked_for_by(policy: &Inspected<'_>) -> bool {
    policy.may(|conditions| reads(conditions, &["has"], OF_AN_ADDRESS))
}

/// Whether a policy may say another thing of an object where that has another path: it reads more of its resource than its type
/// and what goes along with it.
pub(super) fn of_a_place_are_read_by(policy: &Inspected<'_>) -> bool {
    use cedar_policy::ResourceConstraint::{Any, Is};
    !matches!(policy.policy.resource_constraint(), Any | Is(_)) || uses(policy, "resource", NAMES)
}

/// Whether a policy reads more of the context than what it tells of the run.
pub(super) fn more_context_is_read_by(policy: &Inspected<'_>) -> bool {
    uses(policy, "context", &["session"])
}

/// Whether the conditions of a policy read the action.
pub(super) fn the_action_is_read_by(policy: &Inspected<'_>) -> bool {
    uses(policy, "action", &[])
}

/// Whether the conditions of a policy use a variable other than for these attributes, and to ask of what type it is.
fn uses(policy: &Inspected<'_>, variable: &str, but: &[&str]) -> bool {
    fn uses(expression: &Value, variable: &str, but: &[&str]) -> bool {
        match expression {
            Value::Array(items) => items.iter().any(|item| uses(item, variable, but)),
            Value::Object(fields) => fields.iter().any(|(operator, operand)| {
                let of_it = operand.pointer("/left/Var").and_then(Value::as_str) == Some(variable);
                match operator.as_str() {
                    "." | "has" if of_it => {
                        !operand.get("attr").and_then(Value::as_str).is_some_and(|name| but.contains(&name))
                    }
                    "is" if of_it => operand.get("in").is_some(),
                    "Var" => operand.as_str() == Some(variable),
                    _ => uses(operand, variable, but),
                }
            }),
            _ => false,
        }
    }
    policy.may(|conditions| uses(conditions, variable, but))
}

fn reads(expression: &Value, operators: &[&str], attributes: &[&str]) -> bool {
    match expression {
        Value::Array(items) => items.iter().any(|item| reads(item, operators, attributes)),
        Value::Object(fields) => {
            let name = |operator: &&str| fields.get(*operator)?.get("attr")?.as_str();
            let mut names = operators.iter().filter_map(name);
            names.any(|name| attributes.contains(&name))
                || fields.values().any(|value| reads(value, operators, attributes))
        }
        _ => false,
    }
}

/// Whether a policy reads this part of the context.
pub(super) fn reads_context(policy: &Inspected<'_>, part: &str) -> bool {
    fn reads(expression: &Value, part: &str) -> bool {
        match expression {
            Value::Array(items) => items.iter().any(|item| reads(item, part)),
            Value::Object(fields) => {
                let is_part = fields.get(".").is_some_and(|access| {
                    let of = access.pointer("/left/Var").and_then(Value::as_str);
                    of == Some("context") && access.get("attr").and_then(Value::as_str) == Some(part)
                });
                is_part || fields.values().any(|value| reads(value, part))
            }
            _ => false,
        }
    }
    policy.does(|conditions| reads(conditions, part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cedar_policy::Policy;

    fn inspect(text: &str, is_such: impl FnOnce(&Inspected<'_>) -> bool) -> bool {
        is_such(&Inspected::new(&Policy::parse(None, text).unwrap()))
    }

    #[test]
    fn finds_policies_that_mean_a_place() {
        let means = |text: &str| inspect(text, of_a_place_are_read_by);
        let when = |body: &str| means(&format!("forbid(principal, action, resource) when {{ {body} }};"));
        assert!(means("forbid(principal, action, resource == T::\"/a\");"));
        assert!(means("forbid(principal, action, resource is T in T::\"/a\");"));
        assert!(!means("forbid(principal, action, resource is T);"));
        assert!(!means("forbid(principal, action, resource);"));
        assert!(when("resource.path like \"*.key\""));
        assert!(when("resource is T in T::\"/a\""));
        assert!(when("true || [T::\"/a\"].contains(resource)"));
        assert!(!when("resource is T && resource has owner && resource.owner == \"root\""));
        assert!(!when("context.session.deleted > 3"));
    }

    #[test]
    fn finds_policies_that_read_the_context() {
        let reads = |body: &str| {
            let text = format!("forbid(principal, action, resource) when {{ {body} }};");
            inspect(&text, more_context_is_read_by)
        };
        assert!(reads("context.destination.path == \"/a\""));
        assert!(reads("context has user"));
        assert!(!reads("context has session && context.session.deleted > 3 && resource.context == 1"));
    }

    #[test]
    fn finds_policies_that_read_attributes() {
        let reads = |body: &str| {
            let text = format!("permit(principal, action, resource) when {{ {body} }};");
            inspect(&text, are_read_by)
        };
        assert!(reads("resource has owner && resource.owner == \"root\""));
        assert!(reads("true && (if resource.mode == 1 then true else false)"));
        assert!(reads("[1, resource.size].contains(2)"));
        assert!(!reads("resource.path == \"/owner\""));
        assert!(!reads("!(resource has owner)"));
        assert!(!reads("resource has path"));
        let forbid = "forbid(principal, action, resource) when { resource has owner };";
        assert!(inspect(forbid, are_read_by));
        assert!(!inspect("permit(principal, action, resource);", are_read_by));
    }
}
