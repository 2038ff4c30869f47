//! What must hold for a policy to matter to a request: the part of it that can be looked up instead of evaluated.
//!
//! A policy may be left out of a decision only if evaluating it would give "does not apply" without an error: an
//! erroring `forbid` denies, and errors are reported. Cedar evaluates the scope, then the `when` clauses in order,
//! and `&&` from the left, and stops at the first that is false. So the conjuncts are read in that order, and
//! reading stops at the first whose evaluation might fail or whose shape is not known here.

use super::entity::Facts;
use super::inspected::Inspected;
use cedar_policy::{ActionConstraint, EntityTypeName, EntityUid, PrincipalConstraint, ResourceConstraint};
use serde_json::Value;
use std::str::FromStr;

/// A variable of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Variable {
    Principal,
    Action,
    Resource,
}

/// One necessary condition. None of them can fail to evaluate, but for the path of what has none: there it counts as held.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Condition {
    /// The variable is one of these.
    IsOneOf(Variable, Vec<EntityUid>),
    /// The variable is one of these or in one of them.
    IsIn(Variable, Vec<EntityUid>),
    /// The variable is of this type.
    IsA(Variable, EntityTypeName),
    /// The resource's path is this.
    Path(String),
    /// The resource's path begins with this.
    PathPrefix(String),
}

impl Condition {
    /// Whether it is about this variable.
    pub(super) fn is_of(&self, variable: Variable) -> bool {
        match self {
            Condition::IsOneOf(own, _) | Condition::IsIn(own, _) | Condition::IsA(own, _) => *own == variable,
            Condition::Path(_) | Condition::PathPrefix(_) => variable == Variable::Resource,
        }
    }

    /// Whether it is about a type.
    pub(super) fn is_a_type(&self) -> bool {
        matches!(self, Condition::IsA(..))
    }

    /// Whether it holds.
    pub(super) fn holds(&self, facts: &Facts<'_>) -> bool {
        match self {
            Condition::IsOneOf(variable, these) => these.contains(facts.entity(*variable)),
            Condition::IsIn(variable, these) => {
                these.contains(facts.entity(*variable)) || facts.above(*variable).any(|above| these.contains(above))
            }
            Condition::IsA(variable, kind) => facts.entity(*variable).type_name() == kind,
            // Of what has no path the evaluation fails, which must show.
            Condition::Path(path) => facts.path.as_ref().is_none_or(|own| own == path),
            Condition::PathPrefix(prefix) => facts.path.as_ref().is_none_or(|own| own.starts_with(prefix.as_str())),
        }
    }
}

impl Facts<'_> {
    pub(super) fn entity(&self, variable: Variable) -> &EntityUid {
        match variable {
            Variable::Principal => self.principal,
            Variable::Action => self.action,
            Variable::Resource => &self.resource,
        }
    }

    pub(super) fn above(&self, variable: Variable) -> impl Iterator<Item = &EntityUid> {
        match variable {
            Variable::Principal => self.groups,
            Variable::Action => std::slice::from_ref(self.action_group),
            Variable::Resource => self.ancestors.as_slice(),
        }
        .iter()
    }
}

/// The necessary conditions of a policy, in the order in which they are evaluated, and whether they are all of it: then it
/// applies where they hold, and only there.
pub(super) fn analyse(inspected: &Inspected<'_>) -> (Vec<Condition>, bool) {
    let Inspected { policy, .. } = inspected;
    use Condition::{IsA, IsIn, IsOneOf};
    let mut found = Vec::new();
    let mut all = Reading { goes_on: true, whole: true };
    match policy.principal_constraint() {
        PrincipalConstraint::Any => {}
        PrincipalConstraint::In(uid) => found.push(IsIn(Variable::Principal, vec![uid])),
        PrincipalConstraint::Eq(uid) => found.push(IsOneOf(Variable::Principal, vec![uid])),
        PrincipalConstraint::Is(kind) => found.push(IsA(Variable::Principal, kind)),
        PrincipalConstraint::IsIn(kind, uid) => {
            found.extend([IsA(Variable::Principal, kind), IsIn(Variable::Principal, vec![uid])]);
        }
    }
    match policy.action_constraint() {
        ActionConstraint::Any => {}
        ActionConstraint::In(uids) => found.push(IsIn(Variable::Action, uids)),
        ActionConstraint::Eq(uid) => found.push(IsOneOf(Variable::Action, vec![uid])),
    }
    match policy.resource_constraint() {
        ResourceConstraint::Any => {}
        ResourceConstraint::In(uid) => found.push(IsIn(Variable::Resource, vec![uid])),
        ResourceConstraint::Eq(uid) => found.push(IsOneOf(Variable::Resource, vec![uid])),
        ResourceConstraint::Is(kind) => found.push(IsA(Variable::Resource, kind)),
        ResourceConstraint::IsIn(kind, uid) => {
            found.extend([IsA(Variable::Resource, kind), IsIn(Variable::Resource, vec![uid])]);
        }
    }
    let clauses = inspected.clauses();
    all.whole = clauses.is_some();
    for clause in clauses.into_iter().flatten() {
        all = all.then(|| read_clause(clause, &mut found));
    }
    (found, all.whole)
}

