//! Scripts that take all they can get: each ends with the right limit's name, in time, and the session stays small.

use rex_tests::{Daemon, Ran, Settings};
use std::time::Duration;

fn daemon() -> Daemon {
    Daemon::start(&Settings::default())
}

fn limit_of(ran: &Ran, name: &str) {
    assert_eq!(ran.code, 6, "{name}: {ran:?}");
    assert!(ran.error().to_lowercase().contains(name), "{name}: {}", ran.error());
}

/// Which of the two is reached first depends on how the interpreter copies.
fn size_or_memory(ran: &Ran) {
    assert_eq!(ran.code, 6, "{ran:?}");
    assert!(ran.error().contains("memory limit") || ran.error().contains("too large"), "{}", ran.error());
}

#[test]
fn an_endless_loop_ends_in_time() {
    let ran = daemon().run_with("while true {}", &["--timeout", "1"]);
    limit_of(&ran, "time limit of 1 s");
    assert!(ran.took < Duration::from_secs(5), "{:?}", ran.took);
}

#[test]
fn endless_calls_end_in_time() {
    let ran = daemon().run_with(r#"while true { try { cat("/nowhere/at/all") } catch {} }"#, &["--timeout", "1"]);
    limit_of(&ran, "time limit of 1 s");
}

#[test]
fn a_sleeper_ends_in_time() {
    limit_of(&daemon().run_with("sleep(1000)", &["--timeout", "1"]), "time limit");
}

#[test]
fn processor_time_is_limited() {
    let daemon = Daemon::start(&Settings { config: "[limits]\ncpu_seconds = 1\n".into(), ..Settings::default() });
    limit_of(&daemon.run("while true {}"), "cpu time limit of 1 s");
}

#[test]
fn steps_are_limited() {
    let daemon = Daemon::start(&Settings { config: "[limits]\noperations = 10000\n".into(), ..Settings::default() });
    limit_of(&daemon.run("let n = 0; while true { n += 1; }"), "operations");
}

#[test]
fn a_doubling_string_hits_its_size_or_the_memory() {
    size_or_memory(&daemon().run(r#"let s = "x"; while true { s += s; }"#));
}

#[test]
fn a_growing_array_hits_its_size_or_the_memory() {
    size_or_memory(&daemon().run(r#"let a = [0]; while true { a += a; }"#));
}

#[test]
fn memory_is_limited() {
    let script = r#"let a = []; for i in 0..1000000 { let s = ""; s.pad(1000000, "x"); a.push(s + i); }"#;
    limit_of(&daemon().run_with(script, &["--memory", "128M"]), "memory limit");
}

#[test]
fn deep_recursion_hits_the_call_depth() {
    let ran = daemon().run("fn f(n) { f(n + 1) } f(0)");
    assert_eq!(ran.code, 6, "{ran:?}");
    assert!(ran.error().contains("Stack overflow"), "{}", ran.error());
}

#[test]
fn deep_nesting_does_not_overflow_the_parser() {
    for (open, close) in [("(", ")"), ("[", "]"), ("#{a:", "}"), ("-", ""), ("!", ""), ("if true {", "}"), ("|x|", "")]
    {
        let script = format!("let x = {}1{};", open.repeat(20_000), close.repeat(20_000));
        let ran = daemon().run(&script);
        assert_eq!(ran.code, 3, "{open}: {ran:?}");
    }
}

#[test]
fn a_million_logs_hit_the_log_limit() {
    limit_of(&daemon().run(r#"for i in 0..1000000 { info("message " + i); }"#), "log limit");
}

#[test]
fn a_giant_result_hits_the_output_limit() {
    let script = r#"let s = ""; s.pad(60000000, "x"); s"#;
    limit_of(&daemon().run(script), "output limit");
}

#[test]
fn a_hundred_thousand_handles_hit_the_handle_limit() {
    let script = r#"
        let all = [];
        for i in 0..100000 { all.push(DirConfig().path("/").build().open(OpenDirOptions().build())); }
    "#;
    limit_of(&daemon().run(script), "1024 objects are open");
}

#[test]
fn dropped_handles_do_not_count() {
    let script = r#"
        for i in 0..5000 { let d = DirConfig().path("/").build().open(OpenDirOptions().build()); }
        "done"
    "#;
    assert_eq!(daemon().run(script).output(), "done");
}

#[test]
fn a_limit_above_the_maximum_is_refused_by_its_name() {
    let ran = daemon().run_with("1", &["--timeout", "1000000000"]);
    assert!(ran.code == 6 && ran.error().contains("time limit"), "{ran:?}");
}

#[test]
fn too_many_runs_of_one_user_are_refused_clearly() {
    let daemon = Daemon::start(&Settings { config: "[runs]\nper_user = 2\n".into(), ..Settings::default() });
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| daemon.run_with("sleep(2); 1", &["--timeout", "10"]));
        }
        daemon.until("two runs are under way", |daemon| daemon.log().matches("run begins").count() == 2);
        let ran = daemon.run("1");
        assert!(ran.code == 8 && ran.error().contains("this user has 2 runs"), "{ran:?}");
    });
    // A session goes on for a moment after its client was told.
    daemon.until("there is room again", |daemon| daemon.run("1").output() == "1");
}
