//! What no policy permits unless the configuration says so: to change what Rex itself stands on.
//!
//! Rails are policies like others, of the daemon's store: a denial names them. They hold for operations. A program that a script
//! executes has its user's rights and no more than policy grants, and what is kept here belongs to root.

use crate::authz::PolicySource;
use crate::config::Config;
use crate::sys::cgroup;
use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use rex_protocol::path::AbsPath;
use std::path::Path;
use std::str::FromStr;

/// What messages call them.
const NAME: &str = "built-in rails";
/// The ids of all of them, which `[rails] off` in the configuration may name.
pub(crate) const IDS: &[&str] = &[CONFIGURATION, PROGRAMS, SOCKET, AUDIT, UNITS, SERVICE];

const CONFIGURATION: &str = "rex:configuration";
const PROGRAMS: &str = "rex:programs";
const SOCKET: &str = "rex:socket";
const AUDIT: &str = "rex:audit";
const UNITS: &str = "rex:units";
const SERVICE: &str = "rex:service";

/// What changes a file or directory.
const CHANGES: &str = r#"[
  file_system::Action::"create", file_system::Action::"write", file_system::Action::"delete", file_system::Action::"move",
  file_system::Action::"chmod", file_system::Action::"chown", file_system::Action::"set_x_attr", file_system::Action::"set_id",
  file_system::Action::"unmount"
]"#;
/// Where units and what is dropped into them are found (systemd.unit(5)).
const UNIT_PATHS: &[&str] =
    &["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
const UNIT_NAMES: &[&str] = &["rex-broker.service", "rex-broker.socket"];

/// The rails of a broker that is configured so.
pub(crate) fn source(config: &Config) -> PolicySource {
    let own = std::env::current_exe().unwrap_or_default();
    let dropped = |unit: &str| UNIT_PATHS.iter().map(move |path| format!("{path}/{unit}.d")).collect::<Vec<_>>();
    let units = |unit: &str| UNIT_PATHS.iter().map(move |path| format!("{path}/{unit}")).collect::<Vec<_>>();
    let of_units: Vec<String> = UNIT_NAMES
        .iter()
        .flat_map(|name| dropped(name).into_iter().filter_map(dir).chain(units(name).into_iter().filter_map(file)))
        // By which the service manager, and the broker, hold runs to their limits.
        .chain(cgroup::delegated().ok().and_then(|group| dir(group.path)))
        .collect();
    let rails = [
        (
            CONFIGURATION,
            changes(&some([
                dir("/etc/rex"),
                dir(&config.policies),
                file(&config.entities),
                file(&config.allowed_signers),
            ])),
        ),
        (
            PROGRAMS,
            changes(&some([
                dir("/usr/libexec/rex"),
                file(own),
                config.worker.as_ref().and_then(file),
                config.net.as_ref().and_then(file),
            ])),
        ),
        (SOCKET, changes(&some([dir("/run/rex"), file(&config.socket), config.metrics.as_ref().and_then(file)]))),
        (AUDIT, changes(&some([dir(&config.audit.directory)]))),
        (UNITS, changes(&of_units)),
        (SERVICE, service()),
    ];
    let on = rails.iter().filter(|(id, _)| !config.rails.off.iter().any(|off| off == id));
    let text: String = on.map(|(id, forbid)| format!("@id({id:?})\n{forbid}\n")).collect();
    PolicySource { name: NAME.into(), text: text.into_bytes() }
}

fn some<const N: usize>(places: [Option<String>; N]) -> Vec<String> {
    places.into_iter().flatten().collect()
}

fn changes(places: &[String]) -> String {
    let places: Vec<String> = places.iter().map(|place| format!("resource in {place}")).collect();
    format!("forbid (principal, action in {CHANGES}, resource) when {{ {} }};", places.join(" || "))
}

fn service() -> String {
    let names: Vec<String> = UNIT_NAMES.iter().filter_map(|name| entity("systemd::Service", name)).collect();
    format!(
        "forbid (principal, action in [systemd::Action::\"stop\", systemd::Action::\"restart\"], resource) when {{ [{}].contains(resource) }};",
        names.join(", ")
    )
}

/// A directory as policies write it; nothing where its path can be no resource's.
fn dir(path: impl AsRef<Path>) -> Option<String> {
    place("file_system::Dir", path.as_ref())
}

/// The same of a file.
fn file(path: impl AsRef<Path>) -> Option<String> {
    place("file_system::File", path.as_ref())
}

fn place(kind: &str, path: &Path) -> Option<String> {
    let path = std::path::absolute(path).ok()?;
    entity(kind, &AbsPath::parse(path.as_os_str().as_encoded_bytes()).ok()?.to_id())
}

/// As Cedar itself writes it.
fn entity(kind: &str, id: &str) -> Option<String> {
    let kind = EntityTypeName::from_str(kind).ok()?;
    Some(EntityUid::from_type_name_and_id(kind, EntityId::new(id)).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::PolicyStore;

    #[test]
    fn all_rails_are_policies_that_fit_the_schema() {
        let (store, warnings) = PolicyStore::load_with_rails(&[], &source(&Config::default())).unwrap();
        assert_eq!(store.len(), IDS.len());
        assert!(warnings.is_empty(), "{warnings:?}");
    }

    #[test]
    fn odd_paths_stay_paths() {
        let config =
            Config { policies: "/a\"]; permit(principal, action, resource); //\n/x".into(), ..Config::default() };
        let (store, _) = PolicyStore::load_with_rails(&[], &source(&config)).unwrap();
        assert_eq!(store.len(), IDS.len());
    }

    #[test]
    fn the_configuration_can_take_one_away() {
        let mut config = Config::default();
        config.rails.off = vec![SOCKET.into()];
        let text = String::from_utf8(source(&config).text).unwrap();
        assert!(!text.contains(SOCKET) && text.contains(CONFIGURATION));
    }
}
