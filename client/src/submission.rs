//! What to run.

use rex_protocol::VERSION;
use rex_protocol::client::{self, FromClient, LimitRequest, Submit};
use rex_protocol::text::Text;
use rex_protocol::worker::Level;

/// A script to run, and how.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The script, UTF-8; at most [`crate::limits::SCRIPT`] bytes.
    pub script: Vec<u8>,
    /// Its arguments as JSON text ([`crate::Arguments`]), empty for none; at most [`crate::limits::ARGUMENTS`] bytes.
    pub arguments: Vec<u8>,
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
}

/// A policy that comes with a run.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The file's name, for messages.
    pub name: String,
    /// Its text, UTF-8; at most [`crate::limits::POLICY`] bytes.
    pub text: Vec<u8>,
}

impl Submission {
    /// A script without arguments or a policy of its own, under the default limits.
    pub fn new(script: impl Into<Vec<u8>>) -> Self {
        Self {
            script: script.into(),
            arguments: Vec::new(),
            policy: None,
            strict: false,
            log_level: Level::Info,
            limits: LimitRequest::default(),
            measure: true,
            progress: false,
        }
    }

    /// The message that submits it.
    pub(crate) fn into_message(self) -> FromClient {
        FromClient::Submit(Box::new(Submit {
            version: Text::cut(VERSION),
            script: self.script,
            arguments: self.arguments,
            policy: self.policy.map(|policy| client::Policy { name: Text::cut(policy.name), text: policy.text }),
            strict: self.strict,
            log_level: self.log_level,
            limits: self.limits,
            measure: self.measure,
            progress: self.progress,
        }))
    }
}
