//! What Rex costs, beside what one would use instead. Prints medians and ratios of one interleaved run; it checks nothing.
//!
//!     cargo build --release && cargo bench --bench speed
//!
//! `REX_BENCH_RUNNER='PROGRAM --script-file {script} --policy-file {policy}'` adds another runner to compare with.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use rex_tests::{Daemon, Settings, programs};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How often each command is run.
const ROUNDS: usize = 60;

fn main() {
    let bench = Bench::new();
    bench.starts();
    bench.reads();
    bench.operations();
}

struct Bench {
    folder: tempfile::TempDir,
    daemon: Daemon,
}

/// A command and its name.
type Row = (String, Command);

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let daemon = Daemon::start(&Settings { config: "log_level = \"error\"\n".into(), ..Settings::default() });
        let bench = Self { folder, daemon };
        bench.file("small.txt", &"a line of a small file\n".repeat(20));
        bench.file("allow.cedar", "permit(principal, action, resource);");
        bench.file("empty.rhai", "");
        bench.file("cat.rhai", &format!("cat(\"{}\")", bench.path("small.txt").display()));
        bench
    }

    fn starts(&self) {
        let mut rows = vec![
            ("empty script, through the daemon".into(), self.through_daemon("empty.rhai")),
            ("empty script, standalone".into(), self.standalone("empty.rhai", "allow.cedar")),
            ("true".into(), plain("true", &[])),
            ("python3 -c ''".into(), plain("python3", &["-c", ""])),
        ];
        rows.extend(self.other("empty.rhai", "allow.cedar"));
        compare("starting", rows);
    }

    fn reads(&self) {
        let file = self.path("small.txt");
        let file = file.to_str().expect("a path of UTF-8");
        let python = format!("print(open('{file}').read())");
        let mut rows = vec![
            ("cat of a small file, through the daemon".into(), self.through_daemon("cat.rhai")),
            ("cat of a small file, standalone".into(), self.standalone("cat.rhai", "allow.cedar")),
            ("cat".into(), plain("cat", &[file])),
            ("sudo -n cat".into(), plain("sudo", &["-n", "cat", file])),
            ("python3".into(), plain("python3", &["-c", &python])),
        ];
        rows.extend(self.other("cat.rhai", "allow.cedar"));
        compare("reading a small file", rows);
    }

    /// One operation on an open handle, from the difference of many and few.
    fn operations(&self) {
        let (few, many) = (1_000, 11_000);
        for (name, count) in [("few.rhai", few), ("many.rhai", many)] {
            let folder = self.folder.path().display();
            self.file(
                name,
                &format!(
                    "let f = DirConfig().path(\"{folder}\").build().open(OpenDirOptions().build())\
                     .open_file(\"small.txt\", OpenFileOptions().read(true).build());\n\
                     for i in 0..{count} {{ f.read(); }}"
                ),
            );
        }
        println!("\na read on an open handle (two operations: the content and the end)");
        for policies in [2, 50, 500, 5000] {
            let name = format!("policies-{policies}.cedar");
            self.file(&name, &store(policies, self.folder.path()));
            let least = |script: &str| {
                (0..5).map(|_| time(&mut self.standalone(script, &name))).min().flatten().unwrap_or_default()
            };
            let difference = least("many.rhai").saturating_sub(least("few.rhai"));
            println!("  {policies:5} policies  {:8.2} µs", difference.as_secs_f64() * 1e6 / f64::from(many - few));
        }
    }

    fn through_daemon(&self, script: &str) -> Command {
        let mut command = Command::new(programs().join("rex-exec"));
        command.arg("--socket").arg(self.daemon.socket()).arg(self.path(script));
        command
    }

    fn standalone(&self, script: &str, policy: &str) -> Command {
        let mut command = Command::new(programs().join("rex-exec"));
        command.arg("--standalone").arg("--policy-file").arg(self.path(policy)).arg(self.path(script));
        command
    }

    fn other(&self, script: &str, policy: &str) -> Option<Row> {
        let line = std::env::var("REX_BENCH_RUNNER").ok()?;
        let line =
            line.replace("{script}", self.path(script).to_str()?).replace("{policy}", self.path(policy).to_str()?);
        let mut words = line.split_whitespace();
        let mut command = Command::new(words.next()?);
        command.args(words);
        Some(("the other runner".into(), command))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).expect("a file of the bench");
    }
}

fn plain(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// A store of `count` policies of which two allow what the bench does.
fn store(count: usize, folder: &Path) -> String {
    let mut text = format!(
        "permit(principal, action == file_system::Action::\"open\", resource in file_system::Dir::\"{0}\");\n\
         permit(principal, action == file_system::Action::\"read\", resource in file_system::Dir::\"{0}\");\n",
        folder.display()
    );
    for number in 2..count {
        text += &format!("permit(principal, action, resource in file_system::Dir::\"/srv/area{number}\");\n");
    }
    text
}

/// Runs all rows in turn, so that what disturbs one disturbs all, and prints their medians against the first.
fn compare(title: &str, mut rows: Vec<Row>) {
    println!("\n{title}");
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); rows.len()];
    for _ in 0..ROUNDS {
        for ((_, command), times) in rows.iter_mut().zip(&mut times) {
            times.extend(time(command));
        }
    }
    let medians: Vec<_> = times
        .iter_mut()
        .map(|times| {
            times.sort_unstable();
            times.get(times.len() / 2).copied()
        })
        .collect();
    let first = medians.first().copied().flatten().unwrap_or_default();
    for ((name, _), median) in rows.iter().zip(medians) {
        match median {
            Some(median) => {
                let ratio = first.as_secs_f64() / median.as_secs_f64();
                println!("  {name:45} {:8.2} ms   the first takes {ratio:5.2} of it", median.as_secs_f64() * 1e3);
            }
            None => println!("  {name:45} not here"),
        }
    }
}

/// How long a command takes; nothing if it cannot be run or fails.
fn time(command: &mut Command) -> Option<Duration> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    command.status().ok().filter(std::process::ExitStatus::success).map(|_| begun.elapsed())
}
