//! The control groups of runs, in a service to which systemd delegates its own.

use crate::{ALL, Services};
use rex_tests::Ran;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const FOLDER: &str = "/run/rex-groups";
const UNIT: &str = "rex-test-groups.service";

/// A program that leaves another one behind, in the namespaces of the first process: nothing but the group finds it again.
const LEAVES_BEHIND: &str = r#"
let dir = DirConfig().path("/usr/bin").build().open(OpenDirOptions().build());
let sh = dir.open_file("dash", OpenFileOptions().read(true).build());
let there = ChildNamespaceOptions().target_process(1).build();
let args = ["-c", "/usr/bin/setsid /usr/bin/sleep 4321 & exec /usr/bin/sleep 4321"];
sh.execute(ExecuteOptions().args(args).namespace(there).build())
"#;

pub(crate) fn runs_have_groups(services: &Services) {
    let broker = Broker { services };
    broker.refuses_to_start_without_what_is_required();
    broker.holds_runs_to_a_share_of_processors_or_does_not_start();
    broker.start("cgroups = \"where-available\"", &["--property=Delegate=yes"]);
    broker.each_worker_has_a_group_and_nothing_of_a_run_is_left();
    broker.stop();
    // Without a delegated one there are none, and no harm is done.
    broker.start("cgroups = \"where-available\"", &[]);
    assert!(broker.status()["groups"].as_str().is_some_and(|groups| groups.contains("Delegate=")));
    assert_eq!(broker.run("40 + 2").output(), "42");
    assert!(broker.groups().is_empty());
    broker.stop();
}

struct Broker<'a> {
    services: &'a Services,
}

