//! A look at policy text before it is parsed: where its policies begin, and whether it is shaped so that
//! parsing and evaluating it cannot exhaust the stack of the process that does.

/// How deep brackets and prefix operators may nest in one policy.
const DEPTH: usize = 48;
/// How many operators one policy may have: chains of them nest as deep in the parsed form.
const OPERATORS: usize = 500;
/// The operators that are words.
const WORDS: &[&str] = &["if", "then", "else", "in", "has", "like", "is"];

/// Text that is not parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OutOfBounds {
    pub(super) line: usize,
    pub(super) reason: String,
}

/// The line, from 1, on which each policy of `text` begins.
pub(super) fn starts(text: &str) -> Result<Vec<usize>, OutOfBounds> {
    let (mut starts, mut inside) = (Vec::new(), false);
    let (mut depth, mut prefixes, mut weight, mut line) = (0usize, 0usize, 0usize, 1usize);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\n' {
            line += 1;
        }
        if c.is_whitespace() {
            continue;
        }
        if c == '/' && chars.peek() == Some(&'/') {
            // A comment, to the end of its line.
            while chars.next_if(|&c| c != '\n').is_some() {}
            continue;
        }
        if !inside {
            inside = true;
            starts.push(line);
        }
        match c {
            '"' => {
                // A text; an escaped quote does not end it.
                while let Some(c) = chars.next() {
                    match c {
                        '\\' => drop(chars.next()),
                        '"' => break,
                        '\n' => line += 1,
                        _ => {}
                    }
                }
            }
            '(' | '{' => depth += 1,
            // Also what takes an attribute by its name.
            '[' => (depth, weight) = (depth + 1, weight + 2),
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ';' if depth == 0 => (inside, weight) = (false, 0),
            '+' | '-' | '*' | '.' => weight += 2,
            // Most of these are half of one.
            '&' | '|' | '=' | '<' | '>' | '!' => weight += 1,
            c if c.is_alphabetic() || c == '_' => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|&c| c.is_alphanumeric() || c == '_') {
                    word.push(c);
                }
                weight += usize::from(WORDS.contains(&&*word));
            }
            _ => {}
        }
        prefixes = if matches!(c, '!' | '-') { prefixes + 1 } else { 0 };
        if depth + prefixes > DEPTH {
            return Err(OutOfBounds { line, reason: format!("nests deeper than {DEPTH} levels") });
        }
        if weight > 2 * OPERATORS {
            return Err(OutOfBounds {
                line,
                reason: format!("has too many operators in one policy: {OPERATORS} at most"),
            });
        }
    }
    Ok(starts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_where_policies_begin() {
        let text = "// one;\npermit(principal, action, resource);\n\n@id(\"a;b\\\"\")\nforbid(principal,\naction, resource) when { \";\" == \"x\" }; permit(principal, action, resource);\n// end";
        assert_eq!(starts(text), Ok(vec![2, 4, 6]));
        assert_eq!(starts("\n// nothing\n"), Ok(vec![]));
    }

    #[test]
    fn refuses_what_could_exhaust_the_stack() {
        for condition in [
            "(".repeat(100_000),
            "!".repeat(100_000),
            "-".repeat(100_000),
            "[".repeat(60),
            "if ".repeat(3000),
            "true && ".repeat(100_000),
            "x.a".repeat(3000),
        ] {
            let text = format!("permit(principal, action, resource) when {{ {condition}");
            assert!(starts(&text).is_err(), "{}", &condition[..8]);
        }
    }

    /// On half of the stack that a process has.
    #[test]
    fn what_it_lets_pass_can_be_parsed_evaluated_and_dropped() {
        let thread = std::thread::Builder::new().stack_size(4 << 20).spawn(parse_evaluate_and_drop_chains).unwrap();
        thread.join().unwrap();
    }

    fn parse_evaluate_and_drop_chains() {
        use crate::authz::{Authorizer, Demand, PolicySource, PolicyStore, Principal, Resource, Strictness};
        let chain = |first: &str, link: &str, weight: usize, last: &str| {
            format!("{first}{}{last}", link.repeat((2 * OPERATORS - 30) / weight))
        };
        for condition in [
            format!("{}true{}", "(".repeat(DEPTH - 3), ")".repeat(DEPTH - 3)),
            format!("{}true", "!".repeat(DEPTH - 4)),
            format!("{}1 > 0", "-".repeat(DEPTH - 4)),
            chain("", "true && ", 2, "true"),
            chain("", "false || ", 2, "true"),
            chain("", "1 + ", 2, "1 > 0"),
            chain("", "1 - ", 2, "1 > 0"),
            chain("", "1*", 2, "1 > 0"),
            chain("resource", ".a", 2, ""),
            chain("resource", " has a", 1, ""),
            chain("1", " in 1", 1, ""),
            chain("1", " like \"\"", 1, ""),
            chain("1", " is A", 1, ""),
            chain("1", " == 1", 2, ""),
            chain("1", " < 1", 1, ""),
            chain("1", " != 1", 2, ""),
            chain("", "if true then ", 3, &format!("true{}", " else true".repeat((2 * OPERATORS - 30) / 3))),
            chain("", "if false then true else ", 3, "true"),
            chain("{a: 1}", "[\"a\"]", 2, ""),
        ] {
            let text = format!("permit(principal, action, resource) when {{ {condition} }};");
            let source = PolicySource { name: "a".into(), text: text.into_bytes() };
            // It may be refused with an error, but not overflow.
            let Ok((store, _)) = PolicyStore::load(&[source], Strictness::Lenient) else { continue };
            let principal = Principal { name: "ana".into(), uid: 7, gid: 7, gids: vec![7], groups: Vec::new() };
            let mut authorizer = Authorizer::new(principal, vec![std::rc::Rc::new(store)]);
            let demand = Demand::new(rex_protocol::Action::SysinfoList, Resource::Sysinfo);
            let _ = authorizer.explain(&demand);
            let _ = authorizer.list();
        }
    }
}
