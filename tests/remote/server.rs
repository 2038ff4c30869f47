//! A real sshd before a real broker, with accounts, keys and a network of its own: nothing of it is on the machine.
//!
//! | account | is let in for |
//! |---|---|
//! | `deploy` | `rex-exec --ssh`, by `ForceCommand` |
//! | `ci` | what stands before its key, by `restrict,command=` |
//! | `ana` | a shell, and forwarding |
//! | `root` | what stands before its key, and forwarding |

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rex_tests::{Daemon, Disk, Settings, is_root, leave_network, programs, put_in_place_of, skip, with_private_mounts};
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The accounts that there are, in place of the machine's.
const ACCOUNTS: &[(&str, u32)] = &[("root", 0), ("sshd", 4000), ("deploy", 4001), ("ci", 4002), ("ana", 4003)];
/// In a file system of its own. `rex-exec` is there, where every account can start it.
const KEYS: &str = "/run/ssh";
pub(crate) const REX_EXEC: &str = "/run/bin/rex-exec";

const CONFIGURATION: &str = "
ListenAddress 127.0.0.1:22
HostKey /run/ssh/host
AuthorizedKeysFile /run/ssh/of/%u
PidFile none
UsePAM no
ExposeAuthInfo yes
PermitUserRC no
AcceptEnv *
PermitRootLogin yes
Match User deploy
    ForceCommand /run/bin/rex-exec --ssh
    DisableForwarding yes
";

/// How a test's server is set up. In all texts `KEY1` and `KEY2` stand for the fingerprints of the two keys.
#[derive(Default)]
pub(crate) struct Setup {
    /// The broker's policy.
    pub(crate) policy: &'static str,
    /// What stands before the keys of `ci` and of root.
    pub(crate) forced: &'static str,
}

/// The server, its broker, and the two keys that are let in everywhere.
pub(crate) struct Server {
    pub(crate) daemon: Daemon,
    pub(crate) fingerprints: [String; 2],
    sshd: Child,
}

impl Server {
    /// Runs a test beside a server; or says why none can be had here.
    pub(crate) fn with(setup: &Setup, test: impl FnOnce(&Server) + Send) {
        if !is_root() {
            return skip("only root can start an sshd for several accounts");
        }
        let Some(sshd) = sshd() else {
            return skip("there is no `sshd`: `.ci/run` unpacks one, or install `openssh-server`");
        };
        for tool in ["ssh", "ssh-keygen"] {
            if Command::new("sh")
                .args(["-c", "command -v \"$1\"", "sh", tool])
                .output()
                .is_ok_and(|found| !found.status.success())
            {
                return skip(&format!("`{tool}` is not installed"));
            }
        }
        // Looked for before mounts could hide it.
        let programs = programs();
        with_private_mounts(|| {
            let disk = Disk::on(Path::new("/run"), "mode=755");
            let server = Self::start(setup, &sshd, &programs);
            test(&server);
            drop((server, disk));
        });
    }

