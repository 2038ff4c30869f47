//! `check` and `test`.

use super::options::{Check, Options, Test};
use super::{Fault, load, text};
use rex_broker::store::Store;
use serde_json::json;

/// Whether policies are fit to be used.
pub(crate) fn run(options: &Options, check: &Check) -> Result<(), Fault> {
    let (what, policies, tests, warnings) = if check.paths.is_empty() {
        let store = load::store(options)?;
        let directory = load::config(options)?.policies.display().to_string();
        (directory, store.policies.own(), store.tests, store.warnings)
    } else {
        let loaded = load::loose(options, &check.paths)?;
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
    let (policies, suites) = if test.paths.is_empty() {
        let (store, suites) = Store::untested(&load::config(options)?).map_err(|error| Fault::No(error.to_string()))?;
        (store.policies, suites)
    } else {
        let loaded = load::loose(options, &test.paths)?;
        (loaded.store, loaded.suites)
    };
    let tests: usize = suites.iter().map(|suite| suite.len()).sum();
    let failed: Vec<_> = suites.iter().flat_map(|suite| suite.run(&policies)).collect();
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
