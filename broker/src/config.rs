//! The broker's configuration: `/etc/rex/broker.toml`, or what is built in.

use crate::audit::Audit;
use crate::rails;
use crate::sys::trust;
use rex_protocol::client::LimitRequest;
use rex_protocol::limits::{LimitName, Limits};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Where the configuration is looked for.
pub const PATH: &str = "/etc/rex/broker.toml";

/// The address space that a worker needs to begin with, and a little more, in bytes.
const LEAST_MEMORY: u64 = 32 * 1024 * 1024;

/// The most that is counted of each user.
const MOST_PER_MINUTE: u32 = 60_000;
const MOST_VIOLATIONS: u32 = 1_000;

/// How a broker behaves. Unknown keys are refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The file that this was read from; nothing where what is built in holds.
    #[serde(skip)]
    pub file: Option<PathBuf>,
    /// The socket to listen on, where systemd passes none.
    pub socket: PathBuf,
    /// The directory of the store's policies.
    pub policies: PathBuf,
    /// Who belongs to which groups besides the system's own; it need not be there.
    pub entities: PathBuf,
    /// Whose signatures of scripts count; it need not be there.
    pub allowed_signers: PathBuf,
    /// The worker's program; nothing looks for it beside the broker, then in `/usr/libexec/rex`.
    pub worker: Option<PathBuf>,
    /// The program that speaks on the network; nothing looks for it beside the worker's.
    pub net: Option<PathBuf>,
    /// Where root can read how the broker is, as OpenMetrics; nothing leaves it out.
    pub metrics: Option<PathBuf>,
    /// Whether the processes of a run are held together by a control group.
    pub cgroups: Cgroups,
    /// How much processor time the processes of a run may use together, in percent of one processor: 200 is all of two. 0 is no
    /// limit. It needs control groups with the controller for processor time, or the broker does not start.
    pub cpu_percent: u32,
    /// The least level of the broker's own log: `error`, `warn`, `info`, `debug` or `trace`.
    pub log_level: String,
    /// After how many seconds without a run the broker ends where systemd holds its socket and starts it again for the next
    /// client; 0: never.
    pub idle_seconds: u64,
    /// Keep session and worker on one processor while they talk.
    pub one_cpu: bool,
    /// What protects Rex itself.
    pub rails: Rails,
    /// How decisions are recorded.
    pub audit: Audit,
    /// How many runs at a time.
    pub runs: Runs,
    /// What holds for each user besides.
    pub users: Users,
    /// What a run may use where it does not ask for more.
    #[serde(deserialize_with = "usual_limits")]
    pub limits: Limits,
    /// The most that a run may ask for.
    #[serde(deserialize_with = "most_limits")]
    pub maximum: Limits,
}

/// What protects Rex itself, whatever policies permit.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rails {
    /// The ids of those that do not hold here, as denials name them: `rex:configuration`.
    pub off: Vec<String>,
}

/// Whether runs have control groups (cgroup v2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cgroups {
    /// With the controllers that systemd delegates (`Delegate=`), if it delegates any.
    #[default]
    WhereAvailable,
    /// With those for memory, processes and processor time, or the broker does not start.
    Required,
    /// Not.
    Off,
}

/// What a user's runs are held to, besides how many there are at a time.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Users {
    /// How many may come in a minute; so many may also come at once, and then one after the other as they are earned again.
    /// Each connection counts. 0 is no limit.
    pub runs_per_minute: u32,
    /// How many runs may break the protocol or their walls within [`Self::within_seconds`], before those of this user are
    /// refused. 0 is no limit.
    pub violations: u32,
    /// Within which time violations count together.
    pub within_seconds: u32,
    /// For how long runs are refused then.
    pub penalty_seconds: u32,
    /// The names of users who are not held to this; nothing names root, who could end the broker anyway, and the user that
    /// the broker runs as.
    pub exempt: Option<Vec<String>>,
}

