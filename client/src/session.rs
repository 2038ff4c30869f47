//! Operations without a script: a session of our own with the broker.

use crate::Error;
use crate::conversation::Conversation;
use rex_protocol::change::Change;
use rex_protocol::client::{Ending, FromClient, OPERATION_FRAME, Outcome, ToClient};
use rex_protocol::limits::Limits;
use rex_protocol::run::Narrow;
use rex_protocol::text::Text;
use rex_protocol::wire::{self, PREFIX};
use rex_protocol::{Failure, Handle, Listed};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many closed handles ride on one request; more wait for the next.
const CLOSED: usize = 1024;

/// A session in which this program performs operations, under the same policies and limits as a script.
///
/// [`Self::call`] performs any operation of [`crate::fs`]; [`Self::read_file`] and its like do what one mostly wants.
/// One request is in flight at a time: a clone speaks in the same session, and calls from several threads take turns. The
/// session ends with its last clone, at its time limit ([`Limits::time_ms`], idle time included), and with the process that
/// connected.
///
/// ```no_run
/// use rex_client::fs::{Entries, ListDir, OpenDir};
/// use rex_client::{AbsPath, Broker};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let session = Broker::connect()?.session()?;
/// let opened = session.call(&OpenDir { path: AbsPath::parse("/srv/notes")?, follow: true, create: None })?;
/// let dir = session.hold(opened.dir);
/// let Entries { entries, .. } = session.call(&ListDir { dir: dir.handle(), listing: None })?;
/// for entry in entries {
///     println!("{} {:?}", entry.name.to_text(), entry.kind);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Session {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    conversation: Mutex<Conversation>,
    /// Handles that were dropped since the last request, which will tell.
    closed: Mutex<Vec<u64>>,
    /// What would have been changed, in a dry run.
    changes: Mutex<Vec<Change>>,
    limits: Limits,
    warnings: Vec<String>,
}

impl Session {
    /// Waits until the broker accepts it.
    pub(crate) fn over(mut conversation: Conversation) -> Result<Self, Error> {
        let mut warnings = Vec::new();
        let limits = loop {
            match conversation.next()? {
                Some(ToClient::Accepted { limits, .. }) => break limits,
                Some(ToClient::Warning(text)) => warnings.push(text.into_string()),
                Some(ToClient::Outcome(outcome)) => return Err(Error::NotBegun(outcome.ending)),
                _ => return Err(conversation.fault("something came before the session was accepted")),
            }
        };
        let conversation = Mutex::new(conversation);
        let (closed, changes) = (Mutex::default(), Mutex::default());
        Ok(Self { shared: Arc::new(Shared { conversation, closed, changes, limits, warnings }) })
    }

    /// Performs an operation and waits for its end.
    ///
    /// Handles that come back stay open until the session ends; [`Self::hold`] closes them earlier. A handle that is not
    /// open, since it was closed or never belonged to this session, ends the session.
    pub fn call<O: Listed>(&self, operation: &O) -> Result<O::Reply, CallError> {
        let unsendable = |violation: rex_protocol::Violation| CallError::Unsendable(violation.to_string());
        let body = wire::encode(operation).map_err(unsendable)?;
        let mut conversation = lock(&self.shared.conversation);
        let closed = self.shared.take_closed();
        let request = FromClient::Request { closed, name: Text::cut(O::NAME), body };
        let frame = wire::frame(&request).map_err(unsendable).and_then(|frame| match frame.len() - PREFIX {
            length if length > OPERATION_FRAME => {
                Err(CallError::Unsendable(format!("it has {length} bytes where {OPERATION_FRAME} are allowed")))
            }
            _ => Ok(frame),
        });
        let frame = frame.inspect_err(|_| {
            if let FromClient::Request { closed, .. } = request {
                lock(&self.shared.closed).extend(closed);
            }
        })?;
        conversation.send(&frame)?;
        let answer = loop {
            match conversation.next()? {
                Some(ToClient::Change(change)) => lock(&self.shared.changes).push(*change),
                answer => break answer,
            }
        };
        match answer {
            Some(ToClient::Reply(Ok(reply))) => {
                wire::decode(&reply).map_err(|violation| CallError::Lost(conversation.fault(violation)))
            }
            Some(ToClient::Reply(Err(failure))) => Err(CallError::Failed(failure)),
            Some(ToClient::Outcome(outcome)) => Err(CallError::Ended(outcome.ending)),
            Some(_) => Err(CallError::Lost(conversation.fault("something other than an answer came to a request"))),
            None => Err(match conversation.outcome() {
                Some(outcome) => CallError::Ended(outcome.ending.clone()),
                None => CallError::Lost(Error::Ended(String::new())),
            }),
        }
    }

