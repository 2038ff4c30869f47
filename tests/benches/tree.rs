//! What it costs to go through directories.

use crate::harness::{Row, Stage, Table, plain};

/// How often each row is run.
const ROUNDS: usize = 11;
/// Entries of the large directory; directories of the tree, and files in each.
const ENTRIES: usize = 10_000;
const TREE: (usize, usize) = (100, 100);

/// Gives all tables, each when it is measured.
pub(crate) fn bench(give: &mut dyn FnMut(Table)) {
    let stage = Stage::new();
    std::fs::create_dir(stage.path("large")).expect("a folder of the bench");
    for number in 0..ENTRIES {
        stage.file(&format!("large/entry{number}"), "");
    }
    for dir in 0..TREE.0 {
        std::fs::create_dir_all(stage.path(&format!("tree/d{dir}"))).expect("a folder of the bench");
        for file in 0..TREE.1 {
            stage.file(&format!("tree/d{dir}/f{file}"), "");
        }
    }
    give(list(&stage));
    give(find(&stage));
}

fn list(stage: &Stage) -> Table {
    let large = stage.text("large");
    stage.file("list.rhai", format!("ls(\"{large}\").len()"));
    let rows = by_each(stage, "list.rhai", plain("ls", &[&large]), "`ls`");
    Table::compare("tree-list", &format!("listing {ENTRIES} entries, the whole command"), rows, ROUNDS)
}

fn find(stage: &Stage) -> Table {
    let tree = stage.text("tree");
    let script = format!(
        "let count = 0; DirConfig().path(\"{tree}\").build().open(OpenDirOptions().build())\
         .find(FindOptions().build(), |entry| {{ count += 1; }}); count"
    );
    stage.file("find.rhai", script);
    let rows = by_each(stage, "find.rhai", plain("find", &[&tree]), "`find`");
    let title =
        format!("a walk through {} × {} files, a call of the script for each, the whole command", TREE.0, TREE.1);
    Table::compare("tree-find", &title, rows, ROUNDS)
}

fn by_each(stage: &Stage, script: &str, command: std::process::Command, name: &str) -> Vec<Row> {
    let store = stage.store(2);
    let scripts = stage.by_each(script, &store).into_iter();
    scripts.chain([(name, command)]).map(|(name, command)| Row::command(name, command)).collect()
}
