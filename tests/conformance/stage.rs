//! What surrounds a case's run: its folder, the values of its placeholders, its processes.

use crate::case::{Case, Ready, Sign};
use crate::place;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{Group, User, getegid, geteuid, gethostname};
use regex::{Captures, Regex};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Some cases make it and remove it again.
const DICTIONARY_FOLDER: &str = "/etc/opt/rex";

/// Everything is removed and ended with this value.
pub(crate) struct Stage {
    /// The case's folder, its real path.
    pub(crate) root: PathBuf,
    folder: Option<TempDir>,
    values: BTreeMap<String, String>,
    uses_port: bool,
    spawned: Vec<Child>,
    /// Held while a case uses what all cases share.
    machine: Option<Flock<File>>,
    /// The redaction dictionary's folder, which such a case may leave behind.
    left: Option<&'static Path>,
}

impl Stage {
    /// Prepares a case and starts its processes.
    pub(crate) fn set(case: &Case) -> io::Result<Self> {
        let machine = case.shares_the_machine().then(lock).transpose()?;
        let folder = tempfile::Builder::new().prefix("rexcase-").tempdir()?;
        let root = folder.path().canonicalize()?;
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755))?;
        let values = values(&root)?;
        let mut stage = Self {
            root,
            folder: Some(folder),
            values,
            uses_port: format!("{case:?}").contains("{{port}}"),
            spawned: Vec::new(),
            left: Some(Path::new(DICTIONARY_FOLDER)).filter(|folder| machine.is_some() && !folder.exists()),
            machine,
        };
        let fill = |text: &str| stage.fill(text);
        for item in &case.setup {
            place::make(&stage.root, item, &fill).map_err(|error| about(&item.path, &error))?;
        }
        for item in case.setup.iter().rev() {
            place::finish(&stage.root, item, &fill).map_err(|error| about(&item.path, &error))?;
        }
        stage.spawn(case)?;
        Ok(stage)
    }

    /// The text with values for its placeholders; unknown ones stay.
    pub(crate) fn fill(&self, text: &str) -> String {
        let placeholder = Regex::new(r"\{\{(\w+)\}\}").expect("a correct pattern");
        let value = |found: &Captures<'_>| {
            let whole = found.get(0).map_or("", |found| found.as_str());
            found.get(1).and_then(|name| self.values.get(name.as_str())).map_or(whole, String::as_str).to_owned()
        };
        placeholder.replace_all(text, value).into_owned()
    }

    /// The text with the placeholders of folder and port back in place of their values.
    pub(crate) fn unfill(&self, text: &str) -> String {
        let text = text.replace(&*self.root.to_string_lossy(), "{{root}}");
        match self.values.get("port").filter(|_| self.uses_port) {
            Some(port) => {
                let port = Regex::new(&format!(r"\b{port}\b")).expect("a correct pattern");
                port.replace_all(&text, "{{port}}").into_owned()
            }
            None => text,
        }
    }

    /// A text that is expected, in the form in which results are compared.
    pub(crate) fn expected(&self, text: &str) -> String {
        self.unfill(&self.fill(text))
    }

    fn spawn(&mut self, case: &Case) -> io::Result<()> {
        for (index, spawn) in case.spawn.iter().enumerate() {
            let words: Vec<String> = spawn.command.iter().map(|word| self.fill(word)).collect();
            let (program, arguments) = words.split_first().ok_or_else(|| io::Error::other("an empty command"))?;
            let child = Command::new(program)
                .args(arguments)
                .current_dir(&self.root)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .map_err(|error| about(program, &error))?;
            self.values.insert(format!("pid{index}"), child.id().to_string());
            self.spawned.push(child);
            match &spawn.ready {
                Ready::After(seconds) => {
                    std::thread::sleep(Duration::from_secs_f64(*seconds));
                    self.wait_for_rest();
                }
                Ready::When(sign) => self.wait_for(sign),
            }
        }
        Ok(())
    }

    /// Waits until the process that was spawned last has nothing to do, for some seconds: on a busy machine it may still be
    /// starting. Some never rest.
    fn wait_for_rest(&self) {
        let Some(pid) = self.spawned.last().map(Child::id) else { return };
        // State and times, which follow the name in parentheses (proc_pid_stat(5)).
        let look = || {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let fields: Vec<String> =
                stat.rsplit(')').next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
            (fields.first().cloned(), fields.get(11..13).map(<[String]>::to_vec))
        };
        let end = Instant::now() + Duration::from_secs(3);
        let mut before = look();
        while Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
            let now = look();
            if now == before && !matches!(now.0.as_deref(), Some("R" | "D")) {
                return;
            }
            before = now;
        }
    }

    /// Waits for a sign, for some seconds; what a case then lacks it tells itself.
    fn wait_for(&self, sign: &Sign) {
        let port = self.values.get("port").and_then(|port| port.parse().ok()).unwrap_or(0);
        let is_given = || match sign {
            Sign::Port => TcpStream::connect(("127.0.0.1", port)).is_ok(),
            Sign::File(path) => self.root.join(path).exists(),
        };
        let end = Instant::now() + Duration::from_secs(10);
        while !is_given() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for child in &mut self.spawned {
            let _ = child.kill();
            let _ = child.wait();
        }
        open_up(&self.root);
        if let Some(folder) = self.left {
            let _ = fs::remove_dir_all(folder);
        }
        // What an ended process left open or busy may keep a part of it; nothing depends on its removal.
        if let Some(folder) = self.folder.take() {
            let _ = folder.close();
        }
        self.machine = None;
    }
}

/// Makes all folders writable for their owner, so that they can be removed.
fn open_up(folder: &Path) {
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

fn values(root: &Path) -> io::Result<BTreeMap<String, String>> {
    let name = |name: Option<String>| name.unwrap_or_else(|| "unknown".into());
    let user = name(User::from_uid(geteuid())?.map(|user| user.name));
    let group = name(Group::from_gid(getegid())?.map(|group| group.name));
    let port =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).map_or(0, |addr| addr.port());
    let values = [
        ("root", root.to_string_lossy().into_owned()),
        ("user", user),
        ("uid", geteuid().to_string()),
        ("gid", getegid().to_string()),
        ("group", group),
        ("port", port.to_string()),
        ("hostname", gethostname()?.to_string_lossy().into_owned()),
    ];
    Ok(values.map(|(name, value)| (name.to_owned(), value)).into())
}

/// One process of this user at a time, whichever way the tests are run.
fn lock() -> io::Result<Flock<File>> {
    let path = std::env::temp_dir().join(format!("rex-conformance-{}.lock", geteuid()));
    let file = File::options().create(true).append(true).open(path)?;
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| error.into())
}

fn about(thing: &str, error: &io::Error) -> io::Error {
    io::Error::other(format!("`{thing}`: {error}"))
}