    fn start(setup: &Setup, sshd: &Path, programs: &Path) -> Self {
        for folder in ["/run/sshd", "/run/ssh", "/run/ssh/of", "/run/bin", "/run/rex", "/run/home"] {
            fs::create_dir(folder).expect("a folder");
        }
        fs::copy(programs.join("rex-exec"), REX_EXEC).expect("a program");
        make_accounts();
        let fingerprints = ["key1", "key2"].map(make_key);
        make_key("host");
        let public = ["key1", "key2"].map(|key| fs::read_to_string(public(key)).expect("a key"));
        for (account, uid) in ACCOUNTS {
            let before = if matches!(*account, "ci" | "root") { setup.forced } else { "" };
            let keys = public.iter().map(|key| format!("{before} {key}").trim_start().to_owned());
            fs::write(format!("{KEYS}/of/{account}"), keys.collect::<String>()).expect("a file");
            let home = format!("/run/home/{account}");
            fs::create_dir(&home).expect("a folder");
            std::os::unix::fs::chown(home, Some(*uid), Some(*uid)).expect("an owner");
        }
        let policy = setup.policy.replace("KEY1", &fingerprints[0]).replace("KEY2", &fingerprints[1]);
        let daemon = Daemon::start(&Settings { policy, ..Settings::default() });
        fs::set_permissions(daemon.folder(), fs::Permissions::from_mode(0o755)).expect("a mode");
        symlink(daemon.socket(), rex_client::SOCKET).expect("a link");
        // Only now: whether a broker listens is seen in the network that it is in.
        leave_network();
        fs::write(format!("{KEYS}/config"), parts(sshd) + CONFIGURATION).expect("a file");
        let mut command = Command::new(sshd);
        command.args(["-D", "-f", &format!("{KEYS}/config"), "-E", &format!("{KEYS}/log")]);
        if let Some(libraries) = libraries(sshd) {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        let sshd = command.stdin(Stdio::null()).spawn().expect("sshd starts");
        let server = Self { daemon, fingerprints, sshd };
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", 22)).is_err() {
            assert!(Instant::now() < end, "sshd does not listen:\n{}", server.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        server
    }

    /// What sshd has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(format!("{KEYS}/log")).unwrap_or_default()
    }

    /// Comes by SSH as `account`, with this on standard input.
    pub(crate) fn ssh(&self, account: &str, command: &str, input: &str) -> Output {
        self.ssh_with(account, &[], &[command], input)
    }

    /// The same with more options for `ssh`, and words of a command.
    pub(crate) fn ssh_with(&self, account: &str, options: &[&str], words: &[&str], input: &str) -> Output {
        let mut client = self.client("key1", account, options);
        client.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut client = client.spawn().expect("ssh starts");
        // A command that is refused does not read it.
        let _ = client.stdin.take().expect("a pipe").write_all(input.as_bytes());
        client.wait_with_output().expect("an end")
    }

    /// `ssh` by one of the keys, without its command.
    pub(crate) fn client(&self, key: &str, account: &str, options: &[&str]) -> Command {
        let mut client = Command::new("ssh");
        client.args(ssh_options(key)).args(options).arg(format!("{account}@127.0.0.1"));
        client
    }
}

/// What `ssh` needs to be told.
pub(crate) fn ssh_options(key: &str) -> Vec<String> {
    let mut options = vec!["-F".to_owned(), "none".to_owned(), "-i".to_owned(), format!("{KEYS}/{key}")];
    for option in [
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        "BatchMode=yes",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "LogLevel=ERROR",
    ] {
        options.extend(["-o".to_owned(), option.to_owned()]);
    }
    options
}

impl Drop for Server {
    fn drop(&mut self) {
        // What it has started for connections has ended with them.
        let _ = kill(Pid::from_raw(i32::try_from(self.sshd.id()).unwrap_or(i32::MAX)), Signal::SIGTERM);
        let _ = self.sshd.wait();
    }
}

/// Its standard output and standard error.
pub(crate) fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    (text(&output.stdout), text(&output.stderr))
}

fn make_accounts() {
    let line = |(name, uid): &(&str, u32)| format!("{name}:*:{uid}:{uid}::/run/home/{name}:/bin/sh\n");
    let group = |(name, uid): &(&str, u32)| format!("{name}:*:{uid}:\n");
    for (file, text) in [
        ("passwd", ACCOUNTS.iter().map(line).collect::<String>()),
        ("group", ACCOUNTS.iter().map(group).collect::<String>()),
    ] {
        let own = PathBuf::from(format!("/run/{file}"));
        fs::write(&own, text).expect("a file");
        put_in_place_of(&Path::new("/etc").join(file), &own);
    }
}

/// Makes a key, and gives its fingerprint as `ssh-keygen` tells it.
fn make_key(name: &str) -> String {
    let run = |arguments: &[&str]| {
        let ran = Command::new("ssh-keygen").args(arguments).output().expect("ssh-keygen starts");
        assert!(ran.status.success(), "{ran:?}");
        String::from_utf8(ran.stdout).expect("text")
    };
    run(&["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", &format!("{KEYS}/{name}")]);
    let told = run(&["-l", "-f", &public(name)]);
    told.split_whitespace().nth(1).expect("a fingerprint").to_owned()
}

fn public(key: &str) -> String {
    format!("{KEYS}/{key}.pub")
}

/// The installed one, or the one that is unpacked for tests.
fn sshd() -> Option<PathBuf> {
    let unpacked = unpacked().join("usr/sbin/sshd");
    [PathBuf::from("/usr/sbin/sshd"), unpacked].into_iter().find(|program| program.is_file())
}

/// Where the parts of one that is unpacked are, if it has any: since OpenSSH 9.8.
fn parts(sshd: &Path) -> String {
    let folder = unpacked().join("usr/lib/openssh");
    let parts = [("SshdSessionPath", folder.join("sshd-session")), ("SshdAuthPath", folder.join("sshd-auth"))];
    let parts = parts.iter().filter(|(_, part)| sshd.starts_with(unpacked()) && part.is_file());
    parts.map(|(option, part)| format!("{option} {}\n", part.display())).collect()
}

fn libraries(sshd: &Path) -> Option<PathBuf> {
    let folder = format!("{}-linux-gnu", std::env::consts::ARCH);
    sshd.starts_with(unpacked()).then(|| unpacked().join("usr/lib").join(folder))
}

fn unpacked() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a folder").join("openssh")
}
