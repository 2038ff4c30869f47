//! The exit codes: one table for `--help`, the program and its tests.

/// How `rex-audit` ends, unless a signal ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Success = 0,
    Found = 1,
    Usage = 2,
    Unreadable = 3,
    Unwritten = 4,
}

/// What each code means.
pub(crate) const TABLE: &[(Exit, &str)] = &[
    (Exit::Success, "the log is whole (verify), or what was asked for is shown"),
    (Exit::Found, "the log is not what was written (verify), or no record matches (report)"),
    (Exit::Usage, "the command line is wrong"),
    (Exit::Unreadable, "the log or the configuration cannot be read"),
    (Exit::Unwritten, "the output cannot be written; one whose reader went away is no failure"),
];

impl Exit {
    /// The number.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }
}

/// The table, for the long help.
pub(crate) fn help() -> String {
    let mut text = String::from("Exit codes:\n");
    for (exit, meaning) in TABLE {
        text += &format!("  {:<5} {meaning}\n", exit.code());
    }
    text + "  128+n ended by signal n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_counts_up_without_a_gap() {
        let codes: Vec<u8> = TABLE.iter().map(|(exit, _)| exit.code()).collect();
        assert_eq!(codes, (0..5).collect::<Vec<u8>>());
    }
}
