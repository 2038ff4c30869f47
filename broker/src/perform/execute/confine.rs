//! The walls around a program: what is left to it is what policy could grant its caller.
//!
//! The rule, as the README of `policies/` tells it. A program asks nobody, so what it may do by itself is said before it
//! starts, in the terms of the kernel: files by Landlock, the rest by a list of system calls. A policy that permits
//! everything on all files leaves it without these. A permission that the kernel cannot be told (one that depends on a pattern,
//! an attribute, or an `unless`) is not there for a program. The network is there where `connect` is permitted on all of
//! it. Besides what policy grants it has its own file, the interpreter that file names in its first line unless a
//! `forbid` might mean it, the system's libraries to read and their loader to start, and a few devices that are the same
//! for everybody. What the kernel cannot keep from it is to learn that a path exists, and what stat(2) tells of it.

use super::filter::{self, Denied};
use super::places::{self, Layer, Rule};
use crate::authz::{Place, Power};
use crate::jail::usable_abi;
use crate::perform::fs::OpenRegularFile;
use crate::session::State;
use crate::sys::fs;
use caps::Capability;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope, make_bitflags,
};
use nix::errno::Errno;
use nix::sys::uio::pread;
use rex_protocol::Action;
use rex_protocol::failure::{Failure, FailureKind};
use std::os::fd::OwnedFd;

/// Where loaders and libraries live: for everybody to read, on any system.
const LIBRARIES: &[&str] = &["/lib", "/lib64", "/usr/lib", "/usr/lib64"];
/// The loaders among them, which the kernel starts with each program: x86_64's and aarch64's, of glibc and of musl.
const LOADERS: &[&str] = &[
    "/lib64/ld-linux-x86-64.so.2",
    "/lib/ld-linux-aarch64.so.1",
    "/lib/ld-musl-x86_64.so.1",
    "/lib/ld-musl-aarch64.so.1",
];
/// Files that every program looks at.
const FILES: &[&str] = &["/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo"];
/// Devices without a state.
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// What a confined program may hold of root's power, where it runs as root: what the rights on files build upon, and giving
/// up ids.
pub(super) const CONFINED: &[Capability] = &[
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_FOWNER,
    Capability::CAP_SETUID,
    Capability::CAP_SETGID,
];

/// The walls around one program.
#[derive(Debug)]
pub(super) struct Walls {
    layers: Vec<Layer>,
    /// What is there in spite of the layers.
    base: Vec<Rule>,
    /// The system calls that are denied; nothing where none is.
    filter: Option<Denied>,
    /// Whether the program may use the network.
    pub(super) network: bool,
    abi: ABI,
}

impl Walls {
    /// Those that policy leaves the caller of this run, for a program of such power. `joins` tells that other processes are in the program's namespace.
    pub(super) fn for_caller(
        state: &State,
        file: &OpenRegularFile,
        power: Power,
        capabilities: &[Capability],
        joins: bool,
    ) -> Result<Self, Failure> {
        let abi = usable_abi().map_err(|error| Failure::new(FailureKind::InvalidArguments, error))?;
        let layers = places::layers(state, power, abi);
        // The kernel cannot be told addresses that a policy means: it is all of the network or nothing.
        let network = state.authorizer().connects_everywhere();
        let confined = !layers.is_empty();
        let beyond = capabilities.iter().find(|capability| !CONFINED.contains(capability));
        if let Some(capability) = beyond.filter(|_| confined) {
            let message = format!("`{capability}` would reach beyond what policy grants on files");
            return Err(Failure::new(FailureKind::InvalidArguments, message));
        }
        let filter = (confined || !network).then(|| denied(state, abi, confined, network, joins));
        let base = if confined { base(state, file, abi)? } else { Vec::new() };
        Ok(Self { layers, base, filter, network, abi })
    }

    /// For a program of the system that may do all that its identity may.
    pub(super) fn none() -> Result<Self, Failure> {
        let abi = usable_abi().map_err(|error| Failure::new(FailureKind::InvalidArguments, error))?;
        Ok(Self { layers: Vec::new(), base: Vec::new(), filter: None, network: true, abi })
    }

    /// For a program that may do nothing but read these files, and what lies in these directories of the system.
    pub(super) fn reading_only(files: &[&OwnedFd], data: &[&str]) -> Result<Self, Failure> {
        let abi = usable_abi().map_err(|error| Failure::new(FailureKind::InvalidArguments, error))?;
        let mut base = common(&[], abi);
        let data = data.iter().filter_map(|path| places::ours(path));
        base.extend(data.map(|object| Rule { object, rights: make_bitflags!(AccessFs::{ReadFile | ReadDir}) }));
        for file in files {
            base.push(rule(file, make_bitflags!(AccessFs::{ReadFile | Execute}))?);
        }
        Ok(Self { layers: vec![Layer { rules: Vec::new() }], base, filter: Some(Denied::ALL), network: false, abi })
    }

    /// For a program that traces a process of its own user: Landlock would keep it from that.
    pub(super) fn tracing() -> Result<Self, Failure> {
        let abi = usable_abi().map_err(|error| Failure::new(FailureKind::InvalidArguments, error))?;
        let denied = Denied { system: false, signals: false, ..Denied::ALL };
        Ok(Self { layers: Vec::new(), base: Vec::new(), filter: Some(denied), network: false, abi })
    }

