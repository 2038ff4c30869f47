//! The daemon's store: its policies and what they depend on, in files which nobody but their owner may change.

use crate::authz::{Memberships, PolicySource, PolicyStore};
use crate::config::Config;
use crate::policy_test::Suite;
use crate::rails;
use crate::signature::AllowedSigners;
use crate::sys::trust::{self, confirm_owner};
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, fstat};
use std::path::Path;
use std::rc::Rc;

/// How the names of policy files and of files of tests end.
const POLICIES: &str = ".cedar";
const TESTS: &str = ".test.toml";

/// A store that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(String);

/// What decides for the daemon's callers.
#[derive(Debug, Clone)]
pub struct Store {
    /// The policies, with the rails and the memberships of `entities.json`.
    pub policies: Rc<PolicyStore>,
    /// Whose signatures count.
    pub signers: Rc<AllowedSigners>,
    /// What should be known of it, and keeps it from nothing.
    pub warnings: Vec<String>,
    /// How many tests stand beside the policies.
    pub tests: usize,
}

impl Store {
    /// Loads the store as [`Self::untested`] does; each test beside the policies must pass.
    pub fn load(config: &Config) -> Result<Self, StoreError> {
        let (store, suites) = Self::untested(config)?;
        let failed: Vec<_> = suites.iter().flat_map(|suite| suite.run(&store.policies)).collect();
        if failed.is_empty() {
            return Ok(store);
        }
        let failed: Vec<_> = failed.iter().map(ToString::to_string).collect();
        Err(StoreError(format!("cannot use the policy store `{}`: {}", config.policies.display(), failed.join("\n"))))
    }

    /// Loads every `*.cedar` file of the configured directory, in the order of their names, and the files of groups and signers
    /// where they are there. Directory and files must belong to root (or the user this runs as) and be writable by nobody
    /// else, and be no links, and each policy must validate strictly. An empty directory is a store that allows nothing. Besides, the
    /// rails hold that the configuration leaves. The tests in the `*.test.toml` beside the policies come with it.
    pub fn untested(config: &Config) -> Result<(Self, Vec<Suite>), StoreError> {
        let directory = &config.policies;
        let fault = |step: &str, error: &dyn std::fmt::Display| {
            StoreError(format!("cannot {step} the policy store `{}`: {error}", directory.display()))
        };
        let files = Files::open(directory)?;
        let (mut policies, mut suites) = (Vec::new(), Vec::new());
        for name in files.names()? {
            let found = if name.ends_with(POLICIES) { &mut policies } else { &mut suites };
            found.push(files.read(&name)?);
        }
        let (entities, signers) = (read_optional(&config.entities)?, read_optional(&config.allowed_signers)?);
        let unusable = |path: &Path, error: &dyn std::fmt::Display| {
            StoreError(format!("cannot use `{}`: {error}", path.display()))
        };
        let memberships = match &entities {
            Some(file) => Memberships::parse(&file.text).map_err(|error| unusable(&config.entities, &error))?,
            None => Memberships::default(),
        };
        let text = signers.as_ref().map(|file| std::str::from_utf8(&file.text)).transpose();
        let allowed =
            AllowedSigners::parse(text.map_err(|error| unusable(&config.allowed_signers, &error))?.unwrap_or_default())
                .map_err(|error| unusable(&config.allowed_signers, &error))?;
        let suites = suites.iter().map(|suite| Suite::parse(&suite.name, &suite.text)).collect::<Result<Vec<_>, _>>();
        let suites = suites.map_err(|error| fault("use", &error))?;
        let (store, warnings) =
            PolicyStore::load_with_rails(&policies, &rails::source(config)).map_err(|error| fault("use", &error))?;
        let others: Vec<PolicySource> = entities.into_iter().chain(signers).collect();
        let store = Self {
            policies: Rc::new(store.with(&others, memberships)),
            signers: Rc::new(allowed),
            warnings: warnings.iter().map(ToString::to_string).collect(),
            tests: suites.iter().map(Suite::len).sum(),
        };
        Ok((store, suites))
    }
}

/// The directory of a store.
struct Files<'a> {
    path: &'a Path,
    directory: std::os::fd::OwnedFd,
}

impl<'a> Files<'a> {
    fn open(path: &'a Path) -> Result<Self, StoreError> {
        let fault = |step: &str, error: &dyn std::fmt::Display| {
            StoreError(format!("cannot {step} the policy store `{}`: {error}", path.display()))
        };
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let directory = nix::fcntl::open(path, flags, Mode::empty()).map_err(|errno| {
            fault("open", &format_args!("{}; it has to be a directory of root's, which may be empty", errno.desc()))
        })?;
        let stat = fstat(&directory).map_err(|error| fault("look at", &error.desc()))?;
        confirm_owner(&stat).map_err(|error| fault("trust", &error))?;
        Ok(Self { path, directory })
    }

    /// The names of policies and tests, in their order.
    fn names(&self) -> Result<Vec<String>, StoreError> {
        let fault = |error: &dyn std::fmt::Display| {
            StoreError(format!("cannot list the policy store `{}`: {error}", self.path.display()))
        };
        let mut names = Vec::new();
        let copy = self.directory.try_clone().map_err(|error| fault(&error))?;
        for entry in nix::dir::Dir::from_fd(copy).map_err(|error| fault(&error.desc()))? {
            let entry = entry.map_err(|error| fault(&error.desc()))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') && (name.ends_with(POLICIES) || name.ends_with(TESTS)) {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn read(&self, name: &str) -> Result<PolicySource, StoreError> {
        let fault =
            |error: &str| StoreError(format!("cannot use the policy `{}/{name}`: {error}", self.path.display()));
        let text = trust::read(&self.directory, Path::new(name)).map_err(|error| fault(&error))?;
        let text = text.ok_or_else(|| fault("it has just gone"))?;
        Ok(PolicySource { name: name.to_owned(), text })
    }
}

/// A file that need not be there.
fn read_optional(path: &Path) -> Result<Option<PolicySource>, StoreError> {
    let text = trust::read(nix::fcntl::AT_FDCWD, path)
        .map_err(|error| StoreError(format!("cannot use `{}`: {error}", path.display())))?;
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Ok(text.map(|text| PolicySource { name, text }))
}
