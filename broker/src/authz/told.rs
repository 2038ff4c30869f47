//! What records tell of a decision: the question in full, but for secrets, so that it can be asked again.

use super::attributes::Attributes;
use super::demand::{Context, Decision, Demand, ProgramContext, Resource};
use super::session::Spent;
use crate::digest::sha256;
use rex_protocol::fs::Argument;
use serde_json::{Map, Value, json};

/// What stands for something that is not told.
pub(crate) const MASK: &str = "***";
/// How much of a text that somebody chose is told, in bytes.
const TEXT: usize = 1024;
/// How much of a program's arguments is told, and of its environment, in bytes.
const WORDS: usize = 16 * 1024;
/// What names of secrets hold, in lower case.
const SECRET: &[&str] = &[
    "pass",
    "secret",
    "token",
    "credential",
    "api-key",
    "apikey",
    "api_key",
    "private-key",
    "private_key",
    "authorization",
];

/// A question that was decided.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(super) demand: Demand,
    pub(super) attributes: Attributes,
    pub(super) decision: Decision,
    /// What the run had done, where some policy reads it.
    pub(super) spent: Option<Spent>,
    /// Whether some policy on such a thing says that its arguments are secret.
    pub(super) sensitive: bool,
    /// It was only asked whether something forbids it.
    pub(super) unless_forbidden: bool,
}

/// The parts of a record that tell of it.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) action: String,
    pub(crate) resource: String,
    pub(crate) attributes: Map<String, Value>,
    pub(crate) context: Map<String, Value>,
    pub(crate) spent: Map<String, Value>,
    pub(crate) masked: bool,
}

impl Decided {
    /// Whether it was allowed.
    pub(crate) fn is_allowed(&self) -> bool {
        matches!(self.decision, Decision::Allowed { .. })
    }

    /// Whether what was asked for changes nothing.
    pub(crate) fn only_looks(&self) -> bool {
        self.demand.action.only_looks()
    }

    /// Whether it was only asked whether something forbids it.
    pub(crate) fn is_unless_forbidden(&self) -> bool {
        self.unless_forbidden
    }

    /// Whether some policy on such a thing says that it is secret.
    pub(crate) fn is_sensitive(&self) -> bool {
        self.sensitive
    }

    /// The policies that decided.
    pub(crate) fn policies(&self) -> Vec<String> {
        match &self.decision {
            Decision::Allowed { policies } => policies.clone(),
            Decision::Denied(denial) => denial.policies.iter().map(ToString::to_string).collect(),
        }
    }

    /// All of it, secrets masked.
    pub(crate) fn told(&self) -> Told {
        let Demand { action, resource, context, .. } = &self.demand;
        let mut masking = Masking { all: self.sensitive, masked: false };
        let id = match resource {
            Resource::Url(url) => masking.url(&url.text),
            other => other.id(),
        };
        let id = masking.cut(id);
        let resource = format!("{}::\"{}\"", self.demand.resource.type_name(), id.escape_debug());
        let attributes = masking.attributes(&self.demand.resource, &self.attributes);
        let context = match context {
            Context::Empty => Map::new(),
            Context::Attribute(name) => fields([("xattr", json!({ "name": name }))]),
            Context::Destination(path) => fields([("destination", json!(masking.cut(path.to_id())))]),
            Context::Program(program) => masking.program(program),
        };
        let spent = self.spent.as_ref().map(spent).unwrap_or_default();
        Told { action: action.to_string(), resource, attributes, context, spent, masked: masking.masked }
    }
}

fn fields<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn spent(spent: &Spent) -> Map<String, Value> {
    let Spent { operations, bytes_read, bytes_written, deleted, hosts } = *spent;
    fields([
        ("operations", json!(operations)),
        ("bytes_read", json!(bytes_read)),
        ("bytes_written", json!(bytes_written)),
        ("deleted", json!(deleted)),
        ("hosts", json!(hosts)),
    ])
}

/// What a program is given, secrets masked; all of it where a policy says that it is sensitive.
pub(crate) fn program(program: &ProgramContext, sensitive: bool) -> Map<String, Value> {
    Masking { all: sensitive, masked: false }.program(program)
}

/// A URL, secrets masked; all values of its query where a policy says that it is sensitive.
pub(crate) fn url(text: &str, sensitive: bool) -> String {
    Masking { all: sensitive, masked: false }.url(text)
}

/// The text as far as `most` bytes go. Of what is longer its length and its SHA-256 are told as well, by which it can be found again.
pub(crate) fn cut(text: String, most: usize) -> String {
    if text.len() <= most {
        return text;
    }
    let start = beginning(&text, most);
    format!("{start}... [{} bytes, SHA-256 {}]", text.len(), sha256([text.as_bytes()]))
}

