//! What a process is like.

use crate::script::{Surface, item, number};
use nix::unistd::{SysconfVar, sysconf};
use rex_protocol::process::{Identity, Machine, Namespace, Process};
use rhai::{Dynamic, ImmutableString, Map};
use std::fmt;
use std::rc::Rc;

/// A process, or a thread of one, as it was when it was looked at.
#[derive(Debug, Clone)]
pub(in crate::script) struct ProcessInfo {
    process: Rc<Process>,
    machine: Machine,
    numbers: Numbers,
    /// In percent of one processor, where it was measured.
    recent_cpu_usage: Option<f64>,
}

/// The pid namespace of a process.
#[derive(Debug, Clone, Copy)]
struct PidNamespace(Namespace);

/// What of `proc_pid_stat(5)` is told.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Numbers {
    state: char,
    parent: i64,
    /// Processor time, in ticks.
    pub(super) cpu: u64,
    /// When it started, in ticks since the machine did.
    started: u64,
    /// Resident memory, in pages.
    resident: u64,
}

impl ProcessInfo {
    /// What a process that the session listed is like. Nothing where its numbers are none.
    pub(super) fn new(process: Process, machine: Machine) -> Option<Self> {
        let numbers = Numbers::parse(&process.stat)?;
        Some(Self { process: Rc::new(process), machine, numbers, recent_cpu_usage: None })
    }

    /// The same with the use of the processor that was measured.
    pub(super) fn using(&self, recent_cpu_usage: f64) -> Self {
        Self { recent_cpu_usage: Some(recent_cpu_usage), ..self.clone() }
    }

    /// Who it is.
    pub(super) fn identity(&self) -> &Identity {
        &self.process.identity
    }

    /// The process that a thread is of.
    pub(super) fn thread_of(&self) -> Option<u32> {
        self.process.thread_of
    }

    /// What it has used of one processor since it was looked at before, in percent.
    pub(super) fn usage_since(&self, before: &Self) -> f64 {
        let ticks = self.numbers.cpu.saturating_sub(before.numbers.cpu);
        let ms = self.machine.uptime_ms.saturating_sub(before.machine.uptime_ms);
        if ms == 0 { 0.0 } else { ticks as f64 / ticks_per_second() as f64 * 100_000.0 / ms as f64 }
    }

    fn parent(&self) -> Dynamic {
        let parent = self.process.thread_of.map_or(self.numbers.parent, i64::from);
        if parent == 0 { Dynamic::UNIT } else { parent.into() }
    }

    fn memory(&self) -> u64 {
        let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().and_then(|size| u64::try_from(size).ok());
        self.numbers.resident.saturating_mul(page.unwrap_or(4096))
    }

    /// With two digits, cut.
    fn memory_percent(&self) -> f64 {
        let hundredths = u128::from(self.memory()) * 10_000 / u128::from(self.machine.memory.max(1));
        hundredths as f64 / 100.0
    }

    /// Since it started, in percent of one processor; by whole seconds, in single precision.
    fn historical_cpu_usage(&self) -> f64 {
        let ticks = ticks_per_second();
        let seconds = (self.machine.uptime_ms / 1000).saturating_sub(self.numbers.started / ticks);
        if seconds == 0 {
            return 0.0;
        }
        f64::from(self.numbers.cpu as f32 / ticks as f32 / seconds as f32 * 100.0)
    }

    fn username(&self) -> String {
        self.identity().username.as_ref().map_or_else(String::new, |name| name.to_string())
    }

    /// Its pid namespace, where that was asked for.
    pub(super) fn own_namespace(&self) -> Option<Namespace> {
        self.process.namespace
    }

    fn namespace(&self) -> Option<PidNamespace> {
        self.process.namespace.map(PidNamespace)
    }

    fn recent_cpu_usage(&self) -> Dynamic {
        self.recent_cpu_usage.map_or(Dynamic::UNIT, Dynamic::from)
    }

    fn to_map(&self) -> Map {
        let identity = self.identity();
        Map::from_iter([
            item("pid", i64::from(identity.pid)),
            item("name", identity.name.to_string()),
            item("ppid", self.parent()),
            item("uid", i64::from(identity.uid)),
            item("username", self.username()),
            item("memory_usage", number(self.memory())),
            item("memory_percent", self.memory_percent()),
            item("state", state(self.numbers.state)),
            item("command", identity.command.to_string()),
            item("recent_cpu_usage", self.recent_cpu_usage()),
            item("historical_cpu_usage", self.historical_cpu_usage()),
            item("pid_namespace", self.namespace().map_or(Dynamic::UNIT, |namespace| namespace.to_map().into())),
        ])
    }
}

impl Numbers {
    /// The fields behind the name; the first of them is the third of all.
    fn parse(fields: &str) -> Option<Self> {
        let fields: Vec<&str> = fields.split(' ').collect();
        let field = |number: usize| fields.get(number - 3).copied();
        let unsigned = |number: usize| field(number)?.parse::<u64>().ok();
        Some(Self {
            state: field(3)?.chars().next()?,
            parent: field(4)?.parse().ok()?,
            cpu: unsigned(14)?.saturating_add(unsigned(15)?),
            started: unsigned(22)?,
            resident: unsigned(24)?,
        })
    }
}

