//! A run, as its client sees it.

use crate::Error;
use crate::conversation::Conversation;
use rex_protocol::client::{FromClient, Outcome, ToClient};
use rex_protocol::limits::Limits;
use rex_protocol::worker::{Alarm, Log, Metric};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

/// What happens in a run. Times are nanoseconds since 1970.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The run begins, with these limits.
    Accepted(Limits),
    /// Something about the policy that its author should know.
    Warning(String),
    /// A log message.
    Log(u64, Log),
    /// A metric.
    Metric(u64, Metric),
    /// An alarm.
    Alarm(Alarm),
    /// The next part of the script's result, UTF-8 as a whole. It counts only if the run succeeds.
    Output(Vec<u8>),
    /// What the run is doing.
    Progress {
        /// Operations so far.
        operations: u64,
        /// The latest one and what it is about.
        current: String,
    },
    /// The run has ended. The last event.
    Outcome(Outcome),
}

/// A submitted run: an iterator of its events, the last of them an [`Event::Outcome`] or an error.
/// Dropped before, the run is ended.
///
/// [`Self::wait`] is for those who want the result, [`Self::follow`] for those who want to hear what happens, the iterator
/// for those who want to do something in between, and [`Self::poll_event`] for those who have other things to wait for.
///
/// ```no_run
/// use rex_client::{Broker, Event};
///
/// # fn main() -> Result<(), rex_client::Error> {
/// let mut run = Broker::connect()?.run("for n in 0..10 { info(`step ${n}`); }")?;
/// while let Some(event) = run.next().transpose()? {
///     if matches!(event, Event::Log(_, log) if log.message.contains("step 5")) {
///         run.cancel();
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Run {
    conversation: Conversation,
    output: u64,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// How it ended, and what it used.
    pub outcome: Outcome,
    /// The script's value as text. It counts only if the run succeeded.
    pub output: String,
}

impl Run {
    pub(crate) fn over(conversation: Conversation) -> Self {
        Self { conversation, output: 0 }
    }

    /// Waits for the end of the run.
    ///
    /// ```no_run
    /// # use rex_client::{Broker, Ending};
    /// # fn main() -> Result<(), rex_client::Error> {
    /// let finished = Broker::connect()?.run("40 + 2")?.wait()?;
    /// match finished.outcome.ending {
    ///     Ending::Succeeded => assert_eq!(finished.output, "42"),
    ///     Ending::Failed { class, message } => eprintln!("{class:?}: {message}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait(self) -> Result<Finished, Error> {
        let mut output = Vec::new();
        let outcome = self.follow(|event| {
            if let Event::Output(part) = event {
                output.extend(part);
            }
        })?;
        let output = String::from_utf8(output).map_err(|_| Error::Protocol("the output is not UTF-8".into()))?;
        Ok(Finished { outcome, output })
    }

    /// Calls `each` with every event as it comes, until the run has ended. The outcome is given back instead.
    pub fn follow(self, mut each: impl FnMut(Event)) -> Result<Outcome, Error> {
        for event in self {
            match event? {
                Event::Outcome(outcome) => return Ok(outcome),
                event => each(event),
            }
        }
        // The iterator was at its end before.
        Err(Error::Ended(String::new()))
    }

    /// The next event if it has come; does not wait. After the last one always nothing.
    /// [`AsFd`] tells when to ask again, and [`Self::deadline`] when at the latest.
    pub fn poll_event(&mut self) -> Result<Option<Event>, Error> {
        match self.conversation.poll()? {
            Some(message) => self.take(message).map(Some),
            None => Ok(None),
        }
    }

    /// When [`Self::poll_event`] is to be called even if nothing has come.
    pub fn deadline(&self) -> Instant {
        self.conversation.deadline()
    }

    /// Tells the script to end: it has [`TERMINATION_GRACE_MS`] to do so by itself. Its outcome still comes.
    ///
    /// [`TERMINATION_GRACE_MS`]: rex_protocol::client::TERMINATION_GRACE_MS
    pub fn terminate(&mut self) {
        self.conversation.tell(&FromClient::Terminate);
    }

    /// Ends the script now. Its outcome still comes.
    pub fn cancel(&mut self) {
        self.conversation.tell(&FromClient::Cancel);
    }

    fn take(&mut self, message: ToClient) -> Result<Event, Error> {
        Ok(match message {
            ToClient::Refused(refusal) => return Err(Error::Refused(refusal)),
            ToClient::Accepted { limits, .. } => Event::Accepted(limits),
            ToClient::Output(part) => {
                self.output = self.output.saturating_add(part.len() as u64);
                if self.conversation.limits().is_none_or(|limits| self.output > limits.output) {
                    return Err(self.conversation.fault("more output came than was agreed"));
                }
                Event::Output(part)
            }
            ToClient::Warning(text) => Event::Warning(text.into_string()),
            ToClient::Log { at, log } => Event::Log(at, log),
            ToClient::Metric { at, metric } => Event::Metric(at, metric),
            ToClient::Alarm(alarm) => Event::Alarm(alarm),
            ToClient::Progress { operations, current } => {
                Event::Progress { operations, current: current.into_string() }
            }
            ToClient::Outcome(outcome) => Event::Outcome(*outcome),
            ToClient::Reply(_) | ToClient::Listed(_) | ToClient::InForce { .. } | ToClient::Status(_) => {
                return Err(self.conversation.fault("an answer came to no request"));
            }
        })
    }
}

impl Iterator for Run {
    type Item = Result<Event, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let message = self.conversation.next().transpose()?;
        Some(message.and_then(|message| self.take(message)))
    }
}

/// Readable when an event may have come.
impl AsFd for Run {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.conversation.as_fd()
    }
}
