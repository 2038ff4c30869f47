//! The actions that operations ask policy for.

/// An action of the Cedar schema (`policies/rex.cedarschema`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// `file_system::Action::"open"`
    FileOpen,
    /// `file_system::Action::"create"`
    FileCreate,
    /// `file_system::Action::"delete"`
    FileDelete,
    /// `file_system::Action::"read"`
    FileRead,
    /// `file_system::Action::"redacted_read"`
    FileRedactedRead,
    /// `file_system::Action::"stat"`
    FileStat,
    /// `file_system::Action::"write"`
    FileWrite,
    /// `file_system::Action::"chmod"`
    FileChmod,
    /// `file_system::Action::"chown"`
    FileChown,
    /// `file_system::Action::"move"`
    FileMove,
    /// `file_system::Action::"set_x_attr"`
    FileSetXAttr,
    /// `file_system::Action::"execute"`
    FileExecute,
    /// `file_system::Action::"set_id"`
    FileSetId,
    /// `process_system::Action::"list"`
    ProcessList,
    /// `process_system::Action::"list_fds"`
    ProcessListFds,
    /// `process_system::Action::"kill"`
    ProcessKill,
    /// `process_system::Action::"interrupt"`
    ProcessInterrupt,
    /// `file_system::Action::"unmount"`
    FileUnmount,
    /// `sysinfo::Action::"list"`
    SysinfoList,
    /// `sysctl::Action::"load"`
    SysctlLoad,
    /// `process_system::Action::"trace"`
    ProcessTrace,
    /// `process_system::Action::"mount_namespace"`
    ProcessMountNamespace,
    /// `process_system::Action::"network_namespace"`
    ProcessNetworkNamespace,
    /// `file_system::Action::"network_namespace"`
    FileNetworkNamespace,
    /// `network::Action::"GET"`
    HttpGet,
    /// `network::Action::"HEAD"`
    HttpHead,
    /// `network::Action::"POST"`
    HttpPost,
    /// `network::Action::"PUT"`
    HttpPut,
    /// `network::Action::"DELETE"`
    HttpDelete,
    /// `network::Action::"PATCH"`
    HttpPatch,
    /// `network::Action::"OPTIONS"`
    HttpOptions,
    /// `network::Action::"connect"`
    Connect,
    /// `sysinfo::Action::"resolve_hostname"`
    ResolveHostname,
    /// `systemd::Action::"start"`
    UnitStart,
    /// `systemd::Action::"stop"`
    UnitStop,
    /// `systemd::Action::"restart"`
    UnitRestart,
    /// `systemd::Action::"status"`
    UnitStatus,
    /// `systemd::Action::"daemon_reload"`
    ManagerReload,
}

/// The Cedar names of an action.
struct Names {
    namespace: &'static str,
    name: &'static str,
    group: &'static str,
}

