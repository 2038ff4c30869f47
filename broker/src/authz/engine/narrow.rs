//! Rights that a run gives up.

use super::super::load::PolicyStore;
use super::Authorizer;
use std::rc::Rc;

impl Authorizer {
    /// From now on `store` must allow as well. What was decided before was decided without it, and is forgotten.
    ///
    /// It grants nothing: a decision that it allows does not name it, and where there was no store all stays denied.
    pub fn narrow(&mut self, store: Rc<PolicyStore>) {
        if self.granting == 0 {
            return;
        }
        self.reads_attributes |= store.index().reads_attributes();
        self.reads_session |= store.index().reads_session();
        self.stores.push(store);
        self.remembered.clear();
    }

    /// How often the run has given up rights.
    pub fn narrowings(&self) -> usize {
        self.stores.len() - self.granting
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::demand::{Decision, Demand, Principal, Resource};
    use super::super::super::load::{PolicySource, Strictness};
    use super::*;
    use rex_protocol::Action;
    use rex_protocol::path::AbsPath;

    fn store(text: &str) -> Rc<PolicyStore> {
        let source = PolicySource { name: "a".into(), text: text.as_bytes().to_vec() };
        Rc::new(PolicyStore::load(&[source], Strictness::Lenient).unwrap().0)
    }

    fn authorizer(stores: &[&str]) -> Authorizer {
        let principal = Principal { name: "ana".into(), uid: 7, gid: 7, gids: vec![], groups: vec![] };
        Authorizer::new(principal, stores.iter().map(|text| store(text)).collect())
    }

    /// The policies that allow or deny to read a path.
    fn reads(authorizer: &mut Authorizer, path: &str) -> Result<Vec<String>, Vec<String>> {
        let demand = Demand::new(Action::FileRead, Resource::File(AbsPath::parse(path).unwrap()));
        match authorizer.decide(&demand) {
            Decision::Allowed { policies } => Ok(policies),
            Decision::Denied(denial) => Err(denial.policies.iter().map(ToString::to_string).collect()),
        }
    }

    const ALL: &str = "@id(\"all\") permit(principal, action, resource);";

    #[test]
    fn what_was_remembered_is_decided_anew() {
        let mut authorizer = authorizer(&[ALL]);
        assert_eq!(reads(&mut authorizer, "/a"), Ok(vec!["all".into()]));
        authorizer.narrow(store(&format!(
            "{ALL} @id(\"not-a\") forbid(principal, action, resource == file_system::File::\"/a\");"
        )));
        assert_eq!(reads(&mut authorizer, "/a"), Err(vec!["not-a".into()]));
        assert_eq!(reads(&mut authorizer, "/b"), Ok(vec!["all".into()]));
        authorizer.narrow(store(""));
        assert_eq!(reads(&mut authorizer, "/b"), Err(vec![]));
        authorizer.narrow(store(ALL));
        assert_eq!(reads(&mut authorizer, "/b"), Err(vec![]));
        assert_eq!(authorizer.narrowings(), 3);
    }

    #[test]
    fn it_grants_nothing_and_speaks_for_nothing_that_grants() {
        let mut own =
            authorizer(&["@id(\"only-b\") permit(principal, action, resource == file_system::File::\"/b\");"]);
        own.narrow(store(
            "@id(\"only-b\") permit(principal, action, resource); @id(\"more\") permit(principal, action, resource);",
        ));
        assert_eq!(reads(&mut own, "/a"), Err(vec![]));
        assert_eq!(reads(&mut own, "/b"), Ok(vec!["only-b".into()]));
        let mut none = authorizer(&[]);
        none.narrow(store(ALL));
        assert_eq!(reads(&mut none, "/a"), Err(vec![]));
    }

    #[test]
    fn what_it_reads_is_looked_at_from_then_on() {
        let mut authorizer = authorizer(&[ALL]);
        assert!(!authorizer.reads_attributes());
        authorizer.narrow(store(&format!(
            "{ALL} forbid(principal, action, resource) when {{ context.session.operations > 1 }};"
        )));
        assert!(reads(&mut authorizer, "/a").is_ok());
        authorizer.spent_mut().operations = 2;
        assert!(reads(&mut authorizer, "/a").is_err());
        authorizer.narrow(store(&format!(
            "{ALL} forbid(principal, action, resource) when {{ resource has owner && resource.owner == \"x\" }};"
        )));
        assert!(authorizer.reads_attributes());
    }
}
