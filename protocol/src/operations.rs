//! The list of all operations. Dispatch, records and tests read it; nothing else names them all.

use crate::{Action, Listed, Operation};

/// Calls a macro with the types of all operations.
#[macro_export]
macro_rules! for_each_operation {
    ($then:ident) => {
        $then! {
            $crate::fs::OpenDir,
            $crate::fs::OpenSubdir,
            $crate::fs::OpenFile,
            $crate::fs::OpenEntry,
            $crate::fs::OpenLink,
            $crate::fs::Read,
            $crate::fs::ReadRedacted,
            $crate::fs::Donate,
            $crate::fs::ReadLink,
            $crate::fs::ReadOpenLink,
            $crate::fs::Write,
            $crate::fs::Truncate,
            $crate::fs::Allocate,
            $crate::fs::CopyFile,
            $crate::fs::Touch,
            $crate::fs::MakeDir,
            $crate::fs::MakeLink,
            $crate::fs::ListDir,
            $crate::fs::Stat,
            $crate::fs::StatEntries,
            $crate::fs::SetMode,
            $crate::fs::SetOwner,
            $crate::fs::ReadAttribute,
            $crate::fs::WriteAttribute,
            $crate::fs::MoveFile,
            $crate::fs::MoveDir,
            $crate::fs::BeginFile,
            $crate::fs::AddToFile,
            $crate::fs::CommitFile,
            $crate::fs::PutDir,
            $crate::fs::Execute,
            $crate::fs::Follow,
            $crate::fs::RunDebugger,
            $crate::fs::DeleteFile,
            $crate::fs::DeleteDir,
            $crate::process::ListProcesses,
            $crate::process::ListOpenFiles,
            $crate::process::Signal,
            $crate::process::Trace,
            $crate::process::EnterNamespaces,
            $crate::process::EnterNetwork,
            $crate::system::Uname,
            $crate::system::OnlineProcessors,
            $crate::system::OpenTable,
            $crate::system::OpenSockets,
            $crate::system::ListSocketOwners,
            $crate::system::ListInterfaces,
            $crate::system::ReadLog,
            $crate::system::StatMount,
            $crate::system::Unmount,
            $crate::system::LoadSettings,
            $crate::network::Fetch,
            $crate::network::ReadBody,
            $crate::network::Connect,
            $crate::network::Resolve,
            $crate::systemd::StartUnit,
            $crate::systemd::StopUnit,
            $crate::systemd::RestartUnit,
            $crate::systemd::InspectUnit,
            $crate::systemd::ReloadManager,
            $crate::systemd::FollowTask,
            $crate::run::Narrow,
        }
    };
}

macro_rules! list {
    ($($operation:ty),* $(,)?) => {
        $(impl Listed for $operation {})*

        /// Name and possible actions of each operation, in the order of the list.
        pub const OPERATIONS: &[(&str, &[Action])] = &[
            $((<$operation as Operation>::NAME, <$operation as Operation>::ACTIONS),)*
        ];
    };
}
for_each_operation!(list);

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_well_formed() {
        let names: BTreeSet<_> = OPERATIONS.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), OPERATIONS.len());
        for name in names {
            let (domain, verb) = name.split_once('.').unwrap_or_else(|| panic!("`{name}` is not `domain.verb`"));
            for part in [domain, verb] {
                assert!(part.chars().all(|c| c.is_ascii_lowercase() || c == '_') && !part.is_empty(), "`{name}`");
            }
        }
    }

    #[test]
    fn every_operation_asks_policy_and_every_action_is_asked() {
        for (name, actions) in OPERATIONS {
            let only_narrows = *name == crate::run::Narrow::NAME;
            assert_eq!(actions.is_empty(), only_narrows, "`{name}` would be performed without a decision");
        }
        for action in Action::ALL {
            assert!(OPERATIONS.iter().any(|(_, actions)| actions.contains(action)), "no operation demands {action}");
        }
    }
}
