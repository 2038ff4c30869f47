//! Deciding.

mod explain;
mod list;
mod narrow;
mod outlook;
mod relocate;

pub use explain::{Explained, Explanation, Missed};
pub use list::Listed;
pub use relocate::{Entry, Relocation};

use super::attributes::{self, Attributes};
use super::demand::{Context, Decision, Demand, Granted, Principal, Resource, denied};
use super::entity::{EntityError, Facts, Fixed};
use super::inspected::Inspected;
use super::load::PolicyStore;
use super::reach::{self, Power, Reach};
use super::session::{Session, Spent, Via};
use super::told::Decided;
use cedar_policy::{
    Authorizer as Cedar, Decision as CedarDecision, Effect, Entities, EntityUid, PolicySet, Request, Response,
};
use rex_protocol::failure::{Denial, FailureKind};
use rex_protocol::text::Text;
use rex_protocol::{Action, Failure};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// How many sets of candidates are kept ready for the next decision.
const KEPT: usize = 256;
/// How many decisions are remembered of each action.
const REMEMBERED: usize = 4096;

/// Decides for one principal under stores that must all allow.
///
/// A `permit` whose condition fails to evaluate grants nothing; a `forbid` whose condition fails denies. Nothing is
/// allowed by no store at all.
pub struct Authorizer {
    principal: Principal,
    fixed: Result<Fixed, EntityError>,
    stores: Vec<Rc<PolicyStore>>,
    /// How many of them, the first ones, were there from the beginning. What came later takes rights away.
    granting: usize,
    cedar: Cedar,
    sets: HashMap<(usize, Vec<usize>), Rc<PolicySet>>,
    /// What was decided before. Such a decision depends on nothing but action and resource: the stores are the same until
    /// one is added, which forgets all of this, the principal is fixed, the id is made of the path, and only demands with an empty context come here, and none
    /// while policies read attributes or what the run has done, which can change.
    /// With each, whether arguments are secret.
    remembered: HashMap<Action, HashMap<Resource, (Decision, bool)>>,
    /// Whether some policy reads an attribute of objects.
    reads_attributes: bool,
    /// What policies are told of the run, and whether some policy reads it.
    session: Session,
    reads_session: bool,
    /// Policies whose evaluation has failed before: each is told once.
    told: HashSet<String>,
    /// What was decided and not taken yet, where that is wanted.
    decided: Option<Vec<Decided>>,
    /// What the latest evaluation knew of the object, and whether a policy in it calls arguments secret.
    seen: Attributes,
    sensitive: bool,
    /// Whether a question that was answered once is not evaluated again.
    remembers: bool,
}

impl Authorizer {
    /// For a run of `principal` under `stores`.
    pub fn new(principal: Principal, stores: Vec<Rc<PolicyStore>>) -> Self {
        // Those of the first store, which the caller cannot bring.
        let memberships = stores.first().map(|store| store.memberships()).unwrap_or_default();
        let fixed = Fixed::new(&principal, memberships);
        let reads_attributes = stores.iter().any(|store| store.index().reads_attributes());
        let reads_session = stores.iter().any(|store| store.index().reads_session());
        Self {
            principal,
            fixed,
            granting: stores.len(),
            stores,
            cedar: Cedar::new(),
            sets: HashMap::new(),
            remembered: HashMap::new(),
            reads_attributes,
            session: Session::new(Via::Standalone),
            reads_session,
            told: HashSet::new(),
            decided: None,
            seen: Attributes::default(),
            sensitive: false,
            remembers: true,
        }
    }

    /// The same, keeping what is decided for [`Self::take_decided`].
    pub(crate) fn keeping_decisions(self) -> Self {
        Self { decided: Some(Vec::new()), ..self }
    }

    /// The same, which tells of each decision whether it is sensitive: none is remembered.
    pub(crate) fn forgetting(self) -> Self {
        Self { remembers: false, ..self.keeping_decisions() }
    }

