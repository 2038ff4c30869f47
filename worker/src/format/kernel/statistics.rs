//! `/proc/stat`

use super::number;

/// Processor time by what it was spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct CpuTime {
    pub user: u64,
    pub nice: u64,
    pub system: u64,
    pub idle: u64,
    pub iowait: u64,
    pub irq: u64,
    pub softirq: u64,
    pub stolen: u64,
    pub guest: u64,
    pub guest_nice: u64,
}

/// What the system has done since it was started. Times are ticks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct Statistics {
    /// Of all processors together.
    pub total: CpuTime,
    /// Of each processor that is in use.
    pub cpus: Vec<CpuTime>,
    /// When it was started, in seconds since 1970.
    pub boot_time: u64,
    pub context_switches: u64,
    pub forks: u64,
    pub procs_running: u64,
    pub procs_blocked: u64,
}

impl CpuTime {
    fn read<'t>(columns: impl Iterator<Item = &'t str>) -> Self {
        let mut columns = columns.fuse();
        let mut next = || number(columns.next());
        Self {
            user: next(),
            nice: next(),
            system: next(),
            idle: next(),
            iowait: next(),
            irq: next(),
            softirq: next(),
            stolen: next(),
            guest: next(),
            guest_nice: next(),
        }
    }

    /// All of it. Time of guests is in that of users.
    pub fn sum(&self) -> u64 {
        let Self { user, nice, system, idle, iowait, irq, softirq, stolen, .. } = *self;
        [user, nice, system, idle, iowait, irq, softirq, stolen].into_iter().fold(0, u64::saturating_add)
    }
}

/// Takes `/proc/stat` apart.
pub fn read(text: &str) -> Statistics {
    let mut statistics = Statistics::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let place = match words.next() {
            Some("cpu") => {
                statistics.total = CpuTime::read(words);
                continue;
            }
            Some(name) if name.starts_with("cpu") => {
                statistics.cpus.push(CpuTime::read(words));
                continue;
            }
            Some("btime") => &mut statistics.boot_time,
            Some("ctxt") => &mut statistics.context_switches,
            Some("processes") => &mut statistics.forks,
            Some("procs_running") => &mut statistics.procs_running,
            Some("procs_blocked") => &mut statistics.procs_blocked,
            _ => continue,
        };
        *place = number(words.next());
    }
    statistics
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_and_counters_are_told_apart() {
        let text = "cpu  10 2 3 40 5 6 7 8 9 1\ncpu0 1 2 3 4\ncpu3 5 6 7 8 9 10 11 12 13 14\nintr 1 2 3\nctxt 77\n\
                    btime 1700000000\nprocesses 99\nprocs_running 2\nprocs_blocked 1\nsoftirq 5\n";
        let statistics = read(text);
        assert_eq!(statistics.total.sum(), 10 + 2 + 3 + 40 + 5 + 6 + 7 + 8);
        assert_eq!(statistics.cpus.len(), 2);
        assert_eq!(statistics.cpus[0], CpuTime { user: 1, nice: 2, system: 3, idle: 4, ..CpuTime::default() });
        assert_eq!((statistics.boot_time, statistics.context_switches, statistics.forks), (1_700_000_000, 77, 99));
        assert_eq!((statistics.procs_running, statistics.procs_blocked), (2, 1));
    }
}
