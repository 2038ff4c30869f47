//! What a terminal is shown.

use crate::{daemon, tool};
use nix::pty::{Winsize, openpty};
use rex_broker::audit::is_plain;
use rex_tests::Daemon;
use std::fs::File;
use std::io::Read;

/// What the program writes to a terminal of so many columns.
fn on_terminal(daemon: &Daemon, columns: u16, arguments: &[&str], colours: bool) -> String {
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = openpty(Some(&size), None).expect("a terminal");
    let mut command = tool(daemon.audit_log(), arguments);
    command.env("TERM", "xterm").env_remove("NO_COLOR").stdout(terminal.slave);
    if !colours {
        command.env("NO_COLOR", "1");
    }
    let mut child = command.spawn().expect("rex-audit starts");
    // Its end of the terminal, which keeps it open.
    drop(command);
    let (mut text, mut master) = (Vec::new(), File::from(terminal.master));
    // A terminal that nobody has open any more is an error to read from, not its end.
    let _ = master.read_to_end(&mut text);
    assert_eq!(child.wait().expect("its end").code(), Some(0));
    String::from_utf8(text).expect("UTF-8")
}

#[test]
fn a_terminal_gets_lines_that_fit_and_in_colours_if_it_may() {
    let daemon = daemon();
    let count = daemon.records().len();
    let plain = on_terminal(&daemon, 60, &["show"], false);
    assert_eq!(plain.lines().count(), count);
    assert!(plain.lines().all(|line| line.chars().count() <= 60), "{plain}");
    assert!(plain.lines().any(|line| line.ends_with('…')), "{plain}");
    assert!(plain.lines().flat_map(str::chars).all(|character| is_plain(character) || character == '…'), "{plain}");
    let denial = on_terminal(&daemon, 400, &["show", "--decision", "deny", "--action", "read"], true);
    assert!(denial.contains("\u{1b}[1;31mdeny\u{1b}[0m"), "{denial}");
    assert!(
        denial.contains("file_system read ") && denial.contains("/secret\"") && denial.contains("no-secrets"),
        "{denial}"
    );
    assert!(!plain.contains('\u{1b}'));
}

#[test]
fn json_is_never_cut() {
    let daemon = daemon();
    let text = on_terminal(&daemon, 40, &["show", "--output-format", "json"], true);
    assert_eq!(
        text.replace("\r\n", "\n"),
        std::fs::read_to_string(daemon.audit_log().join("audit.jsonl")).expect("the log")
    );
}
