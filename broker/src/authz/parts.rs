//! A policy in parts: each of them a policy of its own, that permits where that part holds.

use cedar_policy::{Policy, PolicyId};
use serde_json::{Map, Value, json};

/// One part: of the scope, or a conjunct of a condition.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// As the policy has it: `resource in file_system::Dir::"/srv"`.
    pub(super) text: String,
    pub(super) in_scope: bool,
    /// Permits where it holds.
    pub(super) policy: Policy,
    /// What it speaks of that differs from request to request: `resource.owner`.
    pub(super) operands: Vec<String>,
}

/// The parts of a policy, in the order in which they are evaluated.
pub(super) fn parts(policy: &Policy) -> Result<Vec<Part>, String> {
    let json = policy.to_json().map_err(|error| error.to_string())?;
    let mut parts = Vec::new();
    for variable in ["principal", "action", "resource"] {
        let constraint = json.get(variable).cloned().unwrap_or_else(all);
        if constraint.get("op").and_then(Value::as_str) != Some("All") {
            let policy = made(Some((variable, constraint)), &[])?;
            let text = scope_text(&policy, variable);
            let operands = if variable == "action" { Vec::new() } else { vec![variable.to_owned()] };
            parts.push(Part { text, in_scope: true, policy, operands });
        }
    }
    for clause in json.get("conditions").and_then(Value::as_array).into_iter().flatten() {
        let is_when = clause.get("kind").and_then(Value::as_str) == Some("when");
        let Some(body) = clause.get("body") else { continue };
        // `unless { a || b }` holds where neither does.
        let (kind, joint) = if is_when { ("when", "&&") } else { ("unless", "||") };
        let mut conjuncts = Vec::new();
        flatten(body, joint, &mut conjuncts);
        for conjunct in conjuncts {
            let policy = made(None, &[json!({ "kind": kind, "body": conjunct })])?;
            let text = text_of(conjunct)?;
            let text = if is_when { text } else { format!("unless {text}") };
            let mut expressions = Vec::new();
            operands(conjunct, &mut expressions);
            let operands = expressions.into_iter().map(text_of).collect::<Result<Vec<_>, _>>()?;
            parts.push(Part { text, in_scope: false, policy, operands: unique(operands) });
        }
    }
    Ok(parts)
}

/// The operands of a chain of `&&` or `||`, from the left.
fn flatten<'a>(expression: &'a Value, joint: &str, found: &mut Vec<&'a Value>) {
    match expression.get(joint) {
        Some(both) => {
            for side in ["left", "right"] {
                both.get(side).into_iter().for_each(|side| flatten(side, joint, found));
            }
        }
        None => found.push(expression),
    }
}

/// What an expression takes from the request: variables, and what is reached from them by names.
fn operands<'a>(expression: &'a Value, found: &mut Vec<&'a Value>) {
    let is_reached = |expression: &Value| {
        let mut at = expression;
        loop {
            if at.get("Var").is_some() {
                return true;
            }
            match at.get(".").and_then(|access| access.get("left")) {
                Some(left) => at = left,
                None => return false,
            }
        }
    };
    if is_reached(expression) {
        return found.push(expression);
    }
    match expression {
        Value::Array(items) => items.iter().for_each(|item| operands(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| operands(field, found)),
        _ => {}
    }
}

fn unique(texts: Vec<String>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for text in texts {
        if !found.contains(&text) {
            found.push(text);
        }
    }
    found
}

fn all() -> Value {
    json!({ "op": "All" })
}

/// A policy that permits where this holds.
fn made(scope: Option<(&str, Value)>, conditions: &[Value]) -> Result<Policy, String> {
    let mut json = Map::new();
    json.insert("effect".into(), json!("permit"));
    for variable in ["principal", "action", "resource"] {
        json.insert(variable.into(), all());
    }
    json.extend(scope.map(|(variable, constraint)| (variable.to_owned(), constraint)));
    json.insert("conditions".into(), json!(conditions));
    Policy::from_json(Some(PolicyId::new("part")), Value::Object(json)).map_err(|error| error.to_string())
}

/// How a policy writes an expression.
pub(super) fn text_of(expression: &Value) -> Result<String, String> {
    let text = made(None, &[json!({ "kind": "when", "body": expression })])?.to_string();
    let body = text.split_once("when {").and_then(|(_, rest)| rest.trim_end().strip_suffix("};"));
    Ok(one_line(body.unwrap_or_default()))
}

/// How a policy writes its constraint of a variable.
fn scope_text(policy: &Policy, variable: &str) -> String {
    let text = policy.to_string();
    let inside = text.split_once("permit(").and_then(|(_, rest)| rest.split_once(variable));
    let rest = inside.map(|(_, rest)| rest).unwrap_or_default();
    // What follows is the next variable, or the end of the scope.
    let next = match variable {
        "principal" => rest.rfind("action"),
        "action" => rest.rfind("resource"),
        _ => rest.rfind(')'),
    };
    let own = next.and_then(|end| rest.get(..end)).unwrap_or(rest);
    one_line(&format!("{variable} {}", own.trim().trim_end_matches(',')))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let parts = parts(&Policy::parse(None, text).unwrap()).unwrap();
        parts.into_iter().map(|part| format!("{} [{}]", part.text, part.operands.join(", "))).collect()
    }

    #[test]
    fn a_policy_falls_into_its_parts() {
        let text = r#"permit(principal in Group::"adm", action in [A::Action::"x", A::Action::"y"], resource is F in D::"/a")
            when { resource has owner && resource.owner == "root" } when { context.session.deleted < 3 }
            unless { resource.path like "*.key" || principal.name == "bob" };"#;
        let expected = [
            "principal in Group::\"adm\" [principal]",
            "action in [A::Action::\"x\", A::Action::\"y\"] []",
            "resource is F in D::\"/a\" [resource]",
            "resource has owner [resource]",
            "resource.owner == \"root\" [resource.owner]",
            "context.session.deleted < 3 [context.session.deleted]",
            "unless resource.path like \"*.key\" [resource.path]",
            "unless principal.name == \"bob\" [principal.name]",
        ];
        let shown: Vec<String> = shown(text).into_iter().map(|part| part.replace(['(', ')'], "")).collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_policy_of_everything_has_no_parts() {
        assert!(shown("permit(principal, action, resource);").is_empty());
    }
}
