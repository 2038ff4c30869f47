//! A question to policy as people, tests and records write it.

use super::demand::{Context, Demand, Object, Principal, ProcessIdentity, ProgramContext, Resource, Url};
use super::session::{Session, Spent, Via};
use cedar_policy::EntityUid;
use jiff::Timestamp;
use rex_protocol::Action;
use rex_protocol::fs::Argument;
use rex_protocol::path::AbsPath;
use rex_protocol::text::Text;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::str::FromStr;

/// May this user do this to that? What is not said is empty, 0, or now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Question {
    /// The name of who asks.
    pub user: String,
    /// Its number.
    pub uid: u32,
    /// The names of its groups.
    pub groups: Vec<String>,
    /// In full, `file_system::Action::"read"`, or its name, `read`, where it is one of the resource's namespace.
    pub action: String,
    /// `file_system::File::"/etc/hosts"`
    pub resource: String,
    /// What is known of the resource besides. Nothing: files are looked at as they are.
    pub attributes: Option<Map<String, Value>>,
    /// In what way it is done: `destination`, `xattr`.
    pub context: Map<String, Value>,
    /// What is known of the run.
    pub session: Told,
    /// What a program is given: words, and pairs as lists of two.
    pub arguments: Vec<Word>,
    /// Its environment.
    pub environment: BTreeMap<String, String>,
    /// As whom it runs: as who asks, unless it is said.
    pub run_as: RunAs,
}

/// What is known of a run; see [`Session`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Told {
    /// `socket`, `ssh` or `standalone`
    pub via: String,
    /// [`Session::tty`]
    pub tty: String,
    /// [`Session::parent`]
    pub parent: String,
    /// [`Session::script`]
    pub script: String,
    /// [`Session::signed_by`]
    pub signed_by: String,
    /// [`Session::ssh_key`]
    pub ssh_key: String,
    /// [`Session::reason`]
    pub reason: String,
    /// [`Session::dry_run`]
    pub dry_run: bool,
    /// When it began: RFC 3339.
    pub started: Option<Timestamp>,
    /// What time it is.
    pub now: Option<Timestamp>,
    /// [`Spent::operations`]
    pub operations: u64,
    /// [`Spent::bytes_read`]
    pub bytes_read: u64,
    /// [`Spent::bytes_written`]
    pub bytes_written: u64,
    /// [`Spent::deleted`]
    pub deleted: u64,
    /// [`Spent::hosts`]
    pub hosts: u64,
}

/// An argument of a program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Word {
    /// A single one.
    Single(String),
    /// A key with its value.
    Pair(String, String),
}

/// As whom a program runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunAs {
    /// The user's name.
    pub user: String,
    /// Its number.
    pub uid: u32,
    /// The group's name.
    pub group: String,
    /// Its number.
    pub gid: u32,
    /// The capabilities it is given.
    pub capabilities: Vec<String>,
    /// The process whose namespace it joins.
    pub namespace: Option<u32>,
}

/// A question that cannot be put.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct QuestionError(String);

impl Question {
    /// Who asks, in what run, and for what.
    pub fn put(&self) -> Result<(Principal, Session, Demand), QuestionError> {
        if self.user.is_empty() {
            return Err(QuestionError("it is not said who asks: `user`".into()));
        }
        let resource = self.resource()?;
        let action = self.action(&resource)?;
        let context = self.context(action)?;
        let object = match &self.attributes {
            None => Object::ByPath,
            Some(attributes) => Object::Given(Rc::new(attributes.clone())),
        };
        let principal =
            Principal { name: self.user.clone(), uid: self.uid, gid: 0, gids: Vec::new(), groups: self.groups.clone() };
        Ok((principal, self.session.put()?, Demand { action, resource, context, object }))
    }

