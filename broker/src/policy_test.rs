//! Tests of policies, beside them: questions with the answers that their author expects, in `*.test.toml`.

use crate::authz::{Authorizer, Decision, PolicyStore, Question, QuestionError};
use serde::Deserialize;
use std::fmt;
use std::rc::Rc;

/// The tests of one file.
#[derive(Debug, Clone)]
pub struct Suite {
    file: String,
    tests: Vec<Test>,
}

/// A file of tests that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SuiteError(String);

/// A test whose answer is another than the expected one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// The file.
    pub file: String,
    /// The test's name.
    pub name: String,
    /// What was expected.
    pub expected: String,
    /// What came.
    pub found: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    test: Vec<toml::Table>,
}

#[derive(Debug, Clone)]
struct Test {
    name: String,
    expect: Expected,
    /// The policies that decide, where that is said.
    policies: Option<Vec<String>>,
    question: Question,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expected {
    Allow,
    Deny,
}

impl Suite {
    /// Reads a file's text.
    pub fn parse(file: &str, text: &[u8]) -> Result<Self, SuiteError> {
        let wrong = |reason: &dyn fmt::Display| SuiteError(format!("{file}: {reason}"));
        let text = std::str::from_utf8(text).map_err(|_| wrong(&"the tests are not UTF-8"))?;
        let written: Written = toml::from_str(text).map_err(|error| wrong(&error.to_string().trim_end()))?;
        let tests = (1..)
            .zip(written.test)
            .map(|(number, table)| Test::parse(table).map_err(|reason| wrong(&format!("test {number}: {reason}"))));
        Ok(Self { file: file.to_owned(), tests: tests.collect::<Result<_, _>>()? })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.tests.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tests.is_empty()
    }

    /// Puts all questions to a store, and gives the tests that fail.
    pub fn run(&self, store: &Rc<PolicyStore>) -> Vec<Failed> {
        self.tests.iter().filter_map(|test| test.run(&self.file, store)).collect()
    }
}

impl Test {
    /// What is no field of the test's own is one of its question.
    fn parse(mut table: toml::Table) -> Result<Self, String> {
        let missing = |field: &str| format!("it has no `{field}`");
        let name = match table.remove("name") {
            Some(toml::Value::String(name)) => name,
            _ => return Err(missing("name")),
        };
        let expect = table.remove("expect").ok_or_else(|| missing("expect"))?;
        let expect = expect.try_into().map_err(|_| "`expect` is neither \"allow\" nor \"deny\"".to_owned())?;
        let policies = table.remove("policies").map(toml::Value::try_into).transpose();
        let policies = policies.map_err(|_| "`policies` is no list of ids".to_owned())?;
        // Nothing in a test depends on what this machine has.
        table.entry("attributes").or_insert_with(|| toml::Value::Table(toml::Table::new()));
        let question: Question = toml::Value::Table(table).try_into().map_err(|error| {
            let error: toml::de::Error = error;
            error.message().to_owned()
        })?;
        Ok(Self { name, expect, policies, question })
    }

    fn run(&self, file: &str, store: &Rc<PolicyStore>) -> Option<Failed> {
        let failed = |expected: String, found: String| {
            Some(Failed { file: file.to_owned(), name: self.name.clone(), expected, found })
        };
        let (decision, policies) = match self.answer(store) {
            Ok(Decision::Allowed { policies }) => (Expected::Allow, policies),
            Ok(Decision::Denied(denial)) => (Expected::Deny, denial.policies.iter().map(ToString::to_string).collect()),
            Err(error) => return failed(self.expect.to_string(), format!("no answer: {error}")),
        };
        if decision != self.expect {
            return failed(self.expect.to_string(), format!("{decision} by {}", listed(&policies)));
        }
        let mut expected = self.policies.clone()?;
        expected.sort_unstable();
        (expected != policies).then_some(())?;
        failed(format!("{decision} by {}", listed(&expected)), format!("{decision} by {}", listed(&policies)))
    }

    fn answer(&self, store: &Rc<PolicyStore>) -> Result<Decision, QuestionError> {
        let (principal, session, demand) = self.question.put()?;
        let mut authorizer = Authorizer::new(principal, vec![Rc::clone(store)]).with_session(session);
        Ok(authorizer.decide(&demand))
    }
}

fn listed(policies: &[String]) -> String {
    if policies.is_empty() { "no policy".to_owned() } else { policies.join(", ") }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Expected::Allow => "allow",
            Expected::Deny => "deny",
        })
    }
}

/// `FILE: test NAME: expected ..., found ...`
impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: test `{}`: expected {}, found {}", self.file, self.name, self.expected, self.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::{PolicySource, Strictness};

    fn run(policy: &str, tests: &str) -> Result<Vec<String>, String> {
        let source = PolicySource { name: "a.cedar".into(), text: policy.into() };
        let (store, _) = PolicyStore::load(&[source], Strictness::Strict).unwrap();
        let suite = Suite::parse("a.test.toml", tests.as_bytes()).map_err(|error| error.to_string())?;
        Ok(suite.run(&Rc::new(store)).iter().map(ToString::to_string).collect())
    }

    const POLICY: &str = r#"@id("logs") permit(principal in Group::"adm", action == file_system::Action::"read",
        resource in file_system::Dir::"/var/log") when { context.session.deleted < 3 };"#;
    const TEST: &str = r#"[[test]]
        name = "n"
        user = "ana"
        groups = ["adm"]
        action = "read"
        resource = 'file_system::File::"/var/log/x"'
    "#;

    #[test]
    fn tests_pass_and_fail() {
        let with = |rest: &str| run(POLICY, &format!("{TEST}{rest}")).unwrap();
        assert!(with("expect = \"allow\"\npolicies = [\"logs\"]").is_empty());
        assert!(with("expect = \"deny\"\nsession = { deleted = 3 }\npolicies = []").is_empty());
        assert_eq!(with("expect = \"deny\""), ["a.test.toml: test `n`: expected deny, found allow by logs"]);
        let other = with("expect = \"allow\"\npolicies = [\"other\"]");
        assert_eq!(other, ["a.test.toml: test `n`: expected allow by other, found allow by logs"]);
    }

    #[test]
    fn what_is_mistyped_is_no_test() {
        for (text, reason) in [
            ("[[test]]\nname = \"n\"", "has no `expect`"),
            ("[[tset]]", "unknown field"),
            ("[[test]]\nname = \"n\"\nexpect = \"maybe\"", "neither"),
            ("[[test]]\nname = \"n\"\nexpect = \"deny\"\nuzer = \"x\"", "uzer"),
        ] {
            let error = run(POLICY, text).unwrap_err();
            assert!(error.starts_with("a.test.toml") && error.contains(reason), "{error}");
        }
        let failed = run(POLICY, "[[test]]\nname = \"n\"\nexpect = \"deny\"").unwrap();
        assert!(failed[0].contains("no answer: it is not said who asks"), "{failed:?}");
    }
}
