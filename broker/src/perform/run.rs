//! What a run gives up.
//!
//! Why this is safe given a hostile worker: a policy that comes in here can only take rights away, as all that were there
//! before go on to be asked, each by itself, whatever ids it uses. So nothing is asked of policy first. Its text is parsed within the
//! same bounds as that of a caller's own policy; how long it is and how many there are is limited.

use super::{Demands, Perform, Stop};
use crate::authz::{Granted, PolicySource, PolicyStore, Strictness};
use crate::session::State;
use rex_protocol::failure::{Failure, FailureKind};
use rex_protocol::run::{NARROWING, NARROWINGS, Narrow, Narrowed};
use rex_protocol::text::Text;
use std::rc::Rc;

/// How many warnings about one policy are told.
const WARNINGS: usize = 16;

/// The policy that is to be obeyed besides. Made here only: it shows that an operation takes rights away.
pub(crate) struct Narrowing(Text<NARROWING>);

impl Perform for Narrow {
    type Target = Narrowing;

    fn target(self, _: &mut State) -> Result<Narrowing, Stop> {
        Ok(Narrowing(self.policy))
    }

    fn demands(target: &Narrowing) -> Demands {
        Demands::none_as_it_only_narrows(target)
    }

    fn perform(target: Granted<Narrowing>, state: &mut State) -> Result<Narrowed, Stop> {
        let Narrowing(policy) = target.into_inner();
        let refused = |message: String| Failure::new(FailureKind::InvalidArguments, message);
        let number = state.authorizer().narrowings() + 1;
        if number > NARROWINGS {
            return Err(refused(format!("a run gives up rights at most {NARROWINGS} times")).into());
        }
        let source = PolicySource { name: format!("rex:narrow-{number}"), text: policy.into_string().into_bytes() };
        let (store, warnings) = PolicyStore::load(&[source], Strictness::Lenient)
            .map_err(|error| refused(format!("the policy cannot be used: {error}")))?;
        state.narrow(Rc::new(store))?;
        let warnings = warnings.iter().take(WARNINGS).map(|warning| Text::cut(warning.to_string())).collect();
        Ok(Narrowed { warnings })
    }
}
