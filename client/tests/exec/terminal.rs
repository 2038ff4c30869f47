//! What a terminal is shown.

use crate::fake::Fake;
use crate::{failed, log};
use nix::pty::openpty;
use rex_protocol::client::{EndClass, Ending, ToClient};
use rex_protocol::text::Text;
use rex_protocol::worker::Level;
use std::fs::File;
use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

/// Runs against `fake` with a terminal for standard output and standard error, and gives what was written there.
fn on_a_terminal(fake: &Fake<()>, no_color: bool) -> String {
    let terminal = openpty(None, None).unwrap();
    let script = fake.file("script", "1");
    let mut command = fake.command(&[&script]);
    command.env("TERM", "xterm").env_remove("NO_COLOR");
    if no_color {
        command.env("NO_COLOR", "1");
    }
    command.stdout(Stdio::from(terminal.slave.try_clone().unwrap())).stderr(Stdio::from(terminal.slave));
    let mut child = command.spawn().unwrap();
    // What holds the terminal's other side open must go, or its end is never seen.
    drop(command);
    let mut shown = Vec::new();
    let mut master = File::from(terminal.master);
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = master.read(&mut buffer) {
        shown.extend_from_slice(&buffer[..count]);
    }
    child.wait().unwrap();
    String::from_utf8(shown).unwrap()
}

fn hostile() -> Fake<()> {
    Fake::new(|peer| {
        peer.accept();
        peer.say(&log(Level::Warn, "w\x1b[2J\u{202e}"));
        peer.say(&ToClient::Output("o\x1b]0;title\x07\té\u{9b}".into()));
        peer.end(Ending::Succeeded);
    })
}

#[test]
fn nothing_of_a_script_commands_the_terminal() {
    let shown = on_a_terminal(&hostile(), true);
    assert_eq!(shown, "[WARN] w\\u{1b}[2J\\u{202e}\r\no\\u{1b}]0;title\\u{7}\té\\u{9b}\r\n");
    let coloured = on_a_terminal(&hostile(), false);
    assert!(coloured.starts_with("\x1b[33m[WARN]\x1b[0m w\\u{1b}"), "{coloured:?}");
}

#[test]
fn an_error_is_shown_without_its_control_characters() {
    let fake = Fake::new(|peer| {
        peer.accept();
        peer.end(failed(EndClass::Script, "bad\x1b[31m"));
    });
    assert_eq!(on_a_terminal(&fake, false), "\x1b[1;31merror:\x1b[0m bad\\u{1b}[31m\r\n");
}

#[test]
fn a_long_run_shows_what_it_does_and_takes_it_away() {
    let fake = Fake::new(|peer| {
        assert!(peer.accept().progress);
        for count in 1..10 {
            peer.say(&ToClient::Progress { operations: count, current: Text::cut("fs.read /srv/\x1bx") });
            std::thread::sleep(Duration::from_millis(100));
        }
        peer.say(&ToClient::Output(b"done".to_vec()));
        peer.end(Ending::Succeeded);
    });
    let shown = on_a_terminal(&fake, true);
    assert!(shown.contains("operations, fs.read /srv/\\u{1b}x"), "{shown:?}");
    assert!(shown.ends_with("\r\x1b[Kdone\r\n"), "{shown:?}");
}

#[test]
fn a_short_run_shows_nothing_of_the_kind() {
    let fake = Fake::new(|peer| {
        peer.accept();
        peer.say(&ToClient::Progress { operations: 1, current: Text::cut("x") });
        peer.end(Ending::Succeeded);
    });
    assert_eq!(on_a_terminal(&fake, true), "");
}
