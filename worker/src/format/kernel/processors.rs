//! Lists of processors: `0-3,8`.

/// How many processors a list names; nothing where it is none.
pub fn count(list: &str) -> Option<u64> {
    let parts = list.trim().split(',').map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        last.checked_sub(first)?.checked_add(1)
    });
    parts.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_numbers_and_ranges() {
        for (list, expected) in [("0\n", Some(1)), ("0-3,8\n", Some(5)), ("0,2-2", Some(2)), ("", None), ("3-1", None)]
        {
            assert_eq!(count(list), expected, "{list}");
        }
    }
}
