//! What a session of root's gives up before it hears its worker: every capability (capabilities(7)) that nothing needs which some
//! policy could let its caller do.

use caps::{CapSet, Capability, CapsHashSet};
use nix::unistd::geteuid;
use rex_protocol::Action;

/// For processes without rights, in namespaces of their own: to make one, to look whether it is sealed, to move it to another
/// processor, to end it. Also what is denied may need one, such as a URL, which only `rex-net` takes apart.
const OF_EVERY_SESSION: &[Capability] = &[
    Capability::CAP_KILL,
    Capability::CAP_SETGID,
    Capability::CAP_SETPCAP,
    Capability::CAP_SETUID,
    Capability::CAP_SYS_ADMIN,
    Capability::CAP_SYS_NICE,
    Capability::CAP_SYS_PTRACE,
];
/// To look at what belongs to others, and at the kernel's log.
const TO_LOOK: &[Capability] = &[Capability::CAP_DAC_READ_SEARCH, Capability::CAP_SYSLOG];

/// Gives them up, for this process and what it starts. An error where that cannot be done: then nothing may be run.
pub(super) fn give_up(could_do: &[Action]) -> Result<(), String> {
    let Some(needed) = needed(could_do).filter(|_| geteuid().is_root()) else { return Ok(()) };
    reduce(&needed).map_err(|error| format!("cannot give up capabilities: {error}"))
}

fn reduce(needed: &CapsHashSet) -> Result<(), caps::errors::CapsError> {
    let had = caps::read(None, CapSet::Permitted)?;
    let kept: CapsHashSet = had.intersection(needed).copied().collect();
    // While that is still allowed.
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
        for capability in caps::read(None, CapSet::Bounding)?.difference(&kept) {
            caps::drop(None, CapSet::Bounding, *capability)?;
        }
    }
    caps::clear(None, CapSet::Ambient)?;
    caps::clear(None, CapSet::Inheritable)?;
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Permitted, &kept)
}

/// What may be needed; nothing where that is everything.
fn needed(could_do: &[Action]) -> Option<CapsHashSet> {
    let mut needed: CapsHashSet = OF_EVERY_SESSION.iter().copied().collect();
    for action in could_do {
        needed.extend(of(*action)?);
    }
    Some(needed)
}

/// What an action may need besides; nothing where that may be anything.
fn of(action: Action) -> Option<Vec<Capability>> {
    let needs: &[&[Capability]] = match action {
        Action::FileOpen | Action::FileRead | Action::FileRedactedRead | Action::FileStat => &[TO_LOOK],
        Action::FileCreate | Action::FileDelete | Action::FileMove | Action::FileChmod | Action::FileChown => &[
            TO_LOOK,
            &[
                Capability::CAP_CHOWN,
                Capability::CAP_DAC_OVERRIDE,
                Capability::CAP_FOWNER,
                Capability::CAP_FSETID,
                // Attributes that go along with a copy.
                Capability::CAP_SETFCAP,
            ],
        ],
        Action::ProcessList
        | Action::ProcessListFds
        | Action::ProcessKill
        | Action::ProcessInterrupt
        | Action::SysinfoList
        | Action::HttpGet
        | Action::HttpHead
        | Action::HttpPost
        | Action::HttpPut
        | Action::HttpDelete
        | Action::HttpPatch
        | Action::HttpOptions
        | Action::Connect
        | Action::ResolveHostname => &[TO_LOOK],
        // The service manager does it, and goes by the user id.
        Action::UnitStart | Action::UnitStop | Action::UnitRestart | Action::UnitStatus | Action::ManagerReload => {
            &[TO_LOOK]
        }
        // The kernel's settings are files, and programs may need what their user has.
        Action::FileWrite
        | Action::FileSetXAttr
        | Action::FileSetId
        | Action::FileExecute
        | Action::FileUnmount
        | Action::SysctlLoad
        | Action::ProcessTrace
        | Action::ProcessMountNamespace
        | Action::ProcessNetworkNamespace
        | Action::FileNetworkNamespace => return None,
    };
    Some(needs.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_looks_keeps_nothing_to_change_with() {
        let kept = needed(&[Action::FileOpen, Action::FileRead, Action::FileStat, Action::ProcessList]).unwrap();
        for gone in [Capability::CAP_DAC_OVERRIDE, Capability::CAP_CHOWN, Capability::CAP_SYS_MODULE] {
            assert!(!kept.contains(&gone), "{gone}");
        }
        assert!(kept.contains(&Capability::CAP_DAC_READ_SEARCH));
        assert_eq!(needed(&[]).unwrap().len(), OF_EVERY_SESSION.len());
    }

    #[test]
    fn what_may_need_anything_keeps_all() {
        assert!(needed(&[Action::FileRead, Action::FileExecute]).is_none());
    }
}
