//! No operation without its decision, seen from outside: each operation of the list is called once allowed, and once for
//! each of its actions with that action forbidden.
//!
//! The table is made from the list itself, so an operation without a case does not compile and is named:
//! `the trait bound X: Case is not satisfied`. An action that an operation declares and that no call of it is denied for
//! fails the test. The operation that takes rights away demands nothing: what it takes is seen denied.
//!
//! And each of them again in a dry run: decided alike, and nothing is another after it than before.

mod cases;
mod stage;

use rex_client::{Action, CallError, Effect, FailureKind, Listed};
use rex_protocol::for_each_operation;
use rex_protocol::operations::OPERATIONS;
use rex_tests::with_private_mounts;
use stage::Stage;
use std::collections::BTreeSet;

/// How an operation is called so that every one of its actions is demanded.
trait Case: Listed + Sized {
    /// Prepares the call. What it opens beforehand needs none of what is denied later.
    fn request(stage: &Stage) -> Self;

    /// Whether the reply and what came of it have all that was asked for. False where a part was denied and left out.
    fn is_whole(_reply: Self::Reply, _stage: &Stage) -> bool {
        true
    }

    /// Makes the call.
    fn call(self, stage: &Stage) -> Called {
        match stage.session().call(&self) {
            Ok(reply) => {
                if Self::is_whole(reply, stage) {
                    Called::Whole
                } else {
                    Called::InPart
                }
            }
            Err(error) if error.is_denial() => Called::Denied(error.to_string()),
            Err(error) if error.errno().is_some_and(Self::may_be_refused) => Called::Whole,
            Err(CallError::Failed(failure)) if Self::may_fail(&failure.kind) => Called::Whole,
            Err(error) => Called::Failed(error.to_string()),
        }
    }

    /// Whether the allowed call changes nothing that could be told, as what it asks for is so already, or not done yet.
    fn is_quiet() -> bool {
        false
    }

    /// Whether the call can be prepared in a dry run, with this denied.
    fn is_possible_in_a_dry_run(_denied: Option<Action>) -> bool {
        true
    }

    /// Whether the allowed call may end so: not every machine has what it is about.
    fn may_fail(_kind: &FailureKind) -> bool {
        false
    }

    /// Whether the kernel may refuse the allowed call with this error: not every file system has what it is about.
    fn may_be_refused(_errno: i32) -> bool {
        false
    }
}

/// What came of a call.
enum Called {
    Whole,
    /// What was denied is left out.
    InPart,
    /// In these words.
    Denied(String),
    Failed(String),
}

struct Entry {
    name: &'static str,
    actions: &'static [Action],
    attempt: fn(Option<Action>) -> Result<(), String>,
    rehearse: fn(Option<Action>) -> Result<(), String>,
    only_looks: bool,
}

impl Entry {
    const fn of<O: Case>() -> Self {
        Self {
            name: O::NAME,
            actions: O::ACTIONS,
            attempt: attempt::<O>,
            rehearse: rehearse::<O>,
            only_looks: matches!(O::EFFECT, Effect::Looks),
        }
    }
}

macro_rules! table {
    ($($operation:ty),* $(,)?) => { &[$(Entry::of::<$operation>()),*] };
}
static TABLE: &[Entry] = for_each_operation!(table);

/// Calls an operation, with an action forbidden or none, and says what is wrong with what came of it.
fn attempt<O: Case>(denied: Option<Action>) -> Result<(), String> {
    let stage = Stage::new(denied);
    let request = O::request(&stage);
    stage.close();
    match (request.call(&stage), denied) {
        (Called::Whole, None) | (Called::InPart, Some(_)) => Ok(()),
        (Called::Denied(message), Some(action)) if message.contains(&action.to_string()) => Ok(()),
        (Called::Whole, Some(action)) => Err(format!("it goes without {action}")),
        (Called::InPart, None) => Err("something is left out though everything is allowed".into()),
        (Called::Denied(message) | Called::Failed(message), None) => Err(message),
        (Called::Denied(message) | Called::Failed(message), Some(action)) => {
            Err(format!("without {action}: {message}"))
        }
    }
}

