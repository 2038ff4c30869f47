//! What it costs to read much, beside what one would use instead and the same work in one process. Prints medians and ratios
//! of one interleaved run; it checks nothing.
//!
//!     cargo build --release && cargo bench --bench bulk
//!
//! `REX_BENCH_MIB` is the size of the file, 256 if not given. `REX_BENCH_RUNNER='PROGRAM --script-file {script}
//! --policy-file {policy}'` adds another runner to compare with.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use rex_tests::programs;
use std::hint::black_box;
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How often each row is run.
const ROUNDS: usize = 7;

/// Something that is measured, and its name. False where it cannot be done here.
type Row = (&'static str, Box<dyn FnMut() -> bool>);

fn main() {
    let bench = Bench::new();
    let large = bench.path("large");
    let file = large.to_str().expect("a path of UTF-8").to_owned();
    let pattern = "status=503 .* path=/orders$";

    let regex = regex::bytes::Regex::new(pattern).expect("an expression");
    let mut rows = bench.scripts("grep.rhai", &format!("grep([grep::c], `{pattern}`, \"{file}\")"));
    rows.push(("grep", command("grep", &["-cE", pattern, &file])));
    rows.push(("grep in the C locale", in_c_locale("grep", &["-cE", pattern, &file])));
    let path = large.clone();
    rows.push(("line by line in this process", Box::new(move || each_line(&path, |line| regex.is_match(line)) > 0)));
    compare("counting lines that match", rows);

    let mut rows = bench.scripts("wc.rhai", &format!("wc(\"{file}\")"));
    rows.push(("wc", command("wc", &[&file])));
    rows.push(("wc in the C locale", in_c_locale("wc", &[&file])));
    let path = large.clone();
    rows.push(("line by line in this process", Box::new(move || each_line(&path, has_words) > 0)));
    compare("counting lines, words and bytes", rows);

    let mut rows = bench.scripts("tail.rhai", &format!("tail(\"{file}\")"));
    rows.push(("line by line in this process", Box::new(move || each_line(&large, |_| true) > 0)));
    compare("the last lines, read from the start", rows);
}

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        let size = std::env::var("REX_BENCH_MIB").ok().and_then(|size| size.parse().ok()).unwrap_or(256_usize) << 20;
        let mut file = std::io::BufWriter::new(std::fs::File::create(bench.path("large")).expect("a file"));
        let (mut written, mut number) = (0, 0);
        while written < size {
            let (status, path) = (if number % 97 == 0 { 503 } else { 200 }, ["orders", "items", "users"][number % 3]);
            let line = format!("2026-01-01T00:00:00Z host{} status={status} took={number} path=/{path}\n", number % 11);
            file.write_all(line.as_bytes()).expect("space on the disk");
            written += line.len();
            number += 1;
        }
        file.flush().expect("space on the disk");
        println!("a file of {} MiB", written >> 20);
        std::fs::write(bench.path("allow.cedar"), "permit(principal, action, resource);").expect("a policy");
        std::fs::write(bench.path("empty.rhai"), "").expect("a script");
        bench
    }

    /// The rows that run a script: Rex, what of it is starting, and the other runner where there is one.
    fn scripts(&self, name: &str, script: &str) -> Vec<Row> {
        std::fs::write(self.path(name), script).expect("a script");
        let mut rows: Vec<Row> = Vec::new();
        for (title, script) in [("rex-exec --standalone", name), ("of it, an empty script", "empty.rhai")] {
            let mut command = Command::new(programs().join("rex-exec"));
            command.arg("--standalone").arg("--policy-file").arg(self.path("allow.cedar")).arg(self.path(script));
            rows.push((title, runs(command)));
        }
        if let Ok(line) = std::env::var("REX_BENCH_RUNNER") {
            let line = line.replace("{script}", &self.path(name).display().to_string());
            let line = line.replace("{policy}", &self.path("allow.cedar").display().to_string());
            let mut words = line.split_whitespace();
            let mut command = Command::new(words.next().unwrap_or_default());
            command.args(words);
            rows.push(("the other runner", runs(command)));
        }
        rows
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// How many lines of a file `test` lets pass.
fn each_line(path: &PathBuf, test: impl Fn(&[u8]) -> bool) -> usize {
    let file = std::fs::File::open(path).expect("the bench's own file");
    let (mut reader, mut line, mut passed) = (std::io::BufReader::with_capacity(256 * 1024, file), Vec::new(), 0);
    while reader.read_until(b'\n', &mut line).expect("the bench's own file") > 0 {
        passed += usize::from(test(line.strip_suffix(b"\n").unwrap_or(&line)));
        line.clear();
    }
    black_box(passed)
}

fn has_words(line: &[u8]) -> bool {
    black_box(line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).count()) > 0
}

fn command(program: &str, arguments: &[&str]) -> Box<dyn FnMut() -> bool> {
    let mut command = Command::new(program);
    command.args(arguments);
    runs(command)
}

fn in_c_locale(program: &str, arguments: &[&str]) -> Box<dyn FnMut() -> bool> {
    let mut command = Command::new(program);
    command.args(arguments).env("LC_ALL", "C");
    runs(command)
}

fn runs(mut command: Command) -> Box<dyn FnMut() -> bool> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Box::new(move || command.status().is_ok_and(|status| status.success()))
}

/// Runs all rows in turn, so that what disturbs one disturbs all, and prints their medians against the first.
fn compare(title: &str, mut rows: Vec<Row>) {
    println!("\n{title}");
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); rows.len()];
    for _ in 0..ROUNDS {
        for ((_, run), times) in rows.iter_mut().zip(&mut times) {
            let begun = Instant::now();
            if run() {
                times.push(begun.elapsed());
            }
        }
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times.get(times.len() / 2).copied()
    };
    let medians: Vec<_> = times.iter_mut().map(median).collect();
    let first = medians.first().copied().flatten().unwrap_or_default();
    for ((name, _), median) in rows.iter().zip(medians) {
        match median {
            Some(median) => {
                let ratio = first.as_secs_f64() / median.as_secs_f64();
                println!("  {name:32} {:9.2} ms   the first takes {ratio:6.2} of it", median.as_secs_f64() * 1e3);
            }
            None => println!("  {name:32} not here"),
        }
    }
}
