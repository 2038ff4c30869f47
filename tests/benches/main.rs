//! What Rex costs, beside what one would use instead. It prints what it measures, and checks nothing.
//!
//!     cargo build --release --workspace --bins --examples
//!     target/release/examples/bench                                 # everything, in about five minutes
//!     target/release/examples/bench start ops                       # some of it
//!     target/release/examples/bench --publish                       # BENCHMARKS.md and benchmarks.svg of it
//!     target/release/examples/bench --json results.json             # as numbers
//!     target/release/examples/bench --from results.json --publish   # published later, without measuring
//!
//! Each number is a median of rounds in which all rows of a table take turns; `REX_BENCH_QUICK` makes few of them, to see that all
//! works. `REX_BENCH_RUNNER='PROGRAM --script-file {script}
//! --policy-file {policy}'` adds another runner to every table of scripts. Programs that are not installed are "not here".

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

mod bulk;
mod cedar;
mod harness;
mod ipc;
mod machine;
mod memory;
mod ops;
mod plot;
mod publish;
mod sandbox;
mod start;
mod tree;

use harness::Table;
use std::path::PathBuf;

/// A bench and its name.
type Bench = (&'static str, fn(&mut dyn FnMut(Table)));

const BENCHES: &[Bench] = &[
    ("machine", machine::bench),
    ("start", start::bench),
    ("ops", ops::bench),
    ("bulk", bulk::bench),
    ("tree", tree::bench),
    ("cedar", cedar::bench),
    ("ipc", ipc::bench),
    ("sandbox", sandbox::bench),
    ("memory", memory::bench),
];

fn main() {
    let wanted = Wanted::read();
    let tables = match &wanted.from {
        Some(file) => publish::read(file),
        None => wanted.measure(),
    };
    if let Some(file) = &wanted.json {
        publish::write(file, &tables);
    }
    if wanted.publish {
        publish::publish(&tables);
    }
}

/// What the command line asks for.
#[derive(Default)]
struct Wanted {
    names: Vec<String>,
    json: Option<PathBuf>,
    from: Option<PathBuf>,
    publish: bool,
}

impl Wanted {
    fn read() -> Self {
        let (mut wanted, mut arguments) = (Self::default(), std::env::args().skip(1));
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--json" => wanted.json = arguments.next().map(PathBuf::from),
                "--from" => wanted.from = arguments.next().map(PathBuf::from),
                "--publish" => wanted.publish = true,
                name if BENCHES.iter().any(|(known, _)| *known == name) => wanted.names.push(argument),
                other => {
                    let known: Vec<&str> = BENCHES.iter().map(|(name, _)| *name).collect();
                    println!("there is no bench `{other}`; there are {}", known.join(", "));
                    std::process::exit(2);
                }
            }
        }
        wanted
    }

    fn measure(&self) -> Vec<Table> {
        let mut all = Vec::new();
        for (name, bench) in BENCHES {
            if self.names.is_empty() || self.names.iter().any(|wanted| wanted == name) {
                bench(&mut |table| {
                    println!("\n{}: {}\n\n{}", table.key, table.title, table.markdown());
                    all.push(table);
                });
            }
        }
        all
    }
}
