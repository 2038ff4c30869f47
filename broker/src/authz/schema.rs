//! The schema of entities and actions, made from `policies/rex.cedarschema` beforehand: its text is never parsed
//! at run time.

use cedar_policy::Schema;
use std::sync::OnceLock;

/// `policies/rex.cedarschema` in Cedar's JSON form.
const JSON: &str = include_str!("../../../policies/rex.schema.json");

/// The schema. Only validation needs it; decisions do not.
pub(super) fn schema() -> Result<&'static Schema, String> {
    static SCHEMA: OnceLock<Result<Schema, String>> = OnceLock::new();
    SCHEMA
        .get_or_init(|| Schema::from_json_str(JSON).map_err(|error| error.to_string()))
        .as_ref()
        .map_err(String::clone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cedar_policy::{EntityUid, SchemaFragment};
    use rex_protocol::Action;
    use std::str::FromStr;

    /// Made with `REX_BLESS=1 cargo test -p rex-broker schema`.
    #[test]
    fn the_json_is_made_from_the_text() {
        let (text, _) =
            SchemaFragment::from_cedarschema_str(include_str!("../../../policies/rex.cedarschema")).unwrap();
        let made: serde_json::Value = serde_json::from_str(&text.to_json_string().unwrap()).unwrap();
        let made = serde_json::to_string_pretty(&made).unwrap() + "\n";
        if std::env::var_os("REX_BLESS").is_some() {
            #[expect(clippy::disallowed_methods, reason = "a test writes the file it is asked to")]
            std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/../policies/rex.schema.json"), &made).unwrap();
        } else {
            assert_eq!(made, JSON, "run `REX_BLESS=1 cargo test -p rex-broker schema`");
        }
    }

    #[test]
    fn every_action_stands_in_it_and_in_its_group() {
        let actions = schema().unwrap().action_entities().unwrap();
        for action in Action::ALL {
            let uid = EntityUid::from_str(&action.to_string()).unwrap();
            let group = format!("{}::Action::\"{}\"", action.namespace(), action.group());
            let group = EntityUid::from_str(&group).unwrap();
            assert!(actions.get(&uid).is_some(), "{action}");
            assert!(actions.is_ancestor_of(&group, &uid), "{action} is not in {group}");
        }
    }
}
