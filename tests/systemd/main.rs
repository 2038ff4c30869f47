//! Services on a real systemd, in a machine that is booted for it.

mod groups;

use rex_tests::{Machine, Ran, programs, skip};
use std::fs;
use std::path::PathBuf;

/// Where tests put their files in the machine.
const FOLDER: &str = "/run/rex-test";
/// The user `nobody`.
const NOBODY: u32 = 65534;

/// A unit that runs until it is stopped, under two names.
const GOOD: &str = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nAlias=rex-alias.service\n";
/// Units that cannot be started.
const BAD: &str = "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo the reason why; exit 3'\n";
const NOTHING: &str = "[Service]\nExecStart=/no/such/program\nType=notify\n";
const TEMPLATE: &str = "[Service]\nExecStart=/bin/sleep infinity\n";

struct Services {
    machine: Machine,
}

impl Services {
    fn new(machine: Machine) -> Self {
        for (name, content) in [("rex-good", GOOD), ("rex-bad", BAD), ("rex-nothing", NOTHING), ("rex-many@", TEMPLATE)]
        {
            machine.write(&format!("/etc/systemd/system/{name}.service"), content);
        }
        let services = Self { machine };
        services.systemctl(&["enable", "--quiet", "rex-good.service"]);
        services.systemctl(&["mask", "--quiet", "--runtime", "rex-masked.service"]);
        services.systemctl(&["daemon-reload"]);
        services
    }

    fn systemctl(&self, arguments: &[&str]) -> String {
        let done = self.machine.run(&[&["systemctl"], arguments].concat());
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }

    fn is_active(&self, unit: &str) -> bool {
        self.systemctl(&["is-active", unit]) == "active"
    }

    /// Runs a script as root, without a daemon.
    fn run(&self, policy: &str, script: &str) -> Ran {
        self.machine.write(&format!("{FOLDER}/own.cedar"), policy);
        self.machine.write(&format!("{FOLDER}/script.rhai"), script);
        let policy = format!("{FOLDER}/own.cedar");
        let options = ["--standalone", "--policy-file", &policy];
        Ran::of(&self.machine.run(&[&EXECUTE[..], &options].concat()))
    }

    /// Runs a script as an ordinary user, through the daemon.
    fn run_as_nobody(&self, script: &str) -> Ran {
        self.machine.write(&format!("{FOLDER}/script.rhai"), script);
        let socket = format!("{FOLDER}/broker.sock");
        Ran::of(&self.machine.run_as(NOBODY, &[&EXECUTE[..], &["--socket", &socket]].concat()))
    }
}

const EXECUTE: [&str; 5] =
    ["/opt/rex/rex-exec", "--output-format", "json", "--script-file", "/run/rex-test/script.rhai"];

const ALL: &str = "permit(principal, action, resource);";

#[test]
fn services() {
    let machine = match Machine::boot() {
        Ok(machine) => machine,
        Err(why) => return skip(&why),
    };
    let services = Services::new(machine);
    units_are_started_and_stopped(&services);
    failures_tell_why(&services);
    what_is_not_there_or_not_to_be_started(&services);
    aliases_are_judged_by_the_units_own_name(&services);
    units_are_inspected(&services);
    a_changed_unit_is_read_anew(&services);
    a_run_ends_at_its_limit_while_a_unit_takes_its_time(&services);
    an_ordinary_user_may_what_the_store_says(&services);
    cases_of_services_pass(&services);
    groups::runs_have_groups(&services);
}