/// How far an expression was read.
#[derive(Debug, Clone, Copy)]
struct Reading {
    /// What follows it is always reached without an error.
    goes_on: bool,
    /// All of it was understood.
    whole: bool,
}

impl Reading {
    const STOPPED: Reading = Reading { goes_on: false, whole: false };

    /// Reads what follows, if it is reached.
    fn then(self, next: impl FnOnce() -> Reading) -> Reading {
        if !self.goes_on {
            return Reading::STOPPED;
        }
        let next = next();
        Reading { goes_on: next.goes_on, whole: self.whole && next.whole }
    }
}

/// Reads a `when`.
fn read_clause(clause: &Value, found: &mut Vec<Condition>) -> Reading {
    let is_when = clause.get("kind").and_then(Value::as_str) == Some("when");
    clause.get("body").filter(|_| is_when).map_or(Reading::STOPPED, |body| read(body, found))
}

/// Reads a conjunction from the left.
fn read(expression: &Value, found: &mut Vec<Condition>) -> Reading {
    if let Some((left, right)) = operands(expression, "&&") {
        return read(left, found).then(|| read(right, found));
    }
    match conjunct(expression) {
        Some((conditions, reading)) => {
            found.extend(conditions);
            reading
        }
        None => Reading::STOPPED,
    }
}

/// The conditions that one conjunct amounts to.
fn conjunct(expression: &Value) -> Option<(Vec<Condition>, Reading)> {
    const SURE: Reading = Reading { goes_on: true, whole: true };
    // The path of what has none is an error.
    const LAST: Reading = Reading { goes_on: false, whole: true };
    if let Some((left, right)) = operands(expression, "||") {
        return either(conjunct(left)?, conjunct(right)?);
    }
    if let Some((left, right)) = operands(expression, "==") {
        if let Some(path) = is_path(left).then(|| right.get("Value")?.as_str()).flatten() {
            return Some((vec![Condition::Path(path.to_owned())], LAST));
        }
        let (variable, uid) = variable(left).zip(entity(right)).or_else(|| variable(right).zip(entity(left)))?;
        return Some((vec![Condition::IsOneOf(variable, vec![uid])], SURE));
    }
    if let Some((left, right)) = operands(expression, "in") {
        let uids = entity(right).map(|uid| vec![uid]).or_else(|| entities(right))?;
        return Some((vec![Condition::IsIn(variable(left)?, uids)], SURE));
    }
    if let Some((left, right)) = operands(expression, "contains") {
        return Some((vec![Condition::IsOneOf(variable(right)?, entities(left)?)], SURE));
    }
    if let Some(is) = expression.get("is") {
        let variable = variable(is.get("left")?)?;
        let kind = EntityTypeName::from_str(is.get("entity_type")?.as_str()?).ok()?;
        let mut conditions = vec![Condition::IsA(variable, kind)];
        if let Some(above) = is.get("in") {
            conditions.push(Condition::IsIn(variable, vec![entity(above)?]));
        }
        return Some((conditions, SURE));
    }
    let like = expression.get("like").filter(|like| like.get("left").is_some_and(is_path))?;
    let (prefix, whole) = prefix(like.get("pattern")?.as_array()?)?;
    Some((vec![Condition::PathPrefix(prefix)], Reading { whole, ..LAST }))
}

/// One condition that amounts to both of these, of which one must hold: entities that the same variable is, or is in.
fn either(
    (left, left_reading): (Vec<Condition>, Reading),
    (right, right_reading): (Vec<Condition>, Reading),
) -> Option<(Vec<Condition>, Reading)> {
    use Condition::{IsIn, IsOneOf};
    let (left, right): ([Condition; 1], [Condition; 1]) = (left.try_into().ok()?, right.try_into().ok()?);
    let (condition, exact) = match (left, right) {
        ([IsOneOf(one, left)], [IsOneOf(other, right)]) if one == other => (IsOneOf(one, [left, right].concat()), true),
        ([IsIn(one, left)], [IsIn(other, right)]) if one == other => (IsIn(one, [left, right].concat()), true),
        // What is one of these is in it, and more is.
        ([IsIn(one, left) | IsOneOf(one, left)], [IsIn(other, right) | IsOneOf(other, right)]) if one == other => {
            (IsIn(one, [left, right].concat()), false)
        }
        _ => return None,
    };
    let goes_on = left_reading.goes_on && right_reading.goes_on;
    Some((vec![condition], Reading { goes_on, whole: exact && left_reading.whole && right_reading.whole }))
}

