//! The policies that a command is about.

use super::Fault;
use super::options::Options;
use rex_broker::authz::{MembershipError, Memberships, PolicySource, PolicyStore, Strictness};
use rex_broker::config::Config;
use rex_broker::policy_test::Suite;
use rex_broker::store::Store;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The broker's configuration, with the directory of policies that was asked for.
pub(crate) fn config(options: &Options) -> Result<Config, Fault> {
    let mut config = Config::load(options.config.as_deref()).map_err(|error| Fault::Cannot(error.to_string()))?;
    if let Some(policies) = &options.policies {
        config.policies.clone_from(policies);
    }
    Ok(config)
}

/// The store as the broker would load it.
pub(crate) fn store(options: &Options) -> Result<Store, Fault> {
    Store::load(&config(options)?).map_err(|error| Fault::No(error.to_string()))
}

/// Policies from anywhere, with what should be known of them and the tests beside them.
pub(crate) struct Loaded {
    pub(crate) store: Rc<PolicyStore>,
    pub(crate) warnings: Vec<String>,
    pub(crate) suites: Vec<Suite>,
}

/// All policies of these files and directories together, with the memberships that the configuration names. Owners and modes
/// are not looked at.
pub(crate) fn loose(options: &Options, paths: &[PathBuf]) -> Result<Loaded, Fault> {
    let (mut policies, mut suites) = (Vec::new(), Vec::new());
    for path in paths {
        let is_dir = path.is_dir();
        let files = if is_dir { listed(path)? } else { vec![path.clone(), path.with_extension("test.toml")] };
        for file in files {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.ends_with(".test.toml") {
                if is_dir || file.exists() {
                    let text = read(&file)?;
                    suites.push(Suite::parse(&name, &text).map_err(|error| Fault::No(error.to_string()))?);
                }
            } else {
                policies.push(PolicySource { name, text: read(&file)? });
            }
        }
    }
    let (store, warnings) =
        PolicyStore::load(&policies, Strictness::Strict).map_err(|error| Fault::No(error.to_string()))?;
    let mut warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    let memberships = match (config(options), &options.config) {
        (Ok(config), _) => memberships(&config.entities)?,
        (Err(fault), Some(_)) => return Err(fault),
        // Not everybody may read how the broker is configured, and not everybody's policies are for it.
        (Err(fault), None) => {
            warnings.push(format!("only the system's groups are known: {}", fault.message()));
            Memberships::default()
        }
    };
    Ok(Loaded { store: Rc::new(store.with_memberships(memberships)), warnings, suites })
}

/// Who and what belongs to which group besides the system's own; nothing where there is no such file.
fn memberships(path: &Path) -> Result<Memberships, Fault> {
    if !path.exists() {
        return Ok(Memberships::default());
    }
    let wrong = |error: MembershipError| Fault::No(format!("cannot use `{}`: {error}", path.display()));
    Memberships::parse(&read(path)?).map_err(wrong)
}

/// The policy files and files of tests in a directory, in the order of their names.
#[expect(clippy::disallowed_methods, reason = "whoever asks names the directory; nothing privileged reads it")]
fn listed(directory: &Path) -> Result<Vec<PathBuf>, Fault> {
    let cannot = |error: std::io::Error| Fault::Cannot(format!("cannot list `{}`: {error}", directory.display()));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with('.') && (name.ends_with(".cedar") || name.ends_with(".test.toml")) {
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}

#[expect(clippy::disallowed_methods, reason = "whoever asks names the file; nothing privileged reads it")]
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    std::fs::read(path).map_err(|error| Fault::Cannot(format!("cannot read `{}`: {error}", path.display())))
}
