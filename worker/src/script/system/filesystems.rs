//! `Filesystems`: what is mounted, and how full it is.

use super::{iostat, refused, table};
use crate::channel::Channel;
use crate::error::{Diskinfo, Result};
use crate::format::kernel::mounts::{self, Mount};
use crate::format::kernel::{disks, percent};
use crate::script::options::{self, Options, Setters};
use crate::script::record::{self, Property};
use crate::script::{Surface, number};
use crate::text::path;
use rex_protocol::Failure;
use rex_protocol::path::AbsPath;
use rex_protocol::system::{MountUsage, StatMount, Table};
use rhai::{Array, Dynamic};
use serde::Deserialize;
use std::collections::HashSet;
use std::fmt;
use std::rc::Rc;

/// Kinds that hold nothing of the user's.
const UNLISTED: &[&str] = &[
    "rootfs",
    "sysfs",
    "proc",
    "devtmpfs",
    "cgroup",
    "cgroup2",
    "pstore",
    "squashfs",
    "rpc_pipefs",
    "iso9660",
    "devpts",
    "hugetlbfs",
    "mqueue",
];
/// What stands in the names of devices that are elsewhere.
const REMOTE: &[&str] = &["nfs", "smb", "cifs", "efs", ":", "autofs"];

/// Which file systems.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::script) struct FilesystemOptions {
    local: bool,
    #[serde(skip)]
    targets: Vec<String>,
}

impl Options for FilesystemOptions {
    const NAME: &'static str = "FilesystemOptions";

    fn setters(setters: &mut Setters<'_, Self>) {
        let texts = |targets: Array| Ok(targets.into_iter().map(|target| target.to_string()).collect());
        setters.parsed("targets", texts, |options, targets| options.targets = targets);
    }
}

#[derive(Debug, Clone)]
struct Filesystems {
    channel: Rc<Channel>,
    options: FilesystemOptions,
}

/// A mounted file system, and how full it is.
#[derive(Debug, Clone)]
pub(in crate::script) struct Filesystem(Rc<(Mounted, MountUsage)>);

/// A mounted file system that scripts can name.
#[derive(Debug, Clone)]
struct Mounted {
    device: String,
    kind: String,
    point: AbsPath,
    options: Vec<String>,
}

/// A unit of sizes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Unit {
    Bytes,
    Kilobytes,
    Megabytes,
}

const PROPERTIES: &[Property<Filesystem>] = &[
    ("block_available", |system| number(system.usage().available).into()),
    ("block_use_percent", |system| percent(system.used(), system.usage().size).into()),
    ("block_used", |system| number(system.used()).into()),
    ("fs_device", |system| system.0.0.device.clone().into()),
    ("fs_kind", |system| system.0.0.kind.clone().into()),
    ("ifree", |system| number(system.usage().inodes_free).into()),
    ("inodes", |system| number(system.usage().inodes).into()),
    ("iuse_percent", |system| percent(system.inodes_used(), system.usage().inodes).into()),
    ("iused", |system| number(system.inodes_used()).into()),
    ("kb_blocks", |system| number(Unit::Kilobytes.of(system.usage().size)).into()),
    ("mb_blocks", |system| number(Unit::Megabytes.of(system.usage().size)).into()),
    ("mount_options", |system| system.0.0.options.iter().map(|option| option.clone().into()).collect::<Array>().into()),
    ("mounted_on", |system| system.0.0.point.to_string().into()),
    ("size", |system| number(system.usage().size).into()),
];

impl Filesystem {
    fn usage(&self) -> &MountUsage {
        &self.0.1
    }

    /// What root keeps for itself counts as used.
    fn used(&self) -> u64 {
        self.usage().size.saturating_sub(self.usage().available)
    }

    fn inodes_used(&self) -> u64 {
        self.usage().inodes.saturating_sub(self.usage().inodes_free)
    }
}

impl Unit {
    /// So many bytes in this unit, rounded down.
    fn of(self, bytes: u64) -> u64 {
        match self {
            Unit::Bytes => bytes,
            Unit::Kilobytes => bytes / 1024,
            Unit::Megabytes => bytes / (1024 * 1024),
        }
    }
}

/// The mounted file systems, in the kernel's order.
pub(in crate::script) fn list(channel: &Rc<Channel>, options: &FilesystemOptions) -> Result<Vec<Filesystem>> {
    let read = |table| table::bytes(channel, table, Diskinfo::PermissionDenied, Diskinfo::Other);
    let (mounted, disks) = (mounts::read(&read(Table::Mounts)?), read(Table::Disks)?);
    let disks = disks::read(&String::from_utf8_lossy(&disks));
    let known: HashSet<String> = disks.into_iter().map(|disk| format!("/dev/{}", disk.name)).collect();
    let mut systems = Vec::new();
    for mounted in chosen(&mounted, options, &known) {
        match channel.call(&StatMount { path: mounted.point.clone() }) {
            Ok(usage) => systems.push(Filesystem(Rc::new((mounted, usage)))),
            Err(failure) if cannot_be_seen(&failure) => {}
            Err(failure) => {
                return Err(refused(&failure, &mounted.point, Diskinfo::PermissionDenied, Diskinfo::Other).into());
            }
        }
    }
    Ok(systems)
}

/// Whether nobody could say more of it from here: it is hidden below another mount, closed to us, or its server is gone.
fn cannot_be_seen(failure: &Failure) -> bool {
    matches!(
        failure.errno(),
        Some(
            libc::EACCES
                | libc::ENOENT
                | libc::ENOTDIR
                | libc::ELOOP
                | libc::ESTALE
                | libc::ENOTCONN
                | libc::EHOSTDOWN
                | libc::ETIMEDOUT
        )
    )
}

