//! Threads that exchange names and put links into the forbidden part in their place, at every level.
//!
//! They act by descriptors that were reached without a link: what happens to the forbidden part is never their doing.

use super::stage::{LARGE, LEVELS, NAMES, PUBLIC, Stage};
use nix::fcntl::{AtFlags, OFlag, RenameFlags, open, openat, renameat2};
use nix::sys::stat::{Mode, SFlag, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, symlinkat, unlinkat, write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Each goes once through everything, and tells how much it changed.
pub(super) const ATTACKERS: [fn(&Stage) -> u64; 2] = [exchange, |stage| swap(stage) + mend(stage)];

/// One name of one directory that is attacked.
struct Spot {
    dir: OwnedFd,
    name: &'static str,
    /// Its name for what it is exchanged with.
    other: String,
    /// The same in the forbidden part.
    twin: PathBuf,
}

/// Exchanges each name with that of a link to its forbidden twin.
fn exchange(stage: &Stage) -> u64 {
    let flags = RenameFlags::RENAME_EXCHANGE;
    let exchange = |spot: &Spot| renameat2(&spot.dir, spot.name, &spot.dir, spot.other.as_str(), flags).is_ok();
    spots(stage).map(|spot| u64::from(exchange(&spot)) + u64::from(exchange(&spot))).sum()
}

/// Moves each aside, puts a link in its place, and takes that back.
fn swap(stage: &Stage) -> u64 {
    let swap = |spot: &Spot| {
        let aside = format!("{}.aside", spot.name);
        let rename = |from: &str, to: &str| renameat2(&spot.dir, from, &spot.dir, to, RenameFlags::RENAME_NOREPLACE);
        let moved = rename(spot.name, &aside).is_ok();
        let linked = symlinkat(&spot.twin, &spot.dir, spot.name).is_ok();
        // By way of another name, since another attacker may have put something else there by now.
        if linked && rename(spot.name, &format!("{}.taken", spot.name)).is_ok() {
            remove(&spot.dir, &format!("{}.taken", spot.name));
        }
        if rename(&aside, spot.name).is_err() {
            remove(&spot.dir, &aside);
        }
        moved || linked
    };
    spots(stage).map(|spot| u64::from(swap(&spot))).sum()
}

/// Makes anew what is missing at each spot: the thing itself, or the link to its twin.
pub(super) fn mend(stage: &Stage) -> u64 {
    let mut made = 0;
    for spot in spots(stage) {
        match (kind(&spot.dir, spot.name), kind(&spot.dir, &spot.other)) {
            (None, None | Some(SFlag::S_IFLNK)) => made += u64::from(spot.make(spot.name)),
            (Some(SFlag::S_IFLNK), None) => made += u64::from(spot.make(&spot.other)),
            (None, _) => made += u64::from(symlinkat(&spot.twin, &spot.dir, spot.name).is_ok()),
            (_, None) => made += u64::from(symlinkat(&spot.twin, &spot.dir, spot.other.as_str()).is_ok()),
            // Two of one sort: one goes, and the next time finds it missing.
            (Some(one), Some(other)) if (one == SFlag::S_IFLNK) == (other == SFlag::S_IFLNK) => {
                remove(&spot.dir, &spot.other);
            }
            _ => {}
        }
    }
    made
}

impl Spot {
    fn make(&self, name: &str) -> bool {
        match self.name {
            "file" => fill(&self.dir, name, PUBLIC.as_bytes(), 0o644),
            "large" => fill(&self.dir, name, PUBLIC.repeat(LARGE).as_bytes(), 0o644),
            // A program that says nothing.
            "program" => std::fs::read("/usr/bin/true").is_ok_and(|program| fill(&self.dir, name, &program, 0o755)),
            "tree" => {
                let tree = make_dir(&self.dir, name);
                let inner = tree.as_ref().and_then(|tree| make_dir(tree, "inner"));
                let files = [tree.as_ref(), inner.as_ref()];
                files.into_iter().flatten().all(|dir| fill(dir, "file", PUBLIC.as_bytes(), 0o644))
            }
            _ => make_dir(&self.dir, name).is_some(),
        }
    }
}

/// Every spot that can be reached now, the outer ones first.
fn spots(stage: &Stage) -> impl Iterator<Item = Spot> {
    LEVELS.into_iter().flat_map(move |(level, next)| {
        NAMES.into_iter().chain(next).filter_map(move |name| {
            let twin = stage.secret().join(level).join(name);
            Some(Spot { dir: level_dir(stage, level)?, name, other: format!("{name}.other"), twin })
        })
    })
}

/// A directory of the open part, wherever the attackers have it at the moment.
fn level_dir(stage: &Stage, level: &str) -> Option<OwnedFd> {
    let mut dir = open(&stage.open(), OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
    for name in level.split('/').filter(|name| !name.is_empty()) {
        dir = open_dir(&dir, name).or_else(|| open_dir(&dir, &format!("{name}.other")))?;
    }
    Some(dir)
}

fn open_dir(dir: &OwnedFd, name: &str) -> Option<OwnedFd> {
    openat(dir, name, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty()).ok()
}

fn make_dir(dir: &OwnedFd, name: &str) -> Option<OwnedFd> {
    mkdirat(dir, name, Mode::from_bits_truncate(0o755)).ok()?;
    open_dir(dir, name)
}

/// Makes a file, unless something has its name.
fn fill(dir: &OwnedFd, name: &str, content: &[u8], mode: u32) -> bool {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(dir, name, flags, Mode::from_bits_truncate(mode)).is_ok_and(|file| write(&file, content).is_ok())
}

fn kind(dir: &OwnedFd, name: &str) -> Option<SFlag> {
    let found = fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok()?;
    Some(SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT)
}

/// Removes whatever has a name, no link followed.
fn remove(dir: &OwnedFd, name: &str) {
    if unlinkat(dir, name, UnlinkatFlags::NoRemoveDir).is_ok() {
        return;
    }
    if let Some(below) = open_dir(dir, name) {
        let names = nix::dir::Dir::openat(&below, ".", OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty());
        for entry in names.into_iter().flatten().flatten() {
            match entry.file_name().to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) => remove(&below, name),
            }
        }
    }
    let _ = unlinkat(dir, Path::new(name), UnlinkatFlags::RemoveDir);
}