    /// What was decided since this was last called.
    pub(crate) fn take_decided(&mut self) -> Vec<Decided> {
        self.decided.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Keeps a decision that was just evaluated.
    fn keep(&mut self, demand: &Demand, decision: &Decision, unless_forbidden: bool) {
        if let Some(decided) = &mut self.decided {
            let spent = Some(self.session.spent).filter(|_| self.reads_session);
            let (attributes, sensitive) = (std::mem::take(&mut self.seen), std::mem::take(&mut self.sensitive));
            let (demand, decision) = (demand.clone(), decision.clone());
            decided.push(Decided { demand, attributes, decision, spent, sensitive, unless_forbidden });
        }
    }

    /// The same for a run of which this is known.
    pub fn with_session(self, session: Session) -> Self {
        Self { session, ..self }
    }

    /// How the run came.
    pub fn via(&self) -> Via {
        self.session.via
    }

    /// What the run has done so far.
    pub fn spent(&self) -> &Spent {
        &self.session.spent
    }

    /// The same, to add to it.
    pub fn spent_mut(&mut self) -> &mut Spent {
        &mut self.session.spent
    }

    /// Who asks.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Whether decisions depend on what an object is like at the moment, and not only on its path.
    pub fn reads_attributes(&self) -> bool {
        self.reads_attributes
    }

    /// Whether decisions depend on what the run has done, and on the time.
    pub fn reads_session(&self) -> bool {
        self.reads_session
    }

    /// Decides one demand.
    pub fn decide(&mut self, demand: &Demand) -> Decision {
        (self.seen, self.sensitive) = (Attributes::default(), false);
        let decision = self.decide_or_remember(demand);
        self.keep(demand, &decision, false);
        decision
    }

    fn decide_or_remember(&mut self, demand: &Demand) -> Decision {
        // Processes come and go, and their command lines are long: there is little to remember and much to hold.
        let is_process = matches!(demand.resource, Resource::Process(_));
        if !self.remembers
            || self.reads_attributes
            || self.reads_session
            || is_process
            || !matches!(demand.context, Context::Empty)
        {
            return self.decide_indexed(demand);
        }
        if let Some((decision, sensitive)) = self.remembered(demand).cloned() {
            self.sensitive = sensitive;
            return decision;
        }
        let decision = self.decide_indexed(demand);
        let of_action = self.remembered.entry(demand.action).or_default();
        if of_action.len() >= REMEMBERED {
            of_action.clear();
        }
        of_action.insert(demand.resource.clone(), (decision.clone(), self.sensitive));
        decision
    }

    fn remembered(&self, demand: &Demand) -> Option<&(Decision, bool)> {
        let of_action = self.remembered.get(&demand.action)?;
        of_action.get(&demand.resource).filter(|_| matches!(demand.context, Context::Empty))
    }

    /// As [`Self::decide`], evaluated anew by the policies that the index finds: for benches of just that.
    pub fn decide_indexed(&mut self, demand: &Demand) -> Decision {
        self.judge(demand, Evaluated::Candidates)
    }

    /// As [`Self::decide`], by evaluating every policy: for tests, and for explanations that must not depend on the index.
    pub fn decide_full(&mut self, demand: &Demand) -> Decision {
        self.judge(demand, Evaluated::All)
    }

    /// How far each store could ever let its caller go by `action` on what a resource like `kind` stands for, in the order of
    /// the stores: what a program that the caller starts may do by itself, with this power.
    pub fn reaches(&self, action: Action, kind: &str, power: Power) -> Vec<Reach> {
        self.ask_stores(action, kind, power).unwrap_or_else(|_| vec![Reach::default()])
    }

    /// The actions that all stores could let the caller do, each to something.
    pub fn could_do(&self) -> Vec<Action> {
        let Ok(fixed) = &self.fixed else { return Vec::new() };
        let each = self.stores.iter().map(|store| store.index().powers().of(fixed));
        let all = each.reduce(|before, next| before.intersection(&next).copied().collect());
        all.into_iter().flatten().collect()
    }

    /// Whether every store allows `connect` on all of the network.
    pub fn connects_everywhere(&self) -> bool {
        self.ask_stores(Action::Connect, "network::url", Power::User)
            .is_ok_and(|stores| stores.iter().all(|reach| reach.everywhere))
    }

    fn ask_stores(&self, action: Action, kind: &str, power: Power) -> Result<Vec<Reach>, EntityError> {
        let fixed = self.fixed.as_ref().map_err(EntityError::new)?;
        let (action, kind) = (fixed.action(action)?, fixed.kind(kind)?);
        let action = [&action.uid, &action.group];
        Ok(self.stores.iter().map(|store| reach::of(store.index(), fixed, action, kind, power)).collect())
    }

    /// Whether a policy of the first store, the one that the caller cannot bring, allows `demand` and reads this
    /// part of the context.
    pub fn is_allowed_knowing(&mut self, demand: &Demand, part: &str) -> bool {
        (self.seen, self.sensitive) = (Attributes::default(), false);
        // Each store by itself: policies of another may bear the same ids.
        let Ok(Some(Ok(policies))) =
            self.verdicts(demand, Evaluated::Candidates).map(|stores| stores.into_iter().next())
        else {
            return false;
        };
        let Some(store) = self.stores.first() else { return false };
        let rows = store.index().rows().iter().filter(|row| row.policy.effect() == Effect::Permit);
        let deciding = rows.filter(|row| policies.contains(&row.policy.id().to_string()));
        deciding.into_iter().any(|row| attributes::reads_context(&Inspected::new(&row.policy), part))
    }

    /// Denies a demand because of these policies.
    pub fn deny(&mut self, demand: &Demand, policies: Vec<String>) -> Failure {
        let denial = denial(demand, policies);
        self.keep(demand, &Decision::Denied(denial.clone()), false);
        denied(&self.principal, demand, denial)
    }

    /// Grants `target` if all of `demands` are allowed; else tells of the first that is not.
    pub fn authorize<T>(&mut self, target: T, demands: &[Demand]) -> Result<Granted<T>, Failure> {
        self.authorize_any(target, &[demands])
    }

    /// Grants `target` if all demands of at least one alternative are allowed; else tells what the first lacks.
    /// Without any alternative, and for one without a demand, nothing is granted: a grant answers a question.
    pub fn authorize_any<T>(&mut self, target: T, alternatives: &[&[Demand]]) -> Result<Granted<T>, Failure> {
        let mut first = None;
        for demands in alternatives.iter().filter(|demands| !demands.is_empty()) {
            match self.demand(demands) {
                Ok(()) => return Ok(Granted::new(target)),
                Err(failure) => drop(first.get_or_insert(failure)),
            }
        }
        Err(first.unwrap_or_else(|| Failure::new(FailureKind::InvalidArguments, "nothing was asked of policy")))
    }

    /// Grants a target that tells of nothing by itself: what is found by it is demanded, each thing before it is used. And
    /// one that takes rights away.
    pub(crate) fn defer<T>(&self, target: T) -> Granted<T> {
        Granted::new(target)
    }

    /// Confirms that all of `demands` are allowed; else tells of the first that is not.
    pub fn demand(&mut self, demands: &[Demand]) -> Result<(), Failure> {
        for demand in demands {
            // The usual answer, without a copy of it.
            if self.decided.is_none() && matches!(self.remembered(demand), Some((Decision::Allowed { .. }, _))) {
                continue;
            }
            if let Decision::Denied(denial) = self.decide(demand) {
                return Err(denied(&self.principal, demand, denial));
            }
        }
        Ok(())
    }

    /// Lets pass what no store forbids, whether or not anything permits it; else tells what forbids it.
    pub fn unless_forbidden(&mut self, demand: &Demand) -> Result<(), Failure> {
        (self.seen, self.sensitive) = (Attributes::default(), false);
        let decision = match self.forbidden(demand) {
            None => Decision::Allowed { policies: Vec::new() },
            Some(by) => Decision::Denied(denial(demand, by)),
        };
        self.keep(demand, &decision, true);
        match decision {
            Decision::Allowed { .. } => Ok(()),
            Decision::Denied(denial) => Err(denied(&self.principal, demand, denial)),
        }
    }

    /// The policies of the first store that forbids this, if one does.
    fn forbidden(&mut self, demand: &Demand) -> Option<Vec<String>> {
        match self.verdicts(demand, Evaluated::Candidates) {
            Ok(verdicts) => verdicts.into_iter().filter_map(Result::err).find(|by| !by.is_empty()),
            Err(error) => {
                tracing::error!("{error}");
                Some(Vec::new())
            }
        }
    }

    fn judge(&mut self, demand: &Demand, evaluated: Evaluated) -> Decision {
        let verdicts = self.verdicts(demand, evaluated).unwrap_or_else(|error| {
            tracing::error!("{error}");
            Vec::new()
        });
        // The first store that does not allow it denies, and so does having none.
        let allowed = verdicts.into_iter().reduce(|before, next| match (before, next) {
            (Ok(before), Ok(next)) => Ok([before, next].concat()),
            (Err(by), _) | (Ok(_), Err(by)) => Err(by),
        });
        match allowed.unwrap_or_else(|| Err(Vec::new())) {
            // In the order of the stores: what a run brings does not push aside what the first one says.
            Ok(policies) => Decision::Allowed { policies },
            Err(by) => Decision::Denied(denial(demand, by)),
        }
    }

    /// What each store says: the policies that allow, or those that deny.
    fn verdicts(&mut self, demand: &Demand, evaluated: Evaluated) -> Result<Vec<Verdict>, EntityError> {
        // The fixed parts are taken out for the time of the decision, so that what they lend does not hold on to all of this.
        let fixed = std::mem::replace(&mut self.fixed, Err(EntityError::in_use()));
        let verdicts = match &fixed {
            Ok(fixed) => self.verdicts_with(fixed, demand, evaluated),
            Err(error) => Err(EntityError::new(error)),
        };
        self.fixed = fixed;
        verdicts
    }

    fn verdicts_with(
        &mut self,
        fixed: &Fixed,
        demand: &Demand,
        evaluated: Evaluated,
    ) -> Result<Vec<Verdict>, EntityError> {
        let facts = fixed.facts(demand)?;
        let attributes = if self.reads_attributes { attributes::of(demand) } else { Attributes::default() };
        self.seen = attributes.clone();
        // Tests hold requests against the schema, which demands it.
        let session = Some(&self.session).filter(|_| self.reads_session || cfg!(test));
        let all = evaluated == Evaluated::All;
        let matters = |above: &EntityUid| all || self.stores.iter().any(|store| store.index().names(above));
        let (request, entities) = fixed.request(demand, &facts, &attributes, session, matters)?;
        let mut verdicts = Vec::with_capacity(self.stores.len());
        for at in 0..self.stores.len() {
            let set = match evaluated {
                Evaluated::Candidates => self.candidates_of(at, &facts),
                Evaluated::All => self.stores.get(at).map(|store| store.all()),
            };
            let set = set.ok_or_else(|| EntityError::new("a store without its policies"))?;
            verdicts.push(self.evaluate(at, &request, &set, &entities));
        }
        Ok(verdicts)
    }

    /// The policies of one store that can matter, as a set that Cedar evaluates.
    fn candidates_of(&mut self, at: usize, facts: &Facts<'_>) -> Option<Rc<PolicySet>> {
        let store = self.stores.get(at)?;
        let key = (at, store.index().candidates(facts));
        // Neither the caller nor its script says what is kept from the records of it.
        if self.decided.is_some() && at == 0 {
            self.sensitive |= store.index().is_any_sensitive(&key.1);
        }
        if let Some(set) = self.sets.get(&key) {
            return Some(Rc::clone(set));
        }
        let mut set = PolicySet::new();
        for &number in &key.1 {
            set.add(store.index().policy(number)?.clone()).ok()?;
        }
        if self.sets.len() >= KEPT {
            self.sets.clear();
        }
        let set = Rc::new(set);
        self.sets.insert(key, Rc::clone(&set));
        Some(set)
    }

    fn evaluate(&mut self, at: usize, request: &Request, set: &PolicySet, entities: &Entities) -> Verdict {
        let response = self.cedar.is_authorized(request, set, entities);
        let grants = at < self.granting;
        let failed_forbids = self.tell_errors(&response, set, grants);
        let mut by: Vec<String> = response.diagnostics().reason().map(ToString::to_string).collect();
        by.sort_unstable();
        match response.decision() {
            CedarDecision::Allow if failed_forbids.is_empty() && grants => Ok(by),
            CedarDecision::Allow if failed_forbids.is_empty() => Ok(Vec::new()),
            CedarDecision::Allow => Err(failed_forbids),
            CedarDecision::Deny => {
                by.extend(failed_forbids);
                by.sort_unstable();
                Err(by)
            }
        }
    }

    /// Gives the `forbid`s that failed to evaluate, and reports all policies that did to their author; a script's are its own affair.
    fn tell_errors(&mut self, response: &Response, set: &PolicySet, report: bool) -> Vec<String> {
        let mut forbids = Vec::new();
        for error in response.diagnostics().errors() {
            let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
            let id = error.policy_id();
            let forbids_it = set.policy(id).is_none_or(|policy| policy.effect() == Effect::Forbid);
            if report && self.told.insert(id.to_string()) {
                let effect = if forbids_it { "forbid: it denies" } else { "permit: it grants nothing" };
                // Cedar's own words name the resource, which is the script's to choose and not for this log.
                tracing::warn!("policy `{id}` fails to evaluate ({effect})");
            }
            if forbids_it {
                forbids.push(id.to_string());
            }
        }
        forbids
    }
}

/// What Cedar is given for a decision.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Evaluated {
    /// The policies that can matter, and what they name of what the resource is in.
    Candidates,
    /// All of both.
    All,
}

/// The policies of a store that allow, or those that deny.
type Verdict = Result<Vec<String>, Vec<String>>;

fn denial(demand: &Demand, policies: Vec<String>) -> Denial {
    let Demand { action, resource, .. } = demand;
    let id = resource.id();
    Denial {
        action: Text::cut(action.to_string()),
        resource: Text::cut(format!("{}::\"{}\"", resource.type_name(), id.escape_debug())),
        policies: policies.into_iter().take(16).map(Text::cut).collect(),
    }
}
