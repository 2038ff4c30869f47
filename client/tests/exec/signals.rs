//! Signals while a run goes on.

use crate::failed;
use crate::fake::{Fake, Peer, Ran};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rex_protocol::client::{EndClass, Ending, FromClient, ToClient};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// A broker that says when the run has begun, and then goes on as told.
fn begun<T: Send + 'static>(then: impl FnOnce(&mut Peer) -> T + Send + 'static) -> (Fake<T>, Receiver<()>) {
    let (sender, receiver) = channel();
    let fake = Fake::new(move |peer| {
        peer.accept();
        // The client is past its preparations when it has heard of this; what it does with it does not show.
        peer.say(&ToClient::Output(b"half".to_vec()));
        sender.send(()).unwrap();
        then(peer)
    });
    (fake, receiver)
}

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

/// Waits until the client holds signals back: it follows the run.
fn until_following(child: &Child) {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
        if u64::from_str_radix(mask.trim(), 16).unwrap() & 1 << (Signal::SIGTERM as u64 - 1) != 0 {
            return;
        }
        assert!(Instant::now() < end, "it does not follow the run");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn interrupts_cancel_the_run_and_end_the_client_by_the_same_signal() {
    for signal in [Signal::SIGINT, Signal::SIGHUP] {
        for answers in [true, false] {
            let (fake, has_begun) = begun(move |peer| {
                let heard = peer.hear();
                if answers {
                    peer.end(failed(EndClass::Cancelled, "cancelled"));
                }
                // Its end of the connection goes with the client.
                assert!(peer.hear().is_none());
                matches!(heard, Some(FromClient::Cancel))
            });
            let child = fake.start(&["-o", "json"]);
            has_begun.recv().unwrap();
            until_following(&child);
            let sent = Instant::now();
            send(&child, signal);
            let ran = Ran::of(child.wait_with_output().unwrap());
            assert!(sent.elapsed() < Duration::from_secs(5), "it hangs");
            assert_eq!((ran.signal, ran.stdout.as_str(), ran.stderr.as_str()), (Some(signal as i32), "", ""));
            assert!(fake.join(), "it did not cancel");
        }
    }
}

#[test]
fn sigterm_asks_the_script_to_end_and_the_result_is_shown() {
    for (ending, code) in
        [(failed(EndClass::Terminated, "Script terminated: SIGTERM timeout exceeded"), 143), (Ending::Succeeded, 0)]
    {
        let (fake, has_begun) = begun(move |peer| {
            let heard = peer.hear();
            peer.end(ending);
            matches!(heard, Some(FromClient::Terminate))
        });
        let child = fake.start(&["-o", "json"]);
        has_begun.recv().unwrap();
        until_following(&child);
        send(&child, Signal::SIGTERM);
        let ran = Ran::of(child.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.signal), (Some(code), None), "{ran:?}");
        let json = ran.json();
        assert_eq!(json["status"], if code == 0 { "SUCCESS" } else { "ERROR" });
        assert_eq!(json["output"], if code == 0 { "half" } else { "" });
        assert!(fake.join());
    }
}

#[test]
fn what_the_parent_ignores_stays_ignored() {
    let (fake, has_begun) = begun(|peer| {
        std::thread::sleep(Duration::from_millis(300));
        peer.end(Ending::Succeeded);
    });
    let script = fake.file("script.rhai", "1");
    let child = Command::new("sh")
        .args([
            "-c",
            "trap '' HUP INT; exec \"$@\"",
            "sh",
            env!("CARGO_BIN_EXE_rex-exec"),
            "--socket",
            &fake.socket(),
            &script,
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    has_begun.recv().unwrap();
    until_following(&child);
    send(&child, Signal::SIGHUP);
    send(&child, Signal::SIGINT);
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "half\n"));
}

#[test]
fn a_reader_that_stalls_does_not_keep_an_interrupt_away() {
    let (fake, has_begun) = begun(|peer| {
        let message = "x".repeat(2000);
        (0..200).for_each(|_| peer.say(&crate::log(rex_protocol::worker::Level::Info, &message)));
        peer.hear().is_none()
    });
    let mut child = fake.start(&["-v"]);
    has_begun.recv().unwrap();
    // Nobody reads: the pipe fills, and the client waits to write.
    std::thread::sleep(Duration::from_millis(300));
    send(&child, Signal::SIGINT);
    let end = Instant::now() + Duration::from_secs(5);
    while child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < end, "it hangs");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(Ran::of(child.wait_with_output().unwrap()).signal, Some(Signal::SIGINT as i32));
    assert!(fake.join());
}
