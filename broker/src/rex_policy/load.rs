//! The policies that a command is about.

use super::Fault;
use super::options::Options;
use rex_broker::authz::{PolicySource, PolicyStore, Strictness};
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

/// All policies of these files and directories together. Owners and modes are not looked at.
pub(crate) fn loose(paths: &[PathBuf]) -> Result<Loaded, Fault> {
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
    let warnings = warnings.iter().map(ToString::to_string).collect();
    Ok(Loaded { store: Rc::new(store), warnings, suites })
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
