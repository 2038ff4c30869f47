//! What no policy permits unless the configuration says so: to change what Rex itself stands on.
//!
//! Rails are policies like others, of the daemon's store: a denial names them. They hold for operations, and for programs that are
//! executed with root's power wherever these are confined at all. One that policy leaves all of root's rights cannot be kept from
//! anything: Landlock grants places and takes none away.

mod cgroups;
mod places;

use crate::authz::PolicySource;
use crate::config::Config;
use crate::program;
use crate::sys::cgroup;
use places::{Places, named};
use std::path::PathBuf;

/// What messages call them.
const NAME: &str = "built-in rails";
/// The ids of all of them, which `[rails] off` in the configuration may name.
pub(crate) const IDS: &[&str] = &[CONFIGURATION, PROGRAMS, SOCKET, AUDIT, UNITS, SERVICE, CGROUP];

const CONFIGURATION: &str = "rex:configuration";
const PROGRAMS: &str = "rex:programs";
const SOCKET: &str = "rex:socket";
const AUDIT: &str = "rex:audit";
const UNITS: &str = "rex:units";
const SERVICE: &str = "rex:service";
const CGROUP: &str = "rex:cgroup";

/// What changes a file or directory.
const CHANGES: &str = r#"[
  file_system::Action::"create", file_system::Action::"write", file_system::Action::"delete", file_system::Action::"move",
  file_system::Action::"chmod", file_system::Action::"chown", file_system::Action::"set_x_attr", file_system::Action::"set_id",
  file_system::Action::"unmount"
]"#;
/// Where the system's manager finds units and what is dropped into them (systemd.unit(5)).
const UNIT_PATHS: &[&str] = &[
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/etc/systemd/system.control",
    "/lib/systemd/system",
    "/run/systemd/generator",
    "/run/systemd/generator.early",
    "/run/systemd/generator.late",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/usr/lib/systemd/system",
    "/usr/local/lib/systemd/system",
];
/// Under which names it finds there what is about the broker's.
const UNIT_FILES: &[&str] = &[
    "rex-broker.service",
    "rex-broker.service.d",
    "rex-.service.d",
    "service.d",
    "rex-broker.socket",
    "rex-broker.socket.d",
    "rex-.socket.d",
    "socket.d",
];
/// Where the service's control group is by default.
const UNIT_CGROUP: &str = "/sys/fs/cgroup/system.slice/rex-broker.service";
const UNIT_NAMES: &[&str] = &["rex-broker.service", "rex-broker.socket"];

/// The rails of a broker that is configured so.
pub(crate) fn source(config: &Config) -> PolicySource {
    let configuration = [&config.policies, &config.entities, &config.allowed_signers].into_iter().chain(&config.file);
    let programs = std::env::current_exe().into_iter().chain(program::paths(config));
    let units = UNIT_PATHS.iter().flat_map(|path| UNIT_FILES.iter().map(move |name| format!("{path}/{name}")));
    let mut groups = cgroups::own();
    // By which the service manager, and the broker, hold runs to their limits.
    groups.own.extend(cgroup::delegated().ok().map(|group| group.path));
    let with = |path: &str, more: Vec<PathBuf>| Places::of(more.into_iter().chain([path.into()]));
    let rails = [
        (CONFIGURATION, changes(&with("/etc/rex", configuration.cloned().collect()))),
        (PROGRAMS, changes(&with("/usr/libexec/rex", programs.collect()))),
        (SOCKET, changes(&with("/run/rex", std::iter::once(&config.socket).chain(&config.metrics).cloned().collect()))),
        (AUDIT, changes(&Places::of([&config.audit.directory]))),
        (UNITS, changes(&Places::of(units))),
        (SERVICE, service()),
        (CGROUP, changes(&with(UNIT_CGROUP, groups.own).and_files(groups.stops))),
    ];
    let on = rails.iter().filter(|(id, _)| !config.rails.off.iter().any(|off| off == id));
    let text: String = on.map(|(id, forbid)| format!("@id({id:?})\n{forbid}\n")).collect();
    PolicySource { name: NAME.into(), text: text.into_bytes() }
}

fn changes(places: &Places) -> String {
    format!("forbid (principal, action in {CHANGES}, resource) when {{ {} }};", places.condition())
}

fn service() -> String {
    let names: Vec<String> = UNIT_NAMES.iter().filter_map(|name| named("systemd::Service", name)).collect();
    format!(
        "forbid (principal, action in [systemd::Action::\"stop\", systemd::Action::\"restart\"], resource) when {{ [{}].contains(resource) }};",
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::{Authorizer, Demand, PolicyStore, Principal, Resource};
    use rex_protocol::Action;
    use rex_protocol::path::AbsPath;
    use std::rc::Rc;

    #[test]
    fn all_rails_are_policies_that_fit_the_schema() {
        let (store, warnings) = PolicyStore::load_with_rails(&[], &source(&Config::default())).unwrap();
        assert_eq!(store.len(), IDS.len());
        assert!(warnings.is_empty(), "{warnings:?}");
    }

    #[test]
    fn what_the_systems_manager_reads_of_the_broker_is_kept() {
        let (store, _) = PolicyStore::load_with_rails(&[all()], &source(&Config::default())).unwrap();
        let principal = Principal { name: "ana".into(), uid: 7, gid: 7, gids: vec![], groups: vec![] };
        let mut authorizer = Authorizer::new(principal, vec![Rc::new(store)]);
        let path = |path: &str| AbsPath::parse(path).unwrap();
        let mut makes = |resource| authorizer.demand(&[Demand::new(Action::FileCreate, resource)]).is_ok();
        for dir in UNIT_PATHS {
            for name in UNIT_FILES {
                // A directory, a file in it, and a link in its place.
                let place = format!("{dir}/{name}");
                assert!(!makes(Resource::Dir(path(&place))), "{place}");
                assert!(!makes(Resource::File(path(&format!("{place}/x.conf")))), "{place}");
                assert!(!makes(Resource::File(path(&place))), "{place}");
            }
            assert!(!makes(Resource::File(path(dir))), "a link at {dir}");
            assert!(makes(Resource::File(path(&format!("{dir}/other.service")))), "{dir}");
            assert!(makes(Resource::Dir(path(&format!("{dir}/other.service.d")))), "{dir}");
        }
        assert!(!makes(Resource::File(path(&format!("{UNIT_CGROUP}/cgroup.kill")))));
        assert!(makes(Resource::File(path("/sys/fs/cgroup/system.slice/other.service/cgroup.kill"))));
    }

    fn all() -> PolicySource {
        PolicySource { name: "all.cedar".into(), text: b"permit(principal, action, resource);".to_vec() }
    }

    #[test]
    fn decisions_are_not_made_slower_by_them() {
        let (store, _) = PolicyStore::load_with_rails(&[], &source(&Config::default())).unwrap();
        let principal = Principal { name: "ana".into(), uid: 7, gid: 7, gids: vec![], groups: vec![] };
        let authorizer = Authorizer::new(principal, vec![Rc::new(store)]);
        let path = |path: &str| AbsPath::parse(path).unwrap();
        // All places of rails are understood: where none is, nothing that moves has to be looked into.
        assert!(authorizer.relocation(&path("/srv/a"), &path("/srv/b")).is_ok_and(|relocation| relocation.is_free()));
        assert!(authorizer.relocation(&path("/srv/a"), &path("/run/systemd")).is_err());
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
