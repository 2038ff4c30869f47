//! The outer file-system wall: a worker may map its own program and the system's libraries, and
//! nothing else. It adds an inner one itself that leaves nothing at all (landlock(7)).

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope,
};
use std::os::fd::BorrowedFd;

/// The oldest Landlock that will do: from ABI 2 on (Linux 5.19) renaming and linking between
/// directories is governed too. Debian 12's kernel has it.
pub const MINIMUM_ABI: i32 = 2;

/// Where dynamic loaders and libraries live. Readable to everybody on any system, and of no value to an attacker.
const LIBRARIES: &[&str] = &["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache"];

/// Confines the calling process to reading and executing `program` and the system's libraries.
/// Everything that the kernel's ABI knows is handled, and it must be enforced in full.
pub(super) fn confine(program: BorrowedFd<'_>) -> Result<(), String> {
    let abi = usable_abi()?;
    let run = AccessFs::ReadFile | AccessFs::Execute;
    let restrict = || -> Result<_, landlock::RulesetError> {
        let mut ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(abi))?;
        if abi >= ABI::V4 {
            ruleset = ruleset.handle_access(AccessNet::from_all(abi))?;
        }
        if abi >= ABI::V6 {
            ruleset = ruleset.scope(Scope::from_all(abi))?;
        }
        let mut ruleset = ruleset.create()?.add_rule(PathBeneath::new(program, run))?;
        for path in LIBRARIES {
            // A path that is not there needs no rule; /lib is a link to /usr/lib on merged systems.
            if let Ok(library) = PathFd::new(path) {
                let rights = if path.ends_with(".cache") { AccessFs::ReadFile.into() } else { run };
                ruleset = ruleset.add_rule(PathBeneath::new(library, rights))?;
            }
        }
        ruleset.restrict_self()
    };
    match restrict() {
        Ok(status) if status.ruleset == RulesetStatus::FullyEnforced => Ok(()),
        Ok(_) => Err("landlock is enforced only in part".into()),
        Err(error) => Err(format!("landlock: {error}")),
    }
}

/// The newest ABI that both kernel and library know, at least [`MINIMUM_ABI`].
pub(crate) fn usable_abi() -> Result<ABI, String> {
    let abi = crate::sys::process::landlock_abi().map_err(|error| format!("the kernel has no landlock: {error}"))?;
    match abi {
        ..MINIMUM_ABI => Err(format!("the kernel's landlock ABI is {abi}, at least {MINIMUM_ABI} is needed")),
        2 => Ok(ABI::V2),
        3 => Ok(ABI::V3),
        4 => Ok(ABI::V4),
        5 => Ok(ABI::V5),
        6 => Ok(ABI::V6),
        7 => Ok(ABI::V7),
        8 => Ok(ABI::V8),
        _ => Ok(ABI::V9),
    }
}
