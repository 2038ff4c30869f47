//! Regular expressions.

use crate::error::{Error, Io};
use regex::{Regex, RegexBuilder};

/// How much memory a compiled expression may take, in bytes.
const SIZE: usize = 10 * 1024 * 1024;

/// Compiles `expression`; an error names `shown`, as the script wrote it.
pub fn regex(expression: &str, shown: &str) -> Result<Regex, Error> {
    RegexBuilder::new(expression).size_limit(SIZE).build().map_err(|error| {
        Error::new(Io::ValidationError, format!("Validation error: Invalid regex pattern: '{shown}' - {error}"))
    })
}
