//! The policies that come with Rex: they hold, their tests pass, and each is told of.

use crate::{Loose, rex_policy, text};
use rex_tests::{Daemon, Settings};
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/examples")
}

/// The names of the files that end so, without that end.
fn names(end: &str) -> Vec<String> {
    let entries = fs::read_dir(folder()).expect("the examples").map(|entry| entry.expect("an entry").file_name());
    let names = entries.filter_map(|name| name.to_str()?.strip_suffix(end).map(Into::into));
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn each_example_holds_alone_and_all_of_them_together() {
    for name in names(".cedar") {
        let path = folder().join(format!("{name}.cedar"));
        let checked = rex_policy(&["-o", "json", "check", text(&path)]);
        assert_eq!(checked.code, 0, "{name}: {checked:?}");
        assert_eq!(checked.result["warnings"], serde_json::json!([]), "{name}");
        assert!(name == "hello" || checked.result["tests"].as_u64() > Some(4), "{name} has no tests: {checked:?}");
    }
    // Without the one that speaks of everybody they do not get in each other's way.
    let daemon = Daemon::start(&Settings { policy: String::new(), ..Settings::default() });
    for name in names(".cedar").iter().filter(|name| *name != "hello") {
        for end in ["cedar", "test.toml"] {
            let file = format!("{name}.{end}");
            fs::copy(folder().join(&file), daemon.folder().join("policies.d").join(&file)).expect("a copy");
        }
    }
    let reload = daemon.policy(&["reload"]);
    assert_eq!(reload.code, 0, "{reload:?}");
}

#[test]
fn each_example_is_a_recipe_and_each_recipe_an_example() {
    let recipes = fs::read_to_string(folder().join("README.md")).expect("the recipes");
    let policies = names(".cedar");
    for name in &policies {
        assert!(recipes.contains(&format!("[{name}.cedar]({name}.cedar)")), "{name} is not told of");
    }
    for name in names(".rhai").iter().chain(&names(".test.toml")) {
        assert!(policies.contains(name), "{name} goes with no policy");
    }
    for line in recipes.lines().filter(|line| line.starts_with("## ")) {
        let linked = policies.iter().any(|name| line.contains(&format!("({name}.cedar)")));
        assert!(linked || line.starts_with("## What"), "no policy goes with: {line}");
    }
}

/// The indented lines of a text that stand together.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in text.lines() {
        match (line.strip_prefix("    "), blocks.last_mut()) {
            (Some(code), Some(block)) => block.push_str(&format!("{code}\n")),
            _ => blocks.push(String::new()),
        }
    }
    blocks
}

#[test]
fn every_policy_in_the_guides_holds() {
    let mut policies = 0;
    for guide in ["../../README.md", "../README.md"] {
        let text = fs::read_to_string(folder().join(guide)).expect("a guide");
        let begins = |line: &str| ["permit", "forbid"].iter().any(|effect| line.starts_with(effect));
        for block in blocks(&text).iter().filter(|block| block.lines().any(begins)) {
            let store = Loose::new(&[("a.cedar", block)]);
            let checked = store.policy(&["-o", "json", "check"]);
            assert_eq!(checked.code, 0, "{guide}:\n{block}{}", checked.stderr);
            assert_eq!(checked.result["warnings"], serde_json::json!([]), "{guide}:\n{block}");
            policies += 1;
        }
    }
    assert!(policies >= 10, "{policies}");
}