    fn action(&self, resource: &Resource) -> Result<Action, QuestionError> {
        let namespace = resource.type_name().split("::").next().unwrap_or_default();
        let is_meant = |action: &Action| {
            action.to_string() == self.action || (action.namespace() == namespace && action.name() == self.action)
        };
        Action::ALL.iter().copied().find(is_meant).ok_or_else(|| {
            let known = Action::ALL.iter().filter(|action| action.namespace() == namespace);
            let known: Vec<_> = known.map(|action| action.name()).collect();
            QuestionError(format!(
                "there is no action `{}` on a `{}`; there are {}",
                self.action,
                resource.type_name(),
                known.join(", ")
            ))
        })
    }

    fn resource(&self) -> Result<Resource, QuestionError> {
        let text = &self.resource;
        let wrong = |reason: &str| QuestionError(format!("the resource `{text}` {reason}"));
        let uid = EntityUid::from_str(text)
            .map_err(|_| wrong("is not written as policies do: `file_system::File::\"/etc/hosts\"`"))?;
        let id = uid.id().unescaped();
        let path = || AbsPath::from_id(id).ok_or_else(|| wrong("has no absolute path in its one form"));
        Ok(match uid.type_name().to_string().as_str() {
            "file_system::File" => Resource::File(path()?),
            "file_system::Dir" => Resource::Dir(path()?),
            "sysinfo::Sysinfo" => Resource::Sysinfo,
            "sysctl::Sysctl" => Resource::Sysctl,
            "systemd::Systemd" => Resource::Systemd,
            "systemd::Service" => Resource::Service(id.into()),
            "sysinfo::Hostname" => Resource::Hostname(id.into()),
            "process_system::Process" => Resource::Process(Rc::new(ProcessIdentity {
                pid: id.parse().map_err(|_| wrong("is no process number"))?,
                name: self.attribute("name"),
                username: self.attribute("username"),
                command: self.attribute("command"),
            })),
            "network::url" => Resource::Url(Rc::new(self.url(id)?)),
            other => return Err(wrong(&format!("is of a type, `{other}`, that nothing is asked about"))),
        })
    }

    fn attribute(&self, name: &str) -> String {
        let value = self.attributes.as_ref().and_then(|attributes| attributes.get(name));
        value.and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// A URL that is written as it is understood: what differs must be given as attributes.
    fn url(&self, text: &str) -> Result<Url, QuestionError> {
        let ip = match self.attribute("ip") {
            ip if ip.is_empty() => None,
            ip => Some(ip.parse().map_err(|_| QuestionError(format!("`{ip}` is no address")))?),
        };
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| QuestionError(format!("`{port}` is no port")))?)
            }
            _ => (
                authority,
                match scheme {
                    "https" => 443,
                    "http" => 80,
                    _ => 0,
                },
            ),
        };
        let given = |name: &str, found: &str| match self.attribute(name) {
            given if given.is_empty() => found.to_owned(),
            given => given,
        };
        let path = if scheme.is_empty() || !path.is_empty() { path } else { "/" };
        Ok(Url {
            text: text.to_owned(),
            scheme: given("scheme", scheme),
            host: given("host", &host.to_ascii_lowercase()),
            port,
            path: given("path", path),
            query: given("query", query),
            ip,
        })
    }

    fn context(&self, action: Action) -> Result<Context, QuestionError> {
        let wrong = |what: &str| QuestionError(format!("the context has no {what}"));
        match action {
            Action::FileMove => {
                let destination = self.context.get("destination");
                let path = destination.and_then(|value| value.as_str().or_else(|| value.get("path")?.as_str()));
                let path = path.and_then(AbsPath::from_id).ok_or_else(|| wrong("`destination`, an absolute path"))?;
                Ok(Context::Destination(path))
            }
            Action::FileSetXAttr => {
                let name = self.context.get("xattr").and_then(|value| value.get("name")?.as_str());
                Ok(Context::Attribute(name.ok_or_else(|| wrong("`xattr.name`"))?.to_owned()))
            }
            Action::FileExecute => Ok(Context::Program(Rc::new(self.program()))),
            _ => Ok(Context::Empty),
        }
    }

    fn program(&self) -> ProgramContext {
        let or_own = |name: &str| if name.is_empty() { self.user.clone() } else { name.to_owned() };
        let words = self.arguments.iter().map(|word| match word {
            Word::Single(text) => Argument::Single(Text::cut(text.as_str())),
            Word::Pair(key, value) => Argument::Pair(Text::cut(key.as_str()), Text::cut(value.as_str())),
        });
        let RunAs { user, uid, group, gid, capabilities, namespace } = &self.run_as;
        ProgramContext {
            arguments: words.collect(),
            environment: self.environment.clone().into_iter().collect(),
            user: (or_own(user), if user.is_empty() { self.uid } else { *uid }),
            group: (or_own(group), *gid),
            capabilities: capabilities.clone(),
            namespace: *namespace,
        }
    }
}

