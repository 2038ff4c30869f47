//! No operation goes without its decision: cases that succeed are run again with a permission less.
//!
//! To know which permissions a script needs, one would have to believe the very thing that is tested. So nothing is
//! presumed about need; what is held against each run is its *effect*. A case whose policy permits something is run again
//!
//! * with everything forbidden: it cannot come to what the case expects, and its folder must be as before down to times
//!   and modes;
//! * for each action that its policy permits, with that action forbidden (`read` with `redacted_read`, which stands in
//!   for it): what that action governs must not happen. Without `open` no file changes and none is told of; without `read`
//!   nothing of a file's lines, which bear a mark, is in the result; without `write` no byte of a file changes; without
//!   `create` no name appears that was not moved; without `delete` no object vanishes; without `chmod` and `chown` no object
//!   has another mode or owner; without `move` none has another name; without `set_id` no file comes to set-id bits, nor one
//!   that has them to other content; without `execute` no script runs, as each would leave a mark.
//!
//! A run that ends in an error must end in the denial that names the missing action, unless its script catches errors and
//! goes on. An operation performed without its decision fails this as soon as one case has its effect. That a
//! missing permission does take something away is held by [`NEEDED`], for each action by a case.

use crate::case::{Case, Item, Kind};
use crate::expect::{self, short, text};
use crate::perform::perform;
use crate::stage::Stage;
use rex_protocol::Action;
use rex_tests::{Closely, Tree};
use serde_json::Value;

/// For each action a case that needs it.
const NEEDED: &[(&str, Action)] = &[
    ("core::hello_file", Action::FileOpen),
    ("core::hello_file", Action::FileCreate),
    ("core::hello_file", Action::FileWrite),
    ("core::hello_file", Action::FileRead),
    ("core::redacted_read", Action::FileRedactedRead),
    ("commands::rm_file", Action::FileDelete),
    ("files::file_metadata", Action::FileStat),
    ("system::processes_name_is_cut_at_15_bytes", Action::ProcessList),
    ("system::open_files_least_policy", Action::ProcessListFds),
    ("system::kill_sigterm_by_pid", Action::ProcessKill),
    ("system::kill_sighup_asks_for_interrupt", Action::ProcessInterrupt),
    ("files::chmod_directory", Action::FileChmod),
    ("files::chown_directory", Action::FileChown),
    ("files::move_file", Action::FileMove),
    ("files::xattr_context", Action::FileSetXAttr),
    ("commands::execute_result", Action::FileExecute),
    ("files::write_in_place_keeps_set_id", Action::FileSetId),
    ("commands::nproc_and_uname", Action::SysinfoList),
    ("system::trace_of_a_user", Action::ProcessTrace),
    ("network::get_text", Action::HttpGet),
    ("network::connect_tcp", Action::Connect),
    ("system::resolve_least_policy", Action::ResolveHostname),
    ("network::methods", Action::HttpHead),
    ("network::methods", Action::HttpPost),
    ("network::methods", Action::HttpPut),
    ("network::methods", Action::HttpDelete),
    ("network::methods", Action::HttpPatch),
    ("network::methods", Action::HttpOptions),
    ("system::nsenter_mount_namespace", Action::ProcessMountNamespace),
    ("system::nsenter_network_namespace", Action::ProcessNetworkNamespace),
    ("system::nsenter_by_network_namespace_name", Action::FileNetworkNamespace),
];

/// Actions on the machine itself, which no case may change: `tests/coverage`, `escape::mounts` and `tests/systemd` hold that
/// they are needed.
const OF_THE_MACHINE: &[Action] = &[
    Action::FileUnmount,
    Action::SysctlLoad,
    Action::UnitStart,
    Action::UnitStop,
    Action::UnitRestart,
    Action::UnitStatus,
    Action::ManagerReload,
];

/// Cases whose policy permits what their script has no use for, or that are about being refused.
const NEED_NOTHING: &[&str] = &[
    "commands::cat_denial_can_be_caught",
    "commands::cat_root_and_empty_path",
    "commands::kill_bad_numbers",
    "commands::dmesg_entries",
    "commands::seq_counts_down",
    "core::path_commands_resolve_first",
    "files::dir_config_needs_path",
    "files::find_bad_options",
    "files::open_dir_forbidden_characters",
    "files::read_lines_bad_options",
    "files::read_page_bad_options",
    "network::get_other_schemes",
    "network::get_policy_address",
    "network::get_policy_address_range",
    "network::headers_refused",
    "system::error_kind_constant_to_string",
    "system::kill_options_validation",
    "system::monitor_cpu_denied_is_empty",
    "system::monitor_cpu_options",
    "system::nsenter_options_validation",
    "system::open_files_options_validation",
    "system::process_error_kinds",
    "system::processes_none_permitted",
    "system::resolve_options_errors",
    "system::state_constants",
    "system::transport_protocol_constants",
    "system::systeminfo_error_kinds",
    "system::unmount_bad_paths",
];

