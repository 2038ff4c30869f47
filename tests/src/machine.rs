//! A machine with a systemd of its own: a container, booted for a test and gone with it.
//!
//! Its system is Debian's, unpacked once below `target/`; what is changed of it stays in memory, from boot to boot, until the
//! machine is dropped. The programs that were built are at `/opt/rex` in it, and this project where it is outside.

use crate::{is_root, programs};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What a system for it is made of.
const PACKAGES: &str = "systemd,systemd-sysv,dbus";
/// Keeps a machine: boots it as often as it is told to, each time in new control groups of its own, so that several do not share
/// one, and has it end with the test. Without a filter of its own it would keep Landlock from what runs inside.
const KEEP: &str = r#"
set -eu
name=$1 system=$2 folder=$3; shift 3
mount -t tmpfs -o mode=755 rex-machine "$folder/disk"
mkdir "$folder/disk/changes" "$folder/disk/work" "$folder/disk/root"
mount -t overlay -o "lowerdir=$system,upperdir=$folder/disk/changes,workdir=$folder/disk/work" rex-machine "$folder/disk/root"
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_SECCOMP=0
groups="/sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd"
while :; do
    (
        for tree in $groups; do
            [ -e "$tree/cgroup.procs" ] || continue
            mkdir -p "$tree/$name"
            sh -c 'echo $PPID' > "$tree/$name/cgroup.procs"
        done
        exec setpriv --pdeathsig KILL systemd-nspawn --quiet --machine "$name" --directory "$folder/disk/root" --boot \
            --register=no --keep-unit --private-network --console=pipe --resolv-conf=off --timezone=off --link-journal=no \
            --capability=all "$@"
    ) || true
    [ -e "$folder/again" ] || exit 0
    for tree in $groups; do
        [ ! -d "$tree/$name" ] || find "$tree/$name" -depth -type d -exec rmdir {} +
    done
    rm "$folder/again"
done
"#;

/// A booted machine. It is ended with this value.
#[derive(Debug)]
pub struct Machine {
    name: String,
    /// Where its disk is mounted, for whoever keeps it alone; and where it is told to boot again.
    folder: TempDir,
    keeper: Child,
    /// Its first process.
    first: Pid,
}

impl Machine {
    /// Boots one, and waits until it is up; or says why none can be had here.
    pub fn boot() -> Result<Self, String> {
        if !is_root() {
            return Err("only root can boot a machine".into());
        }
        for tool in ["systemd-nspawn", "mmdebstrap", "nsenter", "setpriv", "unshare"] {
            let found = Command::new("sh").args(["-c", "command -v \"$1\" >/dev/null", "sh", tool]).status();
            if !found.is_ok_and(|status| status.success()) {
                return Err(format!("`{tool}` is not installed"));
            }
        }
        let system = system()?;
        let name = format!("rex-test-{}", std::process::id());
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder").display().to_string();
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        fs::create_dir(folder.path().join("disk")).map_err(|error| error.to_string())?;
        let output = File::create(folder.path().join("console")).map_err(|error| error.to_string())?;
        let keeper = Command::new("unshare")
            .args(["--mount", "setpriv", "--pdeathsig", "KILL", "sh", "-c", KEEP, "sh", &name])
            .arg(&system)
            .arg(folder.path())
            .arg(format!("--bind-ro={}:/opt/rex", programs().display()))
            .arg(format!("--bind-ro={project}"))
            .stdin(Stdio::null())
            .stderr(output.try_clone().map_err(|error| error.to_string())?)
            .stdout(output)
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut machine = Self { name, folder, keeper, first: Pid::from_raw(0) };
        machine.wait_until_up()?;
        Ok(machine)
    }

    /// Has it go down in order, and boots it again.
    pub fn reboot(&mut self) -> Result<(), String> {
        self.again(|machine| {
            let _ = machine.run(&["systemctl", "reboot"]);
        })
    }

    /// Takes its power away, and boots it again. What its disk had taken, it still has.
    pub fn lose_power(&mut self) -> Result<(), String> {
        self.again(|machine| {
            let _ = kill(machine.first, Signal::SIGKILL);
        })
    }

