//! How much of the processor some processes use over a while.

use super::info::ProcessInfo;
use super::manager::ProcessManager;
use crate::error::Result;
use crate::script::Surface;
use crate::script::options::{self, Options, Setters};
use rex_protocol::process::ListProcesses;
use rhai::{Array, Dynamic};
use serde::Deserialize;
use std::collections::HashMap;
use std::time::Duration;

/// Between the first two looks, and between all where no other time is asked for.
const LEAST: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
struct MonitorProcessesCpuOptions {
    #[serde(skip)]
    pids_to_monitor: Given,
    batches: u32,
    delay_in_seconds: u64,
    include_threads: bool,
}

/// The numbers that were asked for, those of them that a process can have.
#[derive(Debug, Clone, Default)]
struct Given {
    pids: Vec<u32>,
    nothing: bool,
}

impl Default for MonitorProcessesCpuOptions {
    fn default() -> Self {
        Self { pids_to_monitor: Given::default(), batches: 1, delay_in_seconds: 0, include_threads: false }
    }
}

impl Options for MonitorProcessesCpuOptions {
    const NAME: &'static str = "MonitorProcessesCpuOptions";

    fn setters(setters: &mut Setters<'_, Self>) {
        setters.parsed(
            "pids_to_monitor",
            |array| Ok(Given::of(&array)),
            |options, given| options.pids_to_monitor = given,
        );
    }

    fn check(&self) -> std::result::Result<(), String> {
        if self.pids_to_monitor.nothing { Err("Validation error: PIDs array cannot be empty".into()) } else { Ok(()) }
    }
}

impl Given {
    fn of(array: &Array) -> Self {
        let numbers = array.iter().map(|value| value.as_int().unwrap_or(0));
        Self { pids: numbers.filter_map(|pid| u32::try_from(pid).ok()).collect(), nothing: array.is_empty() }
    }
}

/// One look at all of them, by number.
type Sample = HashMap<u32, ProcessInfo>;

impl ProcessManager {
    fn monitor(&self, options: &MonitorProcessesCpuOptions) -> Result<Array> {
        let MonitorProcessesCpuOptions { pids_to_monitor, batches, delay_in_seconds, include_threads } = options;
        let pids = &pids_to_monitor.pids;
        if *batches == 0 || pids.is_empty() {
            return Ok((0..*batches).map(|_| Dynamic::from_array(Array::new())).collect());
        }
        let look = || -> Result<Sample> {
            let request =
                ListProcesses { only: Some(pids.clone()), threads: *include_threads, ..ListProcesses::default() };
            Ok(self.sample(request)?.into_iter().map(|info| (info.identity().pid, info)).collect())
        };
        let mut before = look()?;
        let order = order(pids, &before);
        std::thread::sleep(LEAST);
        let mut told = Array::new();
        for batch in 0..*batches {
            if batch > 0 {
                std::thread::sleep(Duration::from_secs(*delay_in_seconds).max(LEAST));
            }
            let now = look()?;
            let entries =
                order.iter().filter_map(|pid| now.get(pid)).map(|info| info.using(usage(info, &now, &before)));
            told.push(Dynamic::from_array(entries.map(Dynamic::from).collect()));
            before = now;
        }
        Ok(told)
    }
}

/// The processes as they were asked for, then the threads that they have, by number.
fn order(pids: &[u32], first: &Sample) -> Vec<u32> {
    let mut threads: Vec<u32> =
        first.values().filter(|info| info.thread_of().is_some()).map(|info| info.identity().pid).collect();
    threads.sort_unstable();
    pids.iter().copied().chain(threads).collect()
}

/// What a process or thread has used since the look before. Where its threads stand beside it, a process is its first one.
fn usage(info: &ProcessInfo, now: &Sample, before: &Sample) -> f64 {
    let since = |info: &ProcessInfo| {
        let same =
            before.get(&info.identity().pid).filter(|before| before.identity().started == info.identity().started);
        same.map_or(0.0, |before| info.usage_since(before))
    };
    let threads: f64 = now.values().filter(|other| other.thread_of() == Some(info.identity().pid)).map(since).sum();
    (since(info) - threads).max(0.0)
}

/// Registers it.
pub(super) fn register(surface: &mut Surface) {
    options::register::<MonitorProcessesCpuOptions>(surface);
    surface.function("monitor_processes_cpu", |manager: &mut ProcessManager, options: MonitorProcessesCpuOptions| {
        manager.monitor(&options)
    });
}
