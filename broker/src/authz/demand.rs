//! What policy is asked, and what it answers.

use super::address;
use super::context::{number, text};
use cedar_policy::RestrictedExpression;
use rex_protocol::Action;
use rex_protocol::failure::{Denial, Failure, FailureKind};
use rex_protocol::fs::Argument;
use rex_protocol::path::AbsPath;
use serde_json::{Map, Value};
use std::fmt;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// Who asks: `User::"name"`, in `Group::"..."` for each of its groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The user's name.
    pub name: String,
    /// The user's number.
    pub uid: u32,
    /// The number of the user's group.
    pub gid: u32,
    /// The numbers of all groups that the user is in.
    pub gids: Vec<u32>,
    /// The names of the user's groups.
    pub groups: Vec<String>,
}

/// What is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Resource {
    /// `file_system::Dir`
    Dir(AbsPath),
    /// `file_system::File`
    File(AbsPath),
    /// `sysinfo::Sysinfo`: what the system tells of itself.
    Sysinfo,
    /// `sysctl::Sysctl`: the kernel's settings as a whole.
    Sysctl,
    /// `process_system::Process`
    Process(Rc<ProcessIdentity>),
    /// `systemd::Service`: a unit of any type, by its name.
    Service(Rc<str>),
    /// `systemd::Systemd`: the service manager itself.
    Systemd,
    /// `sysinfo::Hostname`: a host's name, as it is given.
    Hostname(Rc<str>),
    /// `network::url`
    Url(Rc<Url>),
}

/// What is asked for over the network.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Url {
    /// The id: what was given, or what it was understood to be; of a connection the host alone.
    pub text: String,
    /// Its scheme; empty where it is none.
    pub scheme: String,
    /// Its host.
    pub host: String,
    /// Its port; 0 where it has none.
    pub port: u16,
    /// Its path.
    pub path: String,
    /// What stands behind `?`.
    pub query: String,
    /// The address that is tried; nothing where it is not known yet.
    pub ip: Option<IpAddr>,
}

/// A process as policy knows it. Processes that differ in anything of it are different resources.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProcessIdentity {
    /// Its number.
    pub pid: u32,
    /// The kernel's short name.
    pub name: String,
    /// Its user's name, or number where that has none.
    pub username: String,
    /// Its command line.
    pub command: String,
}

impl Resource {
    /// The names of all their types in the schema.
    pub(super) const TYPES: &'static [&'static str] =
        &[DIR, FILE, SYSINFO, SYSCTL, PROCESS, SERVICE, SYSTEMD, HOSTNAME, URL];

    /// The name of its type in the schema.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Resource::Dir(_) => DIR,
            Resource::File(_) => FILE,
            Resource::Sysinfo => SYSINFO,
            Resource::Sysctl => SYSCTL,
            Resource::Process(_) => PROCESS,
            Resource::Service(_) => SERVICE,
            Resource::Systemd => SYSTEMD,
            Resource::Hostname(_) => HOSTNAME,
            Resource::Url(_) => URL,
        }
    }

    /// Its id.
    pub fn id(&self) -> String {
        match self {
            Resource::Dir(path) | Resource::File(path) => path.to_id(),
            // There is one of each; policies name it by its type.
            Resource::Sysinfo | Resource::Sysctl | Resource::Systemd => "system".to_owned(),
            Resource::Process(process) => process.pid.to_string(),
            Resource::Service(name) | Resource::Hostname(name) => name.to_string(),
            Resource::Url(url) => url.text.clone(),
        }
    }

    /// Its path, for what has one: the attribute `path`, and the way to its parents.
    pub const fn path(&self) -> Option<&AbsPath> {
        match self {
            Resource::Dir(path) | Resource::File(path) => Some(path),
            _ => None,
        }
    }

    /// The attributes that are known without a look at it, besides `path`.
    pub(super) fn attributes(&self) -> Vec<(&'static str, RestrictedExpression)> {
        match self {
            Resource::Dir(_) | Resource::File(_) | Resource::Sysinfo | Resource::Sysctl | Resource::Systemd => {
                Vec::new()
            }
            Resource::Service(name) => vec![("name", text(name))],
            Resource::Hostname(name) => vec![("hostname", text(name))],
            Resource::Process(process) => vec![
                ("pid", text(&process.pid.to_string())),
                ("name", text(&process.name)),
                ("username", text(&process.username)),
                ("command", text(&process.command)),
            ],
            Resource::Url(url) => url.attributes(),
        }
    }
}