    fn again(&mut self, go_down: impl FnOnce(&Self)) -> Result<(), String> {
        let again = self.folder.path().join("again");
        fs::write(&again, "").map_err(|error| error.to_string())?;
        go_down(self);
        let end = Instant::now() + Duration::from_secs(60);
        // Gone once it boots again: nothing of the boot before is left then.
        while again.exists() {
            if Instant::now() >= end || !matches!(self.keeper.try_wait(), Ok(None)) {
                return Err(format!("the machine does not go down: {}", self.console()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.first = Pid::from_raw(0);
        self.wait_until_up()
    }

    /// What it has said while it booted.
    fn console(&self) -> String {
        let said = fs::read(self.folder.path().join("console")).unwrap_or_default();
        String::from_utf8_lossy(&said).into_owned()
    }

    fn wait_until_up(&mut self) -> Result<(), String> {
        let end = Instant::now() + Duration::from_secs(60);
        while self.first.as_raw() == 0 || !self.path("/run/systemd/private").exists() {
            if Instant::now() >= end || !matches!(self.keeper.try_wait(), Ok(None)) {
                return Err(format!("the machine does not boot: {}", self.console()));
            }
            std::thread::sleep(Duration::from_millis(20));
            // The keeper's child is the container, whose child is the first process in it.
            let first = child_of(self.keeper.id()).and_then(child_of).filter(|pid| is_first(*pid));
            self.first = Pid::from_raw(first.and_then(|pid| i32::try_from(pid).ok()).unwrap_or(0));
        }
        let state = self.run(&["systemctl", "is-system-running", "--wait"]);
        let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
        // A container may lack what some unit wants, which is none of ours.
        if matches!(&*state, "running" | "degraded") { Ok(()) } else { Err(format!("the machine is `{state}`")) }
    }

    /// Its first process, as it is seen from outside.
    pub fn first(&self) -> Pid {
        self.first
    }

    /// Runs a command in it, as root, and waits for its end.
    pub fn run<A: AsRef<OsStr>>(&self, command: &[A]) -> Output {
        self.run_as(0, command)
    }

    /// Runs a command in it, as this user.
    pub fn run_as<A: AsRef<OsStr>>(&self, uid: u32, command: &[A]) -> Output {
        let first = self.first.to_string();
        Command::new("nsenter")
            .args(["--target", &first, "--all", "--setuid", &uid.to_string(), "--setgid", &uid.to_string(), "--"])
            .args(command)
            .env_clear()
            .env("PATH", "/usr/bin:/usr/sbin:/bin:/sbin")
            .stdin(Stdio::null())
            .output()
            .expect("nsenter starts")
    }

    /// Where a path of it is seen from outside.
    pub fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.first))
    }

    /// Writes a file in it, and the folders above.
    pub fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, content).expect("a file");
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The first process takes all others of its namespace with it.
        if self.first.as_raw() > 0 {
            let _ = kill(self.first, Signal::SIGKILL);
        }
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
        // The container ends with its keeper, a moment after it.
        let trees = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"];
        let groups = trees.map(|tree| Path::new(tree).join(&self.name));
        let end = Instant::now() + Duration::from_secs(10);
        while groups.iter().any(|group| group.exists()) && Instant::now() < end {
            groups.iter().for_each(|group| remove_groups(group));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The first child of a process.
fn child_of(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_ascii_whitespace().next()?.parse().ok()
}

/// Whether a process is the first one of a namespace below this test's own. Nothing is done in one that is not: before the
/// container boots, processes are here.
fn is_first(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    numbers.split_ascii_whitespace().skip(1).last() == Some("1")
}

/// Control groups are removed one by one, the innermost first.
fn remove_groups(group: &Path) {
    let Ok(entries) = fs::read_dir(group) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_groups(&entry.path());
    }
    let _ = fs::remove_dir(group);
}

/// The folder of a system to boot, made by the first who needs one.
fn system() -> Result<PathBuf, String> {
    let fault = |error: io::Error| format!("cannot make a system to boot: {error}");
    let folder = programs().join("../tmp/machine");
    fs::create_dir_all(&folder).map_err(fault)?;
    let folder = folder.canonicalize().map_err(fault)?;
    let lock = File::create(folder.join("lock")).map_err(fault)?;
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| fault(errno.into()))?;
    let system = folder.join("system");
    if system.is_dir() {
        return Ok(system);
    }
    let new = folder.join("new");
    let _ = fs::remove_dir_all(&new);
    let suite = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let suite = suite.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let made = Command::new("mmdebstrap")
        .args(["--quiet", "--variant=minbase", "--format=directory"])
        .arg(format!("--include={PACKAGES}"))
        .args(["doc", "locale", "man", "info"].map(|kind| format!("--dpkgopt=path-exclude=/usr/share/{kind}/*")))
        .arg(suite.ok_or("this is no Debian")?)
        .arg(&new)
        .args(sources())
        .stdin(Stdio::null())
        .output()
        .map_err(fault)?;
    if !made.status.success() {
        return Err(format!("cannot make a system to boot: {}", String::from_utf8_lossy(&made.stderr)));
    }
    // Each boot has a name and an identity of its own.
    let _ = fs::remove_file(new.join("etc/hostname"));
    fs::write(new.join("etc/machine-id"), "").map_err(fault)?;
    fs::rename(new, &system).map_err(fault)?;
    Ok(system)
}

/// Where this machine itself gets its packages from.
fn sources() -> Vec<PathBuf> {
    let listed = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten().map(|entry| entry.path());
    let is_source = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "sources" || kind == "list");
    let main = PathBuf::from("/etc/apt/sources.list");
    listed.filter(is_source).chain(Some(main).filter(|path| path.is_file())).collect()
}
