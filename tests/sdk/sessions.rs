//! Sessions for operations: their limits, their handles, their end.

use rex_client::fs::{ListDir, OpenDir};
use rex_client::{
    AbsPath, Broker, CallError, EndClass, Ending, Error, FailureKind, LimitName, Policy, RefusalReason, Session, Terms,
};
use rex_tests::{Daemon, Settings};
use std::time::Duration;

fn broker(daemon: &Daemon) -> Broker {
    Broker::connect_to(daemon.socket()).expect("the broker listens")
}

fn session(daemon: &Daemon) -> Session {
    broker(daemon).session().expect("a session")
}

fn with(config: &str) -> Daemon {
    Daemon::start(&Settings { config: config.into(), ..Settings::default() })
}

fn ended(error: &CallError) -> Option<EndClass> {
    match error {
        CallError::Ended(Ending::Failed { class, .. }) => Some(*class),
        _ => None,
    }
}

#[test]
fn handles_are_limited_and_dropped_ones_are_closed() {
    let daemon = with("[limits]\nhandles = 3\n");
    let session = session(&daemon);
    assert_eq!(session.limits().handles, 3);
    let mut held: Vec<_> = (0..3).map(|_| session.open_dir("/").expect("room for it")).collect();
    let refused = session.open_dir("/").expect_err("no room for it");
    let limit = FailureKind::Limit(LimitName::Handles);
    assert_eq!(refused.failure().map(|failure| &failure.kind), Some(&limit));
    held.pop();
    held.push(session.open_dir("/").expect("room for it again"));
    drop(held);
    for _ in 0..2000 {
        session.open_dir("/").expect("room for it");
    }
}

#[test]
fn a_session_ends_at_its_time_limit_though_it_is_idle() {
    let daemon = with("");
    let session = broker(&daemon).operate(Terms::new().time_limit(Duration::from_millis(300))).expect("a session");
    assert_eq!(session.limits().time_ms, 300);
    session.open_dir("/").expect("there is time for it");
    daemon.until("its time is up", |daemon| daemon.log().contains("class=\"limit\""));
    for _ in 0..2 {
        let error = session.open_dir("/").expect_err("its time is up");
        assert_eq!(ended(&error), Some(EndClass::Limit(LimitName::Time)), "{error}");
        assert!(error.to_string().contains("time limit of 0.300 s"), "{error}");
    }
    daemon.until("nothing of it is left", Daemon::is_idle);
}

#[test]
fn a_session_ends_at_its_limit_of_operations() {
    let daemon = with("[limits]\noperations = 5\n");
    let session = session(&daemon);
    let held: Vec<_> = (0..5).map(|_| session.open_dir("/").expect("one of five")).collect();
    let error = session.open_dir("/").expect_err("the sixth");
    assert_eq!(ended(&error), Some(EndClass::Limit(LimitName::Operations)), "{error}");
    assert_eq!(held.len(), 5);
}

#[test]
fn terms_that_cannot_be_had_are_refused() {
    let daemon = with("");
    let open = |terms| broker(&daemon).operate(terms).expect_err("no session");
    let error = open(Terms::new().time_limit(Duration::from_secs(1_000_000)));
    assert!(
        matches!(&error, Error::Refused(refusal) if refusal.reason == RefusalReason::Limit(LimitName::Time)),
        "{error}"
    );
    let error = open(Terms::new().policy(Policy::new("bad.cedar", "permit(")));
    assert!(matches!(&error, Error::NotBegun(Ending::Failed { class: EndClass::Policy, .. })), "{error}");
    assert!(error.to_string().contains("bad.cedar"), "{error}");
    let error = open(Terms::new().policy(Policy::new("huge.cedar", vec![b' '; rex_client::limits::POLICY + 1])));
    assert!(matches!(&error, Error::Refused(refusal) if refusal.message.contains("policy has")), "{error}");
    assert!(session(&daemon).open_dir("/").is_ok());
}

#[test]
fn strictness_holds_for_sessions_too() {
    let daemon = with("");
    let terms = || Terms::new().policy(Policy::new("own", "permit(principal is Robot, action, resource);"));
    let session = broker(&daemon).operate(terms()).expect("a session");
    assert!(!session.warnings().is_empty());
    assert!(session.open_dir("/").expect_err("nothing is permitted").is_denial());
    let error = broker(&daemon).operate(terms().strict()).expect_err("no session");
    assert!(matches!(&error, Error::NotBegun(Ending::Failed { class: EndClass::Policy, .. })), "{error}");
}

#[test]
fn a_handle_that_is_not_open_ends_its_own_session() {
    let daemon = with("");
    let other = session(&daemon);
    let kept = other.open_dir("/").expect("it is opened");
    let session = session(&daemon);
    let stale = session.open_dir("/").expect("it is opened").handle();
    let error = session.call(&ListDir { dir: stale, listing: None }).expect_err("it is closed");
    assert_eq!(ended(&error), Some(EndClass::ClientViolation), "{error}");
    assert!(error.to_string().contains("named a directory that is not open"), "{error}");
    assert_eq!(ended(&session.open_dir("/").expect_err("it has ended")), Some(EndClass::ClientViolation));
    assert!(other.call(&ListDir { dir: kept.handle(), listing: None }).is_ok());
    assert_eq!(daemon.run("1").output(), "1");
}

#[test]
fn a_session_is_ended_for_all_its_clones() {
    let daemon = with("");
    let session = session(&daemon);
    let clone = session.clone();
    let dir = clone.open_dir("/").expect("it is opened");
    let outcome = session.end().expect("an outcome");
    assert_eq!((outcome.ending, outcome.usage.operations), (Ending::Succeeded, 1));
    let error = clone.call(&ListDir { dir: dir.handle(), listing: None }).expect_err("it has ended");
    assert!(matches!(error, CallError::Ended(Ending::Succeeded)), "{error}");
    assert!(daemon.log().contains("run succeeded"), "{}", daemon.log());
}

#[test]
fn threads_take_turns_in_one_session() {
    let daemon = with("");
    let session = session(&daemon);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let request = OpenDir { path: AbsPath::root(), follow: false, create: None };
                    let dir = session.hold(session.call(&request).expect("it is opened").dir);
                    assert!(session.call(&ListDir { dir: dir.handle(), listing: None }).is_ok());
                }
            });
        }
    });
    assert_eq!(session.end().expect("an outcome").usage.operations, 400);
}

#[test]
fn a_session_goes_with_its_client_and_counts_as_a_run() {
    let daemon = with("[runs]\nper_user = 2\n");
    let (first, _second) = (session(&daemon), session(&daemon));
    let refused = broker(&daemon).session().expect_err("no third one");
    assert!(matches!(&refused, Error::Refused(refusal) if refusal.reason == RefusalReason::Busy), "{refused}");
    drop(first);
    daemon.until("its end is seen", |daemon| daemon.log().contains("its client is gone"));
    daemon.until("there is room again", |daemon| broker(daemon).session().is_ok());
}

#[test]
fn a_broker_that_is_killed_is_a_lost_session_not_a_failure() {
    let daemon = with("");
    let session = session(&daemon);
    for pid in daemon.descendants() {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).expect("a pid"));
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
    }
    for _ in 0..2 {
        let error = session.open_dir("/").expect_err("its session is gone");
        assert!(matches!(error, CallError::Lost(Error::Ended(_))), "{error}");
    }
}