/// Cases whose script would wait long for what is left out where it is denied.
const PATIENT: &[&str] = &["system::processes_leave_threads_out"];

/// Cases whose calls leave out what is denied and go on: their scripts then miss what they count on.
const LEAVE_OUT: &[&str] = &[
    "commands::du_entries",
    "commands::du_max_depth",
    "files::disk_usage_largest_and_kinds",
    "files::disk_usage_of_a_tree",
    "files::extract_archive_long_names",
    "files::extract_archive_owners",
    "files::extract_archive_plain",
    "files::extract_archive_times",
    "system::sysctl_find",
];

/// The calls that list processes, and leave out what is denied: what a script makes of the rest is its own affair.
const LISTINGS: &[&str] = &["ps()", ".processes(", ".processes_using_inode(", ".monitor_processes_cpu("];

/// The namespace of the actions on files.
const FILES: &str = "file_system";
/// Stands in every line of a file that a run may not read.
const MARK: &str = "unreadable-7f3a";
/// What a script says that runs although it may not, and the name of the file that it makes.
const TRACE: &str = "executed-7f3a";
/// What is told of one run.
const MOST_FAULTS: usize = 8;

/// Whether a case succeeds by what its policy permits.
pub(crate) fn applies_to(case: &Case) -> bool {
    let permits = case.policy.lines().any(|line| !line.trim_start().starts_with("//") && line.contains("permit"));
    let left_out = [NEED_NOTHING, PATIENT].concat();
    case.expect.status == "SUCCESS" && permits && !left_out.contains(&case.name.as_str())
}

/// What happened in spite of a missing permission, in words.
pub(crate) fn faults(case: &Case) -> Vec<String> {
    let mut missing = vec![Missing::Everything];
    // Where other processes act too, effects are not the script's alone; and another file system is not looked at.
    if case.spawn.is_empty() && !case.script.contains("/dev/shm") {
        missing.extend(Missing::each(&case.policy));
    }
    // What acts on no file has no effect here but what its own cases expect.
    let needed = NEEDED.iter().filter(|(name, action)| *name == case.name && action.namespace() != FILES);
    missing.extend(needed.map(|(_, action)| Missing::Actions(vec![*action])));
    missing.iter().flat_map(|missing| run(case, missing)).collect()
}

/// What a run has to do without.
#[derive(Debug)]
enum Missing {
    Everything,
    Actions(Vec<Action>),
}

impl Missing {
    /// Each action that a policy permits.
    fn each(policy: &str) -> Vec<Self> {
        let any = policy.contains("action,") || policy.contains("action)") || policy.contains("\"SafeIO\"");
        let is_permitted =
            |actions: &Vec<Action>| any || actions.iter().any(|action| policy.contains(&action.to_string()));
        let on_files = Action::ALL.iter().filter(|action| action.namespace() == FILES);
        let alone = on_files.filter(|action| **action != Action::FileRedactedRead);
        let also = |action: &Action| match action {
            Action::FileRead => vec![Action::FileRead, Action::FileRedactedRead],
            action => vec![*action],
        };
        alone.map(also).filter(is_permitted).map(Missing::Actions).collect()
    }

    /// The policies that take it away.
    fn forbids(&self) -> String {
        match self {
            Missing::Everything => "\nforbid(principal, action, resource);\n".into(),
            Missing::Actions(actions) => {
                let forbid = |action| format!("\nforbid(principal, action == {action}, resource);\n");
                actions.iter().map(forbid).collect()
            }
        }
    }

    fn includes(&self, action: Action) -> bool {
        match self {
            Missing::Everything => true,
            Missing::Actions(actions) => actions.contains(&action),
        }
    }

    fn is_named_in(&self, message: &str) -> bool {
        match self {
            Missing::Everything => message.contains("::Action::\""),
            Missing::Actions(actions) => actions.iter().any(|action| message.contains(&action.to_string())),
        }
    }

    fn describe(&self) -> String {
        match self {
            Missing::Everything => "with everything forbidden".into(),
            Missing::Actions(actions) => {
                let names: Vec<&str> = actions.iter().map(|action| action.name()).collect();
                format!("without `{}`", names.join("` and `"))
            }
        }
    }
}

