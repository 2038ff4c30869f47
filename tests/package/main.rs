//! The Debian package on a real systemd: from its making to its purge, in a machine that is booted for it.

mod lists;
mod reboot;
mod unusable;

use rex_tests::{Machine, Ran, programs, skip};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Where the package lies in the machine.
const PACKAGE: &str = "/root/rex-broker.deb";
/// The same as a later version.
const LATER: &str = "/root/rex-broker-later.deb";
/// What scripts work with.
const FOLDER: &str = "/srv/rex-test";
/// The user `nobody`.
const NOBODY: u32 = 65534;
/// How long something may take that takes its time.
const PATIENCE: Duration = Duration::from_secs(20);

const POLICY: &str = r#"@id("package-test") permit(
    principal == User::"nobody",
    action in [file_system::Action::"open", file_system::Action::"read"],
    resource in file_system::Dir::"/srv/rex-test"
);"#;
const ALL: &str = "permit(principal, action, resource);";

/// The roles that the package has drop-ins for, and what `systemd-analyze security` may say of them, times ten: a new
/// directive may lower it, and nothing may raise it unnoticed.
const ROLES: &[(Option<&str>, u32)] = &[(None, 66), (Some("read-only-diagnostics"), 54), (Some("services-only"), 32)];

/// Scripts that each role allows, and those that it keeps from working where every policy permits them.
const READ: &str = "cat(\"/srv/rex-test/file\")";
const WRITE: &str = "write([write::replace], \"/srv/rex-test/new\", \"x\")";
const SERVICE: &str = r#"let m = SystemctlManager();
    m.restart("rex-good.service"); m.status("rex-good.service").active_state.to_string()"#;
const EXECUTE: &str = r#"let d = DirConfig().path("/usr/bin").build().open(OpenDirOptions().build());
    d.open_file("true", OpenFileOptions().read(true).build()).execute(ExecuteOptions().build()).exit_code"#;

struct Installed {
    machine: Machine,
}

#[test]
fn package() {
    if !rex_tests::is_root() {
        return skip("only root can boot a machine");
    }
    let packed = match packed() {
        Ok(packed) => packed,
        Err(why) => return skip(&why),
    };
    let machine = match Machine::boot() {
        Ok(machine) => machine,
        Err(why) => return skip(&why),
    };
    fs::copy(packed.path().join("rex-broker.deb"), machine.path(PACKAGE)).expect("the package is copied");
    machine.write(&format!("{FOLDER}/file"), "hello");
    let mut rex = Installed { machine };
    rex.make_later_package();
    it_installs_and_permits_nothing(&rex);
    policies_are_loaded_anew(&rex);
    roles_are_confined(&rex);
    an_upgrade_disturbs_nobody(&rex);
    a_crash_disturbs_nobody(&rex);
    reboot::it_is_there_again_after_a_reboot(&mut rex);
    unusable::what_cannot_start_is_told_and_mended(&rex);
    removal_leaves_no_process_and_all_data(&rex);
    purging_leaves_nothing(&rex);
}

