//! What people are shown. Whatever comes from policies, records and requests is shown harmless.

use super::Fault;
use super::options::Format;
use rex_broker::audit::is_plain;
use serde::Serialize;
use std::io::{self, Write};

/// Prints an answer, in the wanted form.
pub(crate) fn answer(format: Format, answer: &impl Serialize, human: impl FnOnce() -> String) -> Result<(), Fault> {
    let text = match format {
        Format::Json => serde_json::to_string(answer).map_err(|error| Fault::Cannot(error.to_string()))?,
        Format::Human => human().lines().map(shown).collect::<Vec<_>>().join("\n"),
    };
    match writeln!(io::stdout().lock(), "{text}") {
        Ok(()) => Ok(()),
        // Who reads it has what it wants.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Fault::Cannot(format!("cannot write the answer: {error}"))),
    }
}

/// Says what is wrong.
pub(crate) fn complain(message: &str) {
    for line in message.lines() {
        // Nobody is left to tell where this fails.
        let _ = writeln!(io::stderr().lock(), "rex-policy: {}", shown(line));
    }
}

/// A line that can do a terminal no harm.
pub(crate) fn shown(line: &str) -> String {
    line.chars().fold(String::with_capacity(line.len()), |mut text, character| {
        match is_plain(character) {
            true => text.push(character),
            false => text.extend(character.escape_unicode()),
        }
        text
    })
}

/// Policies by their ids, as a sentence goes on with them.
pub(crate) fn listed(policies: &[String]) -> String {
    match policies {
        [] => "no policy".into(),
        [one] => format!("policy `{one}`"),
        many => format!("policies `{}`", many.join("`, `")),
    }
}