impl PidNamespace {
    fn to_map(self) -> Map {
        Map::from_iter([item("namespace_id", number(self.0.id)), item("child_ns_pid", i64::from(self.0.pid))])
    }
}

impl fmt::Display for ProcessInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProcessInfo({}, {})", self.identity().pid, self.identity().name)
    }
}

impl fmt::Display for PidNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PidNamespace({})", self.0.id)
    }
}

/// The state of a process in a word; `proc_pid_stat(5)`.
fn state(letter: char) -> ImmutableString {
    match letter {
        'R' => "Run".into(),
        'S' => "Sleep".into(),
        'I' => "Idle".into(),
        'D' => "UninterruptibleDiskSleep".into(),
        'T' => "Stop".into(),
        't' => "Tracing".into(),
        'Z' => "Zombie".into(),
        'X' | 'x' => "Dead".into(),
        'K' => "Wakekill".into(),
        'W' => "Waking".into(),
        'P' => "Parked".into(),
        other => format!("Unknown({})", u32::from(other)).into(),
    }
}

fn ticks_per_second() -> u64 {
    let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|ticks| u64::try_from(ticks).ok());
    ticks.filter(|ticks| *ticks > 0).unwrap_or(100)
}

/// Registers the types.
pub(super) fn register(surface: &mut Surface) {
    surface.shown::<ProcessInfo>("ProcessInfo");
    surface.property("pid", |info: &mut ProcessInfo| i64::from(info.identity().pid));
    surface.property("name", |info: &mut ProcessInfo| info.identity().name.to_string());
    surface.property("ppid", |info: &mut ProcessInfo| info.parent());
    surface.property("uid", |info: &mut ProcessInfo| i64::from(info.identity().uid));
    surface.property("username", |info: &mut ProcessInfo| info.username());
    surface.property("memory_usage", |info: &mut ProcessInfo| number(info.memory()));
    surface.property("memory_percent", |info: &mut ProcessInfo| info.memory_percent());
    surface.property("state", |info: &mut ProcessInfo| state(info.numbers.state));
    surface.property("command", |info: &mut ProcessInfo| info.identity().command.to_string());
    surface.property("recent_cpu_usage", |info: &mut ProcessInfo| info.recent_cpu_usage());
    surface.property("historical_cpu_usage", |info: &mut ProcessInfo| info.historical_cpu_usage());
    surface.property("pid_namespace", |info: &mut ProcessInfo| info.namespace().map_or(Dynamic::UNIT, Dynamic::from));
    surface.function("to_map", |info: &mut ProcessInfo| info.to_map());
    surface.shown::<PidNamespace>("PidNamespace");
    surface.property("namespace_id", |namespace: &mut PidNamespace| number(namespace.0.id));
    surface.property("child_ns_pid", |namespace: &mut PidNamespace| i64::from(namespace.0.pid));
    surface.function("to_map", |namespace: &mut PidNamespace| namespace.to_map());
}

#[cfg(test)]
mod tests {
    use super::*;
    use rex_protocol::text::Text;

    const FIELDS: &str = "S 17 2 2 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 1 0 1000 4096 250 18446744073709551615";

    fn info(fields: &str, uptime_ms: u64) -> Option<ProcessInfo> {
        let identity =
            Identity { pid: 20, name: Text::cut("x"), uid: 0, username: None, command: Text::default(), started: 1000 };
        let process = Process { identity, thread_of: None, stat: Text::cut(fields), namespace: None };
        ProcessInfo::new(process, Machine { memory: 3 * 250 * 4096, uptime_ms })
    }

    #[test]
    fn numbers_are_told_in_their_units() {
        let ticks = ticks_per_second();
        let started_ms = 1000 / ticks * 1000;
        let at = |seconds: u64| info(FIELDS, started_ms + seconds * 1000).unwrap();
        assert_eq!(at(0).historical_cpu_usage(), 0.0);
        assert_eq!(at(8).historical_cpu_usage(), f64::from(200.0 / ticks as f32 / 8.0 * 100.0));
        if at(1).memory() == 250 * 4096 {
            assert_eq!(at(1).memory_percent(), 33.33);
        }
        assert_eq!(at(1).parent().as_int(), Ok(17));
        let later = FIELDS.replace(" 150 50 ", " 250 50 ");
        let later = info(&later, started_ms + 2000).unwrap();
        assert_eq!(later.usage_since(&at(1)), 100.0 / ticks as f64 * 100.0);
        assert_eq!(at(1).usage_since(&at(1)), 0.0);
    }

    #[test]
    fn odd_fields_are_no_process() {
        for fields in ["", "S", "S x 2", "S 1 2 2 0 -1 4194560 1 0 0 0 -1 50 0 0 20 0 1 0 1000 4096 250"] {
            assert!(info(fields, 0).is_none(), "{fields}");
        }
        assert_eq!((&*state('t'), &*state('q')), ("Tracing", "Unknown(113)"));
    }
}