impl Broker<'_> {
    fn start(&self, configuration: &str, properties: &[&str]) {
        let started = self.try_to_start(configuration, properties);
        assert!(started, "{}", self.log());
    }

    fn try_to_start(&self, configuration: &str, properties: &[&str]) -> bool {
        let machine = &self.services.machine;
        machine.write(&format!("{FOLDER}/policies.d/a.cedar"), ALL);
        machine.write(&format!("{FOLDER}/broker.toml"), configuration);
        let start = ["systemd-run", "--quiet", "--unit", UNIT, "--service-type=notify"];
        let options = ["--config", "/run/rex-groups/broker.toml", "--socket", "/run/rex-groups/broker.sock"];
        let policies = ["--policies", "/run/rex-groups/policies.d", "--audit-log", "/run/rex-groups/log.d"];
        let command = [&start[..], properties, &["/opt/rex/rex-broker"], &options, &policies].concat();
        machine.run(&command).status.success()
    }

    fn stop(&self) {
        self.services.systemctl(&["stop", UNIT]);
        self.services.systemctl(&["reset-failed", UNIT]);
    }

    fn log(&self) -> String {
        let told = self.services.machine.run(&["journalctl", "--unit", UNIT, "--output=cat", "--no-pager"]);
        String::from_utf8_lossy(&told.stdout).into_owned()
    }

    fn status(&self) -> serde_json::Value {
        let ask = ["/opt/rex/rex-broker", "status", "--socket", "/run/rex-groups/broker.sock", "-o", "json"];
        serde_json::from_slice(&self.services.machine.run(&ask).stdout).unwrap_or_default()
    }

    fn command(&self, script: &str) -> [&'static str; 5] {
        self.services.machine.write(&format!("{FOLDER}/script.rhai"), script);
        [
            "/opt/rex/rex-exec",
            "--output-format=json",
            "--socket",
            "/run/rex-groups/broker.sock",
            "/run/rex-groups/script.rhai",
        ]
    }

    fn run(&self, script: &str) -> Ran {
        Ran::of(&self.services.machine.run(&self.command(script)))
    }

    /// Where the group of the service is seen from outside.
    fn group(&self) -> PathBuf {
        let path = self.services.systemctl(&["show", "--property=ControlGroup", "--value", UNIT]);
        self.services.machine.path("/sys/fs/cgroup").join(path.trim_start_matches('/'))
    }

    /// The groups in it, but those of systemd itself.
    fn groups(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.group()).into_iter().flatten().flatten();
        let groups = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let names = groups.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| !name.starts_with('.')).collect()
    }

    /// The command lines of the processes in one of them.
    fn processes(&self, group: &str) -> Vec<String> {
        let inside = fs::read_to_string(self.group().join(group).join("cgroup.procs")).unwrap_or_default();
        let command = |pid: &str| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        inside.lines().map(|pid| command(pid).replace('\0', " ").trim_end().to_owned()).collect()
    }

    fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !condition() {
            assert!(Instant::now() < end, "{what}: {:?}\n{}", self.groups(), self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The controllers that this kernel can give, as far as runs need them.
    fn controllers(&self) -> String {
        let there = fs::read_to_string(self.services.machine.path("/sys/fs/cgroup/cgroup.controllers"));
        let there = there.unwrap_or_default();
        let wanted = ["memory", "pids", "cpu"].into_iter();
        wanted.filter(|name| there.split_whitespace().any(|other| other == *name)).collect::<Vec<_>>().join(", ")
    }

    fn refuses_to_start_without_what_is_required(&self) {
        assert!(!self.try_to_start("cgroups = \"required\"", &[]), "nothing is delegated");
        assert!(self.log().contains("control groups are required, and cannot be had: "), "{}", self.log());
        self.stop();
        let all = self.controllers() == "memory, pids, cpu";
        assert_eq!(self.try_to_start("cgroups = \"required\"", &["--property=Delegate=yes"]), all, "{}", self.log());
        assert!(all || self.log().contains("required, and not all controllers are delegated"), "{}", self.log());
        self.stop();
    }

    fn holds_runs_to_a_share_of_processors_or_does_not_start(&self) {
        let has_cpu = self.controllers().contains("cpu");
        let started = self.try_to_start("cpu_percent = 50", &["--property=Delegate=yes"]);
        assert_eq!(started, has_cpu, "{}", self.log());
        for run in self.groups().iter().filter(|group| group.starts_with("run-")) {
            let most = fs::read_to_string(self.group().join(run).join("cpu.max")).expect("a limit");
            assert_eq!(most, "50000 100000\n");
        }
        let refused =
            "cannot hold runs to `cpu_percent`, which needs control groups: the controller `cpu` is not delegated";
        assert!(has_cpu || self.log().contains(refused), "{}", self.log());
        self.stop();
    }

    fn each_worker_has_a_group_and_nothing_of_a_run_is_left(&self) {
        let controllers = match &*self.controllers() {
            "" => "no controllers".to_owned(),
            some => some.to_owned(),
        };
        assert_eq!(self.status()["groups"], format!("control groups ({controllers})"));
        self.until("only the broker and the workers that wait have groups", || self.groups().len() == 3);
        let ready: Vec<String> = self.groups().into_iter().filter(|group| group.starts_with("run-")).collect();
        for group in &ready {
            assert_eq!(self.processes(group), ["rex-worker"], "{group}");
        }
        assert!(self.processes("broker").iter().all(|command| command.starts_with("/opt/rex/rex-broker")));
        assert!(self.processes("").is_empty(), "{:?}", self.processes(""));

        assert_eq!(self.run("40 + 2").output(), "42");
        // Policy permits everything, and yet no script has the limits of runs changed.
        let kill = format!("write([write::replace], \"/sys/fs/cgroup/system.slice/{UNIT}/broker/cgroup.kill\", \"1\")");
        assert_eq!(self.run(&kill).error_type(), "ACCESS_DENIED_EXCEPTION");
        let mut running = self.begin(LEAVES_BEHIND);
        let sleeps =
            || self.groups().iter().flat_map(|group| self.processes(group)).filter(|one| one.contains("4321")).count();
        self.until("both programs run in the group of the run", || sleeps() == 2);
        let group =
            self.groups().into_iter().find(|group| self.processes(group).iter().any(|one| one.contains("4321")));
        let group = group.expect("a group");
        assert!(self.processes(&group).contains(&"rex-worker".to_owned()), "{:?}", self.processes(&group));
        let session = self.status()["runs"][0]["session"].to_string();
        let left = self.everywhere("4321");
        self.services.machine.run(&["sh", "-c", "kill -KILL $0", &session]);
        let _ = running.wait();
        self.until("its group is gone", || !self.groups().contains(&group));
        assert_eq!(left.len(), 2);
        for process in left {
            assert!(!process.exists(), "{process:?} has outlived its run");
        }
        self.until("all is as before", || self.groups().len() == 3);
    }

    /// Starts a run and does not wait for it.
    fn begin(&self, script: &str) -> Child {
        let command = self.command(script);
        let first = self.services.machine.first().to_string();
        let mut enter = Command::new("nsenter");
        enter.args(["--target", &first, "--all", "--"]).args(command);
        enter.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("nsenter starts")
    }

    /// The programs in our groups whose command lines contain this, wherever they go.
    fn everywhere(&self, part: &str) -> Vec<PathBuf> {
        let inside =
            |group: &String| fs::read_to_string(self.group().join(group).join("cgroup.procs")).unwrap_or_default();
        let pids: Vec<String> = self
            .groups()
            .iter()
            .map(inside)
            .flat_map(|pids| pids.lines().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        let processes = pids.iter().map(|pid| PathBuf::from(format!("/proc/{pid}")));
        let has =
            |process: &PathBuf| fs::read_to_string(process.join("cmdline")).is_ok_and(|command| command.contains(part));
        processes.filter(has).collect()
    }
}
