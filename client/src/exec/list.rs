//! `--list`: what the policies of this machine say of the caller.

use super::exit::Exit;
use super::human::{Screen, write_flushed_bytes};
use super::options::{Format, Options};
use super::terminal::visible;
use rex_client::{Broker, ListedPolicy};
use serde_json::{Value, json};
use std::io;
use std::process::ExitCode;

/// Asks the broker, and prints its answer.
pub(crate) fn run(options: &Options, screen: &mut Screen) -> ExitCode {
    let listed = match Broker::connect_to(&options.socket).and_then(Broker::list) {
        Ok(listed) => listed,
        Err(error) => {
            screen.error(&error.to_string());
            return Exit::of_error(&error).code().into();
        }
    };
    let text = match options.format() {
        Format::Human => human(&listed),
        Format::Json => format!("{}\n", as_json(&listed)),
        Format::PrettyJson => format!("{:#}\n", as_json(&listed)),
    };
    match write_flushed_bytes(io::stdout().lock(), text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => super::unwritten(screen, &error),
    }
}

fn as_json(listed: &[ListedPolicy]) -> Value {
    let policies = listed.iter().map(|policy| {
        let parts: Vec<_> = policy.parts.iter().map(|part| &**part).collect();
        json!({ "id": &*policy.id, "permits": policy.permits, "parts": parts })
    });
    json!({ "policies": policies.collect::<Vec<_>>() })
}

fn human(listed: &[ListedPolicy]) -> String {
    if listed.is_empty() {
        return "you may do nothing here: no policy is about you\n".into();
    }
    let mut text = String::new();
    for policy in listed {
        let effect = if policy.permits { "you may" } else { "you may not" };
        text.push_str(&format!("{effect} ({})\n", visible(&policy.id)));
        let parts: Vec<&str> = policy.parts.iter().map(|part| &**part).collect();
        for part in if parts.is_empty() { vec!["do anything"] } else { parts } {
            text.push_str(&format!("    {}\n", visible(part)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use rex_client::Text;

    #[test]
    fn what_one_may_do_reads_as_a_list() {
        let policy = |permits, parts: &[&str]| ListedPolicy {
            id: Text::cut("a\u{1b}b"),
            permits,
            parts: parts.iter().map(|part| Text::cut(*part)).collect(),
        };
        let text = human(&[policy(true, &[]), policy(false, &["action == x"])]);
        assert!(text.contains("you may (") && text.contains("    do anything\n"), "{text}");
        assert!(
            text.contains("you may not (") && text.contains("    action == x\n") && !text.contains('\u{1b}'),
            "{text}"
        );
        assert!(human(&[]).contains("nothing"));
    }
}
