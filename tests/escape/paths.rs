//! Names that are swapped while they are used: what was judged is what is acted on.

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use rex_tests::{Daemon, Settings};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// A folder with `open/` and `secret/`, and a broker that allows everything in it but what lies in `secret/`.
struct Race {
    daemon: Daemon,
    folder: tempfile::TempDir,
}

impl Race {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, content) in [("open", "public"), ("secret", "SECRET")] {
            std::fs::create_dir(folder.path().join(name)).expect("a folder");
            std::fs::write(folder.path().join(name).join("data"), content).expect("a file");
        }
        let root = folder.path().display();
        let policy = format!(
            "permit(principal, action, resource in file_system::Dir::\"{root}\");\n\
             forbid(principal, action, resource in file_system::Dir::\"{root}/secret\");"
        );
        Self { daemon: Daemon::start(&Settings { policy, ..Settings::default() }), folder }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a script while two names are exchanged without a pause.
    fn run_while_swapping(&self, one: &str, other: &str, script: &str) -> String {
        let done = AtomicBool::new(false);
        let script = script.replace("ROOT", &self.folder.path().display().to_string());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    swap(&self.path(one), &self.path(other));
                }
            });
            let ran = self.daemon.run(&script);
            done.store(true, Ordering::Relaxed);
            assert_eq!(ran.code, 0, "{ran:?}");
            ran.output().to_owned()
        })
    }
}

fn swap(one: &Path, other: &Path) {
    let _ = renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE);
}

/// Tries something many times and counts what came of it.
fn counting(act: &str) -> String {
    format!(
        "let secret = 0; let plain = 0; let other = 0;\n\
         for i in 0..4000 {{\n\
           try {{\n\
             let text = {act};\n\
             if text.contains(\"SECRET\") {{ secret += 1; }} else {{ plain += 1; }}\n\
           }} catch {{ other += 1; }}\n\
         }}\n\
         `${{secret}} ${{plain + other}}`"
    )
}

#[test]
fn a_directory_swapped_for_a_link_never_leads_astray() {
    let race = Race::new();
    std::os::unix::fs::symlink(race.path("secret"), race.path("link")).expect("a link");
    // The link is followed by `cat`, and then judged by where it leads.
    let seen = race.run_while_swapping("open", "link", &counting("cat(\"ROOT/open/data\")"));
    assert_eq!(seen, "0 4000");
}

#[test]
fn a_file_swapped_for_a_link_never_leads_astray() {
    let race = Race::new();
    std::os::unix::fs::symlink(race.path("secret/data"), race.path("open/link")).expect("a link");
    let act = "DirConfig().path(\"ROOT/open\").build().open(OpenDirOptions().build())\
        .open_file(\"data\", OpenFileOptions().read(true).follow_symlinks(true).build()).read()";
    let seen = race.run_while_swapping("open/data", "open/link", &counting(act));
    assert_eq!(seen, "0 4000");
}

#[test]
fn a_write_never_lands_elsewhere() {
    let race = Race::new();
    std::os::unix::fs::symlink(race.path("secret"), race.path("link")).expect("a link");
    let script = "let done = 0;\nfor i in 0..2000 {\n\
        try { write([write::replace], \"ROOT/open/new\", \"x\"); done += 1; } catch {}\n\
        try { touch(\"ROOT/open/touched\"); done += 1; } catch {}\n\
        try { mkdir([mkdir::p], \"ROOT/open/a/b\"); done += 1; } catch {}\n\
        try { rm([rm::r], \"ROOT/open/a\"); done += 1; } catch {}\n}\ndone > 0";
    assert_eq!(race.run_while_swapping("open", "link", script), "true");
    let left: Vec<_> =
        std::fs::read_dir(race.path("secret")).expect("a folder").flatten().map(|e| e.file_name()).collect();
    assert_eq!(left, ["data"]);
    assert_eq!(std::fs::read_to_string(race.path("secret/data")).expect("a file"), "SECRET");
}

#[test]
fn a_link_tells_nothing_of_what_it_leads_to() {
    let race = Race::new();
    std::fs::create_dir(race.path("secret/folder")).expect("a folder");
    let script = |link: &str| {
        let acts = [
            "DirConfig().path(P).build().open(OpenDirOptions().follow_symlinks(true).build())",
            "dir.open_file(\"L\", OpenFileOptions().read(true).follow_symlinks(true).build())",
            "dir.open_file(\"L\", OpenFileOptions().create(true).follow_symlinks(true).build())",
            "cat(P + \"/x\")",
            "ls(P + \"/x\")",
            "rm(P + \"/x\")",
            "mkdir(P + \"/x\")",
            "mkdir([mkdir::p], P + \"/x/y\")",
            "mkdir([mkdir::p], P)",
            "write(P + \"/x\", \"y\")",
        ];
        let tries: String = acts
            .iter()
            .map(|act| format!("try {{ {act}; r.push(\"done\"); }} catch (e) {{ r.push(e.message); }}\n"))
            .collect();
        let open = race.path("open").display().to_string();
        format!("let r = [];\nlet dir = DirConfig().path(\"{open}\").build().open(OpenDirOptions().build());\n{tries}r.reduce(|all, one| all + one + \"\\n\", \"\")")
            .replace("(P", &format!("(\"{open}/{link}\""))
            .replace(", P", &format!(", \"{open}/{link}\""))
            .replace("\"L\"", &format!("\"{link}\""))
    };
    let told = |target: &str| {
        let link = format!("to-{target}");
        std::os::unix::fs::symlink(race.path("secret").join(target), race.path("open").join(&link)).expect("a link");
        let ran = race.daemon.run(&script(&link));
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(!ran.output().contains("done"), "{ran:?}");
        ran.output().replace(target, "TARGET")
    };
    let missing = told("missing");
    assert!(missing.lines().all(|line| line.contains("unauthorized")), "{missing}");
    assert_eq!(told("folder"), missing, "a directory");
    assert_eq!(told("data"), missing, "a file");
}

#[test]
fn what_would_block_is_refused_at_once() {
    let race = Race::new();
    nix::unistd::mkfifo(&race.path("open/pipe"), nix::sys::stat::Mode::from_bits_truncate(0o666)).expect("a pipe");
    let listener = std::os::unix::net::UnixListener::bind(race.path("open/socket")).expect("a socket");
    for name in ["pipe", "socket"] {
        for act in ["cat(\"P\")", "write(\"P\", \"x\")", "touch(\"P\")"] {
            let path = race.path("open").join(name);
            let ran = race.daemon.run_with(&act.replace('P', path.to_str().expect("UTF-8")), &["--timeout", "5"]);
            assert!(ran.code == 1 && ran.error().contains("argument is not a file"), "{act} on a {name}: {ran:?}");
        }
    }
    drop(listener);
}

#[test]
fn the_brokers_own_process_is_not_what_self_means() {
    let daemon = Daemon::start(&Settings::default());
    for path in ["/proc/self/environ", "/proc/self/maps", "/proc/thread-self/status", "/dev/fd/0", "/proc/self/exe"] {
        let ran = daemon.run(&format!("cat(\"{path}\")"));
        assert_ne!(ran.code, 0, "{path}: {ran:?}");
    }
    assert_eq!(daemon.run("cat(\"/proc/net/dev\").len() > 0").output(), "true");
}
