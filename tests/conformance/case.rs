//! A case, as its file tells it.

use regex::Regex;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// `area::name`
    #[serde(skip)]
    pub(crate) name: String,
    pub(crate) description: String,
    /// Skipped where one is missing.
    #[serde(default)]
    pub(crate) requires: Vec<String>,
    #[serde(default, rename = "origin")]
    _origin: Option<String>,
    #[serde(default, rename = "note")]
    _note: Option<String>,
    pub(crate) policy: String,
    pub(crate) script: String,
    pub(crate) args: Option<String>,
    #[serde(default)]
    pub(crate) setup: Vec<Item>,
    #[serde(default)]
    pub(crate) spawn: Vec<Spawn>,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) expect: Expect,
}

/// Something that is there before the run.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Item {
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) kind: Kind,
    #[serde(default)]
    pub(crate) content: String,
    pub(crate) base64: Option<String>,
    pub(crate) repeat: Option<usize>,
    pub(crate) target: Option<String>,
    pub(crate) mode: Option<String>,
    pub(crate) owner: Option<Identity>,
    pub(crate) group: Option<Identity>,
    pub(crate) mtime: Option<i64>,
}

/// A user or group.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Identity {
    Number(u32),
    Name(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    #[default]
    File,
    Dir,
    Symlink,
    Fifo,
    Hardlink,
    Gzip,
}

/// A process that runs beside the script.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spawn {
    pub(crate) command: Vec<String>,
    #[serde(default)]
    pub(crate) ready: Ready,
}

/// When the script may start.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Ready {
    /// After so many seconds.
    After(f64),
    When(Sign),
}

/// What a process is ready by.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Sign {
    /// The case's port accepts.
    Port,
    /// A file is there, by its path below the case's folder.
    File(String),
}

impl TryFrom<String> for Sign {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match (text.as_str(), text.strip_prefix("file:")) {
            ("port", _) => Ok(Sign::Port),
            (_, Some(path)) => Ok(Sign::File(path.to_owned())),
            _ => Err(format!("`{text}` is no sign of being ready")),
        }
    }
}

impl Default for Ready {
    fn default() -> Self {
        Ready::After(0.2)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    pub(crate) status: String,
    pub(crate) output: Option<String>,
    pub(crate) output_matches: Option<String>,
    pub(crate) output_json: Option<String>,
    pub(crate) error_type: Option<String>,
    #[serde(default)]
    pub(crate) error_contains: Vec<String>,
    pub(crate) logs: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) metrics: Vec<String>,
    #[serde(default)]
    pub(crate) alarms: Vec<String>,
    #[serde(default)]
    pub(crate) files: Vec<ExpectedFile>,
}

/// What a file must be after the run.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectedFile {
    pub(crate) path: String,
    pub(crate) content: Option<String>,
    #[serde(default)]
    pub(crate) absent: bool,
    pub(crate) mode: Option<String>,
    pub(crate) kind: Option<Kind>,
    pub(crate) target: Option<String>,
}

impl Case {
    /// Reads a case; everything in it must be of some meaning.
    pub(crate) fn read(name: &str, path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        let mut case: Case = toml::from_str(&text).map_err(|error| error.to_string())?;
        name.clone_into(&mut case.name);
        if let Some(pattern) = &case.expect.output_matches {
            // Placeholders stand for plain text.
            compile(&pattern.replace("{{", "").replace("}}", "")).map_err(|error| error.to_string())?;
        }
        if let Some(text) = &case.expect.output_json {
            serde_json::from_str::<serde_json::Value>(text).map_err(|error| format!("`output_json`: {error}"))?;
        }
        if let Some(wrong) = case.requires.iter().find(|name| !is_known(name)) {
            return Err(format!("unknown requirement `{wrong}`"));
        }
        Ok(case)
    }

    /// Whether its script runs programs.
    pub(crate) fn executes(&self) -> bool {
        self.script.contains(".execute(")
    }

    /// Whether it makes or needs things outside its own folder that another case could be in the way of.
    pub(crate) fn shares_the_machine(&self) -> bool {
        // Wherever the case speaks of it: one that expects that there is no dictionary says so only in its error. Name servers
        // are at addresses of their own, but all at one port.
        let all = format!("{self:?}");
        ["/etc/opt/rex", "/dev/shm", "127.77."].iter().any(|part| all.contains(part))
    }
}

impl Item {
    /// Whether somebody may execute it.
    pub(crate) fn is_executable(&self) -> bool {
        let mode = self.mode.as_deref().and_then(|mode| u32::from_str_radix(mode, 8).ok());
        self.kind == Kind::File && mode.is_some_and(|mode| mode & 0o111 != 0)
    }
}

/// A pattern as cases write it: `.` matches line ends.
pub(crate) fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    Regex::new(&format!("(?s){pattern}"))
}

fn is_known(requirement: &str) -> bool {
    matches!(requirement, "root" | "nonroot" | "linux" | "systemd" | "loopback") || requirement.starts_with("command:")
}

/// Whether this machine lacks what a case requires.
pub(crate) fn is_missing(requirement: &str) -> bool {
    match requirement {
        "root" => !rex_tests::is_root(),
        "nonroot" => rex_tests::is_root(),
        "systemd" => !Path::new("/run/systemd/system").is_dir(),
        other => other.strip_prefix("command:").is_some_and(|command| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            !std::env::split_paths(&path).any(|folder| folder.join(command).is_file())
        }),
    }
}
