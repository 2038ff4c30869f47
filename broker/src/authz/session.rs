//! What policy is told of the run that asks: `context.session`.
//!
//! It is told only if some policy reads it. Who the caller is stands in the principal; here stands how it came, why, and
//! what it has done so far.

use super::context::{number, record, text};
use super::entity::EntityError;
use super::inspected::Inspected;
use cedar_policy::{Effect, PrincipalConstraint, RestrictedExpression};
use jiff::Timestamp;
use serde_json::Value;

/// What policy is told of a run.
#[derive(Debug, Clone)]
pub struct Session {
    /// How it came here.
    pub via: Via,
    /// The terminal of the caller: `pts/3`; empty where it has none. A caller chooses it.
    pub tty: String,
    /// The program that started the caller, by its path; empty where it is not known. A caller chooses it.
    pub parent: String,
    /// The SHA-256 of the script, in hexadecimal digits; empty where there is none.
    pub script: String,
    /// Who signed the script; empty where nobody did.
    pub signed_by: String,
    /// The key that opened its SSH connection, as `ssh-keygen -l` tells it, in the words of what sshd started as the caller:
    /// a caller that sshd starts for nothing else cannot choose it. Empty where there is none.
    pub ssh_key: String,
    /// Why it is run, in the caller's words; empty where it says nothing.
    pub reason: String,
    /// Whether it is a dry run, which changes nothing.
    pub dry_run: bool,
    /// When it began.
    pub started: Timestamp,
    /// What time it is, for questions about another time than now.
    pub now: Option<Timestamp>,
    /// What it has done so far.
    pub spent: Spent,
}

/// What of it policies know as numbers.
const COUNTERS: [&str; 5] = ["operations", "bytes_read", "bytes_written", "deleted", "hosts"];

/// How a run comes to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// Through the daemon's socket.
    Socket,
    /// Through the daemon's socket, from what sshd started for a connection.
    Ssh,
    /// Without a daemon.
    Standalone,
}

/// What a run has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Operations asked for, the one that is decided included.
    pub operations: u64,
    /// Bytes of files that were given to it.
    pub bytes_read: u64,
    /// Bytes that it has written to files.
    pub bytes_written: u64,
    /// Files, directories and links that it has removed.
    pub deleted: u64,
    /// Different hosts that it has asked to contact, as it named them, the one that is decided included.
    pub hosts: u64,
}

impl Session {
    /// One that begins now, of which no more is known.
    pub fn new(via: Via) -> Self {
        let [tty, parent, script, signed_by, ssh_key, reason] = [const { String::new() }; 6];
        let (started, now, spent) = (Timestamp::now(), None, Spent::default());
        Self { via, tty, parent, script, signed_by, ssh_key, reason, dry_run: false, started, now, spent }
    }

    /// The record that policies see.
    pub(super) fn for_context(&self) -> Result<RestrictedExpression, EntityError> {
        let Spent { operations, bytes_read, bytes_written, deleted, hosts } = self.spent;
        record([
            ("tty", text(&self.tty)),
            ("parent", text(&self.parent)),
            ("script", text(&self.script)),
            ("signed_by", text(&self.signed_by)),
            ("ssh_key", text(&self.ssh_key)),
            ("reason", text(&self.reason)),
            ("dry_run", RestrictedExpression::new_bool(self.dry_run)),
            ("via", text(self.via.name())),
            ("started", date(self.started)),
            ("now", date(self.now.unwrap_or_else(Timestamp::now))),
            ("operations", number(operations)),
            ("bytes_read", number(bytes_read)),
            ("bytes_written", number(bytes_written)),
            ("deleted", number(deleted)),
            ("hosts", number(hosts)),
        ])
    }
}

impl Via {
    /// As policies and records tell it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Via::Socket => "socket",
            Via::Ssh => "ssh",
            Via::Standalone => "standalone",
        }
    }
}