impl Url {
    fn attributes(&self) -> Vec<(&'static str, RestrictedExpression)> {
        let mut attributes = vec![
            ("url", text(&self.text)),
            ("scheme", text(&self.scheme)),
            ("host", text(&self.host)),
            ("port", number(self.port.into())),
            ("path", text(&self.path)),
            ("query", text(&self.query)),
        ];
        if let Some(ip) = self.ip {
            // A range of IPv4 means it however it is written.
            let ip = address::plain(ip);
            attributes.extend([
                ("ip", RestrictedExpression::new_ip(ip.to_string())),
                ("is_private", RestrictedExpression::new_bool(address::is_private(ip))),
                ("is_loopback", RestrictedExpression::new_bool(address::is_loopback(ip))),
            ]);
        }
        attributes
    }
}

/// The type of directories, which are the parents of what has a path.
pub(super) const DIR: &str = "file_system::Dir";
/// The type of files.
pub(super) const FILE: &str = "file_system::File";
const SYSINFO: &str = "sysinfo::Sysinfo";
const SYSCTL: &str = "sysctl::Sysctl";
const PROCESS: &str = "process_system::Process";
const SERVICE: &str = "systemd::Service";
const SYSTEMD: &str = "systemd::Systemd";
const HOSTNAME: &str = "sysinfo::Hostname";
const URL: &str = "network::url";

/// As denials show it: the type and the bare id.
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Ids that are no paths, and hold anything.
            Resource::Url(_) | Resource::Hostname(_) => {
                write!(f, "{}::\"{}\"", self.type_name(), self.id().escape_debug())
            }
            Resource::Service(name) => write!(f, "{}::{}", self.type_name(), name.escape_debug()),
            _ => write!(f, "{}::{}", self.type_name(), self.id()),
        }
    }
}

/// One question for policy.
#[derive(Debug, Clone)]
pub struct Demand {
    /// May this be done
    pub action: Action,
    /// to this
    pub resource: Resource,
    /// in this way?
    pub context: Context,
    /// What attributes are taken from.
    pub object: Object,
}

/// What a demand's attributes are taken from.
#[derive(Debug, Clone)]
pub enum Object {
    /// What has the resource's path, where no link is on the way.
    ByPath,
    /// The object itself, which is pinned.
    Pinned(Rc<OwnedFd>),
    /// They are given, for questions about what is not there to be looked at.
    Given(Rc<Map<String, Value>>),
}

impl Demand {
    /// A question whose context is empty.
    pub fn new(action: Action, resource: Resource) -> Self {
        Self { action, resource, context: Context::Empty, object: Object::ByPath }
    }

    /// The same with this context.
    pub fn with(self, context: Context) -> Self {
        Self { context, ..self }
    }

    /// The same about this object.
    pub fn about(self, object: &Rc<OwnedFd>) -> Self {
        Self { object: Object::Pinned(Rc::clone(object)), ..self }
    }
}

/// What policy is told besides action and resource.
#[derive(Debug, Clone)]
pub enum Context {
    /// Nothing.
    Empty,
    /// `xattr`: the name of an extended attribute.
    Attribute(String),
    /// `destination`: where something is moved to.
    Destination(AbsPath),
    /// What a program is given, and as whom it runs.
    Program(Rc<ProgramContext>),
}

/// What a program is given, and as whom it runs.
#[derive(Debug, Clone)]
pub struct ProgramContext {
    /// As the script grouped them. No tag that they make stands for two values.
    pub arguments: Vec<Argument>,
    /// Names are not repeated.
    pub environment: Vec<(String, String)>,
    /// Name and number of the user.
    pub user: (String, u32),
    /// Name and number of the group.
    pub group: (String, u32),
    /// The capabilities it is given.
    pub capabilities: Vec<String>,
    /// The process whose namespace it joins.
    pub namespace: Option<u32>,
}

impl ProgramContext {
    /// Nothing, as nobody.
    pub(super) fn none() -> Self {
        let nobody = || (String::new(), 0);
        Self {
            arguments: Vec::new(),
            environment: Vec::new(),
            user: nobody(),
            group: nobody(),
            capabilities: Vec::new(),
            namespace: None,
        }
    }
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Yes, by these policies.
    Allowed {
        /// Their ids.
        policies: Vec<String>,
    },
    /// No.
    Denied(Denial),
}

/// A target that policy has granted. Only the authorizer makes it: without having asked there is none.
#[derive(Debug)]
pub struct Granted<T>(T);

impl<T> Granted<T> {
    pub(super) fn new(target: T) -> Self {
        Self(target)
    }

    /// The target.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// The failure that tells of a denial.
pub(super) fn denied(principal: &Principal, demand: &Demand, denial: Denial) -> Failure {
    let Demand { action, resource, .. } = demand;
    let message = format!("Permission denied: {} unauthorized to perform {action} for {resource}", principal.name);
    Failure::new(FailureKind::Denied(denial), message)
}
