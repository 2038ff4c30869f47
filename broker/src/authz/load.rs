//! From policy text to a store that decides.

use super::bounds;
use super::index::Index;
use super::memberships::Memberships;
use super::plain;
use super::schema::schema;
use super::warning::{self, PolicyWarning};
use crate::digest::sha256;
use cedar_policy::{Effect, Policy, PolicyId, PolicySet, ValidationMode, Validator};
use miette::Diagnostic;
use std::collections::HashMap;
use std::rc::Rc;
use std::str::FromStr;

/// The most policies that one store holds.
const POLICIES: usize = 20_000;

/// Policies as they stand in a file.
#[derive(Debug, Clone)]
pub struct PolicySource {
    /// The file's name, for ids and messages.
    pub name: String,
    /// Its bytes.
    pub text: Vec<u8>,
}

/// What is done about policies that do not validate strictly against the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// They are refused.
    Strict,
    /// They load with a warning. What cannot be parsed is refused all the same.
    Lenient,
}

/// Policies that cannot be used; tells file and line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PolicyError(String);

/// Parsed and indexed policies. Built once for each revision and shared by all decisions.
#[derive(Debug)]
pub struct PolicyStore {
    all: Rc<PolicySet>,
    index: Index,
    revision: String,
    files: Vec<(String, String)>,
    memberships: Rc<Memberships>,
}

impl PolicyStore {
    /// Parses and indexes `sources`. A policy's id is its `@id`, or its file and line. Text that does not parse, is
    /// not UTF-8, begins with a byte order mark or calls unknown functions is refused with the place of the fault.
    pub fn load(
        sources: &[PolicySource],
        strictness: Strictness,
    ) -> Result<(PolicyStore, Vec<PolicyWarning>), PolicyError> {
        Self::load_all(sources, None, strictness)
    }

    /// As [`Self::load`], strictly, with rails besides: what a program that is executed may do by itself they do not bound.
    pub(crate) fn load_with_rails(
        sources: &[PolicySource],
        rails: &PolicySource,
    ) -> Result<(PolicyStore, Vec<PolicyWarning>), PolicyError> {
        Self::load_all(sources, Some(rails), Strictness::Strict)
    }

    fn load_all(
        sources: &[PolicySource],
        rails: Option<&PolicySource>,
        strictness: Strictness,
    ) -> Result<(PolicyStore, Vec<PolicyWarning>), PolicyError> {
        let mut set = PolicySet::new();
        let mut places = HashMap::new();
        let mut warnings = Vec::new();
        for source in sources.iter().chain(rails) {
            add(source, &mut set, &mut places, &mut warnings)?;
        }
        let is_rail =
            |id: &PolicyId| places.get(id).is_some_and(|place| rails.is_some_and(|rails| place.file == rails.name));
        let index = Index::new(set.policies(), is_rail);
        let (invalid, suspicious) = validate(&set, &index, &places)?;
        warnings.extend(invalid);
        if strictness == Strictness::Strict && !warnings.is_empty() {
            let all: Vec<_> = warnings.iter().map(ToString::to_string).collect();
            return Err(PolicyError(all.join("\n")));
        }
        warnings.extend(suspicious);
        let files: Vec<_> =
            sources.iter().map(|source| (source.name.clone(), sha256([source.text.as_slice()]))).collect();
        let revision = revision(sources.iter().chain(rails));
        let memberships = Rc::default();
        Ok((PolicyStore { all: Rc::new(set), index, revision, files, memberships }, warnings))
    }

    /// The same with further files that decisions depend on, and the memberships that are read from one of them.
    pub(crate) fn with(mut self, files: &[PolicySource], memberships: Memberships) -> Self {
        for file in files {
            let digest = sha256([file.text.as_slice()]);
            self.revision = half(&sha256([format!("{} {digest} {}", self.revision, file.name).as_bytes()]));
            self.files.push((file.name.clone(), digest));
        }
        self.with_memberships(memberships)
    }

    /// The same with these memberships, which its revision does not tell of.
    pub fn with_memberships(self, memberships: Memberships) -> Self {
        Self { memberships: Rc::new(memberships), ..self }
    }

    pub(super) fn memberships(&self) -> Rc<Memberships> {
        Rc::clone(&self.memberships)
    }

    /// What tells this set of policies from all others, in 32 hexadecimal digits.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The names of the files it was loaded from, with the SHA-256 of each.
    pub fn files(&self) -> &[(String, String)] {
        &self.files
    }

    /// The ids of its policies.
    pub fn ids(&self) -> impl Iterator<Item = String> {
        self.index.rows().iter().map(|row| row.policy.id().to_string())
    }

    /// How many policies it holds.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// How many of them are its owner's, and no rails.
    pub fn own(&self) -> usize {
        self.index.rows().iter().filter(|row| !row.rail).count()
    }

    /// Whether it holds none, and so allows nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ids and the texts of its permits, without their ids and comments.
    pub fn permits(&self) -> Vec<(String, String)> {
        let permits = self.index.rows().iter().filter(|row| row.policy.effect() == Effect::Permit);
        permits
            .map(|row| {
                let parts = row.parts().unwrap_or_default();
                let texts = parts.iter().map(|part| part.text.as_str()).collect::<Vec<_>>();
                (row.policy.id().to_string(), texts.join("; "))
            })
            .collect()
    }

