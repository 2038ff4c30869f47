//! `diff`: what other policies would decide differently, of what was asked so far.

use super::explain::told;
use super::options::{Diff, Options};
use super::{Fault, load, recorded, text};
use rex_broker::authz::{Authorizer, PolicyStore, Question};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// A request that would be answered differently.
struct Changed {
    record: u64,
    asked: String,
    before: String,
    after: String,
    times: u64,
}

/// Asks both policies every request that is recorded.
pub(crate) fn run(options: &Options, diff: &Diff) -> Result<(), Fault> {
    let [old, new] = [&diff.old, &diff.new].map(|path| load::loose(options, std::slice::from_ref(path)));
    let (old, new) = (old?.store, new?.store);
    let mut changed: BTreeMap<String, Changed> = BTreeMap::new();
    let (mut asked, mut unclear) = (0_u64, 0_u64);
    let counters = old.reads_counters() || new.reads_counters();
    // Where the old policies read them, a record without attributes is one of what did not exist.
    let attributes = new.reads_attributes() && !old.reads_attributes();
    let mut runs = recorded::Runs::default();
    for record in recorded::records(&recorded::directory(options, diff.audit_log.as_deref())?)? {
        let record = record?;
        runs.note(&record);
        let Some(question) = runs.question(&record) else { continue };
        // Only what forbids it was asked, or something that a policy reads is not recorded: the answer would be to another question.
        let is_file = question.resource.starts_with("file_system::");
        let has = |field: &str| record.fields().contains_key(field);
        let unknown = (counters && !has("spent")) || (attributes && is_file && !has("attributes"));
        if has("unless_forbidden") || has("masked") || unknown {
            unclear += 1;
            continue;
        }
        let (Some(before), Some(after)) = (answer(&old, &question), answer(&new, &question)) else {
            unclear += 1;
            continue;
        };
        asked += 1;
        if before.0 != after.0 {
            let what = format!("{} {} {}", question.user, question.action, question.resource);
            let entry = changed.entry(what.clone()).or_insert_with(|| Changed {
                record: record.seq(),
                asked: what,
                before: format!("{} by {}", before.0, text::listed(&before.1)),
                after: format!("{} by {}", after.0, text::listed(&after.1)),
                times: 0,
            });
            entry.times += 1;
        }
    }
    let (permits, gone) = permits(&old, &new);
    let told: Vec<_> = changed
        .values()
        .map(|change| json!({ "record": change.record, "request": change.asked, "before": change.before, "after": change.after, "times": change.times }))
        .collect();
    let answer =
        json!({ "asked": asked, "unclear": unclear, "changed": told, "new_permits": permits, "gone_permits": gone });
    text::answer(options.output_format, &answer, || {
        let mut lines: Vec<String> = Vec::new();
        for change in changed.values() {
            lines.push(format!("{} ({} times, first in record {})", change.asked, change.times, change.record));
            lines.push(format!("    {} -> {}", change.before, change.after));
        }
        lines.extend(permits.iter().map(|id| format!("new permit: {id}")));
        lines.extend(gone.iter().map(|id| format!("permit that is gone: {id}")));
        let unclear = if unclear > 0 { format!("; {unclear} could not be asked again") } else { String::new() };
        lines.push(format!("{} of {asked} recorded requests would be decided differently{unclear}", changed.len()));
        lines.join("\n")
    })
}

fn answer(store: &Rc<PolicyStore>, question: &Question) -> Option<(&'static str, Vec<String>)> {
    let (principal, session, demand) = question.put().ok()?;
    Some(told(&Authorizer::new(principal, vec![Rc::clone(store)]).with_session(session).decide_full(&demand)))
}

/// The permits that only the new policies have, and those that only the old ones have: by what they say, whatever they are called.
fn permits(old: &PolicyStore, new: &PolicyStore) -> (Vec<String>, Vec<String>) {
    let (old, new) = (old.permits(), new.permits());
    let texts = |permits: &[(String, String)]| permits.iter().map(|(_, text)| text.clone()).collect::<BTreeSet<_>>();
    let (in_old, in_new) = (texts(&old), texts(&new));
    let ids = |permits: Vec<(String, String)>, known: &BTreeSet<String>| {
        permits.into_iter().filter(|(_, text)| !known.contains(text)).map(|(id, _)| id).collect()
    };
    (ids(new, &in_old), ids(old, &in_new))
}