fn units_are_started_and_stopped(services: &Services) {
    let all = services.run(
        ALL,
        r#"let m = SystemctlManager();
           let seen = [];
           m.start("rex-good.service");
           seen += m.status("rex-good.service").active_state.to_string();
           let first = m.status("rex-good.service").main_pid;
           m.restart("rex-good.service");
           seen += m.status("rex-good.service").main_pid != first;
           m.stop("rex-good.service");
           seen += m.status("rex-good.service").active_state.to_string();
           m.try_restart("rex-good.service");
           seen += m.status("rex-good.service").active_state.to_string();
           m.start("rex-many@a\\x2db.service");
           seen += m.status("rex-many@a\\x2db.service").active_state == State::ACTIVE;
           seen"#,
    );
    assert_eq!(all.output(), r#"["active", true, "inactive", "inactive", true]"#, "{}", all.stdout);
    for (method, action) in [("start", "start"), ("stop", "stop"), ("restart", "restart"), ("try_restart", "restart")] {
        let policy = format!("{ALL} forbid(principal, action == systemd::Action::\"{action}\", resource);");
        services.systemctl(&[if action == "start" { "stop" } else { "start" }, "rex-good.service"]);
        let before = services.systemctl(&["show", "--property=MainPID", "rex-good.service"]);
        let denied = services.run(&policy, &format!("SystemctlManager().{method}(\"rex-good.service\")"));
        assert_eq!(denied.error_type(), "ACCESS_DENIED_EXCEPTION", "{method}: {}", denied.stdout);
        assert_eq!(services.systemctl(&["show", "--property=MainPID", "rex-good.service"]), before, "{method}");
    }
}

fn failures_tell_why(services: &Services) {
    for method in ["start", "restart"] {
        let failed = services.run(ALL, &format!("SystemctlManager().{method}(\"rex-bad.service\")"));
        assert_eq!(failed.error_type(), "SCRIPT_EXCEPTION", "{}", failed.stdout);
        for part in ["ProcessErrorKind: DBusError", "rex-bad.service", "`failed`", "status 3", "\n  the reason why"] {
            assert!(failed.error().contains(part), "{part}: {}", failed.error());
        }
    }
    let failed = services.run(ALL, "SystemctlManager().start(\"rex-nothing.service\")");
    assert!(failed.error().contains("status 203"), "{}", failed.error());
}

fn what_is_not_there_or_not_to_be_started(services: &Services) {
    for (call, kind, says) in [
        ("start(\"rex-no.service\")", "ServiceNotFound", "Unit: rex-no.service"),
        ("stop(\"rex-no.service\")", "ServiceNotFound", "Unit: rex-no.service"),
        ("start(\"rex-good\")", "DBusError", "InvalidArgs"),
        ("start(\"\")", "DBusError", "InvalidArgs"),
        ("start(\"rex\\x00good.service\")", "DBusError", "org.freedesktop.DBus.Error"),
        ("start(\"rex-masked.service\")", "DBusError", "UnitMasked"),
        ("status(\"rex good.service\")", "ServiceNotFound", "Unit: rex good.service"),
    ] {
        let failed = services.run(ALL, &format!("SystemctlManager().{call}"));
        assert!(failed.error().contains(&format!("ProcessErrorKind: {kind}: ")), "{call}: {}", failed.stdout);
        assert!(failed.error().contains(says), "{call}: {}", failed.stdout);
    }
}

/// The alias of `rex-good.service` is a name that a policy may permit by mistake.
fn aliases_are_judged_by_the_units_own_name(services: &Services) {
    services.systemctl(&["stop", "rex-good.service"]);
    let on = |names: &str| {
        format!("permit(principal, action, resource is systemd::Service) when {{ [{names}].contains(resource.name) }};")
    };
    let start = "SystemctlManager().start(\"rex-alias.service\")";
    let denied = services.run(&on("\"rex-alias.service\""), start);
    assert_eq!(denied.error_type(), "ACCESS_DENIED_EXCEPTION", "{}", denied.stdout);
    assert!(denied.error().contains("systemd::Service::rex-good.service"), "{}", denied.stdout);
    let forbidden = format!("{ALL} forbid(principal, action, resource == systemd::Service::\"rex-good.service\");");
    assert_eq!(services.run(&forbidden, start).error_type(), "ACCESS_DENIED_EXCEPTION");
    let status = services.run(&forbidden, "SystemctlManager().status(\"rex-alias.service\")");
    assert_eq!(status.error_type(), "ACCESS_DENIED_EXCEPTION", "{}", status.stdout);
    assert!(!services.is_active("rex-good.service"));
    let both = services.run(&on("\"rex-alias.service\", \"rex-good.service\""), start);
    assert_eq!(both.code, 0, "{}", both.stdout);
    assert!(services.is_active("rex-good.service"));
}

fn units_are_inspected(services: &Services) {
    let seen = services.run(
        ALL,
        r#"let m = SystemctlManager();
           let seen = [];
           for name in ["basic.target", "dbus.socket", "rex-no.service", "rex-masked.service", "rex-bad.service"] {
               let s = m.status(name);
               seen += `${s.name} ${s.load_state} ${s.active_state} ${s.main_pid == ()}`;
           }
           let s = m.status("rex-good.service");
           seen += `${s.main_pid > 1} ${s.load_path} ${s.to_map().keys().len()} ${s.to_string().parse_json().name}`;
           seen"#,
    );
    let expected = [
        "basic.target loaded active true",
        "dbus.socket loaded active true",
        "rex-no.service not-found inactive true",
        "rex-masked.service masked inactive true",
        "rex-bad.service loaded failed true",
        "true /etc/systemd/system/rex-good.service 13 rex-good.service",
    ];
    assert_eq!(seen.output(), format!("{expected:?}"), "{}", seen.stdout);
}

fn a_changed_unit_is_read_anew(services: &Services) {
    let changed = format!("[Unit]\nDescription=another\n{GOOD}");
    services.machine.write("/etc/systemd/system/rex-good.service", &changed);
    let look = "let s = SystemctlManager().status(\"rex-good.service\"); `${s.description} ${s.need_daemon_reload}`";
    assert_eq!(services.run(ALL, look).output(), "rex-good.service true");
    let forbid = "permit(principal, action in [systemd::Action::\"start\", systemd::Action::\"status\"], resource);";
    let denied = services.run(forbid, "SystemctlManager().daemon_reload()");
    assert_eq!(denied.error_type(), "ACCESS_DENIED_EXCEPTION", "{}", denied.stdout);
    assert_eq!(services.run(ALL, &format!("SystemctlManager().daemon_reload(); {look}")).output(), "another false");
}

fn a_run_ends_at_its_limit_while_a_unit_takes_its_time(services: &Services) {
    let slow = "[Service]\nType=oneshot\nExecStart=/bin/sleep infinity\nTimeoutStartSec=infinity\n";
    services.machine.write("/run/systemd/system/rex-slow.service", slow);
    services.machine.write(&format!("{FOLDER}/script.rhai"), "SystemctlManager().start(\"rex-slow.service\")");
    let policy = format!("{FOLDER}/own.cedar");
    services.machine.write(&policy, ALL);
    let options = ["--standalone", "--timeout", "1s", "--policy-file", &policy];
    let ran = Ran::of(&services.machine.run(&[&EXECUTE[..], &options].concat()));
    assert!(ran.error().contains("time limit"), "{}", ran.stdout);
    services.systemctl(&["kill", "--signal=KILL", "rex-slow.service"]);
}

fn an_ordinary_user_may_what_the_store_says(services: &Services) {
    let machine = &services.machine;
    let policy = "permit(principal == User::\"nobody\", action == systemd::Action::\"status\", resource);
        permit(principal in Group::\"nogroup\", action == systemd::Action::\"restart\", resource == systemd::Service::\"rex-good.service\");";
    machine.write(&format!("{FOLDER}/policies.d/a.cedar"), policy);
    let (socket, policies) = (format!("{FOLDER}/broker.sock"), format!("{FOLDER}/policies.d"));
    let start = ["systemd-run", "--quiet", "--collect", "--unit=rex-test-broker", "--service-type=notify"];
    let broker = ["/opt/rex/rex-broker", "--socket", &socket, "--policies", &policies];
    let started = machine.run(&[&start[..], &broker].concat());
    assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    machine.run(&["chmod", "666", &socket]);
    let before = services.systemctl(&["show", "--property=MainPID", "rex-good.service"]);
    let restarted = services.run_as_nobody(
        "SystemctlManager().restart(\"rex-good.service\"); SystemctlManager().status(\"rex-good.service\").active_state.to_string()",
    );
    assert_eq!(restarted.output(), "active", "{} {}", restarted.stdout, restarted.stderr);
    assert_ne!(services.systemctl(&["show", "--property=MainPID", "rex-good.service"]), before);
    for call in ["stop(\"rex-good.service\")", "restart(\"dbus.service\")", "daemon_reload()"] {
        let denied = services.run_as_nobody(&format!("SystemctlManager().{call}"));
        assert_eq!(denied.error_type(), "ACCESS_DENIED_EXCEPTION", "{call}: {}", denied.stdout);
        assert!(denied.error().contains("nobody unauthorized"), "{call}: {}", denied.stdout);
    }
    assert!(services.is_active("rex-good.service"));
    services.systemctl(&["stop", "rex-test-broker.service"]);
}

/// The conformance cases that need a service manager, by the very program that runs the others.
fn cases_of_services_pass(services: &Services) {
    let Some(runner) = newest("conformance-") else {
        return skip("the conformance tests are not built: `cargo build --workspace --all-targets`");
    };
    let name = runner.file_name().expect("a name").to_string_lossy().into_owned();
    let done = services.machine.run(&[format!("/opt/rex/deps/{name}"), "systemctl_".into()]);
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    assert!(said.contains("system::systemctl_restart_gives_a_new_process") && said.contains(" ok"), "{said}");
}

/// The newest test program whose name begins so.
fn newest(prefix: &str) -> Option<PathBuf> {
    let programs = fs::read_dir(programs().join("deps")).ok()?.flatten().map(|entry| entry.path());
    let fits = |path: &PathBuf| {
        path.extension().is_none() && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
    };
    programs.filter(fits).max_by_key(|path| fs::metadata(path).and_then(|data| data.modified()).ok())
}
