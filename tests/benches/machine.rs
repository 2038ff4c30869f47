//! Where it was measured.

use crate::harness::Table;
use crate::harness::measure::often;
use std::fs;

/// Gives the one table.
pub(crate) fn bench(give: &mut dyn FnMut(Table)) {
    let mut table = Table::new("machine", "where and how it was measured", &["", ""]);
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let models: Vec<&str> =
        cpus.lines().filter_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|at| at.1).collect();
    let model = models.first().copied().unwrap_or("unknown");
    let load = read("/proc/loadavg");
    let load = load.split_whitespace().next().unwrap_or("unknown").to_owned();
    let rounds =
        if often(20) == 20 { "as many as are said" } else { "few (`REX_BENCH_QUICK`): the figures are provisional" };
    for (name, value) in [
        ("processors", format!("{} × {model}", models.len())),
        ("Linux", read("/proc/sys/kernel/osrelease").trim().to_owned()),
        ("load by others when it began", load),
        ("rounds", rounds.to_owned()),
    ] {
        table.row(vec![name.into(), value]);
    }
    give(table);
}
