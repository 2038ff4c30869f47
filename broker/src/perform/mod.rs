//! What the broker does for a script, and what it asks policy first.

pub(crate) mod execute;
pub(crate) mod fs;
pub(crate) mod names;
pub(crate) mod network;
pub(crate) mod process;
pub(crate) mod run;
pub(crate) mod system;
pub(crate) mod systemd;

use crate::authz::{Demand, Granted};
use crate::plan;
use crate::session::State;
use rex_protocol::{Failure, Listed, Violation};

/// How an operation is carried out.
///
/// The request is consumed by [`Self::target`], and [`Self::perform`] takes a [`Granted`] target, which only
/// the authorizer makes: what was not asked cannot be done, and nothing but what was asked.
pub(crate) trait Perform: Listed {
    /// What the request is about, its handles looked up. Paths stay lexical: nothing that policy has
    /// not allowed is looked at.
    type Target;

    /// Looks up the handles. Changes nothing.
    fn target(self, state: &mut State) -> Result<Self::Target, Stop>;

    /// What policy must say yes to first.
    fn demands(target: &Self::Target) -> Demands;

    /// Does it. What comes to light on the way, such as where a link leads, is demanded by
    /// [`State::demand`] before it is used.
    fn perform(target: Granted<Self::Target>, state: &mut State) -> Result<Self::Reply, Stop>;

    /// In a dry run, for a request that would change something: decides all that [`Self::perform`] decides, lists what would be
    /// changed ([`plan::note`]), and answers as if it had been done. Changes nothing. What has no way to do so fails.
    fn plan(_target: Granted<Self::Target>, _state: &mut State) -> Result<Self::Reply, Stop> {
        Err(plan::not_known(format_args!("what `{}` would do", Self::NAME)).into())
    }
}

/// What policy must say yes to before an operation looks at anything.
#[derive(Debug)]
pub(crate) struct Demands {
    alternatives: Vec<Vec<Demand>>,
    /// Why nothing is asked before it begins, where it is so.
    unasked: Option<Unasked>,
}

/// Why nothing is asked of policy before an operation begins.
#[derive(Debug, Clone, Copy)]
enum Unasked {
    /// What it finds is.
    Deferred,
    /// It only takes rights away.
    Narrows,
}

impl Demands {
    /// All of these.
    pub(crate) fn all(demands: Vec<Demand>) -> Self {
        Self::any(vec![demands])
    }

    /// All of at least one of these; a denial names what the first lacks.
    pub(crate) fn any(alternatives: Vec<Vec<Demand>>) -> Self {
        Self { alternatives, unasked: None }
    }

    /// Nothing yet: for listings, whose request names nothing that could be asked about. What is found is demanded one by
    /// one, and only what is allowed is told.
    pub(crate) fn of_what_is_found() -> Self {
        Self { alternatives: Vec::new(), unasked: Some(Unasked::Deferred) }
    }

    /// Nothing at all: to give up rights takes none. Only that operation has a [`Narrowing`](run::Narrowing) to show.
    pub(crate) fn none_as_it_only_narrows(_: &run::Narrowing) -> Self {
        Self { alternatives: Vec::new(), unasked: Some(Unasked::Narrows) }
    }

    /// Whether nothing is asked before it begins.
    pub(crate) fn are_none_yet(&self) -> bool {
        self.unasked.is_some()
    }

    /// The alternatives, the first of which a denial speaks of.
    pub(crate) fn alternatives(&self) -> &[Vec<Demand>] {
        &self.alternatives
    }
}

/// Why an operation does not go on.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The request fails; the script is told.
    Failure(Failure),
    /// The worker is not ours any more; the run ends.
    Violation(Violation),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Failure(failure)
    }
}

impl From<Violation> for Stop {
    fn from(violation: Violation) -> Self {
        Stop::Violation(violation)
    }
}
