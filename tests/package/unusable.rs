//! What keeps the service from starting: one line in the journal says it, no client is served by less, and mended it goes on.

use crate::{Installed, READ};
use std::fs;

const CONFIGURATION: &str = "/etc/rex/broker.toml";
const BAD: &str = "/etc/rex/policies.d/bad.cedar";
const DROP_IN: &str = "/etc/systemd/system/rex-broker.service.d/trial.conf";

/// The journal's line, as it begins and what it names.
type Says = (&'static str, &'static str);

pub(crate) fn what_cannot_start_is_told_and_mended(rex: &Installed) {
    let configuration = fs::read_to_string(rex.machine.path(CONFIGURATION)).expect("a configuration");
    rex.is_refused(
        || rex.machine.write(CONFIGURATION, "sokcet = 1\n"),
        ("cannot use the configuration", "line 1: unknown field `sokcet`"),
        || rex.machine.write(CONFIGURATION, &configuration),
    );
    rex.is_refused(
        || rex.machine.write(BAD, &"permit(principal is Robot, action, resource);\n".repeat(2)),
        ("cannot use the policy store", "bad.cedar:2"),
        || fs::remove_file(rex.machine.path(BAD)).expect("removed"),
    );
    rex.is_refused(
        || drop(rex.must(&["mount", "-t", "tmpfs", "-o", "ro,mode=700", "nothing", "/var/log/rex"])),
        ("cannot open the audit log", "Read-only file system; it needs a directory that root"),
        || drop(rex.must(&["umount", "/var/log/rex"])),
    );
    // A kernel without these looks the same.
    for (call, says) in [
        ("landlock_create_ruleset", ("cannot seal a worker on this host", "landlock")),
        ("seccomp", ("cannot seal a worker on this host", "`rex-broker doctor` tells what is missing")),
        ("openat2", ("cannot open paths by openat2 on this host", "Linux 5.6 has it")),
    ] {
        let drop_in = rex.machine.path(DROP_IN);
        rex.is_refused(
            || rex.machine.write(DROP_IN, &format!("[Service]\nSystemCallFilter=~{call}\n")),
            says,
            || fs::remove_dir_all(drop_in.parent().expect("a folder")).expect("removed"),
        );
    }
}

impl Installed {
    /// With what is done to it the service does not start, and a client is told so. Once that is mended all is as before.
    fn is_refused(&self, spoil: impl FnOnce(), (begins, names): Says, mend: impl FnOnce()) {
        self.must(&["systemctl", "stop", "rex-broker.service"]);
        let since = self.must(&["date", "+%s.%N"]);
        spoil();
        self.must(&["systemctl", "daemon-reload"]);
        // The first who comes finds it so, as those do who come after.
        for _ in 0..2 {
            let ran = self.run(READ);
            assert_eq!(ran.code, 8, "{begins}: {ran:?}");
        }
        let show = ["systemctl", "show", "--value", "--property=ExecMainStatus", "rex-broker.service"];
        assert_eq!(self.must(&show), "1", "{begins}");
        let since = format!("--since=@{since}");
        let told = ["journalctl", "--unit=rex-broker.service", "--priority=err", "--output=cat", "--no-pager", &since];
        let told = || self.must(&[&told[..], &["_COMM=rex-broker"]].concat());
        self.wait("it is told", || told().contains(begins));
        for line in told().lines() {
            assert!(line.starts_with(begins) && line.contains(names), "{begins}: {line}");
        }
        mend();
        self.must(&["systemctl", "daemon-reload"]);
        self.must(&["systemctl", "reset-failed", "rex-broker.service"]);
        self.must(&["systemctl", "restart", "rex-broker.socket"]);
        assert_eq!(self.run(READ).output(), "hello", "{begins}");
    }
}