/// As Cedar takes it, to the millisecond.
fn date(time: Timestamp) -> RestrictedExpression {
    RestrictedExpression::new_datetime(format!("{time:.3}"))
}

/// Whether a policy reads the session, or the context as a whole.
pub(super) fn is_read_by(policy: &Inspected<'_>) -> bool {
    policy.may(reads)
}

/// Whether a policy reads what a run has done so far.
pub(super) fn counters_are_read_by(policy: &Inspected<'_>) -> bool {
    policy.may(|conditions| COUNTERS.iter().any(|counter| mentions(conditions, "attr", counter)))
}

/// Whether a policy permits by the key of an SSH connection whoever the caller is: a caller with a shell can claim any key.
pub(super) fn trusts_any_callers_key(inspected: &Inspected<'_>) -> bool {
    let Inspected { policy, .. } = inspected;
    policy.effect() == Effect::Permit
        && matches!(policy.principal_constraint(), PrincipalConstraint::Any)
        && inspected
            .does(|conditions| mentions(conditions, "attr", "ssh_key") && !mentions(conditions, "Var", "principal"))
}

/// Whether such a member with this value stands anywhere in it.
fn mentions(expression: &Value, member: &str, value: &str) -> bool {
    match expression {
        Value::Array(items) => items.iter().any(|item| mentions(item, member, value)),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, field)| (name == member && field.as_str() == Some(value)) || mentions(field, member, value)),
        _ => false,
    }
}

fn reads(expression: &Value) -> bool {
    match expression {
        Value::Array(items) => items.iter().any(reads),
        Value::Object(fields) => fields.iter().any(|(operator, operand)| {
            let of_context = operand.pointer("/left/Var").and_then(Value::as_str) == Some("context");
            match operator.as_str() {
                "." | "has" if of_context => operand.get("attr").and_then(Value::as_str) == Some("session"),
                "Var" => operand.as_str() == Some("context"),
                _ => reads(operand),
            }
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cedar_policy::Policy;

    #[test]
    fn finds_policies_with_budgets() {
        let reads = |body: &str| {
            let text = format!("permit(principal, action, resource) when {{ {body} }};");
            counters_are_read_by(&Inspected::new(&Policy::parse(None, text).unwrap()))
        };
        assert!(reads("resource has owner || context.session.deleted < 20"));
        assert!(!reads("context.session.reason != \"deleted\""));
    }

    #[test]
    fn finds_policies_that_read_the_session() {
        let reads = |body: &str| {
            let text = format!("permit(principal, action, resource) when {{ {body} }};");
            is_read_by(&Inspected::new(&Policy::parse(None, text).unwrap()))
        };
        assert!(reads("context.session.deleted < 20"));
        assert!(reads("true && (if context has session then true else false)"));
        assert!(reads("[context].contains(context)"));
        assert!(!reads("context.xattr.name == \"session\""));
        assert!(!reads("resource.session == 1"));
        assert!(!reads("context has xattr && context.xattr has session"));
    }

    #[test]
    fn finds_policies_that_take_a_key_from_anybody() {
        let trusts = |text: &str| trusts_any_callers_key(&Inspected::new(&Policy::parse(None, text).unwrap()));
        let by_key = "when { context.session.ssh_key == \"SHA256:x\" };";
        assert!(trusts(&format!("permit(principal, action, resource) {by_key}")));
        assert!(!trusts(&format!("forbid(principal, action, resource) {by_key}")));
        assert!(!trusts(&format!("permit(principal == User::\"deploy\", action, resource) {by_key}")));
        assert!(!trusts(&format!("permit(principal in Group::\"ops\", action, resource) {by_key}")));
        let named = "when { principal == User::\"deploy\" && context.session.ssh_key == \"SHA256:x\" };";
        assert!(!trusts(&format!("permit(principal, action, resource) {named}")));
        assert!(!trusts("permit(principal, action, resource) when { context.session.reason == \"ssh_key\" };"));
    }
}
