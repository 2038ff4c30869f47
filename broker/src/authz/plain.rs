//! Policies that are valid without a look at the schema. To load it takes longer than all else before a small run, so it is not
//! loaded for what cannot be wrong.

use super::demand::DIR;
use super::vocabulary::Vocabulary;
use cedar_policy::{ActionConstraint, EntityTypeName, EntityUid, Policy, PrincipalConstraint, ResourceConstraint};

/// Whether the validator could have nothing to say of a policy: it has no conditions, its scope names what there is, and such
/// requests occur. Of others nothing is said.
pub(super) fn is_plain(policy: &Policy) -> bool {
    let Ok(names) = Vocabulary::get() else { return false };
    let is = |kind: &EntityTypeName, name| names.kind(name).is_ok_and(|known| known == kind);
    let is_one = |uid: &EntityUid, name| is(uid.type_name(), name);
    !policy.has_non_scope_constraint()
        // Letters that look like others are worth a word.
        && policy.to_string().is_ascii()
        && match policy.principal_constraint() {
            PrincipalConstraint::Any => true,
            PrincipalConstraint::Eq(uid) => is_one(&uid, "User"),
            PrincipalConstraint::In(uid) => is_one(&uid, "User") || is_one(&uid, "Group"),
            PrincipalConstraint::Is(_) | PrincipalConstraint::IsIn(..) => false,
        }
        && match policy.action_constraint() {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(action) => names.is_action(&action),
            ActionConstraint::In(actions) => {
                let is_known = |action: &EntityUid| names.is_action(action) || names.is_group(action);
                // Of several types the validator may have something to say.
                let first = actions.first().map(EntityUid::type_name);
                first.is_some() && actions.iter().all(|action| is_known(action) && Some(action.type_name()) == first)
            }
        }
        && match policy.resource_constraint() {
            ResourceConstraint::Any => true,
            ResourceConstraint::In(uid) => is_one(&uid, DIR) && are_of_files(&policy.action_constraint()),
            _ => false,
        }
}

/// Whether such actions, or some of them, are done to files in directories.
fn are_of_files(actions: &ActionConstraint) -> bool {
    let is_of_files = |action: &EntityUid| action.type_name().namespace() == "file_system";
    match actions {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(action) => is_of_files(action),
        ActionConstraint::In(actions) => actions.iter().all(is_of_files),
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::schema;
    use super::*;
    use cedar_policy::{PolicySet, ValidationMode, Validator};
    use rex_protocol::Action;

    /// Every action and its group, in every kind of scope.
    fn policies() -> Vec<Policy> {
        let principals =
            ["principal", "principal == User::\"a\"", "principal in Group::\"g\"", "principal in User::\"a\""];
        let principals = principals.iter().chain(&["principal == Group::\"g\"", "principal is User"]);
        let named =
            |action: &Action| [action.to_string(), format!("{}::Action::\"{}\"", action.namespace(), action.group())];
        let actions = Action::ALL
            .iter()
            .flat_map(named)
            .flat_map(|uid| [format!("action == {uid}"), format!("action in {uid}"), format!("action in [{uid}]")]);
        let actions: Vec<_> =
            actions.chain(["action".into(), "action == file_system::Action::\"nosuch\"".into()]).collect();
        let resources = ["resource", "resource in file_system::Dir::\"/a\"", "resource in file_system::File::\"/a\""];
        let resources = resources.iter().chain(&[
            "resource is file_system::File",
            "resource in Robot::\"r\"",
            "resource in User::\"a\"",
        ]);
        let mut text = String::new();
        for principal in principals {
            for action in &actions {
                for resource in resources.clone() {
                    text += &format!("forbid({principal}, {action}, {resource});\n");
                }
            }
        }
        text.parse::<PolicySet>().unwrap().policies().cloned().collect()
    }

    #[test]
    fn the_validator_has_nothing_to_say_of_them() {
        let validator = Validator::new(schema().unwrap().clone());
        let policies = policies();
        let plain: Vec<_> = policies.iter().filter(|policy| is_plain(policy)).cloned().collect();
        assert!(plain.len() > 300 && plain.len() < policies.len() / 2, "{} of {}", plain.len(), policies.len());
        let set = PolicySet::from_policies(plain).unwrap();
        let result = validator.validate(&set, ValidationMode::Strict);
        let errors: Vec<_> = result.validation_errors().map(ToString::to_string).collect();
        let warnings: Vec<_> = result.validation_warnings().map(ToString::to_string).collect();
        assert_eq!((errors, warnings), (vec![], vec![]));
    }

    #[test]
    fn what_needs_a_look_is_not_plain() {
        let is_plain = |text: &str| is_plain(text.parse::<PolicySet>().unwrap().policies().next().unwrap());
        assert!(is_plain("permit(principal, action, resource);"));
        assert!(is_plain(
            "@id(\"a\") permit(principal, action == file_system::Action::\"read\", resource in file_system::Dir::\"/a\");"
        ));
        assert!(!is_plain("permit(principal, action, resource) when { true };"));
        let mixed = "action in [file_system::Action::\"read\", systemd::Action::\"start\"]";
        assert!(!is_plain(&format!("permit(principal, {mixed}, resource);")));
        assert!(!is_plain("permit(principal, action, resource in file_system::Dir::\"/\u{430}\");"));
    }
}
