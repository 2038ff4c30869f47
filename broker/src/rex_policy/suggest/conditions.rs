//! What tells the way in which a run did something from others, as a condition of a policy.

use super::quoted;
use rex_broker::audit::Record;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The user and the name of a process.
pub(super) fn user_and_name(record: &Record) -> (String, String) {
    let attributes = record.fields().get("attributes").and_then(Value::as_object);
    let value = |name: &str| attributes.and_then(|all| all.get(name)?.as_str()).unwrap_or_default().to_owned();
    (value("username"), value("name"))
}

/// The condition that the context is as in this record, empty where there is none; or why it cannot be said.
pub(super) fn of_context(record: &Record) -> Result<String, &'static str> {
    if record.fields().contains_key("masked") {
        return Err("it is not recorded in full");
    }
    let empty = Map::new();
    let context = record.fields().get("context").and_then(Value::as_object).unwrap_or(&empty);
    if let Some(path) = context.get("destination").and_then(Value::as_str) {
        return Ok(format!("context.destination.path == {}", quoted(path)));
    }
    if let Some(name) = context.get("xattr").and_then(|xattr| xattr.get("name")?.as_str()) {
        return Ok(format!("context.xattr.name == {}", quoted(name)));
    }
    if context.contains_key("arguments") { program(context) } else { Ok(String::new()) }
}

/// That a program is given the same words, variables and identity. How pairs stand among single words policies are not told.
fn program(context: &Map<String, Value>) -> Result<String, &'static str> {
    if context.contains_key("namespace") {
        return Err("the process whose namespace it joined is another the next time");
    }
    let (mut singles, mut pairs) = (Vec::new(), BTreeMap::new());
    for word in context.get("arguments").and_then(Value::as_array).into_iter().flatten() {
        match (word.as_str(), word.as_array().map(Vec::as_slice)) {
            (Some(single), _) => singles.push(single),
            (_, Some([Value::String(key), Value::String(value)])) => drop(pairs.insert(key.as_str(), value.as_str())),
            _ => return Err("its arguments are not recorded as they should be"),
        }
    }
    let (flags, values): (Vec<&str>, Vec<&str>) = singles.iter().partition(|word| word.starts_with('-'));
    let mut parts = vec![
        these("context.arguments.flags", flags),
        these("context.arguments.positional_values", values),
        these("context.arguments.keys", pairs.keys().copied()),
    ];
    let ordered = singles.iter().enumerate().map(|(number, single)| (format!("$ARG{number}"), *single));
    parts.extend(ordered.map(|(name, single)| tag("context.arguments", &name, single)));
    parts.push(format!("!context.arguments.hasTag(\"$ARG{}\")", singles.len()));
    parts.extend(pairs.iter().map(|(key, value)| tag("context.arguments", key, value)));
    let variables = context.get("environment").and_then(Value::as_object).into_iter().flatten();
    let variables: Vec<_> = variables.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect();
    parts.push(these("context.environment.names", variables.iter().map(|(name, _)| *name)));
    parts.extend(variables.iter().map(|(name, value)| tag("context.environment", name, value)));
    parts.push(identity(context, "user", "username", "uid")?);
    parts.push(identity(context, "group", "groupname", "gid")?);
    let capabilities = context.get("capabilities").and_then(Value::as_array).into_iter().flatten();
    let capabilities: Vec<&str> = capabilities.filter_map(Value::as_str).collect();
    parts.push(match capabilities.is_empty() {
        true => "!(context has capabilities)".to_owned(),
        false => format!("context has capabilities && {}", these("context.capabilities", capabilities)),
    });
    parts.push("!(context has namespace)".to_owned());
    Ok(parts.join(" &&\n  "))
}

fn identity(context: &Map<String, Value>, field: &str, name: &str, number: &str) -> Result<String, &'static str> {
    match context.get(field).and_then(Value::as_array).map(Vec::as_slice) {
        Some([Value::String(text), Value::Number(id)]) => {
            Ok(format!("context.{field}.{name} == {} && context.{field}.{number} == {id}", quoted(text)))
        }
        _ => Err("as whom it runs is not recorded as it should be"),
    }
}

/// That a set holds these and no others.
fn these<'a>(set: &str, items: impl IntoIterator<Item = &'a str>) -> String {
    let items: BTreeSet<_> = items.into_iter().map(quoted).collect();
    if items.is_empty() {
        return format!("{set}.isEmpty()");
    }
    format!("{set} == [{}]", items.into_iter().collect::<Vec<_>>().join(", "))
}

fn tag(of: &str, name: &str, value: &str) -> String {
    let (name, value) = (quoted(name), quoted(value));
    format!("{of}.hasTag({name}) && {of}.getTag({name}) == {value}")
}
