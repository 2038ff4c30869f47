//! From a request's name to its handler: the one way to an operation.

use crate::audit::AuditError;
use crate::perform::{Perform, Stop};
use crate::plan;
use crate::session::State;
use rex_protocol::{Failure, Violation, for_each_operation, wire};

/// Why a run does not go on.
#[derive(Debug)]
pub(crate) enum Halt {
    /// Whoever asks is not what it should be.
    Violation(Violation),
    /// What was decided or done could not be recorded.
    Unrecorded(AuditError),
}

impl From<Violation> for Halt {
    fn from(violation: Violation) -> Self {
        Halt::Violation(violation)
    }
}

/// The encoded reply to a request, or why there is none.
pub(crate) fn dispatch(name: &str, body: &[u8], state: &mut State) -> Result<Result<Vec<u8>, Failure>, Halt> {
    let Some((name, handler)) = HANDLERS.iter().find(|(known, _)| *known == name) else {
        return Err(Violation::new("asked for an operation that does not exist").into());
    };
    state.begin(name);
    let reply = match handler(body, state) {
        Ok(reply) => Ok(reply),
        Err(Stop::Failure(failure)) => Err(failure),
        Err(Stop::Violation(violation)) => return Err(violation.into()),
    };
    state.end(reply.as_ref().err());
    // Looked at here and not by handlers: what went wrong with the record is no failure of the operation, which a script could catch.
    match state.trail().fault() {
        Some(fault) => Err(Halt::Unrecorded(fault.clone())),
        None => Ok(reply),
    }
}

type Handler = fn(&[u8], &mut State) -> Result<Vec<u8>, Stop>;

fn handle<O: Perform>(body: &[u8], state: &mut State) -> Result<Vec<u8>, Stop> {
    let request: O = wire::decode(body)?;
    let changes = O::EFFECT.changes(&request);
    let target = request.target(state)?;
    let demands = O::demands(&target);
    debug_assert!(demands.alternatives().iter().flatten().all(|demand| O::ACTIONS.contains(&demand.action)));
    let granted = state.authorize(target, &demands)?;
    if changes && plan::is_on() {
        let reply = O::plan(granted, state);
        // What was planned before something failed would have been done by then.
        state.has_planned(O::NAME);
        return Ok(wire::encode(&reply?)?);
    }
    let reply = O::perform(granted, state)?;
    if changes {
        state.has_changed();
    }
    Ok(wire::encode(&reply)?)
}

macro_rules! table {
    ($($operation:ty),* $(,)?) => {
        &[$((<$operation as rex_protocol::Operation>::NAME, handle::<$operation> as Handler)),*]
    };
}
static HANDLERS: &[(&str, Handler)] = for_each_operation!(table);
