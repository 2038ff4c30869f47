//! `suggest`: the least policies that allow what a recorded run did.
//!
//! They name exactly what was allowed: each action, on each resource, and in the way it was done. Only where it is asked for, files
//! of one directory that were used alike become that directory; then they allow more than the run did, and each such policy says
//! so. What was denied stays denied, unless that is asked for.

mod conditions;

use super::options::{Options, Suggest};
use super::{Fault, recorded, text};
use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use rex_broker::audit::Record;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

/// Writes policies for what a run did. They are not put in place.
pub(crate) fn run(options: &Options, suggest: &Suggest) -> Result<(), Fault> {
    let directory = recorded::directory(options, suggest.audit_log.as_deref())?;
    let mut asked = Asked::default();
    for record in recorded::records(&directory)? {
        let record = record?;
        if record.run().starts_with(&suggest.run) && suggest.run.len() >= 4 {
            asked.take(&record, suggest.with_denied)?;
        }
    }
    let (user, run) = match (&asked.user, asked.runs.len()) {
        (Some(user), 1) => (user.clone(), asked.runs.first().cloned().unwrap_or_default()),
        (_, 0 | 1) => {
            return Err(Fault::Usage(format!(
                "there is no run `{}` with a decision; give at least 4 digits",
                suggest.run
            )));
        }
        (_, many) => return Err(Fault::Usage(format!("{many} runs begin with `{}`; give more of it", suggest.run))),
    };
    let policies = asked.policies(&user, &run, suggest.generalise);
    let answer = json!({ "user": user, "run": run, "policies": policies, "left_out": asked.left_out });
    text::answer(options.output_format, &answer, || {
        let left_out = asked.left_out.iter().map(|what| format!("// Not covered: {what}\n"));
        format!("{}{}", left_out.collect::<String>(), policies.join("\n\n"))
    })
}

/// What a run asked for.
#[derive(Default)]
struct Asked {
    user: Option<String>,
    runs: BTreeSet<String>,
    /// The actions on each resource that is named by its id, by the condition that they were asked under.
    named: BTreeMap<(String, String), BTreeSet<String>>,
    /// The actions on processes, by user and name: their numbers are others the next time.
    processes: BTreeMap<(String, String), BTreeSet<String>>,
    /// The actions on what there is one of, by its type.
    single: BTreeMap<String, BTreeSet<String>>,
    /// What no policy is written for.
    left_out: BTreeSet<String>,
}

impl Asked {
    fn take(&mut self, record: &Record, with_denied: bool) -> Result<(), Fault> {
        if record.kind() != "decision" || record.fields().contains_key("unless_forbidden") {
            return Ok(());
        }
        self.runs.insert(record.run().to_owned());
        self.user.get_or_insert_with(|| record.text("user").to_owned());
        let (action, resource) = (record.text("action").to_owned(), record.text("resource").to_owned());
        let uid = EntityUid::from_str(&resource)
            .map_err(|_| Fault::Cannot(format!("record {} names no resource", record.seq())))?;
        let is_forbidden = !record.texts("policies").is_empty();
        if record.text("decision") != "allow" && (is_forbidden || !with_denied) {
            self.left_out.insert(format!("{action} of {resource}: it was denied"));
            return Ok(());
        }
        let kind = uid.type_name().to_string();
        let actions = match kind.as_str() {
            "process_system::Process" => self.processes.entry(conditions::user_and_name(record)).or_default(),
            "sysinfo::Sysinfo" | "sysctl::Sysctl" | "systemd::Systemd" => self.single.entry(kind).or_default(),
            _ => match conditions::of_context(record) {
                Ok(condition) => self.named.entry((resource, condition)).or_default(),
                Err(reason) => {
                    self.left_out.insert(format!("{action} of {resource}: {reason}"));
                    return Ok(());
                }
            },
        };
        actions.insert(action);
        Ok(())
    }

