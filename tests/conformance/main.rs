//! One case per behaviour, run through the real client, session and worker. `README.md` beside this file says what a
//! case looks like and how to run some of them.
//!
//! Each file `cases/<area>/<name>.toml` is a test `<area>::<name>`. A case that succeeds by what its policy permits is also
//! a test `minimal::<area>::<name>` (`minimal.rs`). `expected-failures.txt` lists what does not work yet.

mod case;
mod expect;
mod expected_failures;
mod minimal;
mod perform;
mod place;
mod stage;

use case::Case;
use expected_failures::ExpectedFailures;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;

/// Names the test that a process is started for alone, see [`alone`].
const ALONE: &str = "REX_CONFORMANCE_ALONE";
/// What the names of the second kind of tests begin with.
const MINIMAL: &str = "minimal::";

/// Whoever starts the tests may have left descriptors open: the processes of cases get none of them.
fn keep_descriptors() {
    // SAFETY: numbers only; nothing is closed before an exec.
    let kept = unsafe { libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC.cast_signed()) };
    assert_eq!(kept, 0, "cannot keep descriptors: {}", std::io::Error::last_os_error());
}

fn main() -> ExitCode {
    keep_descriptors();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance");
    let cases = cases(&folder.join("cases"));
    if let Some(name) = std::env::var_os(ALONE) {
        return run_alone(&cases, &name.to_string_lossy());
    }
    let list = std::fs::read_to_string(folder.join("expected-failures.txt")).unwrap_or_default();
    let list = ExpectedFailures::parse(&list);
    let mut arguments = Arguments::from_args();
    // Where each test has its own process, it need not read the others' cases.
    let only = arguments.filter.clone().filter(|_| arguments.exact);
    let is_wanted = |name: &str| only.as_ref().is_none_or(|only| only.strip_prefix(MINIMAL).unwrap_or(only) == name);
    let mut trials = Vec::new();
    for (name, path) in cases.iter().filter(|(name, _)| is_wanted(name)) {
        let case = Case::read(name, path);
        let fails = list.contains(name);
        if let Ok(case) = &case
            && !fails
            && minimal::applies_to(case)
        {
            let (name, case) = (format!("{MINIMAL}{name}"), case.clone());
            let fails = list.contains(&name);
            trials.push(Trial::ignorable_test(name.clone(), move || trial(&name, &case, fails, minimal::faults)));
        }
        let name = name.clone();
        trials.push(Trial::ignorable_test(name.clone(), move || trial(&name, &case?, fails, faults)));
    }
    let names: Arc<BTreeSet<String>> = Arc::new(cases.into_iter().map(|(name, _)| name).collect());
    let also = Arc::clone(&names);
    trials.push(Trial::test("every_action_is_needed_by_a_case", move || Ok(minimal::check(&also)?)));
    trials.push(Trial::test("expected_failures_name_cases", move || Ok(list.check(&names)?)));
    // Many cases wait for processes of theirs.
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    arguments.test_threads.get_or_insert(processors * 2);
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// What is wrong with what came of a case.
fn faults(case: &Case) -> Vec<String> {
    let stage = match stage::Stage::set(case) {
        Ok(stage) => stage,
        Err(error) => return vec![format!("cannot prepare it: {error}")],
    };
    match perform::perform(case, &stage, &stage.fill(&case.policy)) {
        Ok(result) => expect::faults(case, &stage, &result),
        Err(fault) => vec![fault],
    }
}

/// Runs a case and says what the list makes of it.
fn trial(name: &str, case: &Case, fails: bool, judge: fn(&Case) -> Vec<String>) -> Result<Completion, Failed> {
    if let Some(lacking) = case.requires.iter().find(|requirement| case::is_missing(requirement)) {
        return Ok(Completion::ignored_with(format!("needs {lacking}")));
    }
    let found = if case.spawn.is_empty() || is_process_of_its_own() { judge(case) } else { alone(name) };
    match (found.is_empty(), fails) {
        (true, false) => Ok(Completion::Completed),
        (true, true) => Err("it passes now: take it from expected-failures.txt".into()),
        (false, true) => Ok(Completion::ignored_with("expected failure")),
        (false, false) => Err(format!("{}\n{}", case.description, found.join("\n")).into()),
    }
}

/// nextest runs each test in a process of its own.
fn is_process_of_its_own() -> bool {
    std::env::var_os("NEXTEST").is_some()
}

/// Judges a case in a process that runs nothing else: some look for `rex-exec` among the siblings of what they spawned.
fn alone(name: &str) -> Vec<String> {
    let start = || {
        let mut command = Command::new(std::env::current_exe()?);
        command.env(ALONE, name).stdin(Stdio::null()).output()
    };
    match start() {
        Ok(done) if done.status.success() => Vec::new(),
        Ok(done) => {
            let told = [done.stdout, done.stderr].concat();
            vec![format!("{}{}", String::from_utf8_lossy(&told), if told.is_empty() { "it crashed" } else { "" })]
        }
        Err(error) => vec![format!("cannot start it: {error}")],
    }
}

fn run_alone(cases: &[(String, PathBuf)], name: &str) -> ExitCode {
    let (plain, judge): (_, fn(&Case) -> Vec<String>) = match name.strip_prefix(MINIMAL) {
        Some(plain) => (plain, minimal::faults),
        None => (name, faults),
    };
    let path = cases.iter().find(|(name, _)| name == plain).map(|(_, path)| path);
    let found = match path.map(|path| Case::read(plain, path)) {
        Some(Ok(case)) => judge(&case),
        Some(Err(error)) => vec![error],
        None => vec!["there is no such case".into()],
    };
    let _ = std::io::Write::write_all(&mut std::io::stdout(), found.join("\n").as_bytes());
    if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The cases by name, in its order.
fn cases(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = |folder: &Path| {
        let listed = std::fs::read_dir(folder).expect("the cases' folder can be read");
        listed.map(|entry| entry.expect("an entry of it").path()).collect::<Vec<_>>()
    };
    let stem = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut found = Vec::new();
    for area in entries(folder).into_iter().filter(|path| path.is_dir()) {
        for file in entries(&area).into_iter().filter(|path| path.extension().is_some_and(|end| end == "toml")) {
            found.push((format!("{}::{}", stem(&area), stem(&file)), file));
        }
    }
    found.sort();
    found
}
