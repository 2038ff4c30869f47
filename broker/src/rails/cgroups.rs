//! The control groups that this process is in (cgroups(7)): who writes there freezes it, starves it, or ends it.

use std::path::{Path, PathBuf};

/// What stops all processes of a group and of the groups below it.
const STOPS: &[&str] = &["cgroup.freeze", "cgroup.kill", "freezer.state"];

/// Where a process's control groups are found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Groups {
    /// Its own directories, in each hierarchy.
    pub(super) own: Vec<PathBuf>,
    /// The files that stop it in those above, and in its own where that is a hierarchy's first, which is everybody's.
    pub(super) stops: Vec<PathBuf>,
}

/// Those of this process.
pub(super) fn own() -> Groups {
    use crate::sys::procfs::read;
    let this = nix::unistd::Pid::this();
    // Where the kernel has none, there is nothing to protect.
    match (read(this, "cgroup"), read(this, "mountinfo")) {
        (Ok(groups), Ok(mounts)) => find(&groups, &mounts),
        _ => Groups::default(),
    }
}

/// From the texts of `/proc/PID/cgroup` and `/proc/PID/mountinfo`.
fn find(groups: &str, mounts: &str) -> Groups {
    let mut found = Groups::default();
    for mount in mounts.lines().filter_map(Mount::read) {
        let below = groups.lines().filter_map(|line| mount.group(line)).next();
        let Some(below) = below else { continue };
        let own = mount.at.join(below);
        let stops = |dir: &Path| STOPS.iter().map(|name| dir.join(name)).collect::<Vec<_>>();
        for above in own.ancestors().skip_while(|dir| **dir == own && own != mount.at) {
            found.stops.extend(stops(above));
            if above == mount.at {
                break;
            }
        }
        if own != mount.at {
            found.own.push(own);
        }
    }
    found
}

/// Where a hierarchy is mounted.
struct Mount<'m> {
    at: PathBuf,
    /// The group that stands there, from the hierarchy's first.
    root: &'m str,
    /// The options of the hierarchy, which name its controllers; none for the one of version 2.
    controllers: Option<&'m str>,
}

impl<'m> Mount<'m> {
    /// From a line of proc_pid_mountinfo(5).
    fn read(line: &'m str) -> Option<Self> {
        let (mount, system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (root, at) = (mount.next()?, mount.next()?);
        let mut system = system.split(' ');
        let controllers = match system.next()? {
            "cgroup2" => None,
            "cgroup" => Some(system.nth(1)?),
            _ => return None,
        };
        Some(Self { at: at.into(), root, controllers })
    }

    /// The group that a line of proc_pid_cgroup(5) tells, from here; nothing where it is of another hierarchy, or not below.
    fn group(&self, line: &'m str) -> Option<&'m Path> {
        let mut parts = line.splitn(3, ':');
        let (number, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let is_this = match self.controllers {
            None => number == "0",
            Some(own) => number != "0" && own.split(',').any(|one| controllers.split(',').any(|other| one == other)),
        };
        let below = Path::new(path).strip_prefix(self.root).ok()?;
        is_this.then_some(below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(paths: &[PathBuf]) -> Vec<&str> {
        paths.iter().map(|path| path.to_str().unwrap()).collect()
    }

    #[test]
    fn a_service_is_found_in_each_hierarchy() {
        let mounts = "\
            30 25 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n\
            25 30 8:2 / / rw - ext4 /dev/sda2 rw\n\
            33 30 0:30 / /mnt/freezer rw - cgroup cgroup rw,freezer\n\
            34 30 0:31 / /mnt/memory rw - cgroup cgroup rw,memory";
        let groups = "5:freezer:/system.slice/x.service\n0::/system.slice/x.service";
        let found = find(groups, mounts);
        let own = ["/sys/fs/cgroup/system.slice/x.service", "/mnt/freezer/system.slice/x.service"];
        assert_eq!(paths(&found.own), own);
        let stops = paths(&found.stops);
        for stop in
            ["/sys/fs/cgroup/system.slice/cgroup.kill", "/sys/fs/cgroup/cgroup.freeze", "/mnt/freezer/freezer.state"]
        {
            assert!(stops.contains(&stop), "{stop}: {stops:?}");
        }
        assert!(!stops.iter().any(|stop| stop.starts_with("/mnt/memory")));
    }

    #[test]
    fn what_is_everybodys_is_left_to_everybody_but_for_what_stops_all() {
        let mounts = "30 25 0:27 /box /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
        let found = find("0::/box", mounts);
        assert!(found.own.is_empty());
        assert!(paths(&found.stops).contains(&"/sys/fs/cgroup/cgroup.kill"));
        assert_eq!(find("0::/elsewhere", mounts), Groups::default());
    }
}
