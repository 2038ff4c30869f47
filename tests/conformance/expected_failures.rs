//! The list of what does not work yet.
//!
//! A line is the name of a test, of a case or `minimal::` of one; `area::*` names all of an area, and a line `!name` takes one out again. `#` begins a
//! comment. What is listed must fail and what is not must pass, so the list is the truth at any time.

use std::collections::BTreeSet;

/// The list.
#[derive(Debug)]
pub(crate) struct ExpectedFailures {
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    pattern: String,
    passes: bool,
}

impl ExpectedFailures {
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        let lines = lines.filter(|line| !line.is_empty()).map(|line| match line.strip_prefix('!') {
            Some(pattern) => Line { pattern: pattern.trim().to_owned(), passes: true },
            None => Line { pattern: line.to_owned(), passes: false },
        });
        Self { lines: lines.collect() }
    }

    /// Whether a test is to fail.
    pub(crate) fn contains(&self, name: &str) -> bool {
        let is_meant = |passes| self.lines.iter().any(|line| line.passes == passes && line.names(name));
        is_meant(false) && !is_meant(true)
    }

    /// Each line must name a case that there is.
    pub(crate) fn check(&self, names: &BTreeSet<String>) -> Result<(), String> {
        let is_idle =
            |line: &&Line| !names.iter().any(|name| line.names(name) || line.names(&format!("minimal::{name}")));
        let idle = self.lines.iter().filter(is_idle);
        let idle: Vec<&str> = idle.map(|line| line.pattern.as_str()).collect();
        if idle.is_empty() { Ok(()) } else { Err(format!("no case is called so: {}", idle.join(", "))) }
    }
}

impl Line {
    fn names(&self, name: &str) -> bool {
        match self.pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == self.pattern,
        }
    }
}
