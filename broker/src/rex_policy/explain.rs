//! `explain`: why a request is allowed or denied.

use super::options::{Explain, Options};
use super::{Fault, load, recorded, text};
use rex_broker::audit::Record;
use rex_broker::authz::{Authorizer, Decision, Explained, Explanation, PolicyStore, Question, Word};
use rex_broker::principal;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::rc::Rc;

/// How many near misses are told.
const NEAR: usize = 8;

/// Puts a question to the store, and tells which policies answer it and which nearly do.
pub(crate) fn run(options: &Options, explain: &Explain) -> Result<(), Fault> {
    let (question, record) = match explain.record {
        None => (asked(explain)?, None),
        Some(number) => {
            let directory = recorded::directory(options, explain.audit_log.as_deref())?;
            let (question, record) = recorded::question(&directory, number)?;
            (question, Some(record))
        }
    };
    let store = load::store(options)?;
    let (principal, session, demand) = question.put().map_err(|error| Fault::Usage(error.to_string()))?;
    let mut authorizer = Authorizer::new(principal, vec![Rc::clone(&store.policies)]).with_session(session);
    let explanation = authorizer.explain(&demand);
    let asked = format!("{} {} {}", question.user, demand.action, demand.resource);
    let mut answer = as_json(&question, &explanation);
    if let (Some(record), Value::Object(fields)) = (&record, &mut answer) {
        let recorded = json!({ "decision": record.text("decision"), "policies": record.texts("policies") });
        fields.insert("recorded".into(), recorded);
    }
    text::answer(options.output_format, &answer, || {
        let mut lines = vec![human(&asked, &explanation)];
        lines.extend(record.iter().flat_map(|record| differences(record, &store.policies, &explanation)));
        lines.join("\n")
    })
}

/// In what the answer is not the recorded one.
fn differences(record: &Record, store: &PolicyStore, explanation: &Explanation) -> Vec<String> {
    let (then, by) = (record.text("decision"), record.texts("policies"));
    let (now, by_now) = told(&explanation.decision);
    let mut lines = Vec::new();
    if record.fields().contains_key("masked") {
        lines.push("a part of the request was masked when it was recorded".to_owned());
    }
    if record.fields().contains_key("unless_forbidden") {
        lines.push("it was only asked whether a policy forbids it, none had to permit it".to_owned());
    }
    if !record.fields().contains_key("spent") && store.reads_counters() {
        lines.push("what the run had done so far was not recorded, since no policy read it".to_owned());
    }
    // Other policies were in force then, or a run's own had to allow it too.
    if then != now || by != by_now {
        let by: Vec<_> = by.into_iter().map(Into::into).collect();
        lines.push(format!("another answer is recorded: {then} by {}", text::listed(&by)));
    }
    lines
}

/// The question that is asked on the command line or in a file.
fn asked(explain: &Explain) -> Result<Question, Fault> {
    if let Some(file) = &explain.question {
        let text = if file == Path::new("-") {
            let mut text = Vec::new();
            std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut text)
                .map_err(|error| Fault::Cannot(format!("cannot read standard input: {error}")))?;
            text
        } else {
            load::read(file)?
        };
        return serde_json::from_slice(&text).map_err(|error| Fault::Usage(format!("the question is none: {error}")));
    }
    let (user, uid, groups) = who(explain.user.as_deref(), &explain.group)?;
    let resource = explain.resource.clone().unwrap_or_default();
    let mut context = Map::new();
    context.extend(explain.destination.iter().map(|path| ("destination".to_owned(), json!(path))));
    let pairs = |pairs: &[(String, String)]| -> Map<String, Value> {
        pairs.iter().map(|(name, value)| (name.clone(), typed(value))).collect()
    };
    let session = serde_json::from_value(Value::Object(pairs(&explain.session)))
        .map_err(|error| Fault::Usage(format!("--session: {error}")))?;
    Ok(Question {
        user,
        uid,
        groups,
        action: explain.action.clone().unwrap_or_default(),
        resource: if resource.starts_with('/') { of_path(&resource) } else { resource },
        attributes: (!explain.attribute.is_empty()).then(|| pairs(&explain.attribute)),
        context,
        session,
        arguments: explain.argument.iter().cloned().map(Word::Single).collect(),
        ..Question::default()
    })
}

