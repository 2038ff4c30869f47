//! What the kernel counts: processor time, forks, switches.

use super::table;
use crate::channel::Channel;
use crate::error::{Result, Systeminfo};
use crate::format::kernel::statistics::{self, CpuTime, Statistics};
use crate::script::record::{self, Property};
use crate::script::{Surface, item, number};
use crate::sys;
use rex_protocol::system::Table;
use rhai::{Array, Dynamic, Map};
use std::rc::Rc;

/// Where time went: the names of its two properties, in ticks and in milliseconds, and how much it was, in ticks.
type Spent = (&'static str, &'static str, fn(&CpuTime) -> u64);

const SPENT: &[Spent] = &[
    ("user_ticks", "user_ms", |time| time.user),
    ("nice_ticks", "nice_ms", |time| time.nice),
    ("system_ticks", "system_ms", |time| time.system),
    ("idle_ticks", "idle_ms", |time| time.idle),
    ("iowait_ticks", "iowait_ms", |time| time.iowait),
    ("irq_ticks", "irq_ms", |time| time.irq),
    ("softirq_ticks", "softirq_ms", |time| time.softirq),
    ("stolen_ticks", "stolen_ms", |time| time.stolen),
    ("guest_ticks", "guest_ms", |time| time.guest),
    ("guest_nice_ticks", "guest_nice_ms", |time| time.guest_nice),
];

const COUNTS: &[Property<Statistics>] = &[
    ("boot_time", |statistics| number(statistics.boot_time).into()),
    ("context_switches", |statistics| number(statistics.context_switches).into()),
    ("forks", |statistics| number(statistics.forks).into()),
    ("procs_blocked", |statistics| number(statistics.procs_blocked).into()),
    ("procs_running", |statistics| number(statistics.procs_running).into()),
];

/// What the kernel has counted.
pub(super) fn read(channel: &Rc<Channel>) -> Result<Statistics> {
    let text = table::bytes(channel, Table::Statistics, Systeminfo::PermissionDenied, Systeminfo::Other)?;
    Ok(statistics::read(&String::from_utf8_lossy(&text)))
}

fn milliseconds(ticks: u64) -> i64 {
    number(ticks.saturating_mul(1000) / sys::ticks_per_second())
}

fn time_map(time: &CpuTime) -> Map {
    let pairs = SPENT
        .iter()
        .flat_map(|(ticks, ms, spent)| [item(ticks, number(spent(time))), item(ms, milliseconds(spent(time)))]);
    pairs.collect()
}

fn to_map(statistics: &Statistics) -> Map {
    let mut map = record::to_map(statistics, COUNTS);
    let each: Array = statistics.cpus.iter().map(|time| Dynamic::from_map(time_map(time))).collect();
    map.extend([item("total_cpu_time", time_map(&statistics.total)), item("cpu_time", each)]);
    map
}

/// Registers what is counted.
pub(super) fn register(surface: &mut Surface) {
    surface.named::<Statistics>("KernelStats");
    surface.named::<CpuTime>("CpuTime");
    record::add(surface, COUNTS);
    surface.property("total_cpu_time", |statistics: &mut Statistics| statistics.total);
    surface.property("cpu_time", |statistics: &mut Statistics| -> Array {
        statistics.cpus.iter().copied().map(Dynamic::from).collect()
    });
    surface.function("to_map", |statistics: &mut Statistics| to_map(statistics));
    for (ticks, ms, spent) in SPENT {
        surface.property(ticks, move |time: &mut CpuTime| number(spent(time)));
        surface.property(ms, move |time: &mut CpuTime| milliseconds(spent(time)));
    }
    surface.function("to_map", |time: &mut CpuTime| time_map(time));
}
