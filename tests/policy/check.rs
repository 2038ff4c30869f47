//! `check` and `test`.

use crate::{Loose, rex_policy, text};
use rex_tests::Ran;
use std::fs;
use std::os::unix::fs::PermissionsExt;

const GOOD: &str = "@id(\"logs\") permit(principal in Group::\"adm\", action == file_system::Action::\"read\",
    resource in file_system::Dir::\"/var/log\");";

/// A test of the policy above.
fn test(name: &str, expect: &str) -> String {
    format!(
        "[[test]]\nname = \"{name}\"\nuser = \"ana\"\ngroups = [\"adm\"]\naction = \"read\"\n\
         resource = 'file_system::File::\"/var/log/syslog\"'\nexpect = \"{expect}\"\n"
    )
}

fn says(ran: &Ran, code: i32, what: &str) {
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.code, code, "{what}: {said}");
    assert!(said.contains(what) && !said.contains("panicked"), "{what}: {said}");
}

#[test]
fn a_store_that_holds_is_told_with_what_was_looked_at() {
    let store = Loose::new(&[("a.cedar", GOOD), ("a.test.toml", &test("n", "allow")), ("notes.txt", "permit(")]);
    says(&store.policy(&["check"]), 0, "1 policies hold, 1 tests pass");
    let answer = store.policy(&["check", "-o", "json"]).result;
    assert_eq!((&answer["policies"], &answer["tests"]), (&1.into(), &1.into()), "{answer}");
}

#[test]
fn what_does_not_hold_is_told_with_its_place() {
    for (text, what) in [
        ("permit(principal, action, resource);\n\npermit(", "a.cedar:3: the policy does not parse"),
        ("\npermit(principal is Robot, action, resource);", "a.cedar:2: "),
        ("permit(principal, action == file_system::Action::\"reed\", resource);", "reed"),
        ("permit(principal, action, resource) when { resource.path like \"/srv/*\" };", "test the type"),
        ("permit(principal == ?principal, action, resource);", "a template is never filled in"),
        (
            "@id(\"x\") permit(principal, action, resource);\n@id(\"x\") permit(principal, action, resource);",
            "a.cedar:2: another policy has the id `x` too",
        ),
    ] {
        let store = Loose::new(&[("a.cedar", text)]);
        says(&store.policy(&["check"]), 1, what);
        says(&rex_policy(&["check", crate::text(&store.path("a.cedar"))]), 1, what);
    }
}

#[test]
fn owners_modes_and_links_are_looked_at_in_the_store_alone() {
    let store = Loose::new(&[("a.cedar", GOOD)]);
    let path = store.path("a.cedar");
    fs::set_permissions(&path, PermissionsExt::from_mode(0o664)).expect("a mode");
    says(&store.policy(&["check"]), 1, "its mode 0664 lets others write to it");
    says(&rex_policy(&["check", text(&path)]), 0, "1 policies hold");
    fs::rename(&path, store.path("elsewhere")).expect("a move");
    std::os::unix::fs::symlink("elsewhere", &path).expect("a link");
    says(&store.policy(&["check"]), 1, "it is a link");
    says(&rex_policy(&["check", text(&path)]), 0, "1 policies hold");
}

#[test]
fn the_configuration_is_trusted_as_the_store_is() {
    let store = Loose::new(&[("a.cedar", GOOD)]);
    let path = store.folder.path().join("broker.toml");
    fs::set_permissions(&path, PermissionsExt::from_mode(0o664)).expect("a mode");
    says(&store.policy(&["check"]), 3, "its mode 0664 lets others write to it");
}

#[test]
fn what_can_never_match_is_a_warning() {
    let never = "permit(principal, action == systemd::Action::\"start\", resource is file_system::File);";
    let store = Loose::new(&[("a.cedar", &format!("{GOOD}\n{never}\n"))]);
    let checked = store.policy(&["check"]);
    assert!(checked.code != 0 || checked.stdout.contains("warning: a.cedar:"), "{checked:?}");
    let never = "permit(principal, action, resource is file_system::File) when { resource is file_system::Dir };";
    let store = Loose::new(&[("a.cedar", never)]);
    says(&store.policy(&["check"]), 0, "warning: a.cedar:1: ");
    says(&store.policy(&["check"]), 0, "it can never match");
}

#[test]
fn tests_beside_policies_tell_what_they_expected_and_found() {
    let tests = [test("right", "allow"), test("wrong", "deny"), test("wrong too", "deny")].concat();
    let store = Loose::new(&[("a.cedar", GOOD), ("a.test.toml", &tests)]);
    for ran in [store.policy(&["test"]), rex_policy(&["test", text(&store.path("a.cedar"))])] {
        says(&ran, 1, "1 tests passed, 2 failed");
        for name in ["wrong", "wrong too"] {
            says(&ran, 1, &format!("a.test.toml: test `{name}`: expected deny, found allow by logs"));
        }
    }
    // As `check` tells it, and the broker.
    says(&store.policy(&["check"]), 1, "test `wrong too`: expected deny, found allow by logs");
    let answer = store.policy(&["test", "-o", "json"]).result;
    assert_eq!(answer["failed"][1]["test"], "wrong too", "{answer}");
    fs::write(store.path("a.test.toml"), test("right", "allow")).expect("a file");
    says(&store.policy(&["test"]), 0, "1 tests passed, 0 failed");
}

#[test]
fn tests_know_the_rails_and_the_groups_of_the_store() {
    let tests = "[[test]]\nname = \"ana is on call\"\nuser = \"ana\"\naction = \"read\"\n\
         resource = 'file_system::File::\"/var/log/syslog\"'\nexpect = \"allow\"\n\
         [[test]]\nname = \"a rail\"\nuser = \"ana\"\naction = \"write\"\n\
         resource = 'file_system::File::\"/etc/rex/broker.toml\"'\nexpect = \"deny\"\npolicies = [\"rex:configuration\"]\n";
    let store = Loose::new(&[("a.cedar", GOOD), ("a.test.toml", tests)]);
    let groups = r#"[{"uid": {"type": "User", "id": "ana"}, "parents": [{"type": "Group", "id": "adm"}]}]"#;
    says(&store.policy(&["test"]), 1, "1 tests passed, 1 failed");
    fs::write(store.folder.path().join("entities.json"), groups).expect("a file");
    fs::write(
        store.path("b.cedar"),
        "permit(principal == User::\"ana\", action, resource in file_system::Dir::\"/etc\");",
    )
    .expect("a file");
    says(&store.policy(&["test"]), 0, "2 tests passed, 0 failed");
    says(&store.policy(&["check"]), 0, "2 tests pass");
    // Groups count for policies from elsewhere too; rails are the store's.
    says(&store.policy(&["test", text(&store.path("a.cedar"))]), 1, "1 tests passed, 1 failed");
}

#[test]
fn what_cannot_be_read_or_asked_for_has_its_own_exit_codes() {
    says(&rex_policy(&["check", "/nonexistent/a.cedar"]), 3, "/nonexistent/a.cedar");
    says(&rex_policy(&["--config", "/nonexistent/broker.toml", "check"]), 3, "/nonexistent/broker.toml");
    says(&rex_policy(&["chekc"]), 2, "chekc");
    says(&rex_policy(&["explain", "read"]), 2, "RESOURCE");
    assert_eq!(rex_policy(&["--help"]).code, 0);
}
