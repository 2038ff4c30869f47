//! What a machine that goes down and comes up again finds of Rex.

use crate::{FOLDER, Installed, NOBODY, READ};
use rex_tests::Machine;
use std::fs;

const LOG: &str = "/var/log/rex/audit.jsonl";

/// In order, and by the loss of its power in the middle of a run.
pub(crate) fn it_is_there_again_after_a_reboot(rex: &mut Installed) {
    assert_eq!(rex.run(READ).output(), "hello");
    rex.boots_again(Machine::reboot);
    rex.begin_and_leave("sleep(600)");
    rex.wait("a run is under way", || rex.recorded().lines().last().is_some_and(|last| last.contains("\"run-start\"")));
    rex.boots_again(Machine::lose_power);
}

impl Installed {
    fn boots_again(&mut self, how: impl FnOnce(&mut Machine) -> Result<(), String>) {
        let (boot, recorded) = (self.boot(), self.recorded());
        how(&mut self.machine).expect("it boots again");
        assert_ne!(self.boot(), boot);
        // The socket waits as after the installation, and nothing is left of what was before.
        assert_eq!(self.must(&["systemctl", "is-enabled", "rex-broker.socket"]), "enabled");
        assert!(self.is_active("rex-broker.socket") && !self.is_active("rex-broker.service"));
        assert_eq!(self.must(&["ls", "-A", "/run/rex"]), "broker.sock");
        assert_eq!(self.mode("/run/rex"), "755 root");
        assert_eq!(self.mode("/run/rex/broker.sock"), "666 root");
        assert_eq!(self.processes(), [""; 0]);
        // The first who comes is served, by the policies of before.
        assert_eq!(self.run(READ).output(), "hello");
        assert_eq!(self.run("cat(\"/etc/hostname\")").code, 4);
        // The log goes on where it was.
        let now = self.recorded();
        let new = now.strip_prefix(&recorded).expect("what was recorded before is still there");
        for kind in ["broker-start", "run-start", "decision", "run-end"] {
            assert!(new.contains(&format!("\"{kind}\"")), "{kind}: {new}");
        }
        self.must(&["rex-audit", "verify"]);
    }

    /// Which boot of the machine this is.
    fn boot(&self) -> String {
        self.must(&["cat", "/proc/sys/kernel/random/boot_id"])
    }

    fn recorded(&self) -> String {
        fs::read_to_string(self.machine.path(LOG)).expect("a log")
    }

    /// Begins a run, which goes down with the machine.
    fn begin_and_leave(&self, script: &str) {
        let name = format!("{FOLDER}/left.rhai");
        self.machine.write(&name, script);
        let begin = format!("rex-exec --script-file {name} > /dev/null 2>&1 &");
        let begun = self.machine.run_as(NOBODY, &["sh", "-c", &begin]);
        assert!(begun.status.success(), "{begun:?}");
    }
}
