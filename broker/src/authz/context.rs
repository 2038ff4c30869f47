//! What policy is told besides action and resource, in Cedar's terms.

use super::demand::{Context, ProgramContext};
use super::entity::{EntityError, uid};
use super::session::Session;
use super::vocabulary::Vocabulary;
use cedar_policy::{Context as CedarContext, Entity, EntityUid, RestrictedExpression};
use rex_protocol::fs::Argument;
use rex_protocol::path::AbsPath;
use std::collections::{BTreeMap, BTreeSet};

/// A context, and the entities that it names; with what is to be told of the session.
pub(super) fn of(context: &Context, session: Option<&Session>) -> Result<(CedarContext, Vec<Entity>), EntityError> {
    let (mut pairs, entities) = match context {
        Context::Empty if session.is_none() => return Ok((CedarContext::empty(), Vec::new())),
        Context::Empty => (Vec::new(), Vec::new()),
        Context::Attribute(name) => (vec![("xattr".to_owned(), record([("name", text(name))])?)], Vec::new()),
        Context::Destination(path) => (vec![("destination".to_owned(), destination(path)?)], Vec::new()),
        Context::Program(program) => of_program(program)?,
    };
    if let Some(session) = session {
        pairs.push(("session".to_owned(), session.for_context()?));
    }
    let context = CedarContext::from_pairs(pairs).map_err(EntityError::new)?;
    Ok((context, entities))
}

fn destination(path: &AbsPath) -> Result<RestrictedExpression, EntityError> {
    let (parent, name) = match path.split() {
        Some((parent, name)) => (parent.to_id(), name.to_id()),
        None => ("/".to_owned(), String::new()),
    };
    record([("name", text(&name)), ("parent_path", text(&parent)), ("path", text(&path.to_id()))])
}

type Parts = (Vec<(String, RestrictedExpression)>, Vec<Entity>);

fn of_program(program: &ProgramContext) -> Result<Parts, EntityError> {
    let vocabulary = Vocabulary::get()?;
    let arguments = uid(vocabulary.kind("file_system::Arguments")?, "arguments");
    let environment = uid(vocabulary.kind("file_system::Environment")?, "environment");
    let entities = vec![of_arguments(&arguments, &program.arguments)?, of_environment(&environment, program)?];
    let reference = |uid: EntityUid| RestrictedExpression::new_entity_uid(uid);
    let (user, uid) = &program.user;
    let (group, gid) = &program.group;
    let mut pairs = vec![
        ("arguments".to_owned(), reference(arguments)),
        ("environment".to_owned(), reference(environment)),
        ("user".to_owned(), record([("username", text(user)), ("uid", number(u64::from(*uid)))])?),
        ("group".to_owned(), record([("groupname", text(group)), ("gid", number(u64::from(*gid)))])?),
    ];
    if !program.capabilities.is_empty() {
        pairs.push(("capabilities".to_owned(), set(program.capabilities.iter().map(String::as_str))));
    }
    if let Some(pid) = program.namespace {
        pairs.push(("namespace".to_owned(), record([("target_process_id", number(u64::from(pid)))])?));
    }
    Ok((pairs, entities))
}

/// The tags that arguments make: a key's is its value, a single argument's is `true`, and `$ARG0`, `$ARG1`, ... are the
/// single ones in their order. Nothing where one tag would stand for two values.
pub(crate) fn tags(arguments: &[Argument]) -> Option<BTreeMap<String, String>> {
    let mut tags = BTreeMap::new();
    let mut add = |tag: String, value: &str| match tags.get(&tag) {
        Some(other) => other == value,
        None => {
            tags.insert(tag, value.to_owned());
            true
        }
    };
    let (mut consistent, mut singles) = (true, 0_usize);
    for argument in arguments {
        consistent &= match argument {
            Argument::Pair(key, value) => add(key.to_string(), value),
            Argument::Single(text) => {
                singles += 1;
                add(text.to_string(), "true") & add(format!("$ARG{}", singles - 1), text)
            }
        };
    }
    consistent.then_some(tags)
}

fn of_arguments(uid: &EntityUid, arguments: &[Argument]) -> Result<Entity, EntityError> {
    let (mut flags, mut keys, mut values) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for argument in arguments {
        let _ = match argument {
            Argument::Pair(key, _) => keys.insert(&**key),
            Argument::Single(text) if text.starts_with('-') => flags.insert(&**text),
            Argument::Single(text) => values.insert(&**text),
        };
    }
    let attributes = [("flags", flags), ("keys", keys), ("positional_values", values)];
    let tags = tags(arguments).ok_or_else(|| EntityError::new("arguments that policy cannot tell apart"))?;
    with_tags(uid, attributes.map(|(name, items)| (name.to_owned(), set(items))), tags)
}

fn of_environment(uid: &EntityUid, program: &ProgramContext) -> Result<Entity, EntityError> {
    let names = set(program.environment.iter().map(|(name, _)| name.as_str()));
    with_tags(uid, [("names".to_owned(), names)], program.environment.iter().cloned())
}

fn with_tags(
    uid: &EntityUid,
    attributes: impl IntoIterator<Item = (String, RestrictedExpression)>,
    tags: impl IntoIterator<Item = (String, String)>,
) -> Result<Entity, EntityError> {
    let tags = tags.into_iter().map(|(tag, value)| (tag, text(&value)));
    Entity::new_with_tags(uid.clone(), attributes, [], tags).map_err(EntityError::new)
}

pub(super) fn text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

/// All numbers that occur fit.
pub(super) fn number(number: u64) -> RestrictedExpression {
    RestrictedExpression::new_long(i64::try_from(number).unwrap_or(i64::MAX))
}

fn set<'a>(items: impl IntoIterator<Item = &'a str>) -> RestrictedExpression {
    RestrictedExpression::new_set(items.into_iter().map(text))
}

pub(super) fn record<'a>(
    fields: impl IntoIterator<Item = (&'a str, RestrictedExpression)>,
) -> Result<RestrictedExpression, EntityError> {
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
    RestrictedExpression::new_record(fields).map_err(EntityError::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rex_protocol::text::Text;

    fn single(text: &str) -> Argument {
        Argument::Single(Text::cut(text))
    }

    fn pair(key: &str, value: &str) -> Argument {
        Argument::Pair(Text::cut(key), Text::cut(value))
    }

    #[test]
    fn a_tag_stands_for_one_value() {
        assert!(tags(&[single("-v"), single("-v"), pair("-k", "x"), pair("-k", "x")]).is_some());
        assert!(tags(&[pair("-e", "evil"), pair("-e", "good")]).is_none());
        assert!(tags(&[single("evil"), pair("$ARG0", "good")]).is_none());
        assert!(tags(&[pair("$ARG0", "good"), single("evil")]).is_none());
        assert!(tags(&[pair("-e", "x"), single("-e")]).is_none());
        assert!(tags(&[single("$ARG1"), single("x")]).is_none());
    }

    #[test]
    fn tags_tell_all_arguments() {
        let tags = tags(&[single("-f"), pair("-o", "out"), single("in")]).unwrap();
        let tags: Vec<_> = tags.iter().map(|(tag, value)| format!("{tag}={value}")).collect();
        assert_eq!(tags, ["$ARG0=-f", "$ARG1=in", "-f=true", "-o=out", "in=true"]);
    }
}
