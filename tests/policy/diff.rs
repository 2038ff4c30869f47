//! `diff`: what other policies would have decided differently.

use crate::{latest_run, own_name, text};
use rex_tests::{Daemon, Settings};
use serde_json::Value;
use std::fs;

/// What the broker of these tests has in force.
const OLD: &str = "@id(\"all\") permit(principal, action, resource);";

/// What changes no decision, and has everything counted.
const COUNTS: &str = "@id(\"counts\") forbid(principal, action, resource) when { context.session.deleted > 1000 };";

/// A broker that has recorded a run: a file is written and read, and the host's name is asked for.
fn recorded(policy: &str) -> Daemon {
    let daemon = Daemon::start(&Settings { policy: policy.into(), ..Settings::default() });
    let folder = daemon.folder().display();
    assert_eq!(daemon.run(&format!("write(\"{folder}/x\", \"x\"); hostname(); cat(\"{folder}/x\")")).code, 0);
    latest_run(&daemon);
    daemon
}

/// What changes if these policies take the place of the old ones.
fn diff(daemon: &Daemon, new: &str) -> Value {
    let path = daemon.folder().join("new.cedar");
    fs::write(&path, new).expect("a policy");
    let old = daemon.folder().join("policies.d");
    let ran = daemon.policy(&["-o", "json", "diff", text(&old), text(&path)]);
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.result
}

#[test]
fn it_tells_recorded_requests_that_would_change_and_permits_that_are_new() {
    let daemon = recorded(OLD);
    let same = diff(&daemon, "@id(\"another-name\") permit(principal, action, resource);");
    assert_eq!(
        (same["changed"].as_array().map(Vec::len), same["new_permits"].as_array().map(Vec::len)),
        (Some(0), Some(0)),
        "{same}"
    );
    assert!(same["asked"].as_u64() > Some(5), "{same}");
    let policy = format!(
        "{OLD} @id(\"no-names\") forbid(principal, action == sysinfo::Action::\"list\", resource);
         @id(\"more\") permit(principal, action, resource in file_system::Dir::\"/srv\");"
    );
    let changed = diff(&daemon, &policy);
    let changes = changed["changed"].as_array().expect("changes");
    assert_eq!(changes.len(), 1, "{changed}");
    let request = changes[0]["request"].as_str().expect("a request");
    assert!(request.contains("sysinfo::Action::\"list\"") && request.starts_with(&own_name()), "{changed}");
    assert_eq!(
        (&changes[0]["before"], &changes[0]["after"]),
        (&"allow by policy `all`".into(), &"deny by policy `no-names`".into())
    );
    let record = changes[0]["record"].as_u64().expect("a number");
    assert!(daemon.records().iter().any(|it| it.seq() == record && it.text("action").contains("sysinfo")), "{changed}");
    assert_eq!(
        (&changed["new_permits"][0], changed["gone_permits"].as_array().map(Vec::len)),
        (&"more".into(), Some(0))
    );
    let told = daemon.policy(&["diff", "policies.d", "new.cedar"]).stdout;
    assert!(told.contains("1 of ") && told.contains("new permit: more"), "{told}");
}

#[test]
fn conditions_are_asked_with_what_is_recorded() {
    let budget = "permit(principal, action, resource) when { context.session.bytes_written == 0 };";
    let changes = |changed: &Value| -> Vec<String> {
        let changes = changed["changed"].as_array().expect("changes").iter();
        changes.map(|change| change["request"].as_str().expect("a request").to_owned()).collect()
    };
    // Nothing has counted, so nothing can be said.
    let changed = diff(&recorded(OLD), budget);
    assert_eq!((changed["asked"].as_u64(), changes(&changed).len()), (Some(0), 0), "{changed}");
    assert!(changed["unclear"].as_u64() > Some(5), "{changed}");
    // Once a policy counts, what came after the first byte changes.
    let changed = diff(&recorded(&format!("{OLD} {COUNTS}")), &format!("{budget} {COUNTS}"));
    assert!(changes(&changed).iter().any(|request| request.contains("sysinfo")), "{changed}");
    assert!(!changes(&changed).iter().any(|request| request.contains("create")), "{changed}");
    // The other facts of a run are always recorded.
    let reason = "permit(principal, action, resource) when { context.session.reason != \"\" };";
    let changed = diff(&recorded(OLD), reason);
    assert!(changed["asked"].as_u64() > Some(5) && changed["unclear"].as_u64() == Some(0), "{changed}");
    assert!(changes(&changed).len() > 3, "{changed}");
    let owner = "permit(principal, action, resource) when { resource is file_system::File && resource has owner && resource.owner == \"x\" };";
    assert!(diff(&recorded(OLD), owner)["unclear"].as_u64() > Some(3));
}

#[test]
fn groups_beyond_the_systems_count() {
    let daemon = recorded(OLD);
    let policy = "permit(principal in Group::\"oncall\", action, resource);";
    let all = diff(&daemon, policy)["changed"].as_array().expect("changes").len();
    assert!(all > 3, "{all}");
    let entities = format!(
        "[{{\"uid\": {{\"type\": \"User\", \"id\": {:?}}}, \"parents\": [{{\"type\": \"Group\", \"id\": \"oncall\"}}]}}]",
        own_name()
    );
    fs::write(daemon.folder().join("entities.json"), entities).expect("a file");
    assert_eq!(diff(&daemon, policy)["changed"].as_array().map(Vec::len), Some(0));
}

#[test]
fn what_cannot_be_used_is_told() {
    let daemon = recorded(OLD);
    fs::write(daemon.folder().join("bad.cedar"), "permit(").expect("a file");
    assert_eq!(daemon.policy(&["diff", "policies.d", "bad.cedar"]).code, 1);
    assert_eq!(daemon.policy(&["diff", "policies.d", "none.cedar"]).code, 3);
}