/// The mounts that are to be listed, each once. Where there are several at one place, the options of the last hold.
fn chosen(mounts: &[Mount], options: &FilesystemOptions, known: &HashSet<String>) -> Vec<Mounted> {
    let mut seen = HashSet::new();
    let mut chosen = Vec::new();
    for mount in mounts {
        let Some(point) = nameable(&mount.point) else { continue };
        let device = String::from_utf8_lossy(&mount.device).into_owned();
        let text = point.to_string();
        let wanted = options.targets.is_empty() || options.targets.iter().any(|target| text.starts_with(target));
        let listed = !UNLISTED.contains(&mount.kind.as_str()) && !device.starts_with("sunrpc") && !is_apart(&point);
        if !wanted || !listed || (options.local && !known.contains(&device) && is_remote(&device)) {
            continue;
        }
        if seen.insert((&mount.point, &mount.device, &mount.kind)) {
            let last = mounts.iter().rfind(|other| other.point == mount.point).unwrap_or(mount);
            chosen.push(Mounted { device, kind: mount.kind.clone(), point, options: last.options.clone() });
        }
    }
    chosen
}

/// A mount point, if a script could write its path.
fn nameable(point: &[u8]) -> Option<AbsPath> {
    let text = std::str::from_utf8(point).ok().filter(|text| !path::has_odd_characters(text))?;
    AbsPath::parse(text).ok()
}

/// Whether a place is one where the system mounts what is its own.
fn is_apart(point: &AbsPath) -> bool {
    let below = |top: &str| {
        let rest = point.as_bytes().strip_prefix(top.as_bytes());
        rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
    };
    below("/sys") || below("/proc") || (below("/run") && !below("/run/media"))
}

fn is_remote(device: &str) -> bool {
    let device = device.to_lowercase();
    device.starts_with("//") || REMOTE.iter().any(|part| device.contains(part))
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unit::Bytes => "BYTES",
            Unit::Kilobytes => "KILOBYTES",
            Unit::Megabytes => "MEGABYTES",
        })
    }
}

/// Registers file systems.
pub(super) fn register(surface: &mut Surface) {
    options::register::<FilesystemOptions>(surface);
    surface.named::<Filesystems>("Filesystems");
    surface.named::<Filesystem>("Filesystem");
    record::register(surface, PROPERTIES);
    surface.shown::<Unit>("Unit");
    let units = [Unit::Bytes, Unit::Kilobytes, Unit::Megabytes];
    surface.constants("Unit", units.map(|unit| (unit.to_string(), unit)));
    surface.function("format_bytes", |bytes: i64, unit: Unit| -> Result<i64> {
        let bytes = u64::try_from(bytes)
            .map_err(|_| format!("Parameter 'bytes' conversion failed: {}", options::OUT_OF_RANGE))?;
        Ok(number(unit.of(bytes)))
    });
    let channel = surface.channel();
    surface.function("Filesystems", move |options: FilesystemOptions| Filesystems {
        channel: Rc::clone(&channel),
        options,
    });
    surface.function("filesystems", |systems: &mut Filesystems| -> Result<Array> {
        Ok(list(&systems.channel, &systems.options)?.into_iter().map(Dynamic::from).collect())
    });
    surface.function("iostat", |systems: &mut Filesystems| iostat::read(&systems.channel));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(table: &str, options: FilesystemOptions) -> Vec<String> {
        let known = HashSet::from(["/dev/nfsdisk".to_owned()]);
        let chosen = chosen(&mounts::read(table.as_bytes()), &options, &known);
        chosen.iter().map(|mounted| format!("{} {}", mounted.point, mounted.options.join(","))).collect()
    }

    const TABLE: &str = "/dev/sda1 / ext4 rw 0 0\nproc /proc proc rw 0 0\ntmpfs /run tmpfs rw 0 0\n\
        tmpfs /runner tmpfs rw 0 0\ntmpfs /run/media/x tmpfs rw 0 0\nserver:/x /mnt/far nfs4 rw 0 0\n\
        /dev/nfsdisk /mnt/near xfs rw 0 0\n//host/share /mnt/share cifs rw 0 0\nt /mnt/twice tmpfs rw,size=1k 0 0\n\
        t /mnt/twice tmpfs ro 0 0\nt /mnt/odd? tmpfs rw 0 0\nt /mnt/a\\040b tmpfs rw 0 0\n";

    #[test]
    fn what_is_the_systems_own_is_left_out() {
        assert_eq!(
            points(TABLE, FilesystemOptions::default()),
            [
                "/ rw",
                "/runner rw",
                "/run/media/x rw",
                "/mnt/far rw",
                "/mnt/near rw",
                "/mnt/share rw",
                "/mnt/twice ro",
                "/mnt/a b rw"
            ]
        );
    }

    #[test]
    fn targets_are_beginnings_and_local_leaves_out_what_is_elsewhere() {
        let options = |targets: &[&str], local| FilesystemOptions {
            local,
            targets: targets.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(
            points(TABLE, options(&["/mnt/n", "/run"], false)),
            ["/runner rw", "/run/media/x rw", "/mnt/near rw"]
        );
        assert_eq!(points(TABLE, options(&["/mnt/twice/"], false)), [] as [&str; 0]);
        assert_eq!(points(TABLE, options(&["/mnt"], true)), ["/mnt/near rw", "/mnt/twice ro", "/mnt/a b rw"]);
    }
}
