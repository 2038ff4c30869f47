//! From results to the pages of this project.

use crate::harness::Table;
use crate::plot;
use std::fs;
use std::path::{Path, PathBuf};

/// Reads results that were written before.
pub(crate) fn read(file: &Path) -> Vec<Table> {
    let text = fs::read(file).expect("a file with results");
    serde_json::from_slice(&text).expect("results as `--json` writes them")
}

/// Writes results.
pub(crate) fn write(file: &Path, tables: &[Table]) {
    let text = serde_json::to_string_pretty(tables).expect("results are plain");
    fs::write(file, text + "\n").expect("a place for the results");
}

/// Puts tables between their marks in BENCHMARKS.md, and what is plotted into benchmarks.svg. What was not measured stays.
pub(crate) fn publish(tables: &[Table]) {
    let page = project().join("BENCHMARKS.md");
    let mut text = fs::read_to_string(&page).expect("BENCHMARKS.md");
    for table in tables {
        let (begin, end) = (format!("<!-- {} -->\n", table.key), format!("<!-- end {} -->", table.key));
        let (Some(from), Some(to)) = (text.find(&begin), text.find(&end)) else { continue };
        text.replace_range(from + begin.len()..to, &table.markdown());
    }
    fs::write(&page, text).expect("BENCHMARKS.md");
    if let Some(plot) = plot::by_policies(tables) {
        fs::write(project().join("benchmarks.svg"), plot).expect("benchmarks.svg");
    }
}

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the folder of the project").to_owned()
}
