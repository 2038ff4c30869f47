//! `suggest`: what it gives allows the run that it was made from, and no more than it says.

use crate::{latest_run, own_name, text};
use rex_tests::{Daemon, Ran, Settings, scratch};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const ALL: &str = "@id(\"all\") permit(principal, action, resource);";

/// A broker that permits everything, what it suggests for its latest run, and one that permits no more than that.
struct Suggested {
    learned: Daemon,
    place: TempDir,
}

impl Suggested {
    fn new(policy: &str) -> Self {
        let learned = Daemon::start(&Settings { policy: policy.into(), ..Settings::default() });
        Self { learned, place: scratch() }
    }

    /// The place of the scripts' files.
    fn path(&self) -> &Path {
        self.place.path()
    }

    /// A script in which PLACE is that.
    fn script(&self, script: &str) -> String {
        script.replace("PLACE", text(self.path()))
    }

    fn suggest(&self, more: &[&str]) -> Ran {
        let run = latest_run(&self.learned);
        let ran = self.learned.policy(&[&["suggest", "--run", &run], more].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
        ran
    }

    /// A broker under what is suggested, which holds strictly.
    fn broker(&self, more: &[&str]) -> Daemon {
        Daemon::start(&Settings { policy: self.suggest(more).stdout, ..Settings::default() })
    }
}

fn denied(ran: &Ran) -> bool {
    assert!(ran.code == 0 || ran.error_type() == "ACCESS_DENIED_EXCEPTION", "{}", ran.stdout);
    ran.code == 4
}

#[test]
fn the_run_is_allowed_again_and_nothing_beside_it() {
    let stage = Suggested::new(ALL);
    fs::write(stage.path().join("in"), "in").expect("a file");
    fs::write(stage.path().join("other"), "other").expect("a file");
    let script = stage.script(
        "let text = cat(\"PLACE/in\");
         mkdir(\"PLACE/d\");
         write(\"PLACE/d/out\", text);
         mv(\"PLACE/d/out\", \"PLACE/d/kept\");
         rm(\"PLACE/d/kept\"); rm([rm::r], \"PLACE/d\");
         [text, hostname().len() > 0, ls(\"PLACE\").len()]",
    );
    let first = stage.learned.run(&script);
    assert_eq!(first.code, 0, "{}", first.stdout);
    let narrow = stage.broker(&[]);
    let again = narrow.run(&script);
    assert_eq!((again.code, again.output()), (0, first.output()), "{}\n{}", again.stdout, stage.suggest(&[]).stdout);
    fs::create_dir(stage.path().join("d")).expect("a folder");
    fs::write(stage.path().join("d/out"), "x").expect("a file");
    for beside in [
        "cat(\"PLACE/other\")",
        "write(\"PLACE/in\", \"x\")",
        "rm(\"PLACE/in\")",
        "rm(\"PLACE/d/out\")",
        "cat(\"PLACE/d/out\")",
        "mv(\"PLACE/d/out\", \"PLACE/d/elsewhere\")",
        "mv(\"PLACE/d/out\", \"PLACE/in\")",
        "ls(\"PLACE/d\")",
        "mkdir(\"PLACE/e\")",
        "ls(\"/\")",
        "ps()",
        "SystemctlManager().status(\"nginx.service\")",
    ] {
        let ran = narrow.run(&stage.script(beside));
        // What may not be listed is left out.
        let nothing = beside == "ps()" && ran.code == 0;
        assert!(nothing || denied(&ran), "{beside}: {}", ran.stdout);
    }
}

#[test]
fn it_is_about_the_user_of_the_run_alone() {
    let stage = Suggested::new(ALL);
    assert_eq!(stage.learned.run("hostname().len() > 0").code, 0);
    let suggested = stage.suggest(&[]).stdout;
    let permits = suggested.matches("permit (").count();
    assert!(permits > 0);
    assert_eq!(suggested.matches(&format!("principal == User::\"{}\"", own_name())).count(), permits, "{suggested}");
}

#[test]
fn what_was_denied_stays_denied_unless_it_is_asked_for() {
    let policy = r#"
        @id("all") permit(principal, action, resource) unless { resource is file_system::File && resource.path like "*/unknown" };
        @id("no") forbid(principal, action, resource) when { resource is file_system::File && resource.path like "*/forbidden" };"#;
    let stage = Suggested::new(policy);
    for name in ["known", "unknown", "forbidden"] {
        fs::write(stage.path().join(name), name).expect("a file");
    }
    let script = stage.script(
        "let read = [];
         for name in [\"known\", \"unknown\", \"forbidden\"] { try { read.push(cat(\"PLACE/\" + name)); } catch (e) { } }
         read",
    );
    assert_eq!(stage.learned.run(&script).output(), "[\"known\"]");
    let suggested = stage.suggest(&[]).stdout;
    for name in ["unknown", "forbidden"] {
        assert!(
            suggested.contains(&format!(
                "// Not covered: file_system::Action::\"open\" of file_system::File::\"{}/{name}\": it was denied",
                text(stage.path())
            )),
            "{suggested}"
        );
    }
    assert_eq!(stage.broker(&[]).run(&script).output(), "[\"known\"]");
    // What a policy forbids is never permitted; what nothing permitted is, up to where the run came.
    let wider = stage.suggest(&["--with-denied"]).stdout;
    assert!(wider.contains("/unknown\"") && !wider.contains("/forbidden\"\n"), "{wider}");
    assert!(stage.broker(&["--with-denied"]).run(&script).output().starts_with("[\"known\""));
    let allowed = wider.lines().filter(|line| !line.starts_with("//")).collect::<String>();
    assert!(!allowed.contains("forbidden") && allowed.contains("/unknown"), "{wider}");
}

#[test]
fn a_redacted_read_does_not_become_a_whole_one() {
    let policy = r#"permit(principal, action, resource);
        forbid(principal, action == file_system::Action::"read", resource) when { resource is file_system::File && resource.path like "*/log" };"#;
    let stage = Suggested::new(policy);
    fs::write(stage.path().join("log"), "a secret line\n").expect("a file");
    // The dictionary may be there or not.
    let ran = stage.learned.run(&stage.script("cat(\"PLACE/log\")"));
    assert!(!ran.output().contains("secret"), "{}", ran.stdout);
    for more in [&[][..], &["--with-denied"]] {
        let suggested = stage.suggest(more).stdout;
        let log = format!("resource == file_system::File::\"{}/log\"", text(stage.path()));
        let policy = suggested.split("@id").find(|policy| policy.contains(&log)).expect("a policy about the log");
        assert!(policy.contains("Action::\"redacted_read\"") && !policy.contains("Action::\"read\""), "{suggested}");
        assert!(denied(&stage.broker(more).run(&stage.script("tail(\"PLACE/log\")"))));
    }
}

#[test]
fn a_program_may_be_started_as_it_was_and_in_no_other_way() {
    let stage = Suggested::new(ALL);
    let start = |arguments: &str, environment: &str| {
        format!(
            "let bin = DirConfig().path(\"/usr/bin\").build().open(OpenDirOptions().build());
             let program = bin.open_file(\"printf\", OpenFileOptions().read(true).build());
             program.execute(ExecuteOptions().args({arguments}).env({environment}).build()).exit_code"
        )
    };
    let script = start("[\"%s %s\", \"a\", \"b\"]", "#{LANG: \"C\"}");
    let first = stage.learned.run(&script);
    assert_eq!((first.code, first.output()), (0, "0"), "{}", first.stdout);
    let narrow = stage.broker(&[]);
    let again = narrow.run(&script);
    assert_eq!((again.code, again.output()), (0, "0"), "{}\n{}", again.stdout, stage.suggest(&[]).stdout);
    for (arguments, environment) in [
        ("[\"%s %s\", \"b\", \"a\"]", "#{LANG: \"C\"}"),
        ("[\"%s %s\", \"a\"]", "#{LANG: \"C\"}"),
        ("[\"%s %s\", \"a\", \"b\", \"b\"]", "#{LANG: \"C\"}"),
        ("[\"%s %s\", \"a\", \"b\", [\"-v\", \"x\"]]", "#{LANG: \"C\"}"),
        ("[\"%s %s\", \"a\", \"b\"]", "#{LANG: \"de\"}"),
        ("[\"%s %s\", \"a\", \"b\"]", "#{LANG: \"C\", LD_PRELOAD: \"x\"}"),
        ("[\"%s %s\", \"a\", \"b\"]", "#{}"),
    ] {
        assert!(denied(&narrow.run(&start(arguments, environment))), "{arguments} {environment}");
    }
}

#[test]
fn a_secret_is_not_made_a_policy() {
    let stage = Suggested::new(ALL);
    let script = "let bin = DirConfig().path(\"/usr/bin\").build().open(OpenDirOptions().build());
        let program = bin.open_file(\"true\", OpenFileOptions().read(true).build());
        program.execute(ExecuteOptions().args([\"--password=hunter2\"]).build()).exit_code";
    assert_eq!(stage.learned.run(script).output(), "0");
    let suggested = stage.suggest(&[]).stdout;
    assert!(!suggested.contains("hunter2") && suggested.contains("it is not recorded in full"), "{suggested}");
    assert!(denied(&stage.broker(&[]).run(script)));
}

#[test]
fn it_is_generalised_only_where_that_is_asked_for_and_says_so() {
    let stage = Suggested::new(ALL);
    fs::create_dir(stage.path().join("d")).expect("a folder");
    fs::create_dir(stage.path().join("e")).expect("a folder");
    for name in ["d/a", "d/b", "d/c", "d/new", "e/a", "e/b"] {
        fs::write(stage.path().join(name), name).expect("a file");
    }
    let script = stage.script("for name in [\"d/a\", \"d/b\", \"d/c\", \"e/a\"] { cat(\"PLACE/\" + name); }");
    assert_eq!(stage.learned.run(&script).code, 0);
    assert!(!stage.suggest(&[]).stdout.contains("resource in "));
    let suggested = stage.suggest(&["--generalise", "3"]).stdout;
    let wide = format!("resource in file_system::Dir::\"{}/d\"", text(stage.path()));
    assert!(suggested.contains("// Wider than the run") && suggested.matches(&wide).count() == 1, "{suggested}");
    assert_eq!(suggested.matches("resource in ").count(), 1, "{suggested}");
    let broker = stage.broker(&["--generalise", "3"]);
    assert_eq!(broker.run(&script).code, 0);
    assert!(!denied(&broker.run(&stage.script("cat(\"PLACE/d/new\")"))));
    assert!(denied(&broker.run(&stage.script("cat(\"PLACE/e/b\")"))));
    assert!(denied(&broker.run(&stage.script("write(\"PLACE/d/new\", \"\")"))));
}

#[test]
fn a_run_is_named_by_enough_of_its_id() {
    let stage = Suggested::new(ALL);
    assert_eq!(stage.learned.run("hostname().len() > 0").code, 0);
    let run = latest_run(&stage.learned);
    assert_eq!(stage.learned.policy(&["suggest", "--run", &run[..8]]).code, 0);
    for (run, reason) in [("abc", "at least 4 digits"), ("no-such-run", "there is no run")] {
        let ran = stage.learned.policy(&["suggest", "--run", run]);
        assert!(ran.code == 2 && ran.stderr.contains(reason), "{ran:?}");
    }
}
