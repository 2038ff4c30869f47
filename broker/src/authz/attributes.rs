//! What an object is like at the moment, for policies that ask: owner, group, mode, size, links.
//!
//! It is looked at only if some policy reads one of these. The resource's path alone decides whether it exists for
//! a policy at all: where nothing is there, or a link is on the way, the attributes are missing.

use super::demand::{Demand, Object, Resource};
use crate::plan::{self, Node, Seen};
use crate::sys::fs;
use cedar_policy::{Effect, Policy, RestrictedExpression};
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
pub(super) fn are_read_by(policy: &Policy) -> bool {
    if !policy.has_non_scope_constraint() {
        return false;
    }
    let operators: &[&str] = if policy.effect() == Effect::Forbid { &[".", "has"] } else { &["."] };
    // A policy that cannot be looked into may read anything.
    policy.to_json().map_or(true, |json| reads(&json, operators, NAMES))
}

/// Whether a policy reads, or asks for, an attribute that tells of an address.
pub(super) fn of_an_address_are_read_by(policy: &Policy) -> bool {
    policy.has_non_scope_constraint()
        && policy.to_json().map_or(true, |json| reads(&json, &[".", "has"], OF_AN_ADDRESS))
}

/// Whether a policy asks whether there is an attribute that tells of an address.
pub(super) fn of_an_address_are_asked_for_by(policy: &Policy) -> bool {
    policy.has_non_scope_constraint() && policy.to_json().map_or(true, |json| reads(&json, &["has"], OF_AN_ADDRESS))
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
pub(super) fn reads_context(policy: &Policy, part: &str) -> bool {
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
    policy.to_json().is_ok_and(|json| reads(&json, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_policies_that_read_attributes() {
        let reads = |body: &str| {
            let text = format!("permit(principal, action, resource) when {{ {body} }};");
            are_read_by(&Policy::parse(None, text).unwrap())
        };
        assert!(reads("resource has owner && resource.owner == \"root\""));
        assert!(reads("true && (if resource.mode == 1 then true else false)"));
        assert!(reads("[1, resource.size].contains(2)"));
        assert!(!reads("resource.path == \"/owner\""));
        assert!(!reads("!(resource has owner)"));
        assert!(!reads("resource has path"));
        let forbid = "forbid(principal, action, resource) when { resource has owner };";
        assert!(are_read_by(&Policy::parse(None, forbid).unwrap()));
        assert!(!are_read_by(&Policy::parse(None, "permit(principal, action, resource);").unwrap()));
    }
}
