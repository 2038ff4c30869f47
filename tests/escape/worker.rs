//! A worker that speaks the protocol wrongly.

use crate::with_probe;
use rex_tests::Daemon;

/// How a run must end: what its message says.
const ENDINGS: &[(&str, &str)] = &[
    ("wire: noise", "broke the protocol"),
    ("wire: an empty packet", "closed its conversation"),
    ("wire: one byte", "broke the protocol"),
    ("wire: truncated", "broke the protocol"),
    ("wire: trailing", "broke the protocol"),
    ("wire: oversize", "broke the protocol"),
    ("wire: a length that lies", "broke the protocol"),
    ("wire: unknown operation", "an operation that does not exist"),
    ("wire: a body that is no request", "broke the protocol"),
    ("wire: a path that is not canonical", "broke the protocol"),
    ("wire: a relative path", "broke the protocol"),
    ("wire: a path with a NUL", "broke the protocol"),
    ("wire: a path that is too long", "broke the protocol"),
    ("wire: a forged handle", "named a file that is not open"),
    ("wire: a handle of another kind", "named a file that is not open"),
    ("wire: a stale handle", "named a directory that is not open"),
    ("wire: closes what is not open", "closed a handle that is not open"),
    ("wire: does not wait for an answer", "did not wait for an answer"),
    ("wire: says hello again", "said hello twice"),
    ("wire: an overlong log message", "broke the protocol"),
    // Its filter has no call that could carry one; what the session does with one, a test beside its code tells.
    ("wire: sends its socket", "forbidden system call"),
    ("wire: closes its socket", "forbidden system call"),
    ("wire: floods the log", "the log limit"),
    ("wire: floods alarms", "the log limit"),
    ("wire: floods output", "the output limit"),
    ("wire: never reads its answers", "broke the protocol"),
    ("wire: silence", "the time limit"),
    ("wire: keeps everything open", "1024 objects are open"),
];

fn descriptors(daemon: &Daemon) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).map_or(0, Iterator::count)
}

#[test]
fn every_fault_in_the_conversation_ends_the_run_and_nothing_else() {
    let daemon = with_probe("");
    assert_eq!(daemon.run("control: nothing").output(), "returned 0");
    daemon.until("the pool fills", Daemon::is_idle);
    let before = descriptors(&daemon);
    let mut wrong = Vec::new();
    for (attack, ending) in ENDINGS {
        let ran = daemon.run_with(attack, &["--timeout", "3"]);
        if ran.code == 0 || !ran.error().contains(ending) {
            wrong.push(format!("{attack}: exit {} `{}` {}", ran.code, ran.error(), ran.stderr));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(daemon.run("control: nothing").output(), "returned 0", "the broker serves on");
    // Pairs come and go for a moment; what was leaked would stay.
    daemon
        .until("no more descriptors than before are open", |daemon| daemon.is_idle() && descriptors(daemon) == before);
}

#[test]
fn a_worker_cannot_claim_a_denial_that_was_none() {
    let ran = with_probe("").run("wire: claims a denial");
    assert_eq!(ran.error_type(), "SCRIPT_EXCEPTION", "{ran:?}");
}

#[test]
fn what_comes_after_the_end_is_not_heard() {
    let ran = with_probe("").run("wire: speaks after its end");
    assert_eq!((ran.code, ran.output()), (0, "done"), "{ran:?}");
}

#[test]
fn the_real_answer_still_comes_while_others_attack() {
    let daemon = with_probe("");
    std::thread::scope(|scope| {
        for attack in ["wire: silence", "wire: floods the log", "wire: noise", "exec"] {
            scope.spawn(|| daemon.run_with(attack, &["--timeout", "2"]));
        }
        for _ in 0..10 {
            assert_eq!(daemon.run("control: nothing").output(), "returned 0");
        }
    });
}
