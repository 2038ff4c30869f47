//! A script that comes in one piece with what belongs to it.

use crate::arguments;
use rex_client::limits::{ARGUMENTS, POLICY, SCRIPT};
use rex_client::{Arguments, Policy, Submission};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The largest bundle that is taken, in bytes. What JSON writes out can be several times as long as what it stands for.
pub(super) const LARGEST: usize = 4 * (SCRIPT + ARGUMENTS + POLICY);

/// What it holds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bundle {
    script: String,
    /// Each of the type of its JSON.
    #[serde(default)]
    arguments: Map<String, Value>,
    /// A policy that must allow each operation as well.
    policy: Option<String>,
    /// As `ssh-keygen -Y sign -n rex-script` writes it.
    signature: Option<String>,
}

/// What a bundle submits.
pub(super) fn parse(text: &[u8]) -> Result<Submission, String> {
    let bundle: Bundle = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let policy = bundle.policy.as_deref().map_or(0, str::len);
    let signature = bundle.signature.as_deref().map_or(0, str::len);
    for (what, length, most) in [
        ("script", bundle.script.len(), SCRIPT),
        ("policy", policy, POLICY),
        ("signature", signature, super::SIGNATURE),
    ] {
        if length > most {
            return Err(format!("the {what} has {length} bytes, at most {most} are taken"));
        }
    }
    let mut arguments = Arguments::new();
    for (name, value) in bundle.arguments {
        let argument = arguments::typed(value).map_err(|what| format!("argument `{name}`: {what}"))?;
        arguments.insert(name, argument);
    }
    let mut submission = Submission::new(bundle.script);
    submission.arguments = arguments;
    submission.policy = bundle.policy.map(|text| Policy::new("the bundle's policy", text));
    submission.signature = bundle.signature;
    Ok(submission)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rex_client::Argument;

    #[test]
    fn a_bundle_is_a_whole_submission() {
        let text = r#"{"script": "x\n", "arguments": {"n": 3, "l": ["a"]}, "policy": "p", "signature": "s"}"#;
        let submission = parse(text.as_bytes()).unwrap();
        assert_eq!(submission.script, b"x\n");
        assert_eq!(submission.arguments.get("n"), Some(&Argument::Long(3)));
        assert_eq!(submission.policy.map(|policy| policy.text), Some(b"p".to_vec()));
        assert_eq!(submission.signature.as_deref(), Some("s"));
        assert!(parse(br#"{"script": ""}"#).unwrap().arguments.is_empty());
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "1",
            "{}",
            r#"{"script": 1}"#,
            r#"{"script": "", "x": 1}"#,
            r#"{"script": "", "arguments": {"a": null}}"#,
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        let long = serde_json::json!({"script": "", "signature": "s".repeat(super::super::SIGNATURE + 1)});
        assert!(parse(long.to_string().as_bytes()).is_err());
    }
}