/// Calls an operation in a dry run.
fn rehearse<O: Case>(denied: Option<Action>) -> Result<(), String> {
    if !O::is_possible_in_a_dry_run(denied) {
        return Ok(());
    }
    let stage = Stage::in_a_dry_run(denied);
    let request = O::request(&stage);
    stage.close();
    stage.session().take_changes();
    let (before, changes) = (stage.look(), O::EFFECT.changes(&request));
    let called = request.call(&stage);
    let (differences, planned) = (stage.look().differences(&before), stage.session().take_changes());
    if !differences.is_empty() {
        return Err(format!("a dry run has changed something: {differences:?}"));
    }
    if !changes && !planned.is_empty() {
        return Err(format!("it only looks, and would change something: {planned:?}"));
    }
    match (called, denied) {
        (Called::Whole | Called::InPart, None) if changes && planned.is_empty() && !O::is_quiet() => {
            Err("what it would change is not told".into())
        }
        (Called::Whole | Called::InPart, None) | (Called::InPart, Some(_)) => Ok(()),
        (Called::Denied(message), Some(action)) if message.contains(&action.to_string()) => Ok(()),
        // What is left out where it is denied is seen by what was changed, and nothing was.
        (Called::Whole, Some(Action::FileSetId | Action::FileChmod | Action::FileChown)) => Ok(()),
        (Called::Whole, Some(action)) => Err(format!("it goes without {action}")),
        (Called::Denied(message) | Called::Failed(message), denied) => Err(format!("without {denied:?}: {message}")),
    }
}

#[test]
fn every_operation_is_decided_in_a_dry_run_and_changes_nothing() {
    let check = || {
        let mut faults = Vec::new();
        for entry in TABLE {
            let denied = entry.actions.iter().copied().map(Some);
            for denied in std::iter::once(None).chain(denied) {
                if let Err(fault) = (entry.rehearse)(denied) {
                    faults.push(format!("{}: {fault}", entry.name));
                }
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    };
    with_private_mounts(check);
}

#[test]
fn what_only_looks_asks_for_no_action_that_changes_something() {
    /// What is allowed by an action that stands for more than a look.
    const MORE: &[&str] = &[
        // It is read in order to be written.
        "fs.read_attribute",
        // These tell what became of what was begun, which was asked for.
        "fs.follow",
        "systemd.follow",
        "network.read_body",
        // These see more, and reach further, and change nothing there.
        "process.enter",
        "process.enter_network",
        "network.connect",
        "network.resolve",
    ];
    for entry in TABLE {
        let only_looks = entry.actions.iter().all(|action| action.only_looks());
        assert!(!entry.only_looks || only_looks || MORE.contains(&entry.name), "{}", entry.name);
    }
}

#[test]
fn every_operation_is_seen_allowed_and_denied() {
    let named: Vec<_> = TABLE.iter().map(|entry| (entry.name, entry.actions)).collect();
    assert_eq!(named, OPERATIONS);
    let check = || {
        let mut faults = Vec::new();
        let mut seen = BTreeSet::new();
        for entry in TABLE {
            if let Err(fault) = (entry.attempt)(None) {
                faults.push(format!("{}: {fault}", entry.name));
            }
            for action in entry.actions {
                match (entry.attempt)(Some(*action)) {
                    Ok(()) => drop(seen.insert(*action)),
                    Err(fault) => faults.push(format!("{}: {fault}", entry.name)),
                }
            }
        }
        let unseen = Action::ALL.iter().filter(|action| !seen.contains(action));
        faults.extend(unseen.map(|action| format!("{action} was demanded by nothing")));
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    };
    // Some actions are only demanded where there are two file systems, a redaction dictionary, or rights to give away.
    with_private_mounts(check);
}
