//! What it costs to read much.

use crate::harness::{Row, Runner, Stage, Table, plain};
use std::fmt::Write;
use std::process::Command;

/// How often each row is run.
const ROUNDS: usize = 7;
/// The size of the large file, unless `REX_BENCH_MIB` says another.
const MIB: usize = 64;
/// What is looked for: about one line in a hundred.
const PATTERN: &str = "status=503 .* path=/orders$";

/// Gives all tables, each when it is measured.
pub(crate) fn bench(give: &mut dyn FnMut(Table)) {
    let mib = std::env::var("REX_BENCH_MIB").ok().and_then(|size| size.parse().ok()).unwrap_or(MIB);
    let stage = Stage::new();
    let text = lines(mib << 20);
    stage.file("large", &text);
    stage.file("medium", &text[..1 << 20]);
    stage.file("empty", "");
    give(streamed(&stage, mib));
    give(commands(&stage, mib, "grep", &format!("grep([grep::count], `{PATTERN}`, \"{{file}}\")"), &["-cE", PATTERN]));
    give(commands(&stage, mib, "wc", "wc(\"{file}\")", &[]));
    give(commands(&stage, mib, "tail", "tail(\"{file}\")", &[]));
    give(into_a_string(&stage, "large", &format!("{mib} MiB"), (0, 2)));
    give(into_a_string(&stage, "medium", "1 MiB", (10, 110)));
}

/// The rate at which a worker goes through a file, beside that of `cat`: what the large file takes longer than an empty one.
fn streamed(stage: &Stage, mib: usize) -> Table {
    let title = format!("{mib} MiB streamed: what they take longer than an empty file");
    let script = |file: &str| format!("wc([wc::lines], \"{}\")", stage.text(file));
    stage.file("wc-large.rhai", script("large"));
    stage.file("wc-empty.rhai", script("empty"));
    let run = |name: &str| stage.run(Runner::Standalone, name, "allow.cedar").expect("it is always there");
    let (large, empty) = (stage.text("large"), stage.text("empty"));
    let difference = |name, many: Command, few: Command| Row::step(name, (few, 0), (many, 1));
    let rows = vec![
        difference("Rex, standalone: `wc` counts lines", run("wc-large.rhai"), run("wc-empty.rhai")),
        difference("`cat` to /dev/null", plain("cat", &[&large]), plain("cat", &[&empty])),
        difference("`wc -l`", plain("wc", &["-l", &large]), plain("wc", &["-l", &empty])),
    ];
    Table::compare("bulk-streamed", &title, rows, ROUNDS)
}

/// A function that scripts call on a file, beside the program of its name: whole commands.
fn commands(stage: &Stage, mib: usize, program: &str, script: &str, options: &[&str]) -> Table {
    let name = format!("{program}.rhai");
    let large = stage.text("large");
    stage.file(&name, script.replace("{file}", &large));
    let mut rows: Vec<Row> = Vec::new();
    for (runner, command) in stage.by_each(&name, "allow.cedar") {
        rows.push(Row::heard(runner, command));
    }
    let arguments = [options, &[large.as_str()]].concat();
    rows.push(Row::heard(format!("`{program}`"), plain(program, &arguments)));
    let mut plain_bytes = plain(program, &arguments);
    plain_bytes.env("LC_ALL", "C");
    rows.push(Row::heard(format!("`{program}` in the C locale"), plain_bytes));
    Table::compare(&format!("bulk-{program}"), &format!("`{program}` of {mib} MiB, the whole command"), rows, ROUNDS)
}

/// A file read into a string, from the difference of many and few times.
fn into_a_string(stage: &Stage, file: &str, size: &str, (few, many): (u32, u32)) -> Table {
    let script = format!(
        "let f = DirConfig().path(\"{}\").build().open(OpenDirOptions().build())\
         .open_file(\"{file}\", OpenFileOptions().read(true).build());\n\
         for i in 0..{{count}} {{ let text = f.read(); }}",
        stage.path("").display()
    );
    let name = |count: u32| format!("string-{file}-{count}.rhai");
    for count in [few, many] {
        stage.file(&name(count), script.replace("{count}", &count.to_string()));
    }
    let few_of_each = stage.by_each(&name(few), "allow.cedar");
    let many_of_each = stage.by_each(&name(many), "allow.cedar");
    let rows = few_of_each.into_iter().zip(many_of_each);
    let rows = rows.map(|((runner, short), (_, long))| Row::step(runner, (short, few), (long, many))).collect();
    Table::compare(&format!("bulk-string-{file}"), &format!("{size} into a string of the script"), rows, ROUNDS)
}

/// So many bytes of lines like those of a log.
fn lines(size: usize) -> String {
    let (mut text, mut number) = (String::with_capacity(size + 100), 0);
    while text.len() < size {
        let (status, path) = (if number % 97 == 0 { 503 } else { 200 }, ["orders", "items", "users"][number % 3]);
        let host = number % 11;
        let _ = writeln!(text, "2026-01-01T00:00:00Z host{host} status={status} took={number} path=/{path}");
        number += 1;
    }
    text
}