/// Who asks: with the groups that the system knows, unless others are given.
pub(crate) fn who(name: Option<&str>, groups: &[String]) -> Result<(String, u32, Vec<String>), Fault> {
    let own = nix::unistd::getuid();
    let user = match name {
        None => nix::unistd::User::from_uid(own).ok().flatten(),
        Some(name) => nix::unistd::User::from_name(name).ok().flatten(),
    };
    let Some(user) = user else {
        // One of another machine: only what is given is known of it.
        let name = name.ok_or_else(|| Fault::Usage("you have no name here; give one with --user".into()))?;
        return Ok((name.to_owned(), 0, groups.to_vec()));
    };
    if !groups.is_empty() {
        return Ok((user.name, user.uid.as_raw(), groups.to_vec()));
    }
    let name = std::ffi::CString::new(user.name.as_str()).unwrap_or_default();
    let known = nix::unistd::getgrouplist(&name, user.gid).unwrap_or_default();
    let known: Vec<u32> = known.into_iter().map(|group| group.as_raw()).collect();
    let principal = principal::of(user.uid.as_raw(), user.gid.as_raw(), &known)
        .map_err(|error| Fault::Cannot(error.to_string()))?;
    Ok((principal.name, principal.uid, principal.groups))
}

/// What has this path, as policies write it: a directory where one is there.
fn of_path(path: &str) -> String {
    let kind = if Path::new(path).is_dir() { "Dir" } else { "File" };
    format!("file_system::{kind}::\"{}\"", path.escape_debug())
}

fn typed(text: &str) -> Value {
    text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number))
}

fn as_json(question: &Question, explanation: &Explanation) -> Value {
    let (decision, policies) = told(&explanation.decision);
    let near = near(explanation).map(|policy| {
        let missed: Vec<_> = policy
            .missed
            .iter()
            .map(|missed| json!({ "clause": missed.clause, "values": missed.values, "error": missed.error }))
            .collect();
        json!({ "id": policy.id, "permits": policy.permits, "missed": missed })
    });
    json!({
        "question": question,
        "decision": decision,
        "policies": policies,
        "near_misses": near.collect::<Vec<_>>(),
    })
}

fn human(asked: &str, explanation: &Explanation) -> String {
    let (decision, policies) = told(&explanation.decision);
    let mut lines = vec![asked.to_owned()];
    let permitted_too: Vec<String> = explanation
        .policies
        .iter()
        .filter(|policy| policy.permits && policy.applies())
        .map(|policy| policy.id.clone())
        .collect();
    lines.push(match (decision, policies.is_empty()) {
        ("allow", _) => format!("allowed by {}", text::listed(&policies)),
        (_, true) => "denied: no policy permits it".to_owned(),
        _ => format!("denied by {}", text::listed(&policies)),
    });
    if decision == "deny" && !policies.is_empty() && !permitted_too.is_empty() {
        lines.push(format!("  though {} would permit it", text::listed(&permitted_too)));
    }
    for policy in near(explanation) {
        let effect = if policy.permits { "permits" } else { "forbids" };
        lines.push(format!("near: `{}` {effect} it but for", policy.id));
        for missed in &policy.missed {
            lines.push(format!("    {}", missed.clause));
            lines.extend(missed.values.iter().map(|(name, value)| format!("      {name} is {value}")));
            lines.extend(missed.error.iter().map(|error| format!("      which cannot be evaluated: {error}")));
        }
    }
    lines.join("\n")
}

/// Those that nearly apply and would change the answer: where nothing permits it, the permits that miss least; where it is
/// allowed, the `forbid`s that are about it and whose condition does not hold. What forbids it is not near, but there.
fn near(explanation: &Explanation) -> impl Iterator<Item = &Explained> {
    let (decision, by) = told(&explanation.decision);
    let is_near = |policy: &&Explained| match decision {
        "allow" => !policy.permits && !policy.rail && policy.missed.iter().all(|missed| !missed.in_scope),
        _ => by.is_empty() && policy.permits && policy.is_near(),
    };
    let mut near: Vec<_> = explanation.policies.iter().filter(|policy| !policy.applies()).filter(is_near).collect();
    near.sort_by_key(|policy| (policy.missed.len(), policy.missed.iter().filter(|missed| missed.in_scope).count()));
    let least = near.first().map(|policy| policy.missed.len()).unwrap_or_default();
    near.into_iter().filter(move |policy| policy.missed.len() == least).take(NEAR)
}

/// In one word, and the policies that decide.
pub(crate) fn told(decision: &Decision) -> (&'static str, Vec<String>) {
    match decision {
        Decision::Allowed { policies } => ("allow", policies.clone()),
        Decision::Denied(denial) => ("deny", denial.policies.iter().map(ToString::to_string).collect()),
    }
}
