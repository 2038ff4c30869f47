//! What a decision costs: by the policies that the index finds, and by all.

use crate::harness::{POLICIES, Sample, Stage, Table, measure, repeated};
use rex_broker::authz::{Authorizer, Demand, PolicySource, PolicyStore, Principal, Resource, Strictness};
use rex_protocol::Action;
use rex_protocol::path::AbsPath;
use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How often each number is taken, of how many decisions each time.
const ROUNDS: usize = 11;
const DECISIONS: u32 = 200;

/// Gives all tables, each when it is measured.
pub(crate) fn bench(give: &mut dyn FnMut(Table)) {
    let stage = Stage::new();
    let heads: Vec<String> = POLICIES.iter().map(|count| format!("{count} policies")).collect();
    let columns: Vec<&str> = std::iter::once("").chain(heads.iter().map(String::as_str)).collect();
    let title = "one decision about a file, in the process that decides";
    let mut decisions = Table::new("cedar-decision", title, &columns);
    let mut stores =
        Table::new("cedar-store", "policies parsed, validated and indexed: once for each revision", &columns);
    let columns: Vec<[Option<Sample>; 4]> = POLICIES.iter().map(|count| one(&stage, *count)).collect();
    let names = ["remembered", "evaluated, found by the index", "evaluated, all policies"];
    for (at, name) in names.iter().enumerate() {
        add(&mut decisions, name, columns.iter().map(|column| column[at]));
    }
    add(&mut stores, "loading", columns.iter().map(|column| column[3]));
    give(decisions);
    give(stores);
}

fn one(stage: &Stage, count: usize) -> [Option<Sample>; 4] {
    let text = std::fs::read(stage.path(&stage.store(count))).expect("the bench's own file");
    let source = PolicySource { name: "bench.cedar".into(), text };
    let load = || PolicyStore::load(std::slice::from_ref(&source), Strictness::Strict).expect("valid policies").0;
    let loading = repeated(3, || {
        let begun = Instant::now();
        black_box(load());
        begun.elapsed()
    });
    let groups = vec!["ops".into(), "dev".into()];
    let principal = Principal { name: "ana".into(), uid: 1_000, gid: 1_000, gids: vec![1_000], groups };
    let path = AbsPath::parse(stage.text("some/where/below/file.txt")).expect("a path of the bench");
    let demand = Demand::new(Action::FileRead, Resource::File(path));
    let mut authorizer = Authorizer::new(principal, vec![Rc::new(load())]);
    assert_eq!(authorizer.decide_indexed(&demand), authorizer.decide_full(&demand), "the index changes no decision");
    let mut each = |decide: fn(&mut Authorizer, &Demand), decisions: u32| {
        repeated(ROUNDS, || {
            let begun = Instant::now();
            (0..decisions).for_each(|_| decide(&mut authorizer, &demand));
            begun.elapsed() / decisions
        })
    };
    [
        each(|authorizer, demand| drop(black_box(authorizer.decide(demand))), DECISIONS),
        each(|authorizer, demand| drop(black_box(authorizer.decide_indexed(demand))), DECISIONS),
        each(|authorizer, demand| drop(black_box(authorizer.decide_full(demand))), 5),
        loading,
    ]
}

fn add(table: &mut Table, name: &str, samples: impl Iterator<Item = Option<Sample>>) {
    let mut cells = vec![name.to_owned()];
    for (sample, count) in samples.zip(POLICIES) {
        let median = sample.map_or(Duration::ZERO, |sample| sample.median);
        table.values.insert(format!("{name} at {count}"), median.as_secs_f64());
        cells.push(measure::time(median));
    }
    table.row(cells);
}