    /// The policies, each for all that is used alike.
    fn policies(&self, user: &str, run: &str, generalise: Option<usize>) -> Vec<String> {
        let principal = quoted(user);
        let mut alike: BTreeMap<(String, Vec<String>, &str), Vec<String>> = BTreeMap::new();
        for ((resource, condition), actions) in &self.named {
            let kind = resource.split("::\"").next().unwrap_or_default().to_owned();
            let actions = actions.iter().cloned().collect();
            alike.entry((kind, actions, condition)).or_default().push(resource.clone());
        }
        let mut policies = Vec::new();
        for ((kind, actions, condition), resources) in alike {
            let generalise = generalise.filter(|_| condition.is_empty());
            let (directories, rest) = directories(&kind, resources, generalise);
            for directory in directories {
                let wide = "// Wider than the run: every file below the directory, and the directory itself.\n";
                policies.push(policy(&principal, &actions, &format!("resource in {directory}"), &[], wide));
            }
            match rest.as_slice() {
                [] => {}
                [one] => policies.push(policy(&principal, &actions, &format!("resource == {one}"), &[condition], "")),
                many => {
                    let these = format!("[\n  {}\n].contains(resource)", many.join(",\n  "));
                    policies.push(policy(
                        &principal,
                        &actions,
                        &format!("resource is {kind}"),
                        &[&these, condition],
                        "",
                    ));
                }
            }
        }
        let mut alike: BTreeMap<(&str, Vec<String>), Vec<String>> = BTreeMap::new();
        for ((user, name), actions) in &self.processes {
            alike.entry((user, actions.iter().cloned().collect())).or_default().push(quoted(name));
        }
        for ((user, actions), names) in alike {
            let condition =
                format!("resource.username == {} && [{}].contains(resource.name)", quoted(user), names.join(", "));
            let wide = "// Wider than the run: every process of this user that has such a name.\n";
            policies.push(policy(&principal, &actions, "resource is process_system::Process", &[&condition], wide));
        }
        for (kind, actions) in &self.single {
            let actions: Vec<_> = actions.iter().cloned().collect();
            policies.push(policy(&principal, &actions, &format!("resource is {kind}"), &[], ""));
        }
        let numbered = (1..).zip(policies);
        numbered
            .map(|(number, policy)| policy.replacen("@id(\"\")", &format!("@id(\"run-{run}-{number}\")"), 1))
            .collect()
    }
}

/// Directories of which at least `least` files were used alike, and what is left.
fn directories(kind: &str, resources: Vec<String>, least: Option<usize>) -> (Vec<String>, Vec<String>) {
    let Some(least) = least.filter(|_| kind == "file_system::File") else { return (Vec::new(), resources) };
    let mut by_directory: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for resource in resources {
        let id = EntityUid::from_str(&resource).map(|uid| uid.id().unescaped().to_owned()).unwrap_or_default();
        let directory = id.rsplit_once('/').map(|(directory, _)| directory.to_owned()).unwrap_or_default();
        by_directory.entry(directory).or_default().push(resource);
    }
    let (mut directories, mut rest) = (Vec::new(), Vec::new());
    for (directory, files) in by_directory {
        // Never all there is.
        if files.len() >= least.max(2) && !directory.is_empty() {
            directories.push(entity("file_system::Dir", &directory));
        } else {
            rest.extend(files);
        }
    }
    (directories, rest)
}

fn policy(user: &str, actions: &[String], resource: &str, conditions: &[&str], comment: &str) -> String {
    let action = match actions {
        [one] => format!("action == {one}"),
        many => format!("action in [{}]", many.join(", ")),
    };
    let conditions = conditions.iter().filter(|condition| !condition.is_empty());
    let conditions: String = conditions.map(|condition| format!("\nwhen {{ {condition} }}")).collect();
    format!("{comment}@id(\"\")\npermit (\n  principal == User::{user},\n  {action},\n  {resource}\n){conditions};")
}

/// A text as policies write it.
fn quoted(text: &str) -> String {
    entity("User", text).strip_prefix("User::").unwrap_or_default().to_owned()
}

fn entity(kind: &str, id: &str) -> String {
    EntityTypeName::from_str(kind)
        .map(|kind| EntityUid::from_type_name_and_id(kind, EntityId::new(id)).to_string())
        .unwrap_or_default()
}