impl Told {
    fn put(&self) -> Result<Session, QuestionError> {
        let via = match self.via.as_str() {
            "" | "socket" => Via::Socket,
            "ssh" => Via::Ssh,
            "standalone" => Via::Standalone,
            other => {
                return Err(QuestionError(format!("a run comes by `socket`, `ssh` or `standalone`, not by `{other}`")));
            }
        };
        let new = Session::new(via);
        Ok(Session {
            via,
            tty: self.tty.clone(),
            parent: self.parent.clone(),
            script: self.script.clone(),
            signed_by: self.signed_by.clone(),
            ssh_key: self.ssh_key.clone(),
            reason: self.reason.clone(),
            dry_run: self.dry_run,
            started: self.started.or(self.now).unwrap_or(new.started),
            now: self.now,
            spent: Spent {
                operations: self.operations,
                bytes_read: self.bytes_read,
                bytes_written: self.bytes_written,
                deleted: self.deleted,
                hosts: self.hosts,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(resource: &str, action: &str) -> Question {
        let (user, attributes) = ("ana".into(), Some(Map::new()));
        Question { user, action: action.into(), resource: resource.into(), attributes, ..Question::default() }
    }

    fn asked(resource: &str, action: &str) -> Result<String, String> {
        let put = question(resource, action).put();
        put.map(|(_, _, demand)| format!("{} {}", demand.action, demand.resource)).map_err(|error| error.to_string())
    }

    #[test]
    fn actions_are_named_in_full_or_within_the_resources_namespace() {
        let file = "file_system::File::\"/etc/hosts\"";
        let expected = Ok("file_system::Action::\"read\" file_system::File::/etc/hosts".to_owned());
        assert_eq!(asked(file, "read"), expected);
        assert_eq!(asked(file, "file_system::Action::\"read\""), expected);
        assert!(asked(file, "reed").is_err_and(|error| error.contains("there are open, create")));
        assert!(asked("systemd::Service::\"a.service\"", "restart").is_ok());
    }

    #[test]
    fn what_cannot_be_asked_about_is_refused() {
        for resource in [
            "/etc/hosts",
            "file_system::File::\"hosts\"",
            "file_system::File::\"/a/../b\"",
            "Group::\"a\"",
            "process_system::Process::\"x\"",
        ] {
            assert!(asked(resource, "read").is_err(), "{resource}");
        }
        assert!(asked("file_system::File::\"/a\"", "move").is_err_and(|error| error.contains("destination")));
    }

    #[test]
    fn urls_are_taken_apart() {
        let mut question = question("network::url::\"https://API.example.com/v1/x?q=1\"", "GET");
        let Ok((_, _, Demand { resource: Resource::Url(url), .. })) = question.put() else { panic!() };
        let parts = (url.scheme.as_str(), url.host.as_str(), url.port, url.path.as_str(), url.query.as_str());
        assert_eq!(parts, ("https", "api.example.com", 443, "/v1/x", "q=1"));
        question.resource = "network::url::\"http://u@h:8080\"".into();
        let Ok((_, _, Demand { resource: Resource::Url(url), .. })) = question.put() else { panic!() };
        assert_eq!((url.host.as_str(), url.port, url.path.as_str()), ("h", 8080, "/"));
    }
}