    /// Whether anything is kept from the program.
    pub(super) fn confine(&self) -> bool {
        !self.layers.is_empty()
    }

    /// Whether nothing is kept from the program, the network neither.
    pub(super) fn are_open(&self) -> bool {
        self.layers.is_empty() && self.network
    }

    /// Puts the calling process behind them, for ever. It must have `no_new_privs`.
    pub(super) fn close(&self) -> Result<(), String> {
        for layer in &self.layers {
            let status = self.restrict(layer).map_err(|error| format!("landlock: {error}"))?;
            if status != RulesetStatus::FullyEnforced {
                return Err("landlock is enforced only in part".into());
            }
        }
        match &self.filter {
            Some(denied) => filter::install(denied).map_err(|errno| format!("system calls: {errno}")),
            None => Ok(()),
        }
    }

    fn restrict(&self, layer: &Layer) -> Result<RulesetStatus, landlock::RulesetError> {
        let mut ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(self.abi))?;
        if self.abi >= ABI::V4 && !self.network {
            ruleset = ruleset.handle_access(AccessNet::from_all(self.abi))?;
        }
        if self.abi >= ABI::V6 {
            ruleset = ruleset.scope(Scope::from_all(self.abi))?;
        }
        let mut ruleset = ruleset.create()?;
        for rule in layer.rules.iter().chain(&self.base) {
            ruleset = ruleset.add_rule(PathBeneath::new(&rule.object, rule.rights))?;
        }
        Ok(ruleset.restrict_self()?.ruleset)
    }
}

/// The system calls that would go around the layers, or around what these cannot say.
fn denied(state: &State, abi: ABI, confined: bool, network: bool, joins: bool) -> Denied {
    let denied = |action| {
        let reaches = [places::FILE, places::DIR].map(|kind| state.authorizer().reaches(action, kind, Power::User));
        confined && !reaches.iter().flatten().all(|reach| reach.everywhere)
    };
    Denied {
        modes: denied(Action::FileChmod),
        owners: denied(Action::FileChown),
        attributes: denied(Action::FileSetXAttr),
        attribute_reads: denied(Action::FileStat),
        renames: confined && !places::can_move_what_it_can_delete(state),
        truncation: abi < ABI::V3 && denied(Action::FileWrite),
        signals: abi < ABI::V6 && confined && joins,
        times: denied(Action::FileWrite),
        system: confined,
        local_sockets: confined,
        network: !network,
    }
}

/// What a program needs to start at all.
fn base(state: &State, file: &OpenRegularFile, abi: ABI) -> Result<Vec<Rule>, Failure> {
    let barred = |action| {
        let reaches = state.authorizer().reaches(action, places::FILE, Power::User).into_iter();
        reaches.flat_map(|reach| reach.barred).collect::<Vec<Place>>()
    };
    let unreadable = barred(Action::FileRead);
    let mut rules = common(&unreadable, abi);
    let run = make_bitflags!(AccessFs::{ReadFile | Execute});
    rules.push(rule(&file.fd, run)?);
    if let Some(interpreter) = interpreter(&file.fd).and_then(|path| places::ours(&path))
        && let Ok(path) = fs::real_path(&interpreter)
        && !unreadable.iter().chain(&barred(Action::FileExecute)).any(|barred| barred.holds(&path))
    {
        rules.push(Rule { object: interpreter, rights: run });
    }
    Ok(rules)
}

/// What everybody's programs are made of, without what is barred inside of it.
fn common(barred: &[Place], abi: ABI) -> Vec<Rule> {
    let mut rules = Vec::new();
    let libraries = make_bitflags!(AccessFs::{ReadFile | ReadDir});
    let devices = make_bitflags!(AccessFs::{ReadFile | WriteFile});
    for (paths, rights) in [
        (LIBRARIES, libraries),
        (LOADERS, AccessFs::Execute.into()),
        (FILES, AccessFs::ReadFile.into()),
        (DEVICES, devices),
    ] {
        for object in paths.iter().filter_map(|path| places::ours(path)) {
            let Ok(path) = fs::real_path(&object) else { continue };
            // What bars all of it, and more, is not meant for the libraries: nothing would run.
            let inside: Vec<Place> = barred.iter().filter(|bar| !bar.holds(&path)).cloned().collect();
            places::tell_object(object, &path, &inside, rights & AccessFs::from_all(abi), abi, &mut rules);
        }
    }
    rules
}

fn rule(object: &OwnedFd, rights: BitFlags<AccessFs>) -> Result<Rule, Failure> {
    let fault = |error| Failure::new(FailureKind::InvalidArguments, format!("cannot confine the program: {error}"));
    Ok(Rule { object: object.try_clone().map_err(fault)?, rights })
}

/// The interpreter that a script names in its first line (execve(2)); nothing for another kind of program.
pub(super) fn interpreter(file: &OwnedFd) -> Option<String> {
    let mut line = [0; 256];
    let length = match pread(file, &mut line, 0) {
        Ok(length) => length,
        Err(Errno::EINTR) => pread(file, &mut line, 0).ok()?,
        Err(_) => return None,
    };
    let line = line.get(..length)?.strip_prefix(b"#!")?;
    let line = line.split(|&byte| byte == b'\n').next()?;
    let path = line.split(|byte| matches!(byte, b' ' | b'\t')).find(|part| !part.is_empty())?;
    String::from_utf8(path.to_vec()).ok()
}
