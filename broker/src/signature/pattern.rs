//! Lists of patterns: ssh_config(5), section PATTERNS.

/// Whether the list matches the name: some pattern of it does, and none that has a `!` in front.
pub(super) fn list_matches(list: &str, name: &str) -> bool {
    let mut matched = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(unwanted) if matches(unwanted, name) => return false,
            Some(_) => {}
            None => matched |= matches(pattern, name),
        }
    }
    matched
}

/// Whether the pattern, in which `*` stands for any text and `?` for any byte, matches all of the name.
fn matches(pattern: &str, name: &str) -> bool {
    // For each length from zero, whether the pattern so far matches that much of the name. Never goes back.
    let mut reached: Vec<bool> = std::iter::once(true).chain(name.bytes().map(|_| false)).collect();
    for wanted in pattern.bytes() {
        reached = if wanted == b'*' {
            reached
                .iter()
                .scan(false, |any, so_far| {
                    *any |= so_far;
                    Some(*any)
                })
                .collect()
        } else {
            let matched = |(so_far, byte): (&bool, u8)| *so_far && (wanted == b'?' || wanted == byte);
            std::iter::once(false).chain(reached.iter().zip(name.bytes()).map(matched)).collect()
        };
    }
    reached.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_match_as_in_openssh() {
        for (list, wanted) in [
            ("rex-script", true),
            ("*", true),
            ("**", true),
            ("rex-*", true),
            ("*-script", true),
            ("r*x*t", true),
            ("rex?script", true),
            ("??????????", true),
            ("file,rex-script", true),
            ("!file,*", true),
            ("", false),
            (",", false),
            ("file", false),
            ("rex", false),
            ("rex-scripts", false),
            ("rex-script?", false),
            ("?????????", false),
            ("REX-SCRIPT", false),
            ("rex-script ", false),
            ("!rex-script", false),
            ("!file", false),
            ("*,!rex-*", false),
            ("!rex-*,*", false),
        ] {
            assert_eq!(list_matches(list, "rex-script"), wanted, "{list}");
        }
        assert!(matches("", "") && matches("*", "") && !matches("?", ""));
    }
}