impl Default for Users {
    fn default() -> Self {
        Self { runs_per_minute: 600, violations: 3, within_seconds: 600, penalty_seconds: 300, exempt: None }
    }
}

/// How many runs there may be at a time.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Runs {
    /// In all.
    pub total: usize,
    /// Of one user.
    pub per_user: usize,
    /// Sessions with sealed workers that wait for a run.
    pub ready: usize,
}

impl Default for Runs {
    fn default() -> Self {
        Self { total: 64, per_user: 16, ready: 2 }
    }
}

/// The most that a run may ask for where the configuration does not say.
const MOST: Limits = Limits {
    time_ms: 24 * HOUR_MS,
    cpu_ms: 24 * HOUR_MS,
    memory: 4 * 1024 * 1024 * 1024,
    operations: u64::MAX,
    output: 256 * 1024 * 1024,
    log: 256 * 1024 * 1024,
    handles: 4096,
};
const HOUR_MS: u64 = 60 * 60 * 1000;
/// All of more processors than any machine has.
const MOST_PERCENT: u32 = 1_000_000;

impl Default for Config {
    fn default() -> Self {
        Self {
            file: None,
            socket: "/run/rex/broker.sock".into(),
            policies: "/etc/rex/policies.d".into(),
            entities: "/etc/rex/entities.json".into(),
            allowed_signers: "/etc/rex/allowed_signers".into(),
            worker: None,
            net: None,
            metrics: None,
            cgroups: Cgroups::default(),
            cpu_percent: 0,
            log_level: "info".into(),
            idle_seconds: 0,
            one_cpu: true,
            rails: Rails::default(),
            audit: Audit::default(),
            runs: Runs::default(),
            users: Users::default(),
            limits: Limits::DEFAULT,
            maximum: MOST,
        }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl Config {
    /// The configuration in `path`, a file that is trusted as those of the store are. Where the default path has no file, what is
    /// built in holds.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let (path, required) = path.map_or((Path::new(PATH), false), |path| (path, true));
        let fault = |step: &str, error: &dyn std::fmt::Display| {
            ConfigError(format!("cannot {step} the configuration `{}`: {error}", path.display()))
        };
        match trust::read(nix::fcntl::AT_FDCWD, path).map_err(|error| fault("read", &error))? {
            Some(text) => {
                let text = std::str::from_utf8(&text).map_err(|_| fault("use", &"it is not UTF-8"))?;
                Self::parse(text)
                    .map(|config| Self { file: Some(path.to_owned()), ..config })
                    .map_err(|error| fault("use", &error))
            }
            None if !required => Ok(Self::default()),
            None => Err(fault("read", &"there is none")),
        }
    }

    fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| ConfigError(in_one_line(text, &error)))?;
        let pairs = |limits: &Limits| {
            [
                (LimitName::Time, limits.time_ms),
                (LimitName::Cpu, limits.cpu_ms),
                (LimitName::Memory, limits.memory),
                (LimitName::Operations, limits.operations),
                (LimitName::Output, limits.output),
                (LimitName::Log, limits.log),
                (LimitName::Handles, u64::from(limits.handles)),
            ]
        };
        for ((name, usual), (_, most)) in pairs(&config.limits).into_iter().zip(pairs(&config.maximum)) {
            if usual > most {
                return Err(ConfigError(format!("the {name} limit is above its maximum")));
            }
            if usual == 0 {
                return Err(ConfigError(format!("the {name} limit is 0")));
            }
        }
        if config.limits.memory < LEAST_MEMORY {
            return Err(ConfigError(format!(
                "the memory limit is below {} MiB, the least for a worker",
                LEAST_MEMORY >> 20
            )));
        }
        if let Some(fault) = config.audit.fault() {
            return Err(ConfigError(fault));
        }
        for (key, value, most) in [
            ("users.runs_per_minute", config.users.runs_per_minute, MOST_PER_MINUTE),
            ("users.violations", config.users.violations, MOST_VIOLATIONS),
        ] {
            if value > most {
                return Err(ConfigError(format!("`{key}` is {value}, at most {most} are counted")));
            }
        }
        if config.cpu_percent > MOST_PERCENT {
            let (percent, most) = (config.cpu_percent, MOST_PERCENT);
            return Err(ConfigError(format!("`cpu_percent` is {percent}, at most {most} are meant; 0 is no limit")));
        }
        if config.cpu_percent > 0 && config.cgroups == Cgroups::Off {
            return Err(ConfigError("`cpu_percent` needs control groups, and `cgroups` is \"off\"".into()));
        }
        for (key, value) in [
            ("users.within_seconds", config.users.within_seconds),
            ("users.penalty_seconds", config.users.penalty_seconds),
        ] {
            if value == 0 {
                return Err(ConfigError(format!("`{key}` is 0; `users.violations` of 0 is no limit")));
            }
        }
        if let Some(unknown) = config.rails.off.iter().find(|id| !rails::IDS.contains(&id.as_str())) {
            return Err(ConfigError(format!("there is no rail `{unknown}`; there are {}", rails::IDS.join(", "))));
        }
        if config.log_level.parse::<tracing::level_filters::LevelFilter>().is_err() {
            return Err(ConfigError(format!("`{}` is no log level", config.log_level)));
        }
        Ok(config)
    }

    /// The limits of a run that asks for `request`; refused above the maximum.
    pub fn limits_for(&self, request: &LimitRequest) -> Result<Limits, (LimitName, String)> {
        let mut limits = self.limits;
        let ask = |name, wanted: Option<u64>, usual: u64, most: u64, unit: &str| match wanted {
            None => Ok(usual),
            Some(0) => Err((name, format!("a {name} limit of 0 leaves nothing to run in"))),
            Some(wanted) if wanted > most => Err((
                name,
                format!("a {name} limit of {wanted} {unit} was asked for, at most {most} {unit} are allowed"),
            )),
            Some(wanted) => Ok(wanted),
        };
        limits.time_ms = ask(LimitName::Time, request.time_ms, limits.time_ms, self.maximum.time_ms, "ms")?;
        if let Some(memory) = request.memory.filter(|&memory| memory < LEAST_MEMORY) {
            let message =
                format!("a memory limit of {memory} bytes leaves no room for a worker: {LEAST_MEMORY} are the least");
            return Err((LimitName::Memory, message));
        }
        limits.memory = ask(LimitName::Memory, request.memory, limits.memory, self.maximum.memory, "bytes")?;
        // More wall clock would be of no use with less processor time.
        if let Some(time) = request.time_ms {
            limits.cpu_ms = limits.cpu_ms.max(time).min(self.maximum.cpu_ms);
        }
        Ok(limits)
    }
}

