//! Which walls this host has, and what that means: looked at before anybody relies on them, without a daemon.

use crate::config::Config;
use crate::jail::{MINIMUM_ABI, Walls};
use crate::program::Programs;
use crate::store::Store;
use crate::sys::{process, socket};

/// What was looked at, and how it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub what: &'static str,
    /// How it is.
    pub state: State,
    /// What that means.
    pub says: String,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// As it should be.
    Good,
    /// Rex runs, with less between a script and the system.
    Weaker,
    /// Rex refuses to run.
    Missing,
}

/// Looks at the kernel, and at what this configuration names. As root it finds what the broker finds; as another user, what
/// `rex-exec --standalone` does.
pub fn look(config: &Config) -> Vec<Finding> {
    let programs = Programs::open(config);
    let mut found = vec![kernel(), landlock(), seccomp(), openat2(), peers()];
    match &programs {
        Ok(programs) => {
            found.push(worker(programs, config));
            found.push(network(programs));
        }
        Err(error) => found.push(missing("worker", error)),
    }
    found.push(policies(config));
    found
}

fn kernel() -> Finding {
    match nix::sys::utsname::uname() {
        Ok(name) => {
            let [release, machine] = [name.release(), name.machine()].map(|text| text.to_string_lossy().into_owned());
            good("kernel", format!("Linux {release} on {machine}"))
        }
        Err(error) => missing("kernel", &error.desc()),
    }
}

fn landlock() -> Finding {
    let what = "landlock";
    let least = format!("{MINIMUM_ABI} is the least (Linux 5.19)");
    match process::landlock_abi() {
        Err(error) => missing(what, &format!("the kernel has none: {}; {least}", error.desc())),
        Ok(abi) if abi < MINIMUM_ABI => missing(what, &format!("ABI {abi}; {least}")),
        Ok(abi) => {
            let more = match abi {
                ..4 => ": files; ports (ABI 4), signals and abstract sockets (6) are kept by the other walls alone",
                4..6 => ": files and ports; signals and abstract sockets (ABI 6) are kept by the other walls alone",
                _ => ": files, ports, signals and abstract sockets",
            };
            good(what, format!("ABI {abi}{more}"))
        }
    }
}

fn seccomp() -> Finding {
    match process::can_kill_by_seccomp() {
        Ok(()) => good("seccomp", "a system call that is not on the worker's list ends the worker".into()),
        Err(error) => missing("seccomp", &format!("the kernel does not filter system calls: {}", error.desc())),
    }
}

fn openat2() -> Finding {
    match process::has_openat2() {
        Ok(()) => good("openat2", "paths are resolved without following what is put in their way".into()),
        Err(error) => {
            missing("openat2", &format!("refused: {}; Linux 5.6 has it, and filters may keep it", error.desc()))
        }
    }
}

fn peers() -> Finding {
    let what = "callers";
    match socket::packet_pair() {
        Ok((one, _other)) if socket::tells_processes(&one) => {
            good(what, "the kernel tells which process connects, not only its number".into())
        }
        Ok(_) => {
            weaker(what, "known by number alone (before Linux 6.5); their groups are also looked up by name".into())
        }
        Err(error) => missing(what, &format!("no sockets: {}", error.desc())),
    }
}

fn worker(programs: &Programs, config: &Config) -> Finding {
    let what = "worker";
    let worker = match crate::session::ReadyWorker::sealed(&programs.worker, &config.limits) {
        Ok(worker) => worker,
        Err(error) => return missing(what, &error),
    };
    let walls = worker.walls();
    worker.end();
    let Walls { namespaces, user_namespace, identity } = walls;
    let who = match (identity, user_namespace) {
        (Some(_), _) => "with an id of its own",
        (None, true) => "as you, in a user namespace without rights",
        (None, false) => "as you",
    };
    if namespaces {
        good(what, format!("one was sealed, {who}, in namespaces of its own"))
    } else {
        let says = "but in no namespaces of its own, which the host refuses: Landlock and seccomp alone keep it";
        weaker(what, format!("one was sealed, {who}, {says}"))
    }
}

fn network(programs: &Programs) -> Finding {
    match &programs.net {
        Ok(_) => good("network", "the program for requests is there".into()),
        Err(error) => weaker("network", format!("scripts go without: {error}")),
    }
}

fn policies(config: &Config) -> Finding {
    match Store::load(config) {
        Ok(store) => {
            let warnings = match store.warnings.len() {
                0 => String::new(),
                1 => "; one warning, see `rex-policy check`".into(),
                count => format!("; {count} warnings, see `rex-policy check`"),
            };
            let own = store.policies.own();
            let none = if own == 0 { ": nobody may do anything" } else { "" };
            good(
                "policies",
                format!("{own} in `{}`{none}, {} tests pass{warnings}", config.policies.display(), store.tests),
            )
        }
        Err(error) => missing("policies", &error),
    }
}

fn good(what: &'static str, says: String) -> Finding {
    Finding { what, state: State::Good, says }
}

fn weaker(what: &'static str, says: String) -> Finding {
    Finding { what, state: State::Weaker, says }
}

fn missing(what: &'static str, why: &dyn std::fmt::Display) -> Finding {
    Finding { what, state: State::Missing, says: why.to_string() }
}