fn run(case: &Case, missing: &Missing) -> Vec<String> {
    let hides = missing.includes(Action::FileOpen) || missing.includes(Action::FileRead);
    let mut planted = case.clone();
    if case.spawn.is_empty() {
        if hides {
            mark(&mut planted);
        }
        if missing.includes(Action::FileExecute) {
            trace(&mut planted);
        }
    }
    let stage = match Stage::set(&planted) {
        Ok(stage) => stage,
        Err(error) => return vec![format!("cannot prepare it: {error}")],
    };
    let before = Tree::of(&stage.root);
    let policy = stage.fill(&case.policy) + &missing.forbids();
    let result = match perform(case, &stage, &policy) {
        Ok(result) => result,
        Err(fault) => return vec![format!("{}: {fault}", missing.describe())],
    };
    let mut faults = ending_faults(case, &stage, missing, &result);
    if case.spawn.is_empty() {
        faults.extend(effects(missing, &before, &Tree::of(&stage.root)));
    }
    if missing.includes(Action::FileExecute) && (result.to_string().contains(TRACE) || stage.root.join(TRACE).exists())
    {
        faults.push("a script was run".into());
    }
    if hides && result.to_string().contains(MARK) {
        faults.push(format!("it tells what is in a file: {}", short(&result.to_string())));
    }
    faults.into_iter().take(MOST_FAULTS).map(|fault| format!("{}: {fault}", missing.describe())).collect()
}

/// Puts the mark at the end of each line of a case's files. What the script would make of that is of no interest. To execute
/// a script is to show it to its interpreter, whoever may read it: what a case executes stays as it is.
fn mark(case: &mut Case) {
    let executes = case.executes();
    let is_marked = |item: &Item| matches!(item.kind, Kind::File | Kind::Gzip) && !(executes && item.is_executable());
    for item in case.setup.iter_mut().filter(|item| is_marked(item)) {
        item.content = item.content.lines().map(|line| format!("{line} {MARK}\n")).collect();
    }
}

/// Has what a case executes leave a trace instead.
fn trace(case: &mut Case) {
    let executes = case.executes();
    let is_traced = |item: &Item| executes && item.is_executable() && item.content.trim_start().starts_with("#!");
    for item in case.setup.iter_mut().filter(|item| is_traced(item)) {
        item.content = format!("#!/bin/sh\necho {TRACE}\necho > '{{{{root}}}}/{TRACE}'\n");
    }
}

/// How a run may not end that lacks a permission.
fn ending_faults(case: &Case, stage: &Stage, missing: &Missing, result: &Value) -> Vec<String> {
    let message = text(&result["error"]["message"]);
    if text(&result["status"]) == "ERROR" {
        let denied = text(&result["error"]["error_type"]) == "ACCESS_DENIED_EXCEPTION" && missing.is_named_in(message);
        // What a script does about an error that it caught is its own affair.
        let leaves_out = matches!(missing, Missing::Actions(_)) && LEAVE_OUT.contains(&case.name.as_str());
        let lists = LISTINGS.iter().any(|call| case.script.contains(call));
        let is_told = denied || leaves_out || lists || case.script.contains("catch");
        return if is_told { Vec::new() } else { vec![format!("it failed otherwise: {}", short(message))] };
    }
    let is_needed = match missing {
        Missing::Everything => true,
        Missing::Actions(actions) => NEEDED.iter().any(|(name, action)| *name == case.name && actions.contains(action)),
    };
    if is_needed && expect::faults(case, stage, result).is_empty() {
        vec!["it went as if nothing were missing".into()]
    } else {
        Vec::new()
    }
}

/// What changed in the folder and may not have.
fn effects(missing: &Missing, before: &Tree, after: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    if let Missing::Everything = missing {
        faults.extend(after.differences(before, Closely::Times));
    } else if missing.includes(Action::FileOpen) {
        faults.extend(after.differences(before, Closely::Content));
    }
    if missing.includes(Action::FileWrite) {
        faults.extend(after.written(before));
    }
    if missing.includes(Action::FileCreate) {
        faults.extend(after.created(before));
    }
    if missing.includes(Action::FileDelete) {
        faults.extend(after.deleted(before));
    }
    if missing.includes(Action::FileChmod) {
        faults.extend(after.modes_changed(before));
    }
    if missing.includes(Action::FileChown) {
        faults.extend(after.owners_changed(before));
    }
    if missing.includes(Action::FileMove) {
        faults.extend(after.moved(before));
    }
    if missing.includes(Action::FileSetId) {
        faults.extend(after.set_ids(before));
    }
    faults
}

/// Each action must have its case in [`NEEDED`], and each case named there must be one.
pub(crate) fn check(names: &std::collections::BTreeSet<String>) -> Result<(), String> {
    let is_held =
        |action: &Action| OF_THE_MACHINE.contains(action) || NEEDED.iter().any(|(_, needed)| needed == action);
    let lacking = Action::ALL.iter().filter(|action| !is_held(action));
    let lacking: Vec<String> = lacking.map(|action| format!("no case is known to need {action}")).collect();
    let named = NEEDED.iter().map(|(name, _)| name).chain(NEED_NOTHING).chain(PATIENT).chain(LEAVE_OUT);
    let unknown = named.filter(|name| !names.contains(**name)).map(|name| format!("no case is called `{name}`"));
    let faults: Vec<String> = lacking.into_iter().chain(unknown).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.join(", ")) }
}
