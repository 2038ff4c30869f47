//! What to run, and on what terms.

use crate::Error;
use rex_protocol::VERSION;
use rex_protocol::argument::{Argument, Arguments};
use rex_protocol::client::{self, FromClient, LimitRequest, Operate, Submit};
use rex_protocol::ssh::Ssh;
use rex_protocol::text::Text;
use rex_protocol::worker::Level;
use std::time::Duration;

/// A script to run, and how.
///
/// ```no_run
/// use rex_client::{Broker, Level, Policy, Submission};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), rex_client::Error> {
/// let submission = Submission::new("let files = ls(folder); files.len()")
///     .argument("folder", "/srv/notes")
///     .policy(Policy::new("notes", r#"permit(principal, action, resource in file_system::Dir::"/srv/notes");"#))
///     .time_limit(Duration::from_secs(10))
///     .log_level(Level::Debug);
/// let finished = Broker::connect()?.submit(submission)?.wait()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Submission {
    /// The script, UTF-8; at most [`crate::limits::SCRIPT`] bytes.
    pub script: Vec<u8>,
    /// Its arguments; as JSON text at most [`crate::limits::ARGUMENTS`] bytes.
    pub arguments: Arguments,
    /// A policy that must allow each operation as well; standalone, the only one.
    pub policy: Option<Policy>,
    /// Refuse a policy that does not validate strictly against the schema instead of warning.
    pub strict: bool,
    /// The least level of log messages that are sent.
    pub log_level: Level,
    /// Limits other than the default ones.
    pub limits: LimitRequest,
    /// Measure processor time and memory.
    pub measure: bool,
    /// Tell now and then what the run is doing ([`crate::Event::Progress`]).
    pub progress: bool,
    /// Why it is run, for policies that ask; the first 1,024 bytes are told.
    pub reason: Option<String>,
    /// Decide everything and change nothing: what would be changed is told ([`crate::Event::Change`]).
    pub dry_run: bool,
    /// A signature of the script, as `ssh-keygen -Y sign -n rex-script` writes it.
    pub signature: Option<String>,
    /// We are what sshd started for a connection ([`crate::Ssh`]); a run of which that is not so is refused.
    pub ssh: Option<Ssh>,
}

/// What holds for the operations of a [`crate::Session`].
///
/// ```no_run
/// use rex_client::{Broker, Policy, Terms};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Whatever the daemon's policies allow us: this session reads, and only below one directory.
/// let read_notes = Policy::new("notes", r#"
///     permit(principal, action in [file_system::Action::"open", file_system::Action::"read"],
///            resource in file_system::Dir::"/srv/notes");"#);
/// let session = Broker::connect()?.operate(Terms::new().policy(read_notes))?;
/// let today = session.read_file("/srv/notes/today.txt")?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Terms {
    policy: Option<Policy>,
    strict: bool,
    time_ms: Option<u64>,
    reason: Option<String>,
    dry_run: bool,
}

/// A policy that comes with a run.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The file's name, for messages.
    pub name: String,
    /// Its text, UTF-8; at most [`crate::limits::POLICY`] bytes.
    pub text: Vec<u8>,
}

impl Policy {
    /// A policy with this text, which messages call `name`.
    pub fn new(name: impl Into<String>, text: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    fn into_message(self) -> client::Policy {
        client::Policy { name: Text::cut(self.name), text: self.text }
    }
}

impl Submission {
    /// A script without arguments or a policy of its own, under the default limits.
    pub fn new(script: impl Into<Vec<u8>>) -> Self {
        Self {
            script: script.into(),
            arguments: Arguments::new(),
            policy: None,
            strict: false,
            log_level: Level::Info,
            limits: LimitRequest::default(),
            measure: true,
            progress: false,
            reason: None,
            dry_run: false,
            signature: None,
            ssh: None,
        }
    }

    /// Gives the script an argument, in place of one of that name.
    pub fn argument(mut self, name: impl Into<String>, value: impl Into<Argument>) -> Self {
        self.arguments.insert(name.into(), value.into());
        self
    }

    /// Brings a policy that must allow each operation as well.
    pub fn policy(self, policy: Policy) -> Self {
        Self { policy: Some(policy), ..self }
    }

    /// Refuses a policy that does not validate strictly against the schema.
    pub fn strict(self) -> Self {
        Self { strict: true, ..self }
    }

    /// Asks for log messages of this level and above.
    pub fn log_level(self, least: Level) -> Self {
        Self { log_level: least, ..self }
    }

    /// Asks for a limit of wall-clock time; more than the broker's maximum is refused.
    pub fn time_limit(mut self, most: Duration) -> Self {
        self.limits.time_ms = Some(milliseconds(most));
        self
    }

    /// Asks for a limit of the worker's memory, in bytes; more than the broker's maximum is refused.
    pub fn memory_limit(mut self, most: u64) -> Self {
        self.limits.memory = Some(most);
        self
    }

    /// Asks for [`crate::Event::Progress`].
    pub fn progress(self) -> Self {
        Self { progress: true, ..self }
    }

    /// Says why it is run.
    pub fn reason(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }

    /// Decides everything, changes nothing, and tells what would be changed.
    pub fn dry_run(self) -> Self {
        Self { dry_run: true, ..self }
    }

    /// Brings a signature of the script.
    pub fn signature(self, signature: impl Into<String>) -> Self {
        Self { signature: Some(signature.into()), ..self }
    }

    /// The message that submits it.
    pub(crate) fn into_message(self) -> Result<FromClient, Error> {
        let arguments = if self.arguments.is_empty() {
            Vec::new()
        } else {
            serde_json::to_vec(&self.arguments).map_err(|error| Error::Arguments(error.to_string()))?
        };
        Ok(FromClient::Submit(Box::new(Submit {
            version: Text::cut(VERSION),
            script: self.script,
            arguments,
            policy: self.policy.map(Policy::into_message),
            strict: self.strict,
            log_level: self.log_level,
            limits: self.limits,
            measure: self.measure,
            progress: self.progress,
            reason: self.reason.map(Text::cut),
            signature: self.signature.map(Text::cut),
            ssh: self.ssh,
            dry_run: self.dry_run,
        })))
    }
}

impl Terms {
    /// No policy besides the daemon's, and the default limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Brings a policy that must allow each operation as well; standalone, the only one.
    pub fn policy(self, policy: Policy) -> Self {
        Self { policy: Some(policy), ..self }
    }

    /// Refuses a policy that does not validate strictly against the schema.
    pub fn strict(self) -> Self {
        Self { strict: true, ..self }
    }

    /// Asks for a limit of wall-clock time, idle time included; more than the broker's maximum is refused.
    pub fn time_limit(self, most: Duration) -> Self {
        Self { time_ms: Some(milliseconds(most)), ..self }
    }

    /// Says why the operations are asked for; the first 1,024 bytes are told.
    pub fn reason(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }

    /// Decides everything and changes nothing: [`crate::Session::take_changes`] tells what would be changed.
    pub fn dry_run(self) -> Self {
        Self { dry_run: true, ..self }
    }

    /// The message that opens the session.
    pub(crate) fn into_message(self) -> FromClient {
        FromClient::Operate(Box::new(Operate {
            version: Text::cut(VERSION),
            policy: self.policy.map(Policy::into_message),
            strict: self.strict,
            time_ms: self.time_ms,
            reason: self.reason.map(Text::cut),
            dry_run: self.dry_run,
        }))
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
