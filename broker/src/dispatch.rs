//! From a request's name to its handler: the one way to an operation.

use crate::perform::{Perform, Stop};
use crate::session::State;
use rex_protocol::{Failure, Violation, for_each_operation, wire};

/// The encoded reply to a request, or why there is none.
pub(crate) fn dispatch(name: &str, body: &[u8], state: &mut State) -> Result<Result<Vec<u8>, Failure>, Violation> {
    let Some((name, handler)) = HANDLERS.iter().find(|(known, _)| *known == name) else {
        return Err(Violation::new("asked for an operation that does not exist"));
    };
    state.begin(name);
    match handler(body, state) {
        Ok(reply) => Ok(Ok(reply)),
        Err(Stop::Failure(failure)) => {
            state.note(&failure);
            Ok(Err(failure))
        }
        Err(Stop::Violation(violation)) => Err(violation),
    }
}

type Handler = fn(&[u8], &mut State) -> Result<Vec<u8>, Stop>;

fn handle<O: Perform>(body: &[u8], state: &mut State) -> Result<Vec<u8>, Stop> {
    let request: O = wire::decode(body)?;
    let target = request.target(state)?;
    let demands = O::demands(&target);
    debug_assert!(demands.alternatives().iter().flatten().all(|demand| O::ACTIONS.contains(&demand.action)));
    let granted = state.authorize(target, &demands)?;
    Ok(wire::encode(&O::perform(granted, state)?)?)
}

macro_rules! table {
    ($($operation:ty),* $(,)?) => {
        &[$((<$operation as rex_protocol::Operation>::NAME, handle::<$operation> as Handler)),*]
    };
}
static HANDLERS: &[(&str, Handler)] = for_each_operation!(table);