/// What is wrong and in which line, for a log of lines.
fn in_one_line(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().lines().collect::<Vec<_>>().join(" ");
    match error.span().and_then(|span| text.get(..span.start)) {
        Some(before) => format!("line {}: {message}", before.matches('\n').count() + 1),
        None => message,
    }
}

fn usual_limits<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Limits, D::Error> {
    limits(deserializer, Limits::DEFAULT)
}

fn most_limits<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Limits, D::Error> {
    limits(deserializer, MOST)
}

/// Limits as people write them: seconds, MiB and KiB. What is not written is as in `usual`.
fn limits<'de, D: serde::Deserializer<'de>>(deserializer: D, usual: Limits) -> Result<Limits, D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Written {
        time_seconds: Option<u64>,
        cpu_seconds: Option<u64>,
        memory_mib: Option<u64>,
        operations: Option<u64>,
        output_kib: Option<u64>,
        log_kib: Option<u64>,
        handles: Option<u32>,
    }
    let written = Written::deserialize(deserializer)?;
    let times = |value: Option<u64>, factor: u64, usual: u64| value.map_or(usual, |value| value.saturating_mul(factor));
    Ok(Limits {
        time_ms: times(written.time_seconds, 1000, usual.time_ms),
        cpu_ms: times(written.cpu_seconds, 1000, usual.cpu_ms),
        memory: times(written.memory_mib, 1024 * 1024, usual.memory),
        operations: written.operations.unwrap_or(usual.operations),
        output: times(written.output_kib, 1024, usual.output),
        log: times(written.log_kib, 1024, usual.log),
        handles: written.handles.unwrap_or(usual.handles),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_limits_in_the_units_of_their_names() {
        let config = Config::parse("[runs]\nper_user = 3\n[limits]\ntime_seconds = 5\nmemory_mib = 64\n").unwrap();
        assert_eq!((config.runs.per_user, config.runs.total), (3, 64));
        assert_eq!((config.limits.time_ms, config.limits.memory), (5_000, 64 << 20));
        assert_eq!(config.limits.handles, Limits::DEFAULT.handles);
    }

    #[test]
    fn the_packaged_configuration_says_the_defaults() {
        let packaged = include_str!("../../packaging/etc/broker.toml");
        // What is commented out stands right behind its sign, unlike words about it.
        let is_key = |rest: &str| rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase());
        let text: String = packaged
            .lines()
            .filter_map(|line| line.strip_prefix('#'))
            .fold(String::new(), |all, rest| if is_key(rest) { all + rest + "\n" } else { all });
        // What is unset by default stands there with what that comes to, or as an example.
        let mut config = Config { worker: None, net: None, metrics: None, ..Config::parse(&text).unwrap() };
        (config.audit.user_mib, config.users.exempt) = (None, None);
        assert_eq!(format!("{config:#?}"), format!("{:#?}", Config::default()));
        assert!(Config::parse(packaged).is_ok());
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for text in [
            "sokcet = 1",
            "[limits]\ntime = 5",
            "log_level = \"loud\"",
            "[rails]\noff = [\"rex:nothing\"]",
            "[limits]\nhandles = 0",
            "[maximum]\ntime_seconds = 1",
            "cgroups = \"maybe\"",
            "cpu_percent = 1000001",
            "cpu_percent = 50\ncgroups = \"off\"",
            "[users]\nruns = 1",
            "[users]\nruns_per_minute = 60001",
            "[users]\npenalty_seconds = 0",
        ] {
            assert!(Config::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_maximum_leaves_the_others_as_they_are() {
        let config = Config::parse("[maximum]\nhandles = 2000").unwrap();
        assert_eq!(config.maximum, Limits { handles: 2000, ..MOST });
    }

    #[test]
    fn a_fault_is_told_in_one_line_with_its_place() {
        for (text, line) in [("\nsokcet = 1", "line 2: unknown field `sokcet`"), ("[runs]\n\ntotal = -1", "line 3: ")] {
            let message = Config::parse(text).unwrap_err().to_string();
            assert!(message.starts_with(line) && !message.contains('\n'), "{message}");
        }
    }

    #[test]
    fn a_run_may_ask_up_to_the_maximum() {
        let config = Config::parse("[maximum]\ntime_seconds = 600").unwrap();
        let ask = |time_ms| config.limits_for(&LimitRequest { time_ms, memory: None });
        assert_eq!(ask(Some(600_000)).map(|limits| limits.time_ms), Ok(600_000));
        assert!(ask(Some(600_001)).is_err_and(|(name, text)| name == LimitName::Time && text.contains("time limit")));
        assert!(ask(Some(0)).is_err());
        let small = config.limits_for(&LimitRequest { time_ms: None, memory: Some(1 << 20) });
        assert!(small.is_err_and(|(name, text)| name == LimitName::Memory && text.contains("leaves no room")));
    }
}
