//! What policies are told of the run that asks.

use rex_tests::{Daemon, Settings};

/// A broker whose policy permits everything where this condition holds.
fn daemon(condition: &str) -> Daemon {
    let policy = format!("permit(principal, action, resource) when {{ {condition} }};");
    Daemon::start(&Settings { policy, ..Settings::default() })
}

fn may(daemon: &Daemon, options: &[&str]) -> bool {
    let ran = daemon.run_with("hostname().len() > 0", options);
    assert!(ran.code == 0 || ran.error_type() == "ACCESS_DENIED_EXCEPTION", "{}", ran.stdout);
    ran.code == 0
}

#[test]
fn policies_can_require_a_reason() {
    let daemon = daemon("context.session.reason like \"TICKET-*\"");
    assert!(may(&daemon, &["--reason", "TICKET-17: the name"]));
    assert!(!may(&daemon, &["--reason", "because"]));
    assert!(!may(&daemon, &[]));
}

#[test]
fn policies_can_name_the_scripts_they_trust() {
    assert!(!may(&daemon("context.session.script == \"another\""), &[]));
    let sum = std::process::Command::new("sh")
        .args(["-c", "printf %s 'hostname().len() > 0' | sha256sum"])
        .output()
        .expect("sha256sum runs");
    let sum = String::from_utf8(sum.stdout).expect("text");
    let sum = sum.split_whitespace().next().expect("a sum");
    assert!(may(&daemon(&format!("context.session.script == \"{sum}\"")), &[]));
}

#[test]
fn policies_know_how_a_run_comes_and_who_started_its_caller() {
    let own = std::env::current_exe().expect("a path");
    let own = own.to_str().expect("text");
    assert!(may(&daemon(&format!("context.session.via == \"socket\" && context.session.parent == {own:?}")), &[]));
    assert!(!may(&daemon("context.session.parent == \"/bin/cron\""), &[]));
}

#[test]
fn policies_can_keep_hours() {
    let in_time = "context.session.now >= context.session.started \
        && context.session.now.durationSince(context.session.started) < duration(\"1h\") \
        && context.session.now > datetime(\"2026-01-01\")";
    assert!(may(&daemon(in_time), &[]));
    assert!(!may(&daemon("context.session.now < datetime(\"2026-01-01\")"), &[]));
    assert!(may(&daemon("context.session.now.toTime() >= duration(\"0h\")"), &[]));
}

#[test]
fn a_budget_is_of_one_run() {
    let daemon = daemon("context.session.operations <= 2");
    let three = "hostname(); hostname(); hostname(); 1";
    for _ in 0..2 {
        assert!(may(&daemon, &[]));
        assert_eq!(daemon.run(three).error_type(), "ACCESS_DENIED_EXCEPTION");
    }
}