impl Installed {
    /// A command that has to succeed, and what it says.
    fn must(&self, command: &[&str]) -> String {
        let done = self.machine.run(command);
        let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success(), "{command:?}: {said}");
        said.trim().to_owned()
    }

    fn dpkg(&self, arguments: &[&str]) -> String {
        let environment = ["env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "dpkg", "--force-confold"];
        self.must(&[&environment, arguments].concat())
    }

    fn is_active(&self, unit: &str) -> bool {
        self.machine.run(&["systemctl", "is-active", "--quiet", unit]).status.success()
    }

    /// The number of the broker's main process.
    fn main_process(&self) -> String {
        self.must(&["systemctl", "show", "--value", "--property=MainPID", "rex-broker.service"])
    }

    /// All processes of Rex by name.
    fn processes(&self) -> Vec<String> {
        let inside = self.machine.path("/proc");
        let numbers = fs::read_dir(inside).expect("/proc").flatten().map(|entry| entry.path().join("comm"));
        let names = numbers.filter_map(|comm| fs::read_to_string(comm).ok()).map(|name| name.trim().to_owned());
        names.filter(|name| name.starts_with("rex-")).collect()
    }

    /// Runs a script as an ordinary user.
    fn run(&self, script: &str) -> Ran {
        Ran::of(&self.begin(script))
    }

    fn begin(&self, script: &str) -> Output {
        // Of one name each, since some run at the same time.
        let name = format!("{FOLDER}/{:?}.rhai", std::thread::current().id());
        self.machine.write(&name, script);
        self.machine.run_as(NOBODY, &["rex-exec", "--script-file", &name])
    }

    fn set_policy(&self, policy: &str) {
        self.machine.write("/etc/rex/policies.d/test.cedar", policy);
        let loaded = self.journal().matches("policies loaded anew").count();
        self.must(&["systemctl", "reload", "rex-broker.service"]);
        self.wait("policies loaded anew", || self.journal().matches("policies loaded anew").count() > loaded);
    }

    fn journal(&self) -> String {
        self.must(&["journalctl", "--unit=rex-broker.service", "--output=cat", "--no-pager"])
    }

    fn wait(&self, what: &str, is_so: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(Instant::now() < end, "{what}: {}", self.journal());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn exists(&self, path: &str) -> bool {
        self.machine.path(path).exists()
    }

    fn mode(&self, path: &str) -> String {
        self.must(&["stat", "--format=%a %U", path])
    }

    /// The same files as another version.
    fn make_later_package(&self) {
        let build = format!(
            "cd /root && dpkg-deb -R {PACKAGE} new && sed -i 's/^Version: .*/&+later/' new/DEBIAN/control &&
             echo '# of a later version' >> new/etc/rex/policies.d/README && dpkg-deb -Znone -b new {LATER}"
        );
        self.must(&["sh", "-c", &build]);
    }
}

fn it_installs_and_permits_nothing(rex: &Installed) {
    rex.dpkg(&["--install", PACKAGE]);
    assert_eq!(rex.must(&["systemctl", "is-enabled", "rex-broker.socket"]), "enabled");
    assert!(rex.is_active("rex-broker.socket") && !rex.is_active("rex-broker.service"));
    assert_eq!(rex.mode("/run/rex/broker.sock"), "666 root");
    assert_eq!(rex.mode("/run/rex"), "755 root");
    assert_eq!(rex.mode("/var/log/rex"), "700 root");
    // The units have no fault that systemd itself can find. That there are no man pages in this machine is none.
    let verified =
        rex.machine.run(&["systemd-analyze", "verify", "--man=no", "rex-broker.service", "rex-broker.socket"]);
    assert_eq!(String::from_utf8_lossy(&verified.stderr), "");
    // The first client starts the service.
    let denied = rex.run(READ);
    assert_eq!((denied.code, denied.error_type()), (4, "ACCESS_DENIED_EXCEPTION"), "{}", denied.stdout);
    assert!(rex.is_active("rex-broker.service"));
    what_happened_can_be_seen(rex);
}

/// Root sees the denial in the log, in the journal by its fields, and that the host has all walls.
fn what_happened_can_be_seen(rex: &Installed) {
    rex.must(&["rex-audit", "verify"]);
    let shown = rex.must(&["rex-audit", "show", "--decision", "deny", "--user", "nobody", "--output-format", "json"]);
    assert!(shown.contains("/srv/rex-test"), "{shown}");
    let fields = ["REX_DECISION=deny", "_SYSTEMD_UNIT=rex-broker.service", "--output=cat", "--quiet"];
    rex.wait("the journal tells of it", || {
        let told = rex.machine.run(&[&["journalctl"], &fields[..]].concat());
        String::from_utf8_lossy(&told.stdout).contains("/srv/rex-test")
    });
    let status = rex.must(&["/usr/libexec/rex/rex-broker", "status"]);
    assert!(status.contains("deny 1"), "{status}");
    let walls = rex.must(&["/usr/libexec/rex/rex-broker", "doctor"]);
    assert!(walls.contains("Rex runs here as it should."), "{walls}");
}

fn policies_are_loaded_anew(rex: &Installed) {
    rex.set_policy(POLICY);
    assert_eq!(rex.run(READ).output(), "hello");
    // What cannot be used leaves the policies in force, and is told.
    rex.machine.write("/etc/rex/policies.d/bad.cedar", "permit(nonsense");
    rex.must(&["systemctl", "reload", "rex-broker.service"]);
    rex.wait("refused", || rex.journal().contains("the policies in force stay"));
    assert!(rex.journal().contains("bad.cedar:1"), "{}", rex.journal());
    assert_eq!(rex.run(READ).output(), "hello");
    fs::remove_file(rex.machine.path("/etc/rex/policies.d/bad.cedar")).expect("removed");
}

fn roles_are_confined(rex: &Installed) {
    rex.machine.write("/run/systemd/system/rex-good.service", "[Service]\nExecStart=/bin/sleep infinity\n");
    rex.set_policy(ALL);
    for (role, exposure) in ROLES {
        if let Some(role) = role {
            let text = packaging().join(format!("systemd/drop-ins/{role}.conf"));
            let text = fs::read_to_string(text).expect("a drop-in");
            rex.machine.write("/etc/systemd/system/rex-broker.service.d/role.conf", &text);
        }
        rex.must(&["systemctl", "daemon-reload"]);
        rex.must(&["systemctl", "restart", "rex-broker.service"]);
        let threshold = format!("--threshold={exposure}");
        rex.must(&["systemd-analyze", "security", "--no-pager", &threshold, "rex-broker.service"]);
        let [read, write, service, execute] = [READ, WRITE, SERVICE, EXECUTE].map(|script| rex.run(script));
        let told = format!("{role:?}: {}\n{}\n{}\n{}", read.stdout, write.stdout, service.stdout, execute.stdout);
        assert_eq!(service.output(), "active", "{told}");
        assert_eq!(read.code == 0, *role != Some("services-only"), "{told}");
        assert_eq!(write.code == 0, role.is_none(), "{told}");
        assert_eq!(execute.output() == "0", role.is_none(), "{told}");
        // Where a role leaves control groups as they are, runs go without, and that is told.
        let status = rex.must(&["/usr/libexec/rex/rex-broker", "status"]);
        let held = status.lines().find(|line| line.starts_with("runs held by")).unwrap_or_default();
        assert_eq!(held.contains("Read-only file system"), role.is_some(), "{role:?}: {held}");
        // A reload works also where nothing may be executed.
        rex.set_policy(ALL);
    }
    fs::remove_dir_all(rex.machine.path("/etc/systemd/system/rex-broker.service.d")).expect("removed");
    rex.must(&["systemctl", "daemon-reload"]);
    rex.must(&["systemctl", "restart", "rex-broker.service"]);
    rex.set_policy(POLICY);
    // How often it was started counts, and more starts are to come than anybody needs in such a short time.
    rex.must(&["systemctl", "reset-failed", "rex-broker.service"]);
}

/// A client that comes while it is upgraded, or a run that is under way, sees nothing of it; configuration stays.
fn an_upgrade_disturbs_nobody(rex: &Installed) {
    let changed =
        fs::read_to_string(rex.machine.path("/etc/rex/broker.toml")).expect("a configuration") + "# root's own\n";
    rex.machine.write("/etc/rex/broker.toml", &changed);
    for package in [PACKAGE, LATER] {
        let before = rex.main_process();
        disturbs_nobody(rex, || {
            rex.dpkg(&["--install", package]);
            assert!(rex.is_active("rex-broker.service") && rex.main_process() != before, "{package}");
        });
        assert_eq!(fs::read_to_string(rex.machine.path("/etc/rex/broker.toml")).ok().as_ref(), Some(&changed));
    }
}

fn a_crash_disturbs_nobody(rex: &Installed) {
    for _ in 0..3 {
        let before = rex.main_process();
        disturbs_nobody(rex, || {
            rex.must(&["sh", "-c", &format!("kill -KILL {before}")]);
            rex.wait("it is back", || rex.is_active("rex-broker.service") && rex.main_process() != before);
        });
    }
    rex.must(&["systemctl", "reset-failed", "rex-broker.service"]);
    // Stopped, it comes back with the next client.
    rex.must(&["systemctl", "stop", "rex-broker.service"]);
    assert_eq!(rex.run(READ).output(), "hello");
}

/// Does something while a run is under way and others begin.
fn disturbs_nobody(rex: &Installed, act: impl FnOnce()) {
    std::thread::scope(|scope| {
        let long = scope.spawn(|| rex.run(&format!("sleep(3); {READ}")));
        std::thread::sleep(Duration::from_millis(500));
        let many = scope.spawn(|| (0..50).map(|_| rex.run(READ)).collect::<Vec<_>>());
        act();
        for run in many.join().expect("the runs").into_iter().chain(long.join()) {
            assert_eq!(run.output(), "hello", "{} {}", run.stdout, run.stderr);
        }
    });
}

fn removal_leaves_no_process_and_all_data(rex: &Installed) {
    std::thread::scope(|scope| {
        let long = scope.spawn(|| rex.run("sleep(600)"));
        rex.wait("a run is under way", || rex.processes().iter().any(|name| name == "rex-exec"));
        rex.dpkg(&["--remove", "rex-broker"]);
        rex.wait("no process is left", || rex.processes().is_empty());
        assert_eq!(long.join().expect("the run").code, 8);
    });
    assert!(!rex.exists("/run/rex") && !rex.exists("/usr/libexec/rex"));
    for kept in ["/etc/rex/broker.toml", "/etc/rex/policies.d/test.cedar", "/var/log/rex/audit.jsonl"] {
        assert!(rex.exists(kept), "{kept}");
    }
    // Installed again it goes on where it was.
    rex.dpkg(&["--install", PACKAGE]);
    assert_eq!(rex.run(READ).output(), "hello");
}

fn purging_leaves_nothing(rex: &Installed) {
    rex.dpkg(&["--purge", "rex-broker"]);
    assert_eq!(rex.processes(), [""; 0]);
    for gone in ["/etc/rex", "/var/log/rex", "/run/rex", "/usr/libexec/rex", "/usr/share/doc/rex-broker"] {
        assert!(!rex.exists(gone), "{gone}");
    }
    // Links of units and what is remembered of them, man pages, what dpkg keeps.
    let find = ["find", "/etc", "/run", "/usr", "/var", "-xdev", "-name", "*rex-broker*", "-o", "-name", "rex.conf"];
    assert_eq!(rex.must(&find), "");
    assert_eq!(rex.must(&["systemctl", "--failed", "--no-legend", "list-units", "rex*"]), "");
}

/// The package, made of the programs that are under test.
fn packed() -> Result<TempDir, String> {
    let has_tool = Command::new("cargo").args(["deb", "--version"]).output().is_ok_and(|done| done.status.success());
    if !has_tool {
        return Err("`cargo deb` is not installed: `cargo install cargo-deb`".into());
    }
    let profile = programs().file_name().map(|name| if name == "debug" { "dev".into() } else { name.to_owned() });
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Stripped, since what is packed is copied several times, and hardly compressed.
    let options = ["deb", "--package=rex-broker", "--no-build", "--strip", "--fast", "--output"];
    let made = Command::new("cargo")
        .args(options)
        .arg(folder.path().join("rex-broker.deb"))
        .arg("--profile")
        .arg(profile.expect("a folder of programs"))
        .current_dir(packaging())
        .output()
        .expect("cargo runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(folder)
}

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder").join("packaging")
}
