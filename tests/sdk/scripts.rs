//! Running scripts.

use rex_client::{Broker, EndClass, Ending, Error, Event, Level, Policy, RefusalReason, Submission};
use rex_tests::{Daemon, Settings, programs};
use std::time::Duration;

fn broker(daemon: &Daemon) -> Broker {
    Broker::connect_to(daemon.socket()).expect("the broker listens")
}

#[test]
fn a_script_is_run_with_arguments_and_waited_for() {
    let daemon = Daemon::start(&Settings::default());
    let submission = Submission::new("`${name} ${count + 1} ${list.len()} ${flag}`")
        .argument("name", "ana")
        .argument("count", 41_i64)
        .argument("list", vec![1_i64, 2])
        .argument("flag", true);
    let finished = broker(&daemon).submit(submission).expect("a run").wait().expect("an outcome");
    assert_eq!((finished.outcome.ending, finished.output.as_str()), (Ending::Succeeded, "ana 42 2 true"));
}

#[test]
fn what_a_script_says_is_followed_as_it_says_it() {
    let daemon = Daemon::start(&Settings::default());
    let submission = Submission::new("debug(\"one\"); info(\"two\"); throw \"three\"").log_level(Level::Debug);
    let mut heard = Vec::new();
    let outcome = broker(&daemon).submit(submission).expect("a run").follow(|event| match event {
        Event::Log(_, log) => heard.push(log.message.to_string()),
        Event::Accepted(limits) => heard.push(format!("{} ms", limits.time_ms)),
        other => heard.push(format!("{other:?}")),
    });
    assert_eq!(heard, ["300000 ms", "one", "two"]);
    match outcome.expect("an outcome").ending {
        Ending::Failed { class: EndClass::Script, message } => assert!(message.contains("three"), "{message}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_run_is_cancelled_by_its_client() {
    let daemon = Daemon::start(&Settings::default());
    let mut run = broker(&daemon).run("info(\"begun\"); sleep(100)").expect("a run");
    let begun = run.by_ref().any(|event| matches!(event, Ok(Event::Log(..))));
    assert!(begun);
    run.cancel();
    let outcome = run.follow(|_| ()).expect("an outcome");
    assert!(matches!(outcome.ending, Ending::Failed { class: EndClass::Cancelled, .. }), "{outcome:?}");
}

#[test]
fn a_standalone_run_stands_under_the_policy_that_it_brings() {
    let broker = || Broker::standalone_by(programs().join("rex-broker")).expect("a session");
    let reads = Submission::new("cat(\"/usr/lib/os-release\").len() > 0");
    let refused = broker().submit(reads.clone()).expect("a submission").wait();
    assert!(
        matches!(&refused, Err(Error::Refused(refusal)) if refusal.reason == RefusalReason::NoPolicy),
        "{refused:?}"
    );
    let everything = Policy::new("all", "permit(principal, action, resource);");
    let finished = broker().submit(reads.clone().policy(everything)).expect("a run").wait().expect("an outcome");
    assert_eq!((finished.outcome.ending, finished.output.as_str()), (Ending::Succeeded, "true"));
    let nothing = Policy::new("none", "forbid(principal, action, resource);");
    let finished = broker().submit(reads.policy(nothing)).expect("a run").wait().expect("an outcome");
    assert!(matches!(finished.outcome.ending, Ending::Failed { class: EndClass::Denied, .. }), "{finished:?}");
}

#[test]
fn a_limit_above_the_maximum_is_refused() {
    let daemon = Daemon::start(&Settings::default());
    let submission = Submission::new("1").time_limit(Duration::from_secs(1_000_000));
    let refused = broker(&daemon).submit(submission).expect("a submission").wait();
    assert!(matches!(&refused, Err(Error::Refused(refusal)) if refusal.message.contains("time limit")), "{refused:?}");
}
