//! Programs that scripts execute: what they can do is what policy could grant, and nothing of them stays.

use rex_tests::{Daemon, Ran, Settings, is_root, programs, skip};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;

/// A folder with `open/`, in which files may be read, written, made and deleted, and `secret/`, of which policy says nothing.
struct Stage {
    daemon: Daemon,
    folder: tempfile::TempDir,
    _listener: UnixListener,
    _mailbox: UnixDatagram,
}

impl Stage {
    /// With a policy whose `ROOT` is the folder.
    fn new(policy: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("rex-test-").tempdir().expect("a temporary folder");
        let root = folder.path();
        for (name, content) in [("open", "public"), ("secret", "SECRET")] {
            std::fs::create_dir(root.join(name)).expect("a folder");
            std::fs::write(root.join(name).join("data"), content).expect("a file");
        }
        std::fs::create_dir(root.join("secret/empty")).expect("a folder");
        std::fs::write(root.join("open/hidden"), "SECRET").expect("a file");
        std::fs::copy("/usr/bin/true", root.join("open/tool")).expect("a copy of a program");
        std::fs::copy(programs().join("rex-intruder"), root.join("open/intruder")).expect("a copy of the intruder");
        let _listener = UnixListener::bind(root.join("listener")).expect("a socket");
        let _mailbox = UnixDatagram::bind(root.join("mailbox")).expect("a socket");
        let policy = policy.replace("ROOT", &root.display().to_string());
        Self { daemon: Daemon::start(&Settings { policy, ..Settings::default() }), folder, _listener, _mailbox }
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a program for the shell.
    fn write(&self, name: &str, text: &str) {
        let path = self.root().join("open").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a file");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("its mode");
    }

    /// Executes a program of `open/` and shows code and output.
    fn execute(&self, name: &str, arguments: &[&str], options: &[&str]) -> Ran {
        let script = format!(
            "let dir = DirConfig().path(\"{}/open\").build().open(OpenDirOptions().build());\n\
             let exe = dir.open_file(\"{name}\", OpenFileOptions().read(true).build());\n\
             let r = exe.execute(ExecuteOptions().args({arguments:?}).env(#{{ PATH: \"/usr/bin:/bin\" }}).build());\n\
             `${{r.exit_code}} ${{r.stdout}}${{r.stderr}}`",
            self.root().display()
        );
        self.daemon.run_with(&script, options)
    }

    fn attempt(&self, name: &str) -> (i64, String) {
        let ran = self.execute("intruder", &[self.root().to_str().expect("UTF-8"), name], &[]);
        let (code, said) = ran.output().split_once(' ').unwrap_or_else(|| panic!("{name}: {ran:?}"));
        (code.parse().expect("a number"), said.trim().to_owned())
    }
}

const CONFINING: &str = r#"
permit(principal, action in [file_system::Action::"open", file_system::Action::"read", file_system::Action::"write",
  file_system::Action::"create", file_system::Action::"delete"], resource in file_system::Dir::"ROOT/open");
permit(principal, action == file_system::Action::"execute", resource == file_system::File::"ROOT/open/intruder");
permit(principal, action == file_system::Action::"execute", resource == file_system::File::"ROOT/open/run.sh");
"#;

fn attempts() -> Vec<String> {
    let listed = std::process::Command::new(programs().join("rex-intruder")).output().expect("the intruder starts");
    String::from_utf8(listed.stdout).expect("UTF-8").lines().map(str::to_owned).collect()
}

#[test]
fn a_program_can_do_what_policy_could_grant_and_nothing_else() {
    let stage = Stage::new(CONFINING);
    let (controls, attacks): (Vec<_>, Vec<_>) = attempts().into_iter().partition(|name| name.starts_with("control"));
    assert!(attacks.len() >= 40, "{} attacks are not enough", attacks.len());
    for name in controls {
        assert_eq!(stage.attempt(&name), (0, String::new()), "{name}");
    }
    let outcomes = attacks.iter().map(|name| (name, stage.attempt(name)));
    let succeeded: Vec<_> = outcomes.filter(|(_, (code, _))| *code != 1).collect();
    assert!(succeeded.is_empty(), "not refused: {succeeded:#?}");
    assert_eq!(std::fs::read(stage.root().join("secret/data")).expect("the secret"), b"SECRET");
    assert_eq!(std::fs::read_dir(stage.root().join("secret")).expect("a folder").count(), 2);
}

#[test]
fn the_attempts_are_real_where_policy_allows_everything() {
    let stage = Stage::new("permit(principal, action, resource);");
    for name in [
        "read",
        "write",
        "create",
        "make a directory",
        "read users",
        "listen on the network",
        "change the mode",
        "set an attribute, also of what may be written",
        "make a program that runs as its owner",
        "make a program that runs as its owner, in another way",
        "make a program that runs as its owner, in a newer way",
        "watch what others do",
        "send to another process by a pair of sockets",
        "give a second name",
        "give another name",
        "delete",
    ] {
        let (code, said) = stage.attempt(name);
        assert_eq!(code, 0, "{name}: {said}");
    }
}

#[test]
fn what_no_right_on_files_expresses_is_kept_from_a_program_too() {
    for (action, names) in [
        ("chmod", ["change the mode", "make a program that runs as its owner"]),
        ("set_x_attr", ["set an attribute", "set a flag of what may be read"]),
        ("chown", ["change the owner", "change the owner, also of what may be written"]),
        ("move", ["give another name", "move out"]),
    ] {
        let stage = Stage::new(&format!(
            "permit(principal, action, resource);\n\
             forbid(principal, action == file_system::Action::\"{action}\", resource);"
        ));
        for name in names {
            let (code, said) = stage.attempt(name);
            assert_eq!(code, 1, "{action}, {name}: {said}");
        }
        assert_eq!(stage.attempt("control: create, write and delete").0, 0);
    }
}

#[test]
fn a_program_may_give_names_where_policy_lets_its_caller_move() {
    let moving =
        r#"permit(principal, action == file_system::Action::"move", resource in file_system::Dir::"ROOT/open");"#;
    let stage = Stage::new(&format!("{CONFINING}{moving}"));
    for (name, expected) in
        [("give a second name", 1), ("move out", 1), ("move in", 1), ("exchange", 1), ("give another name", 0)]
    {
        let (code, said) = stage.attempt(name);
        assert_eq!(code, expected, "{name}: {said}");
    }
}

#[test]
fn an_interpreter_that_is_forbidden_runs_no_script() {
    let policy = "permit(principal, action, resource);\n\
                  forbid(principal, action == file_system::Action::\"execute\", resource in file_system::Dir::\"ROOT/secret\");";
    let stage = Stage::new(policy);
    std::fs::copy("/usr/bin/true", stage.root().join("secret/interpreter")).expect("a copy of a program");
    let script = stage.root().join("open/run.sh");
    std::fs::write(&script, format!("#!{}/secret/interpreter\n", stage.root().display())).expect("a file");
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("its mode");
    let ran = stage.execute("run.sh", &[], &[]);
    assert!(ran.output().starts_with("1 ") && ran.output().contains("EACCES"), "{ran:?}");
    let script = script.with_file_name("allowed.sh");
    std::fs::write(&script, format!("#!{}/open/tool\n", stage.root().display())).expect("a file");
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("its mode");
    assert_eq!(stage.execute("allowed.sh", &[], &[]).output(), "0 ");
}

#[test]
fn a_forbid_holds_for_programs_too() {
    let policy = "permit(principal, action, resource);\n\
                  forbid(principal, action, resource in file_system::Dir::\"ROOT/secret\");";
    let stage = Stage::new(policy);
    for name in ["read", "list", "write", "create", "delete", "hard link out", "move out", "read by way of /proc"] {
        let (code, said) = stage.attempt(name);
        assert_eq!(code, 1, "{name}: {said}");
    }
    assert_eq!(stage.attempt("control: read what may be read").0, 0);
}

#[test]
fn nothing_of_a_program_stays() {
    let stage = Stage::new("permit(principal, action, resource);");
    let unique = format!("{}.{}", 3_000_000 + std::process::id(), 7);
    // It leaves its session and its parent, ignores signals, and keeps the streams open.
    stage.write(
        "run.sh",
        &format!("(trap '' TERM HUP INT; setsid sh -c 'sleep {unique}' &)\nsetsid sleep {unique} &\necho gone"),
    );
    let ran = stage.execute("run.sh", &[], &[]);
    assert_eq!(ran.output(), "0 gone\n", "{ran:?}");
    assert!(!is_running(&unique), "something was left behind");
}

#[test]
fn a_program_ends_with_its_run() {
    let stage = Stage::new("permit(principal, action, resource);");
    let unique = format!("{}.{}", 3_000_000 + std::process::id(), 8);
    stage.write("run.sh", &format!("trap '' TERM\nsleep {unique} & sleep {unique}"));
    let ran = stage.execute("run.sh", &[], &["--timeout", "1"]);
    assert_eq!(ran.code, 6, "{ran:?}");
    assert!(ran.error().contains("time limit"), "{}", ran.error());
    stage.daemon.until("the run leaves something behind", Daemon::is_idle);
    assert!(!is_running(&unique), "something was left behind");
}

#[test]
fn endless_output_ends_at_the_memory_limit() {
    let stage = Stage::new("permit(principal, action, resource);");
    stage.write("run.sh", "exec yes 0123456789012345678901234567890123456789");
    let ran = stage.execute("run.sh", &[], &["--memory", "64M"]);
    assert_eq!(ran.code, 6, "{ran:?}");
    stage.daemon.until("the run leaves something behind", Daemon::is_idle);
}

#[test]
fn a_program_has_the_runs_memory_limit() {
    let stage = Stage::new("permit(principal, action, resource);");
    // A shell that takes more than the limit in one variable.
    stage.write("run.sh", "x=0123456789; while true; do x=$x$x; done");
    let ran = stage.execute("run.sh", &[], &["--memory", "64M"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!ran.output().starts_with("0 "), "{}", ran.output());
}

#[test]
fn what_runs_is_what_was_judged() {
    let stage = Stage::new("permit(principal, action, resource);");
    stage.write("run.sh", "echo judged");
    stage.write("evil.sh", "echo evil");
    let script = format!(
        "let dir = DirConfig().path(\"{root}/open\").build().open(OpenDirOptions().build());\n\
         let exe = dir.open_file(\"run.sh\", OpenFileOptions().read(true).build());\n\
         mv(\"{root}/open/evil.sh\", \"{root}/open/run.sh\");\n\
         exe.execute(ExecuteOptions().build()).stdout",
        root = stage.root().display()
    );
    assert_eq!(stage.daemon.run(&script).output(), "judged\n");
}

/// With root's power alone: others' users cannot write there anyway.
#[test]
fn a_program_of_root_that_is_confined_does_not_change_what_rex_stands_on() {
    if !is_root() {
        return skip("only root could");
    }
    let folder = tempfile::Builder::new().prefix("rex-test-").tempdir().expect("a temporary folder");
    let root = folder.path().display();
    std::fs::create_dir(folder.path().join("kept")).expect("a folder");
    std::fs::write(folder.path().join("kept/entities.json"), "[]").expect("a file");
    std::fs::write(folder.path().join("kept/other"), "").expect("a file");
    let program = folder.path().join("run.sh");
    let text =
        "#!/bin/sh\ncd \"$1\" && echo x > kept/other && echo written\n(echo x > kept/entities.json) 2>/dev/null\n";
    std::fs::write(&program, text).expect("a file");
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("its mode");
    let actions = ["open", "read", "write", "create", "delete", "execute"];
    let actions = actions.map(|name| format!("file_system::Action::{name:?}")).join(", ");
    let policy = format!("permit(principal, action in [{actions}], resource in file_system::Dir::\"{root}\");");
    let config = format!("entities = \"{root}/kept/entities.json\"\n");
    let daemon = Daemon::start(&Settings { policy, config, ..Settings::default() });
    let script = format!(
        "let dir = DirConfig().path(\"{root}\").build().open(OpenDirOptions().build());\n\
         let exe = dir.open_file(\"run.sh\", OpenFileOptions().read(true).build());\n\
         exe.execute(ExecuteOptions().args([\"{root}\"]).build()).stdout"
    );
    let ran = daemon.run(&script);
    assert_eq!(ran.output(), "written\n", "{ran:?}");
    assert_eq!(std::fs::read_to_string(folder.path().join("kept/entities.json")).expect("the file"), "[]");
}

/// Whether a process with this word in its command line is there.
fn is_running(word: &str) -> bool {
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.into_iter().any(|line| String::from_utf8_lossy(&line).split('\0').any(|argument| argument == word))
}
