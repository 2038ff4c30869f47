//! What somebody may do: `rex-policy list` for whoever has the policies, `rex-exec --list` for everybody about themselves.

use crate::{Loose, own_name};
use rex_tests::{Daemon, Settings, run};

/// Policies about `ana`, her groups, others, and everybody.
const POLICY: &str = r#"
@id("ana-logs") permit(principal == User::"ana", action == file_system::Action::"read", resource in file_system::Dir::"/var/log")
  when { context.session.deleted < 3 };
@id("ops-units") permit(principal in Group::"ops", action == systemd::Action::"status", resource);
@id("bob-secret") permit(principal == User::"bob", action, resource in file_system::Dir::"/srv/of-bob");
@id("interns-hidden") forbid(principal in Group::"interns", action, resource in file_system::Dir::"/srv/of-interns");
@id("keys") forbid(principal, action, resource in file_system::Dir::"/etc/ssl/private");
@id("elders") forbid(principal, action == file_system::Action::"delete", resource) unless { principal in Group::"the-elders" };
"#;

#[test]
fn it_lists_what_is_about_a_user_and_its_groups() {
    let store = Loose::new(&[("a.cedar", POLICY)]);
    let ids = |arguments: &[&str]| -> Vec<String> {
        let answer = store.policy(&[&["-o", "json", "list"], arguments].concat()).result;
        let policies = answer["policies"].as_array().expect("policies").clone();
        policies.iter().map(|policy| policy["id"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!(ids(&["--user", "ana", "--group", "users"]), ["ana-logs", "keys", "elders"]);
    assert_eq!(ids(&["--user", "ana", "--group", "ops"]), ["ana-logs", "ops-units", "keys", "elders"]);
    assert_eq!(ids(&["--user", "cy", "--group", "interns"]), ["interns-hidden", "keys", "elders"]);
    let told = store.policy(&["list", "--user", "ana", "--group", "users"]);
    assert_eq!(told.code, 0, "{told:?}");
    for part in ["may (ana-logs)", "may not (keys)", "context.session.deleted < 3"] {
        assert!(told.stdout.contains(part), "{part}: {}", told.stdout);
    }
    assert_eq!(ids(&["--user", "dora", "--group", "the-elders"]), ["keys"]);
    // Whom else it spares is nobody's business.
    assert!(!told.stdout.contains("the-elders") && !told.stdout.contains("bob"), "{}", told.stdout);
    let nobody = Loose::new(&[]).policy(&["list", "--user", "ana", "--group", "users"]);
    assert!(nobody.code == 0 && nobody.stdout.contains("may do nothing"), "{nobody:?}");
}

#[test]
fn everybody_learns_of_themselves_and_nothing_of_others() {
    let policy = POLICY.replace("ana", &own_name());
    let daemon = Daemon::start(&Settings { policy, ..Settings::default() });
    let socket = daemon.socket();
    let list = |format: &str| run(&["--list", "--socket", crate::text(&socket), "-o", format], daemon.folder());
    for told in [list("human"), list("json")] {
        assert_eq!(told.code, 0, "{told:?}");
        assert!(
            told.stdout.contains(&format!("{}-logs", own_name())) && told.stdout.contains("keys"),
            "{}",
            told.stdout
        );
        for other in ["bob", "interns", "ops", "the-elders", "rex:"] {
            assert!(!told.stdout.contains(other), "{other}: {}", told.stdout);
        }
    }
    // It is no run: nothing is recorded of it.
    assert!(!daemon.records().iter().any(|record| record.kind() == "run-start"));
}

#[test]
fn whether_something_exists_is_not_told() {
    let list = |resource: &str| {
        let policy = format!("@id(\"p\") permit(principal, action, resource in file_system::Dir::\"{resource}\");");
        let daemon = Daemon::start(&Settings { policy, ..Settings::default() });
        let socket = daemon.socket();
        run(&["-l", "--socket", crate::text(&socket)], daemon.folder()).stdout.replace(resource, "IT")
    };
    assert_eq!(list("/usr/lib"), list("/nonexistent"));
}

#[test]
fn nothing_is_listed_without_a_broker() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ran = run(&["--list", "--socket", "/nonexistent/broker.sock"], folder.path());
    assert_eq!(ran.code, 8, "{ran:?}");
}
