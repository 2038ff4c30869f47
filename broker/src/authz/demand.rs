//! What policy is asked, and what it answers.

use rex_protocol::Action;
use rex_protocol::failure::{Denial, Failure, FailureKind};
use rex_protocol::path::AbsPath;
use std::fmt;

/// Who asks: `User::"name"`, in `Group::"..."` for each of its groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The user's name.
    pub name: String,
    /// The user's number.
    pub uid: u32,
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
}

impl Resource {
    /// The name of its type in the schema.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Resource::Dir(_) => "file_system::Dir",
            Resource::File(_) => "file_system::File",
        }
    }

    /// Its path, for what has one: the attribute `path`, and the way to its parents.
    pub const fn path(&self) -> &AbsPath {
        match self {
            Resource::Dir(path) | Resource::File(path) => path,
        }
    }
}

/// As denials show it: the type and the bare id.
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.type_name(), self.path().to_id())
    }
}

/// One question for policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Demand {
    /// May this be done
    pub action: Action,
    /// to this?
    pub resource: Resource,
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
    let Demand { action, resource } = demand;
    let message = format!("Permission denied: {} unauthorized to perform {action} for {resource}", principal.name);
    Failure::new(FailureKind::Denied(denial), message)
}
