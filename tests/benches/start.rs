//! What it costs to begin: whole commands, and a run without its client's start.

use crate::harness::{Row, Stage, Table, plain, python, repeated};
use rex_client::Broker;
use rex_tests::Daemon;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How often each command is run.
const ROUNDS: usize = 40;
/// Numbers of policies that a start is looked at with.
const STORES: [usize; 3] = [2, 500, 5_000];
/// For how long runs are counted, and by how many clients at a time.
const COUNTED: (Duration, usize) = (Duration::from_secs(2), 2);

/// Gives all tables, each when it is measured.
pub(crate) fn bench(give: &mut dyn FnMut(Table)) {
    let stage = Stage::new();
    let small = stage.file("small.txt", "a line of a small file\n".repeat(20));
    stage.file("empty.rhai", "");
    stage.file("cat.rhai", format!("cat(\"{small}\")"));
    let daemons: Vec<(usize, Daemon)> = STORES.iter().map(|count| (*count, stage.daemon(*count))).collect();
    give(empty(&stage, &daemons[0].1));
    give(standalone(&stage));
    give(cat(&stage, &daemons, &small));
    give(warm(&daemons[0].1));
    give(per_second(&stage, &daemons[0].1));
}

fn empty(stage: &Stage, daemon: &Daemon) -> Table {
    let mut rows = vec![Row::command("Rex, through the daemon", stage.through(daemon, "empty.rhai"))];
    let store = stage.store(2);
    rows.extend(stage.by_each("empty.rhai", &store).into_iter().map(|(name, command)| Row::command(name, command)));
    rows.push(Row::command("`true`", plain("true", &[])));
    rows.push(Row::command("`sudo -n true`", plain("sudo", &["-n", "true"])));
    rows.push(Row::command("`bwrap` around `true`", bwrap(&["true"])));
    rows.push(Row::command("`python3 -c ''`", plain(python(), &["-c", ""])));
    Table::compare("start", "an empty script, the whole command", rows, ROUNDS)
}

fn standalone(stage: &Stage) -> Table {
    Table::by_policies("start-policies", "an empty script without a daemon, the whole command", &STORES, 9, |count| {
        let store = stage.store(count);
        stage.by_each("empty.rhai", &store).into_iter().map(|(name, command)| Row::command(name, command)).collect()
    })
}

fn cat(stage: &Stage, daemons: &[(usize, Daemon)], file: &str) -> Table {
    let through = |(count, daemon): &(usize, Daemon)| {
        Row::command(format!("Rex, through the daemon, {count} policies"), stage.through(daemon, "cat.rhai"))
    };
    let mut rows: Vec<Row> = daemons.iter().map(through).collect();
    let store = stage.store(2);
    rows.extend(stage.by_each("cat.rhai", &store).into_iter().map(|(name, command)| Row::command(name, command)));
    rows.push(Row::command("`cat`", plain("cat", &[file])));
    rows.push(Row::command("`sudo -n cat`", plain("sudo", &["-n", "cat", file])));
    rows.push(Row::command("`bwrap` around `cat`", bwrap(&["cat", file])));
    rows.push(Row::command("`python3`", plain(python(), &["-c", &format!("print(open('{file}').read())")])));
    Table::compare("cat", "`cat` of a small file, the whole command", rows, ROUNDS)
}

/// From the request to the outcome, where a client is there already and a pair of session and worker waits.
fn warm(daemon: &Daemon) -> Table {
    let mut table =
        Table::new("warm", "a run on a pair that waits, asked for by a program that links the client", &["", ""]);
    let socket = daemon.socket();
    let run = || {
        daemon.until("the pairs come back", Daemon::is_idle);
        let begun = Instant::now();
        let broker = Broker::connect_to(&socket).expect("a connection");
        broker.run("").and_then(rex_client::Run::wait).expect("an empty script succeeds");
        begun.elapsed()
    };
    table.duration("from request to result", repeated(100, run));
    table
}

fn per_second(stage: &Stage, daemon: &Daemon) -> Table {
    let (time, clients) = COUNTED;
    let title = format!("empty scripts in a second, by {clients} clients that start a command for each");
    let mut table = Table::new("rate", &title, &["", "runs per second"]);
    let store = stage.store(2);
    let mut count = |name: &str, command: &(dyn Fn() -> Command + Sync)| {
        let finished: usize = std::thread::scope(|scope| {
            let client = || {
                let (begun, mut finished) = (Instant::now(), 0);
                while begun.elapsed() < time {
                    let status = command().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
                    finished += usize::from(status.is_ok_and(|status| status.success()));
                }
                finished
            };
            let clients: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
            clients.into_iter().map(|client| client.join().expect("a client ends")).sum()
        });
        table.number(name, finished as f64 / time.as_secs_f64(), "");
    };
    count("Rex, through the daemon", &|| stage.through(daemon, "empty.rhai"));
    for (at, (name, _)) in stage.by_each("empty.rhai", &store).iter().enumerate() {
        count(name, &|| stage.by_each("empty.rhai", &store).swap_remove(at).1);
    }
    count("`sudo -n true`", &|| plain("sudo", &["-n", "true"]));
    table
}

fn bwrap(arguments: &[&str]) -> Command {
    let mut command = plain("bwrap", &["--dev-bind", "/", "/", "--proc", "/proc", "--unshare-all"]);
    command.args(arguments);
    command
}
