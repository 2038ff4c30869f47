//! What is counted.
//!
//! Of the broker it is what a session does before and beside the system calls: valgrind has no `openat2`, without which no session starts.

use crate::callgrind::count;
use rex_broker::authz::{Authorizer, Demand, PolicySource, PolicyStore, Principal, Resource, Session, Strictness, Via};
use rex_protocol::Action;
use rex_protocol::path::AbsPath;
use rex_tests::{Daemon, Settings, programs};
use std::rc::Rc;
use tempfile::TempDir;

/// A figure with its name in the file of bounds, or why there is none.
type Count = Result<(&'static str, u64), String>;

/// How many decisions a count is taken from.
const MANY: u64 = 520;

/// The policy that allows everything, and the same by a condition on the run: what it decides is not the same the next time.
const ALL: &str = "permit(principal, action, resource);";
const ALL_IN_BOUNDS: &str = "permit(principal, action, resource) when { context.session.operations < 1000000 };";

/// Everything.
pub(crate) fn all() -> Vec<Count> {
    let folder = rex_tests::scratch();
    vec![
        client(&folder),
        of_this("a store: 50 policies parsed, validated and indexed", "load", &store(ALL, 50), &folder),
        of_this("a decision: evaluated among 2 policies", "decide", &store(ALL, 2), &folder),
        of_this("a decision: evaluated among 500 policies", "decide", &store(ALL, 500), &folder),
        of_this(
            "a decision: by what the run has done, among 50 policies",
            "decide",
            &store(ALL_IN_BOUNDS, 50),
            &folder,
        ),
    ]
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

/// A task of [`run`], done by this program in callgrind.
fn of_this(name: &'static str, task: &str, policies: &str, folder: &TempDir) -> Count {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let file = folder.path().join("store.cedar");
    std::fs::write(&file, policies).expect("a file of the bench");
    let arguments = [task.as_ref(), file.as_os_str()];
    let within = format!("*counted_{task}*");
    let counted = count(&own, &arguments, Some(&within), &folder.path().join("log"))?;
    Ok((name, if task == "decide" { counted / MANY } else { counted }))
}

/// The task and the policies that the command line names, if this program is the one that is counted.
pub(crate) fn wanted() -> Option<(String, String)> {
    let mut arguments = std::env::args().skip(1);
    arguments.next().zip(arguments.next())
}

/// Does it.
pub(crate) fn run(task: &str, file: &str) {
    let text = std::fs::read(file).expect("the bench's own file");
    let store = counted_load(&PolicySource { name: "bench.cedar".into(), text });
    if task != "decide" {
        return;
    }
    let principal = Principal { name: "ana".into(), uid: 7, gid: 7, gids: vec![7], groups: vec!["ops".into()] };
    let session = Session::new(Via::Standalone);
    let mut authorizer = Authorizer::new(principal, vec![Rc::new(store)]).with_session(session);
    let path = AbsPath::parse("/srv/data/some/file.txt").expect("a path of the bench");
    let demand = Demand::new(Action::FileRead, Resource::File(path));
    // What is made by the first and kept is not counted.
    std::hint::black_box(authorizer.decide_indexed(&demand));
    counted_decide(&mut authorizer, &demand);
}

/// Found by its name.
#[inline(never)]
fn counted_load(source: &PolicySource) -> PolicyStore {
    PolicyStore::load(std::slice::from_ref(source), Strictness::Strict).expect("valid policies").0
}

/// The same.
#[inline(never)]
fn counted_decide(authorizer: &mut Authorizer, demand: &Demand) {
    for _ in 0..MANY {
        std::hint::black_box(authorizer.decide_indexed(demand));
    }
}

/// A store of which the first policy allows, and the others are about something else.
fn store(first: &str, policies: usize) -> String {
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
    std::iter::once(format!("{first}\n")).chain(others).collect()
}
