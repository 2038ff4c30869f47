//! `list`: what somebody may do.

use super::explain::who;
use super::options::{List, Options};
use super::{Fault, load, text};
use rex_broker::authz::{Authorizer, Listed, Principal};
use serde_json::json;
use std::rc::Rc;

/// Lists the policies that are about a user.
pub(crate) fn run(options: &Options, list: &List) -> Result<(), Fault> {
    let (name, uid, groups) = who(list.user.as_deref(), &list.group)?;
    let store = load::store(options)?;
    let principal = Principal { name: name.clone(), uid, gid: 0, gids: Vec::new(), groups };
    let policies = Authorizer::new(principal, vec![Rc::clone(&store.policies)]).list();
    let policies: Vec<_> = policies.into_iter().filter(|policy| !policy.rail).collect();
    let told: Vec<_> = policies
        .iter()
        .map(|policy| json!({ "id": policy.id, "permits": policy.permits, "parts": policy.parts }))
        .collect();
    text::answer(options.output_format, &json!({ "user": name, "policies": told }), || human(&name, &policies))
}

fn human(name: &str, policies: &[Listed]) -> String {
    if policies.is_empty() {
        return format!("{name} may do nothing: no policy is about this user");
    }
    let told = policies.iter().map(|policy| {
        let effect = if policy.permits { "may" } else { "may not" };
        let parts = if policy.parts.is_empty() { vec!["do anything".to_owned()] } else { policy.parts.clone() };
        let parts = parts.iter().map(|part| format!("\n    {part}"));
        format!("{effect} ({}){}", policy.id, parts.collect::<String>())
    });
    format!("{name}\n{}", told.collect::<Vec<_>>().join("\n"))
}
