//! What one operation costs, from the difference of many and few.

use crate::harness::{POLICIES, Row, Runner, Stage, Table};
use rex_tests::Daemon;
use std::process::Command;

/// How often each difference is taken.
const ROUNDS: usize = 5;
/// Files that are opened: of each something is asked for the first time.
const FILES: u32 = 1_200;
/// How often something is done on one file.
const TIMES: (u32, u32) = (500, 5_500);

/// What is compared with the daemon.
const OTHERS: [Runner; 2] = [Runner::OneProcess, Runner::Other];
/// What tables call that.
const REX: &str = "Rex";

/// Gives all tables, each when it is measured.
pub(crate) fn bench(give: &mut dyn FnMut(Table)) {
    let stage = Stage::new();
    std::fs::create_dir(stage.path("files")).expect("a folder of the bench");
    for number in 0..FILES {
        stage.file(&format!("files/f{number}"), "a small file\n");
    }
    let daemons: Vec<Daemon> = POLICIES.iter().map(|count| stage.daemon(*count)).collect();
    let daemon = |count: usize| &daemons[POLICIES.iter().position(|known| *known == count).expect("one of them")];

    let title =
        "opening, looking at and reading a file of which nothing was decided before: three decisions, evaluated";
    give(Table::by_policies("ops-evaluated", title, &POLICIES, ROUNDS, |count| {
        rows(&stage, count, daemon(count), &each_file(&stage), (200, FILES))
    }));
    let title = "looking at an open file, where a policy reads an attribute: one decision, evaluated each time";
    give(Table::by_policies("ops-attribute", title, &POLICIES, ROUNDS, |count| vec![by_attribute(&stage, count)]));
    let title = "looking at an open file, where that was decided before";
    give(Table::by_policies("ops-remembered", title, &POLICIES, ROUNDS, |count| {
        rows(&stage, count, daemon(count), &one_file(&stage), TIMES)
    }));
    let title = "the list of processes, one decision for each process";
    give(Table::by_policies("ops-processes", title, &[2, 500], ROUNDS, |count| {
        rows(&stage, count, daemon(count), "for i in 0..{count} { ps(); }", (2, 12))
    }));
}

/// A row for the daemon, which has these policies, and for each other that is there: what one more time costs of what a script does
/// `{count}` times.
fn rows(stage: &Stage, policies: usize, daemon: &Daemon, script: &str, counts: (u32, u32)) -> Vec<Row> {
    let mut rows = vec![step(stage, REX, script, counts, |file| stage.through(daemon, file))];
    let store = stage.store(policies);
    // As many as are done in reasonable time where each is asked of all policies.
    let fewer = match policies {
        0..=50 => 1,
        51..=500 => 10,
        _ => 100,
    };
    let few = counts.0.div_ceil(fewer);
    let counts = (few, counts.1.div_ceil(fewer).max(few + 5));
    for runner in OTHERS {
        if stage.run(runner, "", "").is_some() {
            let run = |file: &str| stage.run(runner, file, &store).expect("it was there before");
            rows.push(step(stage, runner.name(), script, counts, run));
        }
    }
    rows
}

/// Nothing is remembered where a policy reads what an object is like, which may change.
fn by_attribute(stage: &Stage, policies: usize) -> Row {
    let reads = "forbid(principal, action, resource is file_system::File) \
                 when { resource has owner && resource.owner == \"nobody\" };\n";
    let daemon = stage.daemon_with(policies, reads);
    let script = one_file(stage);
    let [few, many] = scripts(stage, REX, &script, [TIMES.0, TIMES.1]);
    let mut row = Row::step(REX, (stage.through(&daemon, &few), TIMES.0), (stage.through(&daemon, &many), TIMES.1));
    row.keep(daemon);
    row
}

fn step(stage: &Stage, name: &str, script: &str, counts: (u32, u32), command: impl Fn(&str) -> Command) -> Row {
    let [few, many] = scripts(stage, name, script, [counts.0, counts.1]);
    Row::step(name, (command(&few), counts.0), (command(&many), counts.1))
}

/// The files of a script that does something so often.
fn scripts(stage: &Stage, name: &str, script: &str, counts: [u32; 2]) -> [String; 2] {
    counts.map(|count| {
        let file = format!("{name}-{count}.rhai").replace(' ', "-");
        stage.file(&file, script.replace("{count}", &count.to_string()));
        file
    })
}

fn each_file(stage: &Stage) -> String {
    format!(
        "let d = DirConfig().path(\"{}\").build().open(OpenDirOptions().build());\n\
         let o = OpenFileOptions().read(true).build();\n\
         for i in 0..{{count}} {{ let f = d.open_file(`f${{i}}`, o); f.metadata(); f.read(); }}",
        stage.text("files")
    )
}

fn one_file(stage: &Stage) -> String {
    format!(
        "let d = DirConfig().path(\"{}\").build().open(OpenDirOptions().build());\n\
         let f = d.open_file(\"f0\", OpenFileOptions().read(true).build());\n\
         for i in 0..{{count}} {{ f.metadata(); }}",
        stage.text("files")
    )
}