impl Action {
    /// Every action, in the order of their declaration.
    pub const ALL: &'static [Action] = &[
        Action::FileOpen,
        Action::FileCreate,
        Action::FileDelete,
        Action::FileRead,
        Action::FileRedactedRead,
        Action::FileStat,
        Action::FileWrite,
        Action::FileChmod,
        Action::FileChown,
        Action::FileMove,
        Action::FileSetXAttr,
        Action::FileExecute,
        Action::FileSetId,
        Action::ProcessList,
        Action::ProcessListFds,
        Action::ProcessKill,
        Action::ProcessInterrupt,
        Action::FileUnmount,
        Action::SysinfoList,
        Action::SysctlLoad,
        Action::ProcessTrace,
        Action::ProcessMountNamespace,
        Action::ProcessNetworkNamespace,
        Action::FileNetworkNamespace,
        Action::HttpGet,
        Action::HttpHead,
        Action::HttpPost,
        Action::HttpPut,
        Action::HttpDelete,
        Action::HttpPatch,
        Action::HttpOptions,
        Action::Connect,
        Action::ResolveHostname,
        Action::UnitStart,
        Action::UnitStop,
        Action::UnitRestart,
        Action::UnitStatus,
        Action::ManagerReload,
    ];

    const fn names(self) -> Names {
        match self {
            Action::FileOpen => on_files("open"),
            Action::FileCreate => on_files("create"),
            Action::FileDelete => on_files("delete"),
            Action::FileRead => on_files("read"),
            Action::FileRedactedRead => on_files("redacted_read"),
            Action::FileStat => on_files("stat"),
            Action::FileWrite => on_files("write"),
            Action::FileChmod => on_files("chmod"),
            Action::FileChown => on_files("chown"),
            Action::FileMove => on_files("move"),
            Action::FileSetXAttr => on_files("set_x_attr"),
            Action::FileExecute => on_files("execute"),
            Action::FileSetId => Names { group: "PrivilegedIO", ..on_files("set_id") },
            Action::ProcessList => on_processes("list"),
            Action::ProcessListFds => on_processes("list_fds"),
            Action::ProcessKill => on_processes("kill"),
            Action::ProcessInterrupt => on_processes("interrupt"),
            Action::FileUnmount => on_files("unmount"),
            Action::SysinfoList => Names { namespace: "sysinfo", name: "list", group: "SysinfoAction" },
            Action::SysctlLoad => Names { namespace: "sysctl", name: "load", group: "SysctlAction" },
            Action::ProcessTrace => on_processes("trace"),
            Action::ProcessMountNamespace => on_processes("mount_namespace"),
            Action::ProcessNetworkNamespace => on_processes("network_namespace"),
            Action::FileNetworkNamespace => on_files("network_namespace"),
            Action::HttpGet => on_network("GET"),
            Action::HttpHead => on_network("HEAD"),
            Action::HttpPost => on_network("POST"),
            Action::HttpPut => on_network("PUT"),
            Action::HttpDelete => on_network("DELETE"),
            Action::HttpPatch => on_network("PATCH"),
            Action::HttpOptions => on_network("OPTIONS"),
            Action::Connect => on_network("connect"),
            Action::ResolveHostname => Names { namespace: "sysinfo", name: "resolve_hostname", group: "SysinfoAction" },
            Action::UnitStart => on_units("start"),
            Action::UnitStop => on_units("stop"),
            Action::UnitRestart => on_units("restart"),
            Action::UnitStatus => on_units("status"),
            Action::ManagerReload => on_units("daemon_reload"),
        }
    }

    /// Whether what it stands for changes nothing, in this system or another.
    pub const fn only_looks(self) -> bool {
        matches!(
            self,
            Action::FileOpen
                | Action::FileRead
                | Action::FileRedactedRead
                | Action::FileStat
                | Action::ProcessList
                | Action::ProcessListFds
                | Action::SysinfoList
                | Action::UnitStatus
        )
    }

    /// The Cedar namespace: `file_system`.
    pub const fn namespace(self) -> &'static str {
        self.names().namespace
    }

    /// The name inside its namespace: `open`.
    pub const fn name(self) -> &'static str {
        self.names().name
    }

    /// The action group of the schema that holds this action: `SafeIO`.
    pub const fn group(self) -> &'static str {
        self.names().group
    }
}

const fn on_files(name: &'static str) -> Names {
    Names { namespace: "file_system", name, group: "SafeIO" }
}

const fn on_processes(name: &'static str) -> Names {
    Names { namespace: "process_system", name, group: "ProcessAction" }
}

const fn on_network(name: &'static str) -> Names {
    Names { namespace: "network", name, group: "NetworkAction" }
}

const fn on_units(name: &'static str) -> Names {
    Names { namespace: "systemd", name, group: "SystemdAction" }
}

/// As policies write it: `file_system::Action::"open"`.
impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}::Action::\"{}\"", self.namespace(), self.name())
    }
}
