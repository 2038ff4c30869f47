//! `explain`: why, for a request from the command line, from a file, and from the log of a real broker.

use crate::{Loose, latest_run, text};
use rex_tests::{Daemon, Settings};
use std::fs;

const POLICY: &str = r#"
@id("logs") permit(principal in Group::"adm", action in [file_system::Action::"open", file_system::Action::"read"],
  resource in file_system::Dir::"/var/log") when { context.session.reason like "TICKET-*" };
@id("private") forbid(principal, action, resource in file_system::Dir::"/var/log/private");
@id("small") permit(principal, action == file_system::Action::"read", resource is file_system::File)
  when { resource has size && resource.size < 100 } unless { resource has owner && resource.owner == "root" };
"#;

fn store() -> Loose {
    Loose::new(&[("a.cedar", POLICY)])
}

/// Who asks for what below /var/log.
const ASK: [&str; 6] = ["explain", "read", "/var/log/x/syslog", "--user", "ana", "--attribute"];

fn explained(more: &[&str]) -> String {
    let ran = store().policy(&[&ASK[..], &["owner=root"], more].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.stdout
}

#[test]
fn it_names_the_policies_that_decide() {
    let allowed = explained(&["--group", "adm", "--session", "reason=TICKET-1"]);
    assert!(allowed.contains("allowed by policy `logs`"), "{allowed}");
    let ran = store().policy(&[
        "explain",
        "read",
        "/var/log/private/x",
        "--user",
        "ana",
        "--group",
        "adm",
        "--session",
        "reason=TICKET-1",
    ]);
    assert!(ran.stdout.contains("denied by policy `private`"), "{ran:?}");
    assert!(ran.stdout.contains("though policy `logs` would permit it"), "{ran:?}");
}

#[test]
fn it_names_near_misses_with_the_clause_that_failed_and_its_values() {
    let missed = explained(&["--group", "adm", "--session", "reason=because"]);
    for line in [
        "denied: no policy permits it",
        "near: `logs` permits it but for",
        "context.session.reason like \"TICKET-*\"",
        "context.session.reason is \"because\"",
    ] {
        assert!(missed.contains(line), "{line}: {missed}");
    }
    let missed = explained(&["--group", "users", "--session", "reason=TICKET-1"]);
    assert!(missed.contains("principal in Group::\"adm\""), "{missed}");
    let ran = store().policy(&[
        "explain",
        "write",
        "/var/log/x",
        "--user",
        "ana",
        "--group",
        "adm",
        "--session",
        "reason=TICKET-1",
    ]);
    assert!(ran.stdout.contains("near: `logs` permits it but for\n    action in "), "{}", ran.stdout);
}

#[test]
fn values_of_attributes_are_told() {
    let of = |attributes: &[&str]| {
        let attributes: Vec<&str> = attributes.iter().flat_map(|attribute| ["--attribute", attribute]).collect();
        let ran = store()
            .policy(&[&["explain", "read", "/srv/x", "--user", "ana", "--group", "users"], &attributes[..]].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.stdout
    };
    let missed = of(&["size=200", "owner=ana"]);
    assert!(missed.contains("resource.size < 100") && missed.contains("resource.size is 200"), "{missed}");
    let missed = of(&["size=20", "owner=root"]);
    for line in ["unless ", "resource.owner == \"root\"", "resource.owner is \"root\""] {
        assert!(missed.contains(line), "{line}: {missed}");
    }
    assert!(of(&["size=20", "owner=ana"]).contains("allowed by policy `small`"));
}

#[test]
fn a_question_can_be_a_file() {
    let store = store();
    let question = store.folder.path().join("question.json");
    let json = r#"{"user": "ana", "groups": ["adm"], "action": "read", "attributes": {},
        "resource": "file_system::File::\"/var/log/syslog\"", "session": {"reason": "TICKET-1"}}"#;
    fs::write(&question, json).expect("a file");
    let answer = store.policy(&["-o", "json", "explain", "--question", text(&question)]).result;
    assert_eq!((&answer["decision"], &answer["policies"][0]), (&"allow".into(), &"logs".into()), "{answer}");
    // What it answers with can be asked again.
    fs::write(&question, answer["question"].to_string()).expect("a file");
    let again = store.policy(&["-o", "json", "explain", "--question", text(&question)]).result;
    assert_eq!(again, answer);
    fs::write(&question, "{\"uzer\": \"ana\"}").expect("a file");
    let wrong = store.policy(&["explain", "--question", text(&question)]);
    assert!(wrong.code == 2 && wrong.stderr.contains("uzer"), "{wrong:?}");
}

#[test]
fn what_cannot_be_asked_is_a_fault_of_the_command_line() {
    for (arguments, reason) in [
        (&["explain", "reed", "/a"][..], "there is no action `reed`"),
        (&["explain", "read", "a"][..], "is not written as policies do"),
        (&["explain", "move", "/a", "--user", "ana"][..], "destination"),
        (&["explain", "read", "/a", "--session", "colour=red"][..], "colour"),
    ] {
        let ran = store().policy(arguments);
        assert!(ran.code == 2 && ran.stderr.contains(reason), "{arguments:?}: {ran:?}");
    }
    let mut store = store();
    fs::write(store.path("a.cedar"), "permit(").expect("a file");
    assert_eq!(store.policy(&["explain", "read", "/a"]).code, 1);
    store = Loose::new(&[]);
    assert!(store.policy(&["explain", "read", "/a"]).stdout.contains("denied: no policy permits it"));
}

#[test]
fn every_decision_of_a_log_is_explained_as_it_was_made() {
    let policy = r#"
        @id("all") permit(principal, action, resource);
        @id("one") forbid(principal, action == file_system::Action::"delete", resource) when { context.session.deleted >= 1 };
        @id("mine") forbid(principal, action == file_system::Action::"read", resource is file_system::File)
          when { resource has size && resource.size == 3 };"#;
    let daemon = Daemon::start(&Settings { policy: policy.into(), ..Settings::default() });
    let folder = daemon.folder().display().to_string();
    let script = format!(
        "let d = \"{folder}\";
         for name in [\"a\", \"b\"] {{ write(d + \"/\" + name, \"x\"); }}
         write(d + \"/c\", \"xyz\");
         mv(d + \"/a\", d + \"/e\"); rm(d + \"/e\");
         for f in [|| rm(d + \"/b\"), || cat(d + \"/c\"), || write(d + \"/policies.d/x\", \"\")] {{
             try {{ f.call(); }} catch (e) {{ }}
         }}
         hostname().len() > 0"
    );
    assert_eq!(daemon.run_with(&script, &["--reason", "a test"]).output(), "true");
    latest_run(&daemon);
    let (mut allowed, mut denied) = (0, 0);
    // Each kind of decision once: many are alike.
    let mut seen = std::collections::BTreeSet::new();
    for record in daemon.records().iter().filter(|record| record.kind() == "decision") {
        if !seen.insert((
            record.text("action").to_owned(),
            record.text("resource").to_owned(),
            record.text("decision").to_owned(),
        )) {
            continue;
        }
        let answer = daemon.policy(&["-o", "json", "explain", "--record", &record.seq().to_string()]).result;
        let policies: Vec<&str> =
            answer["policies"].as_array().expect("ids").iter().filter_map(|id| id.as_str()).collect();
        assert_eq!(answer["decision"], record.text("decision"), "{}: {answer}", record.to_json());
        assert_eq!(policies, record.texts("policies"), "{}: {answer}", record.to_json());
        let count = if record.text("decision") == "allow" { &mut allowed } else { &mut denied };
        *count += 1;
    }
    assert!(allowed > 8 && denied == 3, "{allowed}, {denied}");
    let records = daemon.records();
    let decision = records.iter().find(|record| record.texts("policies") == ["one"]).expect("a denial");
    let told = daemon.policy(&["explain", "--record", &decision.seq().to_string()]).stdout;
    assert!(told.contains("denied by policy `one`") && told.contains("though policy `all` would permit it"), "{told}");
    // Another answer than the recorded one is told as that.
    fs::write(daemon.folder().join("policies.d/test.cedar"), "").expect("a file");
    let told = daemon.policy(&["explain", "--record", &decision.seq().to_string()]).stdout;
    assert!(told.contains("denied: no policy permits it"), "{told}");
    assert!(told.contains("another answer is recorded: deny by policy `one`"), "{told}");
    for (number, reason) in [("1", "is no decision"), ("1000000", "there is no record")] {
        let ran = daemon.policy(&["explain", "--record", number]);
        assert!(ran.code == 2 && ran.stderr.contains(reason), "{ran:?}");
    }
}

#[test]
fn what_is_shown_is_harmless() {
    let hostile = "a\u{1b}[2J\u{9b}31m\u{202e}\u{2028}\nallowed by policy `x`";
    let resource = format!("file_system::File::\"/{}\"", hostile.escape_unicode());
    let policy = format!("@id(\"{}\") permit(principal, action, resource);", hostile.escape_unicode());
    let store = Loose::new(&[("a.cedar", &policy)]);
    for ran in [
        store.policy(&["explain", "read", &resource, "--user", hostile]),
        store.policy(&["list", "--user", hostile]),
        store.policy(&["explain", hostile, &resource, "--user", hostile]),
    ] {
        let harmful =
            |character: char| (character.is_control() && character != '\n') || "\u{202e}\u{2028}".contains(character);
        let shown = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!shown.contains(harmful) && shown.contains("202e"), "{shown}");
    }
}