    /// Closes a handle when the guard is dropped: the next request tells the broker. A handle is to be held once.
    pub fn hold<K>(&self, handle: Handle<K>) -> Held<K> {
        Held { session: self.clone(), handle }
    }

    /// Gives up rights for the rest of the session: from now on this Cedar policy must allow everything as well. Nothing takes it
    /// back. Gives what its author should know.
    ///
    /// It is an error, and nothing is given up, if it does not parse, is longer than 64 KiB, or is the 17th.
    ///
    /// ```no_run
    /// # use rex_client::Broker;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let session = Broker::connect()?.session()?;
    /// let settings = session.read_file("/etc/app.conf")?;
    /// session.narrow(r#"permit(principal, action, resource in file_system::Dir::"/srv/app");"#)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn narrow(&self, policy: &str) -> Result<Vec<String>, CallError> {
        let policy = Text::try_from(policy.to_owned())
            .map_err(|error| CallError::Unsendable(format!("the policy has {error}")))?;
        let narrowed = self.call(&Narrow { policy })?;
        Ok(narrowed.warnings.into_iter().map(Text::into_string).collect())
    }

    /// The limits of this session. Of interest are [`Limits::time_ms`], [`Limits::operations`] and [`Limits::handles`].
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// What the author of the policy in its [`crate::Terms`] should know.
    pub fn warnings(&self) -> &[String] {
        &self.shared.warnings
    }

    /// What would have been changed since this was last called; nothing outside of a dry run ([`crate::Terms::dry_run`]).
    pub fn take_changes(&self) -> Vec<Change> {
        std::mem::take(&mut lock(&self.shared.changes))
    }

    /// Ends the session, also for its clones, and gives how it ended and what it used. Without this it ends as well, when the
    /// last clone is dropped; the broker's log then says that its client is gone.
    pub fn end(self) -> Result<Outcome, Error> {
        let mut conversation = lock(&self.shared.conversation);
        conversation.tell(&FromClient::End);
        match conversation.next()? {
            Some(ToClient::Outcome(outcome)) => Ok(*outcome),
            Some(_) => Err(conversation.fault("something other than its outcome came at the end of a session")),
            None => conversation.outcome().cloned().ok_or_else(|| Error::Ended(String::new())),
        }
    }
}

impl Shared {
    fn take_closed(&self) -> Vec<u64> {
        let mut closed = lock(&self.closed);
        let keep = closed.len().saturating_sub(CLOSED);
        closed.split_off(keep)
    }
}

/// An object that is held open in a session, until this is dropped.
pub struct Held<K> {
    session: Session,
    handle: Handle<K>,
}

impl<K> Held<K> {
    /// Its handle, to use in requests while this lives.
    pub fn handle(&self) -> Handle<K> {
        self.handle
    }
}

impl<K> Drop for Held<K> {
    fn drop(&mut self) {
        lock(&self.session.shared.closed).push(self.handle.id());
    }
}

impl<K> fmt::Debug for Held<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Held").field(&self.handle).finish()
    }
}

/// Why an operation gives nothing.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It was not carried out: policy denies it, the kernel refuses it, or it asks for the impossible. The session goes on.
    #[error("{0}")]
    Failed(Failure),
    /// The request is larger than can be sent. It was not, and the session goes on.
    #[error("cannot send the request: {0}")]
    Unsendable(String),
    /// The broker has ended the session, as at a limit; or [`Session::end`] has. Nothing more can be asked in it.
    #[error("the session has ended{}", said(.0))]
    Ended(Ending),
    /// Broker or connection failed: whether the operation was carried out is not known.
    #[error(transparent)]
    Lost(#[from] Error),
}

impl CallError {
    /// Whether policy denied the operation.
    pub fn is_denial(&self) -> bool {
        self.failure().is_some_and(Failure::is_denial)
    }

    /// What the broker said of an operation that it did not carry out.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            CallError::Failed(failure) => Some(failure),
            _ => None,
        }
    }

    /// The error number, where the kernel said no; `errno(3)`.
    pub fn errno(&self) -> Option<i32> {
        self.failure().and_then(Failure::errno)
    }
}

/// An ending's message, to go on a sentence.
pub(crate) fn said(ending: &Ending) -> String {
    match ending {
        Ending::Succeeded => String::new(),
        Ending::Failed { message, .. } => format!(": {message}"),
    }
}

/// A thread that panicked left nothing half done: what it was told is one message, whole or not at all.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
