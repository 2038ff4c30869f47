//! What the author of a policy should know, and what to write instead.

use super::load::Place;
use cedar_policy::{PolicyId, ValidationError, ValidationWarning};
use std::fmt;

/// Something about a policy: where, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyWarning {
    file: String,
    line: usize,
    what: String,
    advice: Option<&'static str>,
}

impl PolicyWarning {
    /// Whether both speak of the same policy.
    pub(super) fn is_at_the_place_of(&self, other: &Self) -> bool {
        (&self.file, self.line) == (&other.file, other.line)
    }
}

/// Leaves one warning of each kind of advice for a policy: Cedar finds the same fault again for each type that a
/// variable may have. A name that is unknown explains what else follows from it.
pub(super) fn one_of_a_kind(warnings: &mut Vec<PolicyWarning>) {
    warnings.sort_by(|a, b| (&a.file, a.line, a.advice, &a.what).cmp(&(&b.file, b.line, b.advice, &b.what)));
    warnings.dedup_by(|a, b| a.is_at_the_place_of(b) && a.advice == b.advice && a.advice.is_some());
    let unknown: Vec<_> = warnings.iter().filter(|warning| warning.what.contains(UNKNOWN)).cloned().collect();
    warnings.retain(|warning| {
        warning.what.contains(UNKNOWN) || !unknown.iter().any(|unknown| unknown.is_at_the_place_of(warning))
    });
}

/// How Cedar begins to tell of a type or action that the schema does not have.
const UNKNOWN: &str = "unrecognized ";

/// `FILE:LINE: WHAT; ADVICE`
impl fmt::Display for PolicyWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)?;
        self.advice.map_or(Ok(()), |advice| write!(f, "; {advice}"))
    }
}

/// A policy that does not validate strictly.
pub(super) fn invalid(error: &ValidationError, place: Option<&Place>) -> PolicyWarning {
    let advice = match error {
        ValidationError::UnrecognizedEntityType(_) => {
            "use an entity type of the schema, such as `file_system::File`, `file_system::Dir` or `User`"
        }
        ValidationError::UnrecognizedActionId(_) => {
            "use an action of the schema, such as `file_system::Action::\"read\"`"
        }
        ValidationError::InvalidActionApplication(_) => {
            "the action does not apply to these types: name others in the scope"
        }
        ValidationError::IncompatibleTypes(_) => {
            "do not mix types in one set or comparison: write one for each type, joined by `||`"
        }
        ValidationError::UnsafeAttributeAccess(_) | ValidationError::UnsafeOptionalAttributeAccess(_) => {
            "test the type or the attribute first: `resource is file_system::File && ...`, `resource has path && ...`"
        }
        ValidationError::UnsafeTagAccess(_) => "test the tag first: `hasTag(\"...\") && ...`",
        ValidationError::UnexpectedType(_) => "conditions must be true or false, operands of the operator's type",
        ValidationError::EmptySetForbidden(_) => "ask `.isEmpty()` instead of comparing with an empty set",
        _ => return at(place, without_id(&error.to_string(), error.policy_id()), None),
    };
    at(place, without_id(&error.to_string(), error.policy_id()), Some(advice))
}

/// A policy that is valid and still does not do what it seems to.
pub(super) fn suspicious(warning: &ValidationWarning, place: Option<&Place>) -> PolicyWarning {
    let advice = match warning {
        ValidationWarning::ImpossiblePolicy(_) => Some("it can never match: compare its scope with its conditions"),
        _ => None,
    };
    at(place, without_id(&warning.to_string(), warning.policy_id()), advice)
}

/// Cedar's words without the policy's id, which the place tells.
fn without_id(words: &str, id: &PolicyId) -> String {
    words.strip_prefix(&format!("for policy `{id}`, ")).unwrap_or(words).to_owned()
}

/// A template, which nothing ever fills in.
pub(super) fn template(place: &Place) -> PolicyWarning {
    let advice = "write the entity instead of `?principal` or `?resource`";
    at(Some(place), "a template is never filled in, so it decides nothing".into(), Some(advice))
}

/// An id that another policy has.
pub(super) fn repeated_id(place: &Place, id: &str) -> PolicyWarning {
    at(Some(place), format!("another policy has the id `{id}` too"), Some("give each its own `@id`"))
}

fn at(place: Option<&Place>, what: String, advice: Option<&'static str>) -> PolicyWarning {
    let (file, line) = place.map_or((String::new(), 0), |place| (place.file.clone(), place.line));
    PolicyWarning { file, line, what, advice }
}
