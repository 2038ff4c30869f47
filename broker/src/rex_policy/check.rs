//! `check` and `test`.

use super::options::{Check, Options, Test};
use super::{Fault, load, text};
use serde_json::json;

/// Whether policies are fit to be used.
pub(crate) fn run(options: &Options, check: &Check) -> Result<(), Fault> {
    let (what, policies, tests, warnings) = if check.paths.is_empty() {
        let store = load::store(options)?;
        let directory = load::config(options)?.policies.display().to_string();
        (directory, store.policies.own(), store.tests, store.warnings)
    } else {
        let loaded = load::loose(&check.paths)?;
        let failed: Vec<_> = loaded.suites.iter().flat_map(|suite| suite.run(&loaded.store)).collect();
        if !failed.is_empty() {
            return Err(Fault::No(failed.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")));
        }
        let what = check.paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
        (what, loaded.store.len(), loaded.suites.iter().map(|suite| suite.len()).sum(), loaded.warnings)
    };
    let answer = json!({ "checked": what, "policies": policies, "tests": tests, "warnings": warnings });
    text::answer(options.output_format, &answer, || {
        let warnings = warnings.iter().map(|warning| format!("warning: {warning}\n"));
        format!("{}{what}: {policies} policies hold, {tests} tests pass", warnings.collect::<String>())
    })
}

/// Whether the tests beside policies pass.
pub(crate) fn test(options: &Options, test: &Test) -> Result<(), Fault> {
    // The store's own are looked at as any others here: what fails is told in full, and not the first alone.
    let paths = if test.paths.is_empty() { vec![load::config(options)?.policies] } else { test.paths.clone() };
    let loaded = load::loose(&paths)?;
    let tests: usize = loaded.suites.iter().map(|suite| suite.len()).sum();
    let failed: Vec<_> = loaded.suites.iter().flat_map(|suite| suite.run(&loaded.store)).collect();
    let failures: Vec<_> = failed
        .iter()
        .map(|failed| json!({ "file": failed.file, "test": failed.name, "expected": failed.expected, "found": failed.found }))
        .collect();
    let passed = tests - failed.len();
    let answer = json!({ "passed": passed, "failed": failures });
    text::answer(options.output_format, &answer, || {
        let lines = failed.iter().map(|failed| format!("{failed}\n"));
        format!("{}{passed} tests passed, {} failed", lines.collect::<String>(), failed.len())
    })?;
    if failed.is_empty() { Ok(()) } else { Err(Fault::No(String::new())) }
}
