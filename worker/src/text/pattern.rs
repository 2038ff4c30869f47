//! Regular expressions and globs.

use crate::error::{Error, Io};
use glob::{MatchOptions, Pattern};
use regex::{Regex, RegexBuilder};

/// How much memory a compiled expression may take, in bytes.
const SIZE: usize = 10 * 1024 * 1024;

/// Compiles `expression`; an error names `shown`, as the script wrote it.
pub fn regex(expression: &str, shown: &str) -> Result<Regex, Error> {
    RegexBuilder::new(expression).size_limit(SIZE).build().map_err(|error| {
        Error::new(Io::ValidationError, format!("Validation error: Invalid regex pattern: '{shown}' - {error}"))
    })
}

/// A glob for whole names: `*`, `?`, `[ab]`, `[!ab]`, `[a-z]`. A dot in first place is a character like any other.
#[derive(Debug, Clone)]
pub struct Glob {
    pattern: Pattern,
    ignore_case: bool,
}

impl Glob {
    /// The glob that `pattern` says.
    pub fn new(pattern: &str, ignore_case: bool) -> Result<Self, Error> {
        let pattern = Pattern::new(pattern).map_err(|error| {
            Error::new(Io::ValidationError, format!("Validation error: Invalid glob pattern: - {error}"))
        })?;
        Ok(Self { pattern, ignore_case })
    }

    /// Whether it matches the whole of `name`.
    pub fn matches(&self, name: &str) -> bool {
        let options = MatchOptions { case_sensitive: !self.ignore_case, ..MatchOptions::new() };
        self.pattern.matches_with(name, options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_whole_names() {
        for (pattern, name, expected) in [
            ("*.txt", "a.txt", true),
            ("*.txt", ".txt", true),
            ("*.txt", "a.TXT", false),
            ("*.txt", "a.txt~", false),
            ("[!a]?", "bc", true),
            ("[!a]?", "ac", false),
            ("{a,b}", "a", false),
            ("a/b", "b", false),
        ] {
            assert_eq!(Glob::new(pattern, false).unwrap().matches(name), expected, "{pattern} {name}");
        }
        assert!(Glob::new("*.TXT", true).unwrap().matches("a.txt"));
        let error = Glob::new("a**", false).unwrap_err();
        assert!(error.message().starts_with("Validation error: Invalid glob pattern: - Pattern syntax error near"));
    }
}
