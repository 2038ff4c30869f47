//! From the names of actions to a policy that allows these and no others.

use rex_protocol::Action;

/// The namespace whose actions need not name it.
const PLAIN: &str = "file_system";
/// How many names are told that are like one that is unknown.
const ALIKE: usize = 5;
/// How many letters may be wrong in a name that is like another.
const TYPOS: usize = 2;

/// The text of a policy that allows the actions of these names only. What it denies it denies by the id `rex:pledge`.
///
/// A name is as policies write it (`file_system::Action::"read"`), or shorter: `network::GET`, and of an action on files
/// `read` alone. The name of a group stands for all actions in it: `SafeIO`, `network::NetworkAction`. An error tells the first name
/// that is none of these, with those that are like it.
pub fn policy<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<String, String> {
    let mut kept = Vec::new();
    for name in names {
        kept.extend(actions(name)?);
    }
    let (kept, given_up): (Vec<Action>, Vec<Action>) = Action::ALL.iter().partition(|action| kept.contains(action));
    Ok([statement("rex:pledge", "forbid", &given_up), statement("rex:pledged", "permit", &kept)].concat())
}

fn statement(id: &str, effect: &str, actions: &[Action]) -> String {
    if actions.is_empty() {
        return String::new();
    }
    let actions: Vec<String> = actions.iter().map(ToString::to_string).collect();
    format!("@id(\"{id}\")\n{effect}(principal, action in [{}], resource);\n", actions.join(", "))
}

/// The actions that a name stands for.
fn actions(name: &str) -> Result<Vec<Action>, String> {
    let (namespace, action) = split(name);
    let is_meant = |of: &Action| of.namespace() == namespace && (of.name() == action || of.group() == action);
    let meant: Vec<Action> = Action::ALL.iter().copied().filter(is_meant).collect();
    if meant.is_empty() { Err(unknown(name, action)) } else { Ok(meant) }
}

/// Namespace and name, of whichever form.
fn split(name: &str) -> (&str, &str) {
    let Some((namespace, rest)) = name.split_once("::") else { return (PLAIN, name) };
    let quoted = rest.strip_prefix("Action::\"").and_then(|rest| rest.strip_suffix('"'));
    (namespace, quoted.unwrap_or(rest))
}

fn unknown(name: &str, action: &str) -> String {
    let alike = alike(action);
    let hint = if alike.is_empty() { String::new() } else { format!("; there is {}", alike.join(", ")) };
    format!("no action is called `{name}`{hint}")
}

/// The short names of what is called much like this, in whatever namespace.
fn alike(name: &str) -> Vec<String> {
    let name = name.to_lowercase();
    let distance = |known: &str| strsim::osa_distance(&known.to_lowercase(), &name);
    let mut alike: Vec<(usize, String)> = Vec::new();
    for action in Action::ALL {
        for known in [action.name(), action.group()] {
            let short = match action.namespace() {
                PLAIN => known.to_owned(),
                namespace => format!("{namespace}::{known}"),
            };
            let distance = distance(known);
            // Of a short name everything would be in reach.
            if distance <= TYPOS.min(known.len() / 3) {
                alike.push((distance, format!("`{short}`")));
            }
        }
    }
    alike.sort();
    alike.dedup();
    alike.into_iter().take(ALIKE).map(|(_, short)| short).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_understood_in_each_form() {
        let of = |name| actions(name).unwrap();
        for name in ["read", "file_system::read", "file_system::Action::\"read\""] {
            assert_eq!(of(name), [Action::FileRead], "{name}");
        }
        for name in ["network::GET", "network::Action::\"GET\""] {
            assert_eq!(of(name), [Action::HttpGet], "{name}");
        }
        assert_eq!(of("process_system::list"), [Action::ProcessList]);
        assert_eq!(of("PrivilegedIO"), [Action::FileSetId]);
        assert_eq!(of("SafeIO"), of("file_system::Action::\"SafeIO\""));
        assert!(of("SafeIO").contains(&Action::FileWrite) && !of("SafeIO").contains(&Action::FileSetId));
        assert_eq!(of("sysinfo::SysinfoAction"), [Action::SysinfoList, Action::ResolveHostname]);
    }

    #[test]
    fn an_unknown_name_is_told_with_those_like_it() {
        for (name, told) in [
            ("raed", "no action is called `raed`; there is `read`"),
            ("list", "no action is called `list`; there is `process_system::list`, `sysinfo::list`"),
            ("get", "no action is called `get`; there is `network::GET`"),
            ("network::read", "no action is called `network::read`; there is `read`"),
            ("safe_io", "no action is called `safe_io`; there is `SafeIO`"),
            ("", "no action is called ``"),
            ("file_system::Action::read", "no action is called `file_system::Action::read`"),
            ("x\" || true", "no action is called `x\" || true`"),
        ] {
            assert!(actions(name).unwrap_err().starts_with(told), "{:?}", actions(name));
        }
        assert!(actions("file_system::").is_err() && actions("::read").is_err());
    }

    #[test]
    fn what_is_not_kept_is_given_up() {
        let policy = policy(["open", "read", "read"]).unwrap();
        let (forbid, permit) = policy.split_once("permit").unwrap();
        assert_eq!(
            permit,
            "(principal, action in [file_system::Action::\"open\", file_system::Action::\"read\"], resource);\n"
        );
        for action in Action::ALL {
            let kept = matches!(action, Action::FileOpen | Action::FileRead);
            assert_eq!(forbid.contains(&action.to_string()), !kept, "{action}");
        }
        assert!(!super::policy([]).unwrap().contains("permit"));
        let groups = Action::ALL.iter().map(|action| format!("{}::{}", action.namespace(), action.group()));
        let groups: Vec<String> = groups.collect();
        assert!(!super::policy(groups.iter().map(String::as_str)).unwrap().contains("forbid"));
    }
}
