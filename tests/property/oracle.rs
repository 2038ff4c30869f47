//! Cedar, asked directly: entities are made here from the schema's text, by nothing of the broker.

use super::tree::is_dir;
use cedar_policy::{Authorizer as Cedar, Context, Decision, Effect, Entities, EntityUid, PolicySet, Request};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::{User, geteuid};
use rex_broker::authz::{Authorizer, Entry, PolicySource, PolicyStore, Principal, Strictness};
use rex_client::AbsPath;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// One question, as contracts put it: an action, `Dir` or `File`, and a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    pub(crate) action: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) path: PathBuf,
    /// Where it is moved to.
    pub(crate) destination: Option<PathBuf>,
    /// The extended attribute.
    pub(crate) attribute: Option<&'static str>,
}

/// What the policies say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Allowed,
    /// Nothing permits it.
    NotAllowed,
    /// A `forbid` names it, or cannot be evaluated.
    Forbidden,
}

/// The attributes of an object that policies here read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Like {
    owner: u32,
    mode: u32,
    size: u64,
}

/// The policies of one session.
pub(crate) struct Oracle {
    policies: PolicySet,
    reads_attributes: bool,
    /// The broker's own view of where its policies forbid something: that is no question for Cedar.
    authorizer: Authorizer,
    /// What was asked before, of something that was like this.
    known: HashMap<(Question, Option<Like>), Answer>,
    principal: Value,
}

fn authorizer(policies: &str) -> Authorizer {
    let source = PolicySource { name: "random".into(), text: policies.as_bytes().to_vec() };
    let (store, _) = PolicyStore::load(&[source], Strictness::Lenient).expect("a policy that the broker reads");
    let user = User::from_uid(geteuid()).ok().flatten().expect("a user with a name");
    let gid = user.gid.as_raw();
    let groups = Vec::new();
    let principal = Principal { name: user.name, uid: user.uid.as_raw(), gid, gids: vec![gid], groups };
    Authorizer::new(principal, vec![Rc::new(store)])
}

pub(crate) fn dir(action: &'static str, path: impl AsRef<Path>) -> Question {
    Question { action, kind: "Dir", path: path.as_ref().to_owned(), destination: None, attribute: None }
}

pub(crate) fn file(action: &'static str, path: impl AsRef<Path>) -> Question {
    Question { kind: "File", ..dir(action, path) }
}

impl Oracle {
    pub(crate) fn new(policies: &str) -> Self {
        let reads_attributes =
            ["resource.size", "resource.mode", "resource.owner"].iter().any(|name| policies.contains(name));
        let authorizer = authorizer(policies);
        let policies = policies.parse().expect("a policy that Cedar reads");
        Self { policies, reads_attributes, authorizer, known: HashMap::new(), principal: principal() }
    }

    /// Whether a `forbid` keeps a directory where it is, in which these are: one on moving them, or on making or opening them where
    /// they would go, or one that, as the broker's own view of its policies has it, would protect something no more.
    pub(crate) fn keeps(&mut self, source: &Path, target: &Path, below: &[PathBuf]) -> bool {
        let absolute = |path: &Path| AbsPath::parse(path.as_os_str().as_bytes()).expect("an absolute path");
        let Ok(relocation) = self.authorizer.relocation(&absolute(source), &absolute(target)) else { return true };
        below.iter().any(|path| {
            let to = target.join(path.strip_prefix(source).expect("it is below"));
            let is_dir = is_dir(path);
            let of = |action, path: &Path| if is_dir { dir(action, path) } else { file(action, path) };
            let moved = Question { destination: Some(to.clone()), ..of("move", path) };
            let mut asked = [moved, of("create", &to), of("open", &to)].into_iter();
            let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW;
            let object = nix::fcntl::open(path, flags, Mode::empty()).map(Rc::new).expect("it is there");
            let (from, to) = (absolute(path), absolute(&to));
            let entry = Entry { from: &from, to: &to, is_dir, object: Some(&object) };
            asked.any(|question| self.answer(&question) == Answer::Forbidden)
                || self.authorizer.forbids_to_relocate(&relocation, &entry).is_some()
        })
    }