/// The literal text that a pattern begins with, and whether nothing but a wildcard follows it. A pattern comes as single
/// characters or as pieces of text.
fn prefix(pattern: &[Value]) -> Option<(String, bool)> {
    let mut prefix = String::new();
    for (at, piece) in pattern.iter().enumerate() {
        match piece.get("Literal").and_then(Value::as_str) {
            Some(literal) => prefix.push_str(literal),
            None if piece.as_str() == Some("Wildcard") => return Some((prefix, at + 1 == pattern.len())),
            None => return None,
        }
    }
    Some((prefix, false))
}

fn operands<'a>(expression: &'a Value, operator: &str) -> Option<(&'a Value, &'a Value)> {
    let both = expression.get(operator)?;
    Some((both.get("left")?, both.get("right")?))
}

fn variable(expression: &Value) -> Option<Variable> {
    match expression.get("Var")?.as_str()? {
        "principal" => Some(Variable::Principal),
        "action" => Some(Variable::Action),
        "resource" => Some(Variable::Resource),
        _ => None,
    }
}

fn entity(expression: &Value) -> Option<EntityUid> {
    EntityUid::from_json(expression.get("Value")?.clone()).ok()
}

/// A set of nothing but entities, not empty.
fn entities(expression: &Value) -> Option<Vec<EntityUid>> {
    let members = expression.get("Set")?.as_array()?;
    members.iter().map(entity).collect::<Option<Vec<_>>>().filter(|uids| !uids.is_empty())
}

/// `resource.path`
fn is_path(expression: &Value) -> bool {
    let access = expression.get(".");
    let attribute = access.and_then(|access| access.get("attr")).and_then(Value::as_str);
    attribute == Some("path") && access.and_then(|access| variable(access.get("left")?)) == Some(Variable::Resource)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cedar_policy::Policy;

    fn conditions(text: &str) -> Vec<String> {
        let (found, _) = analyse(&Inspected::new(&Policy::parse(None, text).unwrap()));
        found.iter().map(|condition| format!("{condition:?}").split('(').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn reads_from_the_left_up_to_the_first_that_could_fail() {
        let when = |body: &str| conditions(&format!("permit(principal, action, resource) when {{ {body} }};"));
        let dir = "file_system::Dir::\"/srv\"";
        assert_eq!(when(&format!("resource in {dir} && action == Action::\"a\"")), ["IsIn", "IsOneOf"]);
        assert_eq!(when(&format!("{dir} == resource && resource is T in {dir}")), ["IsOneOf", "IsA", "IsIn"]);
        assert_eq!(when(&format!("[{dir}, {dir}].contains(resource)")), ["IsOneOf"]);
        assert_eq!(when("resource.path like \"/srv/*.txt\" && principal == User::\"a\""), ["PathPrefix"]);
        assert_eq!(when("resource.path == \"/srv\" && principal == User::\"a\""), ["Path"]);
        assert_eq!(when(&format!("resource.nosuch == 1 && resource in {dir}")), Vec::<String>::new());
        assert_eq!(when(&format!("resource in {dir} || true")), Vec::<String>::new());
        assert_eq!(when(&format!("resource in {dir} || resource in {dir} || resource == {dir}")), ["IsIn"]);
        assert_eq!(when(&format!("resource == {dir} || {dir} == resource")), ["IsOneOf"]);
        assert_eq!(when(&format!("resource in {dir} || principal in {dir}")), Vec::<String>::new());
        assert_eq!(when(&format!("resource in {dir} || resource is T in {dir}")), Vec::<String>::new());
        assert_eq!(when("resource.path == \"/srv\" || resource.path == \"/a\""), Vec::<String>::new());
        assert_eq!(when(&format!("!(resource in {dir})")), Vec::<String>::new());
        assert_eq!(when("[].contains(resource)"), Vec::<String>::new());
    }

    #[test]
    fn clauses_count_up_to_the_first_that_is_not_understood() {
        let text = "permit(principal in Group::\"g\", action, resource) unless { true } when { resource == T::\"x\" };";
        assert_eq!(conditions(text), ["IsIn"]);
        let text = "permit(principal, action, resource) when { resource is T } when { resource == T::\"x\" };";
        assert_eq!(conditions(text), ["IsA", "IsOneOf"]);
    }

    #[test]
    fn a_pattern_gives_its_literal_beginning() {
        let policy =
            Policy::parse(None, "permit(principal, action, resource) when { resource.path like \"/a\\*b/*c\" };")
                .unwrap();
        assert_eq!(analyse(&Inspected::new(&policy)).0, [Condition::PathPrefix("/a*b/".into())]);
    }
}
