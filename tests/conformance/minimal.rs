//! No operation goes without its decision: cases that succeed are run again with a permission less.
//!
//! To know which permissions a script needs, one would have to believe the very thing that is tested. So nothing is
//! presumed about need; what is held against each run is its *effect*. A case whose policy permits something is run again
//!
//! * with everything forbidden: it must end in a denial, and its folder must be as before down to times and modes;
//! * for each action that its policy permits, with that action forbidden (`read` with `redacted_read`, which stands in
//!   for it): what that action governs must not happen. Without `open` no file changes and none is told of; without `read`
//!   no line of a file is in the result; without `write` no byte of a file changes; without `create` no name appears
//!   that was not moved; without `delete` no object vanishes.
//!
//! A run that ends in an error must end in the denial that names the missing action, unless its script catches errors and
//! goes on. An operation performed without its decision fails this as soon as one case has its effect. That the
//! runs are not idle is held by [`DENIED`]: for each action a case that must be denied.

use crate::case::{Case, Kind};
use crate::expect::{logs, short, text};
use crate::perform::perform;
use crate::stage::Stage;
use crate::tree::Tree;
use rex_protocol::Action;
use serde_json::Value;

/// For each action a case that does not go without it.
const DENIED: &[(&str, Action)] = &[
    ("core::hello_file", Action::FileOpen),
    ("core::hello_file", Action::FileCreate),
    ("core::hello_file", Action::FileWrite),
    ("core::hello_file", Action::FileRead),
];

/// Cases whose policy permits what their script has no use for.
const NEED_NOTHING: &[&str] = &[];

/// Whether a case succeeds by what its policy permits.
pub(crate) fn applies_to(case: &Case) -> bool {
    let permits = case.policy.lines().any(|line| !line.trim_start().starts_with("//") && line.contains("permit"));
    case.expect.status == "SUCCESS" && permits && !NEED_NOTHING.contains(&case.name.as_str())
}

/// What happened in spite of a missing permission, in words.
pub(crate) fn faults(case: &Case) -> Vec<String> {
    let mut missing = vec![Missing::Everything];
    // Where other processes act too, effects are not the script's alone; and another file system is not looked at.
    if case.spawn.is_empty() && !case.script.contains("/dev/shm") {
        missing.extend(Missing::each(&case.policy));
    }
    missing.iter().flat_map(|missing| run(case, missing)).collect()
}

/// What a run has to do without.
#[derive(Debug)]
enum Missing {
    Everything,
    Actions(Vec<Action>),
}

impl Missing {
    /// Each action that a policy permits.
    fn each(policy: &str) -> Vec<Self> {
        let any = policy.contains("action,") || policy.contains("action)") || policy.contains("\"SafeIO\"");
        let permitted = Action::ALL.iter().filter(|action| any || policy.contains(&action.to_string()));
        let alone = permitted.filter(|action| **action != Action::FileRedactedRead);
        let also = |action: &Action| match action {
            Action::FileRead => vec![Action::FileRead, Action::FileRedactedRead],
            action => vec![*action],
        };
        alone.map(|action| Missing::Actions(also(action))).collect()
    }

    /// The policies that take it away.
    fn forbids(&self) -> String {
        match self {
            Missing::Everything => "\nforbid(principal, action, resource);\n".into(),
            Missing::Actions(actions) => {
                let forbid = |action| format!("\nforbid(principal, action == {action}, resource);\n");
                actions.iter().map(forbid).collect()
            }
        }
    }

    fn includes(&self, action: Action) -> bool {
        match self {
            Missing::Everything => true,
            Missing::Actions(actions) => actions.contains(&action),
        }
    }

    fn is_named_in(&self, message: &str) -> bool {
        match self {
            Missing::Everything => message.contains("::Action::\""),
            Missing::Actions(actions) => actions.iter().any(|action| message.contains(&action.to_string())),
        }
    }

    fn describe(&self) -> String {
        match self {
            Missing::Everything => "with everything forbidden".into(),
            Missing::Actions(actions) => {
                let names: Vec<&str> = actions.iter().map(|action| action.name()).collect();
                format!("without `{}`", names.join("` and `"))
            }
        }
    }
}

fn run(case: &Case, missing: &Missing) -> Vec<String> {
    let stage = match Stage::set(case) {
        Ok(stage) => stage,
        Err(error) => return vec![format!("cannot prepare it: {error}")],
    };
    let before = Tree::of(&stage.root);
    let policy = stage.fill(&case.policy) + &missing.forbids();
    let result = match perform(case, &stage, &policy) {
        Ok(result) => result,
        Err(fault) => return vec![format!("{}: {fault}", missing.describe())],
    };
    let mut faults = ending_faults(case, missing, &result);
    if case.spawn.is_empty() {
        faults.extend(effects(missing, &before, &Tree::of(&stage.root)));
    }
    if missing.includes(Action::FileOpen) || missing.includes(Action::FileRead) {
        faults.extend(leaks(case, &stage, &result));
    }
    faults.into_iter().map(|fault| format!("{}: {fault}", missing.describe())).collect()
}

/// How a run may end that lacks a permission.
fn ending_faults(case: &Case, missing: &Missing, result: &Value) -> Vec<String> {
    let message = text(&result["error"]["message"]);
    let succeeded = text(&result["status"]) == "SUCCESS";
    let denied = text(&result["error"]["error_type"]) == "ACCESS_DENIED_EXCEPTION" && missing.is_named_in(message);
    let must_be_denied = DENIED.iter().any(|(name, action)| *name == case.name && missing.includes(*action));
    let catches = case.script.contains("catch");
    let may_succeed = matches!(missing, Missing::Actions(_)) && !must_be_denied;
    if denied || (catches && !must_be_denied) || (succeeded && may_succeed) {
        return Vec::new();
    }
    vec![match succeeded {
        true => format!("it succeeded: {}", short(text(&result["output"]))),
        false => format!("it failed otherwise: {}", short(message)),
    }]
}

/// What changed in the folder and may not have.
fn effects(missing: &Missing, before: &Tree, after: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    if let Missing::Everything = missing {
        faults.extend(after.differences(before, true));
    } else if missing.includes(Action::FileOpen) {
        faults.extend(after.differences(before, false));
    }
    if missing.includes(Action::FileWrite) {
        faults.extend(after.written(before));
    }
    if missing.includes(Action::FileCreate) {
        faults.extend(after.created(before));
    }
    if missing.includes(Action::FileDelete) {
        faults.extend(after.deleted(before));
    }
    faults
}

/// Lines of the case's files that are in the result, though the script could not know them.
fn leaks(case: &Case, stage: &Stage, result: &Value) -> Vec<String> {
    let known = format!("{}\n{}\n{:?}", stage.fill(&case.script), case.args.as_deref().unwrap_or(""), case.env);
    let told = format!(
        "{}\n{}\n{}",
        text(&result["output"]),
        text(&result["error"]["message"]),
        logs(stage, result).join("\n")
    );
    let files = case.setup.iter().filter(|item| item.kind == Kind::File && item.base64.is_none());
    let contents: Vec<String> = files.map(|item| stage.fill(&item.content)).collect();
    let lines = contents.iter().flat_map(|content| content.lines()).map(str::trim);
    let secrets = lines.filter(|line| line.len() >= 6 && !known.contains(line));
    secrets
        .filter(|secret| told.contains(secret))
        .map(|secret| format!("it tells of a file: {}", short(secret)))
        .collect()
}