    pub(crate) fn allows(&mut self, question: &Question) -> bool {
        self.answer(question) == Answer::Allowed
    }

    pub(crate) fn answer(&mut self, question: &Question) -> Answer {
        let like = if self.reads_attributes { like(&question.path) } else { None };
        let key = (question.clone(), like);
        if let Some(answer) = self.known.get(&key) {
            return *answer;
        }
        let answer = self.ask(question, like);
        self.known.insert(key, answer);
        answer
    }

    fn ask(&self, question: &Question, like: Option<Like>) -> Answer {
        let action = json!({ "type": "file_system::Action", "id": question.action });
        let group = json!({ "type": "file_system::Action", "id": "SafeIO" });
        let resource = json!({ "type": format!("file_system::{}", question.kind), "id": question.path });
        let mut entities = vec![
            self.principal.clone(),
            json!({ "uid": action, "attrs": {}, "parents": [group] }),
            json!({ "uid": resource, "attrs": attributes(&question.path, like), "parents": above(&question.path) }),
        ];
        for path in question.path.ancestors().skip(1) {
            let uid = json!({ "type": "file_system::Dir", "id": path });
            // A resource that is a directory has been told of already.
            entities.push(json!({ "uid": uid, "attrs": { "path": path }, "parents": above(path) }));
        }
        let entities = Entities::from_json_value(Value::Array(entities), None).expect("entities");
        let uid = |value: &Value| EntityUid::from_json(value.clone()).expect("an id");
        let context = Context::from_json_value(context(question), None).expect("a context");
        let principal = uid(&self.principal["uid"]);
        let request = Request::new(principal, uid(&action), uid(&resource), context, None).expect("a request");
        let response = Cedar::new().is_authorized(&request, &self.policies, &entities);
        let forbids = |id: &cedar_policy::PolicyId| {
            self.policies.policy(id).is_some_and(|policy| policy.effect() == Effect::Forbid)
        };
        let failed = |error: &cedar_policy::AuthorizationError| match error {
            cedar_policy::AuthorizationError::PolicyEvaluationError(error) => forbids(error.policy_id()),
        };
        let diagnostics = response.diagnostics();
        if diagnostics.errors().any(failed) || diagnostics.reason().any(forbids) {
            return Answer::Forbidden;
        }
        if response.decision() == Decision::Allow { Answer::Allowed } else { Answer::NotAllowed }
    }
}

/// Who these tests are.
fn principal() -> Value {
    let uid = nix::unistd::geteuid();
    let user = nix::unistd::User::from_uid(uid).ok().flatten();
    let name = user.map_or_else(|| "unknown".to_owned(), |user| user.name);
    // No policy here speaks of groups.
    json!({ "uid": { "type": "User", "id": name }, "attrs": { "name": name, "uid": uid.as_raw() }, "parents": [] })
}

fn above(path: &Path) -> Value {
    path.parent().map_or_else(|| json!([]), |above| json!([{ "type": "file_system::Dir", "id": above }]))
}

/// What is at this very path, where no link is on the way.
fn like(path: &Path) -> Option<Like> {
    let above = path.parent()?;
    let found = path.symlink_metadata().ok()?;
    let reached = above.canonicalize().is_ok_and(|real| real == above);
    reached.then(|| Like { owner: found.uid(), mode: found.mode() & 0o7777, size: found.size() })
}

fn attributes(path: &Path, like: Option<Like>) -> Value {
    let Some(Like { owner, mode, size }) = like else { return json!({ "path": path }) };
    let user = nix::unistd::User::from_uid(owner.into()).ok().flatten();
    let owner = user.map_or_else(|| owner.to_string(), |user| user.name);
    json!({ "path": path, "owner": owner, "mode": mode, "size": size })
}

fn context(question: &Question) -> Value {
    match (&question.destination, question.attribute) {
        (Some(path), _) => {
            let name = path.file_name().and_then(|name| name.to_str());
            json!({ "destination": { "path": path, "parent_path": path.parent(), "name": name } })
        }
        (None, Some(name)) => json!({ "xattr": { "name": name } }),
        (None, None) => json!({}),
    }
}
