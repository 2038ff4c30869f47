//! What is counted.

use crate::callgrind::{collected, count, wrapper};
use rex_broker::authz::{Authorizer, Demand, PolicySource, PolicyStore, Principal, Resource, Strictness};
use rex_client::{Broker, Policy, Terms};
use rex_protocol::Action;
use rex_protocol::path::AbsPath;
use rex_protocol::system::Uname;
use rex_tests::{Daemon, Settings, programs};
use std::path::Path;
use std::rc::Rc;
use tempfile::TempDir;

/// A figure with its name in the file of bounds, or why there is none.
type Count = Result<(&'static str, u64), String>;

/// How many steps a count, or the difference of two, is taken from.
const FEW: u64 = 20;
const MANY: u64 = 520;

/// Everything.
pub(crate) fn all() -> Vec<Count> {
    let folder = rex_tests::scratch();
    let mut counts = vec![client(&folder)];
    match session(&folder) {
        Ok(both) => counts.extend(both.map(Ok)),
        Err(why) => counts.push(Err(why)),
    }
    counts.push(decision("a decision: evaluated among 2 policies", 2, &folder));
    counts.push(decision("a decision: evaluated among 500 policies", 500, &folder));
    counts
}

/// The whole client, with a daemon that is not counted.
fn client(folder: &TempDir) -> Count {
    let daemon = Daemon::start(&Settings { config: "log_level = \"error\"\n".into(), ..Settings::default() });
    let script = folder.path().join("empty.rhai");
    std::fs::write(&script, "").expect("a file of the bench");
    let socket = daemon.socket();
    let arguments = ["--socket".as_ref(), socket.as_os_str(), script.as_os_str()];
    let counted = count(&programs().join("rex-exec"), &arguments, None, &folder.path().join("log"))?;
    Ok(("the client: an empty script, sent, followed and told", counted))
}

/// A session for a client that asks for operations itself: valgrind knows neither what makes a worker nor `openat2`, so there is none,
/// and the operation is one that opens nothing. The policies read what the run has done, so that nothing is remembered.
fn session(folder: &TempDir) -> Result<[(&'static str, u64); 2], String> {
    let log = folder.path().join("log");
    let program = wrapper(&programs().join("rex-broker"), &log, folder.path());
    let policy = store(50).replace(
        "permit(principal, action, resource);",
        "permit(principal, action, resource) when { context.session.operations < 1000000 };",
    );
    let run = |operations: u64| -> Result<u64, String> {
        let terms = Terms::new().policy(Policy::new("bench", policy.clone()));
        let text = |error: &dyn std::fmt::Display| format!("a session in callgrind: {error}");
        let session = Broker::standalone_by(&program).and_then(|broker| broker.operate(terms));
        let session = session.map_err(|error| text(&error))?;
        for _ in 0..operations {
            session.call(&Uname {}).map_err(|error| text(&error))?;
        }
        session.end().map_err(|error| text(&error))?;
        collected_when_ended(&log)
    };
    let (none, few, many) = (run(0)?, run(FEW)?, run(MANY)?);
    Ok([
        ("a session: from its start to its end, 50 policies", none),
        ("an operation in a session: decided anew among 50 policies", (many - few) / (MANY - FEW)),
    ])
}

/// The session has ended its run; callgrind takes a moment more to write what it counted.
fn collected_when_ended(log: &Path) -> Result<u64, String> {
    let mut counted = collected(log);
    for _ in 0..100 {
        if counted.is_ok() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
        counted = collected(log);
    }
    counted
}

/// One decision, from this program in callgrind.
fn decision(name: &'static str, policies: usize, folder: &TempDir) -> Count {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let file = folder.path().join("store.cedar");
    std::fs::write(&file, store(policies)).expect("a file of the bench");
    let arguments = ["--decide".as_ref(), file.as_os_str()];
    let counted = count(&own, &arguments, Some("*decide_often*"), &folder.path().join("log"))?;
    Ok((name, counted / MANY))
}

/// The policies by which this program is to decide, if it is the one that is counted.
pub(crate) fn store_wanted() -> Option<String> {
    let mut arguments = std::env::args().skip(1);
    arguments.next().filter(|argument| argument == "--decide").and(arguments.next())
}

/// Decides by these policies.
pub(crate) fn decide(file: &str) {
    let text = std::fs::read(file).expect("the bench's own file");
    let source = PolicySource { name: "bench.cedar".into(), text };
    let (store, _) = PolicyStore::load(&[source], Strictness::Strict).expect("valid policies");
    let principal = Principal { name: "ana".into(), uid: 7, gid: 7, gids: vec![7], groups: vec!["ops".into()] };
    let mut authorizer = Authorizer::new(principal, vec![Rc::new(store)]);
    let path = AbsPath::parse("/srv/data/some/file.txt").expect("a path of the bench");
    let demand = Demand::new(Action::FileRead, Resource::File(path));
    // What is made by the first and kept is not counted.
    std::hint::black_box(authorizer.decide_indexed(&demand));
    decide_often(&mut authorizer, &demand);
}

/// What is counted: found by its name.
#[inline(never)]
fn decide_often(authorizer: &mut Authorizer, demand: &Demand) {
    for _ in 0..MANY {
        std::hint::black_box(authorizer.decide_indexed(demand));
    }
}

/// A store of which the first policy allows everything, and the others are about something else.
fn store(policies: usize) -> String {
    let others = (1..policies).map(|number| match number % 3 {
        0 => format!("permit(principal, action, resource in file_system::Dir::\"/srv/area{number}\");\n"),
        1 => format!(
            "permit(principal in Group::\"team{number}\", action == systemd::Action::\"restart\", \
             resource == systemd::Service::\"app{number}.service\");\n"
        ),
        _ => format!(
            "forbid(principal, action == file_system::Action::\"read\", resource) \
             when {{ resource is file_system::File && resource.path like \"/srv/area{number}/private/*\" }};\n"
        ),
    });
    std::iter::once("permit(principal, action, resource);\n".to_owned()).chain(others).collect()
}
