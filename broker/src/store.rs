//! The daemon's store: its policies and what they depend on, in files which nobody but their owner may change.

use crate::authz::{Memberships, PolicySource, PolicyStore};
use crate::config::Config;
use crate::policy_test::{Suite, SuiteError};
use crate::rails;
use crate::signature::AllowedSigners;
use crate::sys::trust::confirm_owner;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, SFlag, fstat};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;
use std::rc::Rc;

/// The largest file of a store, in bytes.
const FILE: u64 = 16 * 1024 * 1024;
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
    /// How many tests stand beside the policies. They have passed.
    pub tests: usize,
}

impl Store {
    /// Loads every `*.cedar` file of the configured directory, in the order of their names, and the files of groups and signers
    /// where they are there. Directory and files must belong to root (or the user this runs as) and be writable by nobody
    /// else, and be no links; each policy must validate strictly, and each test in a `*.test.toml` beside them must pass. An
    /// empty directory is a store that allows nothing. Besides, the rails hold that the configuration leaves.
    pub fn load(config: &Config) -> Result<Self, StoreError> {
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
        let (store, warnings) =
            PolicyStore::load_with_rails(&policies, &rails::source(config)).map_err(|error| fault("use", &error))?;
        let others: Vec<PolicySource> = entities.into_iter().chain(signers).collect();
        let store = Self {
            policies: Rc::new(store.with(&others, memberships)),
            signers: Rc::new(allowed),
            warnings: warnings.iter().map(ToString::to_string).collect(),
            tests: 0,
        };
        store.tested(&suites).map_err(|error| fault("use", &error))
    }

    /// The same, its tests passed.
    fn tested(self, suites: &[PolicySource]) -> Result<Self, SuiteError> {
        let mut tests = 0;
        for suite in suites {
            let suite = Suite::parse(&suite.name, &suite.text)?;
            tests += suite.len();
            if let Some(failed) = suite.run(&self.policies).into_iter().next() {
                return Err(failed.into());
            }
        }
        Ok(Self { tests, ..self })
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
        let directory = nix::fcntl::open(path, flags, Mode::empty()).map_err(|error| fault("open", &error.desc()))?;
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
        let text = read_at(&self.directory, Path::new(name))
            .map_err(|error| StoreError(format!("cannot use the policy `{}/{name}`: {error}", self.path.display())))?;
        Ok(PolicySource { name: name.to_owned(), text })
    }
}

/// A file that need not be there.
fn read_optional(path: &Path) -> Result<Option<PolicySource>, StoreError> {
    if nix::sys::stat::lstat(path) == Err(Errno::ENOENT) {
        return Ok(None);
    }
    let text = read_at(nix::fcntl::AT_FDCWD, path)
        .map_err(|error| StoreError(format!("cannot use `{}`: {error}", path.display())))?;
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Ok(Some(PolicySource { name, text }))
}

fn read_at(directory: impl AsFd, path: &Path) -> Result<Vec<u8>, String> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = nix::fcntl::openat(directory, path, flags, Mode::empty()).map_err(|error| match error {
        Errno::ELOOP => "it is a link".to_owned(),
        other => other.desc().to_owned(),
    })?;
    read_trusted(File::from(file))
}

fn read_trusted(file: File) -> Result<Vec<u8>, String> {
    let stat = fstat(&file).map_err(|error| error.desc().to_owned())?;
    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
        return Err("it is not a regular file".into());
    }
    confirm_owner(&stat)?;
    let mut text = Vec::new();
    file.take(FILE + 1).read_to_end(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > FILE {
        return Err(format!("it has more than {FILE} bytes"));
    }
    Ok(text)
}