/// Whole characters of the text, as far as `most` bytes go.
pub(crate) fn beginning(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// Leaves secrets out, and what is too long.
struct Masking {
    /// A policy says that all arguments are secret.
    all: bool,
    masked: bool,
}

impl Masking {
    fn mask(&mut self, secret: bool, text: &str) -> String {
        if !secret && !self.all {
            return text.to_owned();
        }
        self.masked = true;
        MASK.to_owned()
    }

    fn cut(&mut self, text: String) -> String {
        self.masked |= text.len() > TEXT;
        cut(text, TEXT)
    }

    fn attributes(&mut self, resource: &Resource, looked_at: &Attributes) -> Map<String, Value> {
        let mut told = looked_at.told();
        match resource {
            Resource::Process(process) => {
                // Other programs' arguments are nobody's business here, and secrets among them have no name that tells of them.
                let (program, arguments) = process.command.split_once(' ').unwrap_or((&process.command, ""));
                let count = arguments.split_ascii_whitespace().count();
                self.masked |= count > 0;
                told.extend(fields([
                    ("name", json!(process.name)),
                    ("username", json!(process.username)),
                    ("command", json!(self.cut(program.to_owned()))),
                    ("words", json!(count)),
                ]));
            }
            Resource::Url(url) => told.extend(url.ip.map(|ip| ("ip".to_owned(), json!(ip.to_string())))),
            _ => {}
        }
        told
    }

    fn program(&mut self, program: &ProgramContext) -> Map<String, Value> {
        let mut told = Map::new();
        let mut secret_follows = false;
        let mut arguments = Vec::new();
        for argument in &program.arguments {
            arguments.push(match argument {
                Argument::Single(text) => {
                    let told = self.single(secret_follows, text);
                    secret_follows = text.starts_with('-') && names_a_secret(text) && !text.contains('=');
                    vec![told]
                }
                Argument::Pair(key, value) => vec![key.to_string(), self.mask(names_a_secret(key), value)],
            });
        }
        let environment = program.environment.iter();
        let environment: Vec<_> =
            environment.map(|(name, value)| vec![name.clone(), self.mask(names_a_secret(name), value)]).collect();
        let (arguments, more_arguments) = self.fitting(arguments);
        let (environment, more_environment) = self.fitting(environment);
        let arguments = arguments.into_iter().map(|mut words| match words.len() {
            1 => json!(words.pop()),
            _ => json!(words),
        });
        told.insert("arguments".into(), arguments.collect());
        let environment = environment.into_iter().filter_map(|words| <[String; 2]>::try_from(words).ok());
        told.insert("environment".into(), environment.map(|[name, value]| (name, json!(value))).collect());
        told.extend(more_arguments.map(|more| ("all_arguments".to_owned(), more)));
        told.extend(more_environment.map(|more| ("all_environment".to_owned(), more)));
        told.insert("user".into(), json!([program.user.0, program.user.1]));
        told.insert("group".into(), json!([program.group.0, program.group.1]));
        if !program.capabilities.is_empty() {
            told.insert("capabilities".into(), json!(program.capabilities));
        }
        told.extend(program.namespace.map(|pid| ("namespace".to_owned(), json!(pid))));
        told
    }

    /// Words as far as there is room for them. Where that is not for all, their number and the SHA-256 of them as JSON come with
    /// them: what was masked is masked there too, or it could be guessed.
    fn fitting(&mut self, words: Vec<Vec<String>>) -> (Vec<Vec<String>>, Option<Value>) {
        let all = json!({ "count": words.len(), "sha256": sha256([json!(words).to_string().as_bytes()]) });
        let (count, mut room) = (words.len(), WORDS);
        let mut fitting = Vec::new();
        for group in words {
            let group: Vec<String> = group.into_iter().map(|word| self.cut(word)).collect();
            let Some(left) = room.checked_sub(group.iter().map(|word| word.len() + 1).sum()) else { break };
            room = left;
            fitting.push(group);
        }
        let is_cut = fitting.len() < count;
        self.masked |= is_cut;
        (fitting, is_cut.then_some(all))
    }

    /// `--password=x` and `Authorization: x` keep their names, a URL all but its secrets.
    fn single(&mut self, secret: bool, text: &str) -> String {
        let named = [('=', "="), (':', ": ")].into_iter().filter_map(|(sign, shown)| {
            let (name, _) = text.split_once(sign).filter(|(name, _)| names_a_secret(name))?;
            Some(format!("{name}{shown}{MASK}"))
        });
        match named.into_iter().next() {
            Some(told) if !secret && !self.all => {
                self.masked = true;
                told
            }
            // What lets somebody in may stand in it.
            None if !secret && !self.all && text.contains("://") => self.url(text),
            _ => self.mask(secret, text),
        }
    }

    /// Without user, password, and values of what names a secret.
    fn url(&mut self, text: &str) -> String {
        let (text, query) = text.split_once('?').map_or((text, None), |(text, query)| (text, Some(query)));
        let (start, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
        let (host, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        let host = match host.rsplit_once('@') {
            Some((_, host)) => {
                self.masked = true;
                format!("{MASK}@{host}")
            }
            None => host.to_owned(),
        };
        let separator = if start.is_empty() { "" } else { "://" };
        let query = query.map(|query| {
            let pairs = query.split('&').map(|pair| match pair.split_once('=') {
                Some((name, value)) => format!("{name}={}", self.mask(names_a_secret(name), value)),
                None => self.mask(false, pair),
            });
            format!("?{}", pairs.collect::<Vec<_>>().join("&"))
        });
        format!("{start}{separator}{host}{path}{}", query.unwrap_or_default())
    }
}

/// Whether what has this name is likely to be a secret.
fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::super::demand::ProcessIdentity;
    use super::*;
    use rex_protocol::text::Text;
    use std::rc::Rc;

    fn program(arguments: &[Argument], environment: &[(&str, &str)], all: bool) -> (String, bool) {
        let context = ProgramContext {
            arguments: arguments.to_vec(),
            environment: environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            user: ("ana".into(), 1),
            group: ("ana".into(), 1),
            capabilities: Vec::new(),
            namespace: None,
        };
        let mut masking = Masking { all, masked: false };
        let told = masking.program(&context);
        (format!("{} {}", told["arguments"], told["environment"]), masking.masked)
    }

    fn single(text: &str) -> Argument {
        Argument::Single(Text::cut(text))
    }

    #[test]
    fn what_is_named_as_a_secret_is_not_told() {
        let pair = Argument::Pair(Text::cut("--db-password"), Text::cut("hunter2"));
        let arguments =
            [single("-v"), single("--token"), single("hunter2"), single("--api-key=hunter2"), pair, single("x")];
        let (told, masked) = program(&arguments, &[("LANG", "C"), ("AWS_SECRET_ACCESS_KEY", "hunter2")], false);
        assert!(masked && !told.contains("hunter2"), "{told}");
        assert!(
            told.contains("-v") && told.contains("--api-key=***") && told.contains("\"x\"") && told.contains("\"C\""),
            "{told}"
        );
        let (told, masked) = program(&[single("plain")], &[], false);
        assert!(!masked && told.contains("plain"));
        let headers = [single("-H"), single("Authorization: Basic hunter2"), single("https://ana:hunter2@h/a")];
        let (told, masked) = program(&headers, &[], false);
        assert!(masked && !told.contains("hunter2"), "{told}");
        assert!(told.contains("Authorization: ***") && told.contains("https://***@h/a"), "{told}");
    }

    #[test]
    fn a_policy_can_have_all_arguments_kept_back() {
        let (told, masked) = program(&[single("plain")], &[("LANG", "C")], true);
        assert!(masked && !told.contains("plain") && told.contains("{\"LANG\":\"***\"}"), "{told}");
    }

    #[test]
    fn what_is_long_is_cut_and_can_be_found_again() {
        assert_eq!(cut("abc".into(), 3), "abc");
        let told = cut("aéb".into(), 2);
        assert_eq!(told, format!("a... [4 bytes, SHA-256 {}]", sha256(["aéb".as_bytes()])));
        let (told, masked) = program(&[single(&"x".repeat(TEXT + 1)), single("last")], &[], false);
        assert!(masked && told.contains("SHA-256") && told.contains("last") && told.len() < 2 * TEXT, "{told}");
        let many: Vec<_> = (0..10_000).map(|number| single(&format!("number {number}"))).collect();
        let (told, masked) = program(&many, &[], false);
        assert!(masked && told.len() < 2 * WORDS, "{}", told.len());
    }

    #[test]
    fn arguments_of_other_programs_are_counted() {
        let process = ProcessIdentity {
            pid: 7,
            name: "curl".into(),
            username: "ana".into(),
            command: "curl -u ana:hunter2 -H Authorization:hunter2".into(),
        };
        let mut masking = Masking { all: false, masked: false };
        let told = masking.attributes(&Resource::Process(Rc::new(process)), &Attributes::default());
        assert!(masking.masked && told["command"] == "curl" && told["words"] == 4, "{told:?}");
        assert!(!format!("{told:?}").contains("hunter2"));
    }

    #[test]
    fn urls_are_told_without_what_lets_somebody_in() {
        let mut masking = Masking { all: false, masked: false };
        assert_eq!(masking.url("https://u:p@h/a@b?q=1&access_token=x&y"), "https://***@h/a@b?q=1&access_token=***&y");
        assert_eq!(masking.url("h"), "h");
        let mut masking = Masking { all: true, masked: false };
        assert_eq!(masking.url("https://h/a?q=1&x"), "https://h/a?q=***&***");
    }
}
