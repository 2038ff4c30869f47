//! The look at a sealed worker from outside, before it is trusted with a script.
//!
//! The kernel's view of it (proc_pid_status(5)) must be exactly what was meant; anything unexpected ends
//! the run. Landlock does not show there, which is why its outer layer is imposed by the parent.

use super::spawn::Worker;
use crate::sys::procfs;
use nix::unistd::Pid;
use std::collections::BTreeMap;

/// A worker that is not sealed as it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the worker is not sealed: {0}")]
pub struct SealError(String);

/// Confirms that `worker` is sealed: ids, groups, capabilities, `no_new_privs`, seccomp, threads,
/// namespaces and descriptors.
pub fn verify(worker: &Worker) -> Result<(), SealError> {
    let status =
        procfs::read(worker.pid, "status").map_err(|error| SealError(format!("cannot read its status: {error}")))?;
    let own = procfs::read(Pid::this(), "status").map_err(|error| SealError(format!("cannot read my own: {error}")))?;
    Status::parse(&status).confirm(worker, Status::parse(&own).filters()?)?;
    if worker.walls.identity.is_some() {
        confirm_descriptors(worker.pid)?;
        if worker.walls.namespaces {
            confirm_namespaces(worker.pid)?;
        }
    }
    Ok(())
}

struct Status<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Status<'a> {
    fn parse(text: &'a str) -> Self {
        Self(text.lines().filter_map(|line| line.split_once(':')).map(|(key, value)| (key, value.trim())).collect())
    }

    /// `inherited`: how many filters of system calls this process has, which its worker has too.
    fn confirm(&self, worker: &Worker, inherited: u32) -> Result<(), SealError> {
        let walls = worker.walls;
        self.expect("NoNewPrivs", "1")?;
        self.expect("Seccomp", "2")?;
        self.expect("Seccomp_filters", &inherited.saturating_add(1).to_string())?;
        self.expect("Threads", "1")?;
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            self.expect(set, "0000000000000000")?;
        }
        if walls.identity.is_some() || walls.user_namespace {
            self.expect("CapBnd", "0000000000000000")?;
        }
        if let Some(id) = walls.identity {
            let ids = format!("{id}\t{id}\t{id}\t{id}");
            self.expect("Uid", &ids)?;
            self.expect("Gid", &ids)?;
            self.expect("Groups", "")?;
        }
        if walls.namespaces {
            let numbers = self.value("NSpid")?;
            if numbers.split_whitespace().next_back() != Some("1") {
                return Err(SealError(format!("its process number inside is not 1 (NSpid `{numbers}`)")));
            }
        }
        Ok(())
    }

    /// How many filters of system calls there are: systemd's `SystemCallFilter=` and the like are some.
    fn filters(&self) -> Result<u32, SealError> {
        let count = self.value("Seccomp_filters")?;
        count.parse().map_err(|_| SealError(format!("`{count}` is no number of filters")))
    }

    fn expect(&self, key: &str, expected: &str) -> Result<(), SealError> {
        let value = self.value(key)?;
        if value == expected { Ok(()) } else { Err(SealError(format!("{key} is `{value}`, not `{expected}`"))) }
    }

    fn value(&self, key: &str) -> Result<&'a str, SealError> {
        self.0.get(key).copied().ok_or_else(|| SealError(format!("the kernel does not tell {key}")))
    }
}

/// Its descriptors are the three null ones and its socket, nothing else.
fn confirm_descriptors(worker: Pid) -> Result<(), SealError> {
    let numbers =
        procfs::list(worker, "fd").map_err(|error| SealError(format!("cannot list its descriptors: {error}")))?;
    if numbers == ["0", "1", "2", "3"] {
        Ok(())
    } else {
        Err(SealError(format!("its descriptors are {}, not 0 to 3", numbers.join(", "))))
    }
}

/// None of its namespaces is one of ours.
fn confirm_namespaces(worker: Pid) -> Result<(), SealError> {
    for name in ["mnt", "pid", "net", "ipc", "uts"] {
        let of = |pid: Pid| {
            procfs::link(pid, &format!("ns/{name}"))
                .map_err(|error| SealError(format!("cannot look at its {name} namespace: {error}")))
        };
        if of(worker)? == of(Pid::this())? {
            return Err(SealError(format!("its {name} namespace is ours")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jail::Walls;

    const SEALED: &str = "Name:\tworker\nUid:\t7\t7\t7\t7\nGid:\t7\t7\t7\t7\nGroups:\t \nNSpid:\t40\t1\nThreads:\t1\n\
        CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n\
        CapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n";

    fn confirm(text: &str) -> Result<(), SealError> {
        confirm_below(text, 0)
    }

    fn confirm_below(text: &str, inherited: u32) -> Result<(), SealError> {
        let walls = Walls { namespaces: true, user_namespace: false, identity: Some(7) };
        Status::parse(text).confirm(&Worker::stand_in(Pid::from_raw(1), walls), inherited)
    }

    #[test]
    fn its_own_filter_is_one_more_than_those_of_its_parent() {
        let filters = |count: &str| SEALED.replace("Seccomp_filters:\t1", &format!("Seccomp_filters:\t{count}"));
        assert_eq!(confirm_below(&filters("12"), 11), Ok(()));
        assert!(confirm_below(&filters("11"), 11).is_err());
        assert!(confirm_below(SEALED, 1).is_err());
    }

    #[test]
    fn every_line_of_the_status_counts() {
        assert_eq!(confirm(SEALED), Ok(()));
        for (from, to) in [
            ("NoNewPrivs:\t1", "NoNewPrivs:\t0"),
            ("Seccomp:\t2", "Seccomp:\t0"),
            ("Seccomp_filters:\t1\n", ""),
            ("Threads:\t1", "Threads:\t2"),
            ("CapEff:\t0000000000000000", "CapEff:\t0000000000000001"),
            ("CapBnd:\t0000000000000000", "CapBnd:\t000001ffffffffff"),
            ("CapAmb:\t0000000000000000", "CapAmb:\t0000000000000400"),
            ("Uid:\t7\t7\t7\t7", "Uid:\t7\t7\t0\t7"),
            ("Gid:\t7\t7\t7\t7", "Gid:\t0\t7\t7\t7"),
            ("Groups:\t ", "Groups:\t4 "),
            ("NSpid:\t40\t1", "NSpid:\t40"),
        ] {
            assert!(confirm(&SEALED.replace(from, to)).is_err(), "{to}");
        }
    }
}
