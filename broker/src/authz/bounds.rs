//! A look at policy text before it is parsed: where its policies begin, and whether it is shaped so that
//! parsing and evaluating it cannot exhaust the stack of the process that does.

/// How deep brackets and prefix operators may nest in one policy.
const DEPTH: usize = 48;
/// How many operators one policy may have: chains of them nest as deep in the parsed form.
const OPERATORS: usize = 1_000;

/// Text that is not parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OutOfBounds {
    pub(super) line: usize,
    pub(super) reason: String,
}

/// The line, from 1, on which each policy of `text` begins.
pub(super) fn starts(text: &str) -> Result<Vec<usize>, OutOfBounds> {
    let (mut starts, mut inside) = (Vec::new(), false);
    let (mut depth, mut prefixes, mut operators, mut line) = (0usize, 0usize, 0usize, 1usize);
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
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ';' if depth == 0 => (inside, operators) = (false, 0),
            '&' | '|' | '+' | '*' | '.' | '=' | '<' | '>' => operators += 1,
            _ => {}
        }
        prefixes = if matches!(c, '!' | '-') { prefixes + 1 } else { 0 };
        if depth + prefixes > DEPTH {
            return Err(OutOfBounds { line, reason: format!("nests deeper than {DEPTH} levels") });
        }
        // `if` chains nest without brackets.
        operators += usize::from(c == 'f' && !chars.peek().is_some_and(|c| c.is_alphanumeric() || *c == '_'));
        if operators > 2 * OPERATORS {
            return Err(OutOfBounds { line, reason: format!("has more than {OPERATORS} operators in one policy") });
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

    #[test]
    fn what_it_lets_pass_can_be_parsed_evaluated_and_dropped() {
        use crate::authz::{PolicySource, PolicyStore, Strictness};
        for condition in [
            format!("{}true{}", "(".repeat(DEPTH - 3), ")".repeat(DEPTH - 3)),
            format!("{}true", "!".repeat(DEPTH - 4)),
            format!("{}true", "true && ".repeat(OPERATORS - 20)),
            format!("{}1 > 0", "1 + ".repeat(OPERATORS - 20)),
        ] {
            let text = format!("permit(principal, action, resource) when {{ {condition} }};");
            let source = PolicySource { name: "a".into(), text: text.into_bytes() };
            // It may be refused with an error, but not overflow.
            let _ = PolicyStore::load(&[source], Strictness::Lenient);
        }
    }
}
