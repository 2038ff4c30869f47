//! What it takes of memory, and that many runs leave nothing behind.

use crate::harness::measure::often;
use crate::harness::{Stage, Table};
use rex_client::Broker;
use rex_tests::{Daemon, descendants};
use std::fs;
use std::time::Duration;

/// Numbers of policies that the broker is looked at with.
const STORES: [usize; 3] = [2, 500, 5_000];
/// How many runs are made one after the other.
const RUNS: usize = 10_000;
const MIB: f64 = 1024.0 * 1024.0;

/// Gives all tables, each when it is measured.
pub(crate) fn bench(give: &mut dyn FnMut(Table)) {
    let stage = Stage::new();
    give(sizes(&stage));
    give(growth(&stage));
}

fn sizes(stage: &Stage) -> Table {
    let columns = ["", "broker", "idle session", "idle worker", "all that waits"];
    let mut table =
        Table::new("memory", "memory of a daemon that waits, by proportional set size (`smaps_rollup`)", &columns);
    for count in STORES {
        let daemon = stage.daemon(count);
        daemon.until("the pairs are there", |daemon| daemon.is_idle() && are_sealed(daemon));
        // The engine is made after that.
        std::thread::sleep(Duration::from_millis(200));
        let all = descendants(daemon.pid());
        let (workers, sessions): (Vec<u32>, Vec<u32>) = all.iter().partition(|pid| name(**pid) == "rex-worker");
        let broker = proportional(daemon.pid());
        let mean = |pids: &[u32]| pids.iter().map(|pid| proportional(*pid)).sum::<f64>() / pids.len().max(1) as f64;
        let whole = broker + all.iter().map(|pid| proportional(*pid)).sum::<f64>();
        let sizes = [("broker", broker), ("session", mean(&sessions)), ("worker", mean(&workers)), ("all", whole)];
        for (what, size) in sizes {
            table.values.insert(format!("{what} at {count}"), size);
        }
        let cells = sizes.map(|(_, size)| format!("{:.2} MiB", size / MIB));
        table.row([format!("{count} policies")].into_iter().chain(cells).collect());
    }
    table
}

fn growth(stage: &Stage) -> Table {
    let daemon = stage.daemon(500);
    let run = || {
        let broker = Broker::connect_to(daemon.socket()).expect("a connection");
        broker.run("").and_then(rex_client::Run::wait).expect("an empty script succeeds");
    };
    let looked_at = || {
        daemon.until("the pairs come back", Daemon::is_idle);
        let pid = daemon.pid();
        let entries = |path: String| fs::read_dir(path).map_or(0, Iterator::count) as f64;
        // The folder stands for /run/rex: the socket and all else that the daemon makes but its log.
        [resident(pid) / MIB, entries(format!("/proc/{pid}/fd")), entries(daemon.folder().display().to_string())]
    };
    // Until everything that is kept for the next run is there.
    (0..often(200)).for_each(|_| run());
    let before = looked_at();
    let runs = often(RUNS);
    (0..runs).for_each(|_| run());
    let after = looked_at();
    let title = "the broker before and after many runs";
    let mut table = Table::new("memory-growth", title, &["", "before", &format!("after {runs} runs")]);
    let names = [("resident memory", " MiB", 2), ("open descriptors", "", 0), ("entries of its folder", "", 0)];
    for ((name, unit, digits), (before, after)) in names.into_iter().zip(before.into_iter().zip(after)) {
        table.values.insert(format!("{name}, before"), before);
        table.values.insert(format!("{name}, after"), after);
        table.row(vec![name.into(), format!("{before:.digits$}{unit}"), format!("{after:.digits$}{unit}")]);
    }
    table
}

/// Whether each session has its worker, which has put on its list of system calls.
fn are_sealed(daemon: &Daemon) -> bool {
    let is_sealed = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|line| line.split_whitespace().eq(["Seccomp:", "2"]))
    };
    let workers: Vec<u32> = descendants(daemon.pid()).into_iter().filter(|pid| name(*pid) == "rex-worker").collect();
    workers.len() == 2 && workers.iter().all(is_sealed)
}

fn name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

/// What a process takes of memory, in bytes; what it shares counts for its part.
fn proportional(pid: u32) -> f64 {
    field(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

fn resident(pid: u32) -> f64 {
    field(&format!("/proc/{pid}/status"), "VmRSS:")
}

/// A field in kB, in bytes.
fn field(file: &str, name: &str) -> f64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse::<f64>().ok());
    value.unwrap_or(f64::NAN) * 1024.0
}
