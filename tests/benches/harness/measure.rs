//! Rows that are measured in turn, so that what disturbs one disturbs all.

use rex_tests::Daemon;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// One thing that is measured.
pub(crate) struct Row {
    /// What it is, for people.
    pub(crate) name: String,
    once: Box<dyn FnMut() -> Option<Duration>>,
    kept: Option<Daemon>,
}

/// What came of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    /// The median of its rounds.
    pub(crate) median: Duration,
    /// The shortest.
    pub(crate) least: Duration,
}

impl Row {
    /// Runs `once` each round: how long it took, or nothing where it cannot be done here.
    pub(crate) fn new(name: impl Into<String>, once: impl FnMut() -> Option<Duration> + 'static) -> Self {
        Self { name: name.into(), once: Box::new(once), kept: None }
    }

    /// Keeps a daemon running for as long as the row is there.
    pub(crate) fn keep(&mut self, daemon: Daemon) {
        self.kept = Some(daemon);
    }

    /// A whole command, from its start to its end.
    pub(crate) fn command(name: impl Into<String>, command: Command) -> Self {
        let mut command = quiet(command);
        Self::new(name, move || timed(&mut command))
    }

    /// The same, for a program that does less when nobody reads what it says: its output is read.
    pub(crate) fn heard(name: impl Into<String>, mut command: Command) -> Self {
        command.stdin(Stdio::null());
        Self::new(name, move || {
            let begun = Instant::now();
            command.output().ok().filter(|output| output.status.success()).map(|_| begun.elapsed())
        })
    }

    /// What one of `many - few` more steps costs: two commands that differ in nothing but how many they do.
    pub(crate) fn step(name: impl Into<String>, few: (Command, u32), many: (Command, u32)) -> Self {
        let (mut short, mut long, steps) = (quiet(few.0), quiet(many.0), many.1 - few.1);
        Self::new(name, move || Some(timed(&mut long)?.saturating_sub(timed(&mut short)?) / steps))
    }
}

/// Measures rows `rounds` times each. A row that fails is not here: it is not tried again.
pub(crate) fn measure(rows: &mut [Row], rounds: usize) -> Vec<Option<Sample>> {
    let mut taken: Vec<Option<Vec<Duration>>> = rows.iter().map(|_| Some(Vec::new())).collect();
    for _ in 0..often(rounds) {
        for (row, taken) in rows.iter_mut().zip(&mut taken) {
            if let Some(times) = taken {
                match (row.once)() {
                    Some(time) => times.push(time),
                    None => *taken = None,
                }
            }
        }
    }
    taken.into_iter().map(|times| Sample::of(times?)).collect()
}

impl Sample {
    /// Of some times; nothing of none.
    pub(crate) fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort_unstable();
        Some(Self { median: *times.get(times.len() / 2)?, least: *times.first()? })
    }
}

/// How long a command takes; nothing if it cannot be run or fails.
pub(crate) fn timed(command: &mut Command) -> Option<Duration> {
    let begun = Instant::now();
    command.status().ok().filter(ExitStatus::success).map(|_| begun.elapsed())
}

/// Each of `rounds` calls, by itself.
pub(crate) fn repeated(rounds: usize, mut once: impl FnMut() -> Duration) -> Option<Sample> {
    Sample::of((0..often(rounds)).map(|_| once()).collect())
}

/// How often something is done that is done `times` times otherwise: a twentieth of it with `REX_BENCH_QUICK`, to see that a bench works.
pub(crate) fn often(times: usize) -> usize {
    if std::env::var_os("REX_BENCH_QUICK").is_some() { times.div_ceil(20) } else { times }
}

/// A duration as people read it.
pub(crate) fn time(duration: Duration) -> String {
    match duration.as_secs_f64() {
        seconds if seconds < 1e-3 => format!("{:.2} µs", seconds * 1e6),
        seconds if seconds < 1.0 => format!("{:.2} ms", seconds * 1e3),
        seconds => format!("{seconds:.2} s"),
    }
}

fn quiet(mut command: Command) -> Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}
