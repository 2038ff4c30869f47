//! Sealing: after it the process can compute, use its memory, and talk on its one socket.
//!
//! What can be imposed from outside was imposed by the parent before this program ran. Here it is
//! confirmed as far as the process can see it, and two layers are added that only the program itself can
//! put on: a Landlock domain without any rule, and the list of system calls that remain.

use crate::syscalls::Allowed;
use crate::{sys, syscalls};
use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetError, RulesetStatus, Scope,
};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::socket::SockType;

/// The oldest Landlock that will do: from ABI 2 on (Linux 5.19) moving files between directories is
/// governed too. Of what newer ones add, TCP and signals are barred by the system calls that are left.
pub const MINIMUM_ABI: i64 = 2;

/// The process cannot be sealed. It must not go on.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The parent left something undone.
    #[error("not started as it must be: {0}")]
    Start(String),
    /// A step of sealing failed.
    #[error("cannot {step}: {reason}")]
    Step {
        /// The step.
        step: &'static str,
        /// Why it failed.
        reason: String,
    },
}

/// Seals the calling process, which must have one thread and its socket at descriptor 3, for the work of a worker.
pub fn seal() -> Result<(), SealError> {
    seal_with(syscalls::ALLOWED)
}

/// Seals the calling process as [`seal`] does, with another list of the system calls that remain.
pub fn seal_with(allowed: &[Allowed]) -> Result<(), SealError> {
    confirm_start()?;
    prctl::set_dumpable(false).map_err(|error| step("become undumpable", error))?;
    sys::prepare_random();
    renounce_files()?;
    syscalls::restrict(allowed).map_err(|error| step("restrict system calls", error))
}

/// Looks for what the parent must have imposed, as far as it can be seen from here.
fn confirm_start() -> Result<(), SealError> {
    match prctl::get_no_new_privs() {
        Ok(true) => {}
        Ok(false) => return Err(SealError::Start("`no_new_privs` is not set".into())),
        Err(error) => return Err(step("read `no_new_privs`", error)),
    }
    if sys::socket_type(sys::SOCKET) != Some(SockType::SeqPacket) {
        return Err(SealError::Start("descriptor 3 is not a packet socket".into()));
    }
    let (most, _) = getrlimit(Resource::RLIMIT_NOFILE).map_err(|error| step("read its limits", error))?;
    // A worker's limit is low; a test's may not be, and then it is its own business what it holds up there.
    let most = i32::try_from(most.min(1024)).unwrap_or(1024);
    match (sys::SOCKET + 1..most).find(|number| sys::is_open(*number)) {
        None => Ok(()),
        Some(number) => Err(SealError::Start(format!("descriptor {number} is open"))),
    }
}

/// The inner file-system wall: everything that the kernel can govern is governed, and nothing is allowed.
fn renounce_files() -> Result<(), SealError> {
    let known = sys::landlock_abi();
    let abi = abi(known).ok_or_else(|| {
        SealError::Start(format!("the kernel's landlock ABI is {known}, at least {MINIMUM_ABI} is needed"))
    })?;
    let restrict = || -> Result<_, RulesetError> {
        let mut ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(abi))?;
        if abi >= ABI::V4 {
            ruleset = ruleset.handle_access(AccessNet::from_all(abi))?;
        }
        if abi >= ABI::V6 {
            ruleset = ruleset.scope(Scope::from_all(abi))?;
        }
        ruleset.create()?.restrict_self()
    };
    let status = restrict().map_err(|error| step("renounce files", error))?;
    if status.ruleset == RulesetStatus::FullyEnforced && status.no_new_privs {
        Ok(())
    } else {
        Err(step("renounce files", "landlock is enforced only in part"))
    }
}

/// The newest ABI that both kernel and library know; nothing below [`MINIMUM_ABI`].
fn abi(known: i64) -> Option<ABI> {
    Some(match known {
        ..MINIMUM_ABI => return None,
        2 => ABI::V2,
        3 => ABI::V3,
        4 => ABI::V4,
        5 => ABI::V5,
        6 => ABI::V6,
        7 => ABI::V7,
        8 => ABI::V8,
        _ => ABI::V9,
    })
}

fn step(step: &'static str, reason: impl ToString) -> SealError {
    SealError::Step { step, reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_landlock_is_refused() {
        assert_eq!(abi(0), None);
        assert_eq!(abi(1), None);
        assert_eq!(abi(2), Some(ABI::V2));
        assert_eq!(abi(99), Some(ABI::V9));
    }

    #[test]
    fn a_process_that_was_not_prepared_is_not_sealed() {
        // The test's own process has other descriptors and may gain privileges.
        assert!(matches!(seal(), Err(SealError::Start(_))));
    }
}