    /// Whether a policy reads what a run has done so far; the rails do not.
    pub fn reads_counters(&self) -> bool {
        self.index.rows().iter().any(|row| row.reads_counters)
    }

    /// Whether a policy reads attributes of files and directories.
    pub fn reads_attributes(&self) -> bool {
        self.index.reads_attributes()
    }

    pub(super) fn all(&self) -> Rc<PolicySet> {
        Rc::clone(&self.all)
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }
}

/// A digest of all names and texts: half of a SHA-256 tells apart what no enemy has written.
fn revision<'a>(sources: impl Iterator<Item = &'a PolicySource>) -> String {
    let digests = sources.map(|source| format!("{} {}\n", sha256([source.text.as_slice()]), source.name));
    half(&sha256([digests.collect::<String>().as_bytes()]))
}

fn half(digest: &str) -> String {
    digest.get(..32).unwrap_or_default().to_owned()
}

/// Where a policy stands.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) file: String,
    pub(super) line: usize,
}

fn add(
    source: &PolicySource,
    set: &mut PolicySet,
    places: &mut HashMap<PolicyId, Place>,
    warnings: &mut Vec<PolicyWarning>,
) -> Result<(), PolicyError> {
    let file = &source.name;
    let fault = |line: usize, reason: String| PolicyError(format!("{file}:{line}: {reason}"));
    let text = std::str::from_utf8(&source.text).map_err(|error| {
        let before = source.text.get(..error.valid_up_to()).unwrap_or_default();
        fault(line_of(before, before.len()), "the policy is not UTF-8".into())
    })?;
    if text.starts_with('\u{feff}') {
        return Err(fault(1, "the policy begins with a byte order mark; remove it".into()));
    }
    let starts = bounds::starts(text).map_err(|out| fault(out.line, format!("the policy {}", out.reason)))?;
    if starts.len().saturating_add(places.len()) > POLICIES {
        return Err(fault(1, format!("there are more than {POLICIES} policies")));
    }
    let parsed = PolicySet::from_str(text).map_err(|errors| {
        let first = errors.iter().next();
        let at =
            first.and_then(|error| error.labels()).and_then(|mut labels| labels.next()).map(|label| label.offset());
        let help = first.and_then(|error| error.help()).map(|help| format!(" ({help})")).unwrap_or_default();
        fault(line_of(text.as_bytes(), at.unwrap_or(0)), format!("the policy does not parse: {errors}{help}"))
    })?;
    let line = |id: &PolicyId| {
        let number = id.to_string().strip_prefix("policy").and_then(|number| number.parse::<usize>().ok());
        number.and_then(|number| starts.get(number)).copied().unwrap_or(1)
    };
    for template in parsed.templates() {
        let place = Place { file: file.clone(), line: line(template.id()) };
        warnings.push(warning::template(&place));
    }
    let mut policies: Vec<(usize, &Policy)> = parsed.policies().map(|policy| (line(policy.id()), policy)).collect();
    policies.sort_by_key(|(line, policy)| (*line, policy.id().to_string().len(), policy.id().to_string()));
    for (line, policy) in policies {
        let place = Place { file: file.clone(), line };
        let by_place = format!("{file}:{line}");
        let mut id =
            policy.annotation("id").filter(|id| !id.is_empty()).map_or_else(|| by_place.clone(), str::to_owned);
        if places.contains_key(&PolicyId::new(&id)) {
            if id != by_place {
                warnings.push(warning::repeated_id(&place, &id));
            }
            // Two on one line, or one id twice: told apart by place and number.
            id = format!("{id} ({by_place}, {})", places.len());
        }
        let id = PolicyId::new(id);
        set.add(policy.new_id(id.clone())).map_err(|error| fault(line, error.to_string()))?;
        places.insert(id, place);
    }
    Ok(())
}

/// What does not validate strictly, and what does but is worth a word: policies that can never match, texts that
/// look like others.
fn validate(
    set: &PolicySet,
    index: &Index,
    places: &HashMap<PolicyId, Place>,
) -> Result<(Vec<PolicyWarning>, Vec<PolicyWarning>), PolicyError> {
    let of_interest = set.policies().filter(|policy| !plain::is_plain(policy)).cloned();
    let set = PolicySet::from_policies(of_interest).map_err(|error| PolicyError(error.to_string()))?;
    if set.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let schema = schema().map_err(|error| PolicyError(format!("the built-in schema cannot be used: {error}")))?;
    let result = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
    let mut invalid: Vec<_> =
        result.validation_errors().map(|error| warning::invalid(error, places.get(error.policy_id()))).collect();
    warning::one_of_a_kind(&mut invalid);
    let mut suspicious: Vec<_> = result
        .validation_warnings()
        .map(|warning| warning::suspicious(warning, places.get(warning.policy_id())))
        .collect();
    let by_any_key = index.rows().iter().filter(|row| row.trusts_any_key);
    suspicious.extend(by_any_key.map(|row| warning::key_of_anybody(places.get(row.policy.id()))));
    suspicious.retain(|warning| !invalid.iter().any(|error| error.is_at_the_place_of(warning)));
    warning::one_of_a_kind(&mut suspicious);
    Ok((invalid, suspicious))
}

fn line_of(text: &[u8], offset: usize) -> usize {
    1 + text.get(..offset).unwrap_or(text).iter().filter(|&&byte| byte == b'\n').count()
}
